"""A stop of the chat in the middle of traffic, and with a disk that does not answer."""
import contextlib
import secrets
import signal
import socket
import sqlite3
import threading
import time

import pytest
from kerbtest import sealed, web
from kerbtest.disk import Locked, Preloaded
from kerbtest.realm import wait_until
from websockets import WebSocketException

GRACE_S = 8.5  # of an orderly stop: 4 s for the store, 1 s to refuse, 3 s to close, and what it costs to look


def rid():
    return "room-" + secrets.token_hex(6)


class Sender(threading.Thread):
    """Keeps some messages on their way until the connection goes."""

    def __init__(self, conn, room):
        super().__init__(daemon=True)
        self.conn, self.room, self.sent, self.is_over = conn, room, [], threading.Event()

    def run(self):
        with contextlib.suppress(WebSocketException, OSError):
            while not self.is_over.is_set() and self.conn.close_code is None:
                cid = f"{id(self)}-{len(self.sent)}"
                self.sent.append(cid)
                self.conn.send("new_message", room=self.room, message={"text": cid * 10}, cid=cid)
                time.sleep(0.002)

    def acks(self):
        return {a["cid"]: a["seq"] for a in self.conn.take("ack") if "cid" in a}


def stored(realm, room):
    """{cid: seq} of what the database holds, when it is whole."""
    with contextlib.closing(sqlite3.connect(f"{realm.state}/chat/chat.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute("SELECT m.cid, m.seq FROM message m JOIN room r ON r.id = m.room WHERE r.room_id = ?"
                          " ORDER BY m.seq", (room,)).fetchall()
    assert [seq for _, seq in rows] == list(range(1, len(rows) + 1)) and len(dict(rows)) == len(rows)
    return dict(rows)


def readyz(realm):
    return web.request(realm.chat_addr, "GET", "/readyz", None, {}).status


def people(realm, n=4):
    """Of each three connections: sealed, classic with extensions, classic. And a room."""
    users = realm.add_users(n)
    conns = [c for u in users for c in (sealed.chat(realm, u), realm.chat(u, extensions=True), realm.chat(u))]
    room = rid()
    conns[0].new_room(room, 0, users)
    for c in conns[1:]:
        c.expect("new_room", room=room)
    return users, conns, room


def stop(realm):
    """SIGTERM. Returns the status and how long it took."""
    d = realm.daemons.pop("chat")
    began = time.monotonic()
    d.signal(signal.SIGTERM)
    status = d.wait(20)
    d.check_clean()
    return status, time.monotonic() - began


def check_farewell(conns):
    """Everybody is closed with 4000; who understands it was told when to come back, each another time."""
    assert {c.closed() for c in conns} == {4000}
    waits = [c.expect("restart")["retry_after_ms"] for c in conns if c.extensions]
    assert all(0 <= w < 1000 + 2 * len(conns) for w in waits) and len(set(waits)) > len(waits) // 2
    assert not [c for c in conns if not c.extensions and c.take("restart")]


def send_again(realm, user, room, sent, acks):
    """What a client does that follows the rules: in the end each message is there once, under the number it was told."""
    conn = sealed.chat(realm, user)
    for cid in sent:
        a = conn.ask("new_message", "ack", room=room, message={"text": cid * 10}, cid=cid)
        assert acks.setdefault(cid, a["seq"]) == a["seq"]


def test_sigterm_in_the_middle_of_traffic(new_realm):
    realm = new_realm(policy={"throttle": "no"}, chat={"request_rate": 100000, "request_burst": 100000})
    users, conns, room = people(realm)
    senders = [Sender(c, room) for c in conns if c.extensions]
    for s in senders:
        s.start()
    wait_until(lambda: min(len(s.sent) for s in senders) > 100, timeout=60, what="load")
    address = realm.chat_addr
    status, took = stop(realm)
    assert status == 0 and took < GRACE_S, (status, took)
    print(f"{took:.2f} s")
    check_farewell(conns)
    with pytest.raises(OSError):
        socket.create_connection(address, timeout=5).close()
    there = stored(realm, room)
    for s in senders:
        s.join(10)
        s.told = s.acks()
        assert s.told.items() <= there.items() and len(s.told) > 10
    assert set(there) <= {cid for s in senders for cid in s.sent}
    realm.start("chat")
    for s in senders:
        send_again(realm, s.conn.user, room, s.sent[-60:], s.told)
        assert s.told.items() <= stored(realm, room).items()


def test_sigterm_while_the_database_is_locked(new_realm):
    """What cannot be stored is refused, nothing of it is there, and the end comes in time all the same."""
    realm = new_realm(policy={"throttle": "no"})
    users, conns, room = people(realm)
    first = [conns[0].ask("new_message", "ack", room=room, message={"text": str(i)}, cid=f"c{i}") for i in range(5)]
    way = Locked(realm)
    way.fail()
    try:
        for c in conns:
            for i in range(10):
                c.send("new_message", room=room, message={"text": "late"}, cid=f"{id(c)}-{i}", id=f"late-{i}")
        time.sleep(0.3)
        status, took = stop(realm)
    finally:
        way.mend()
    assert status == 0 and took < GRACE_S, (status, took)
    print(f"{took:.2f} s")
    check_farewell(conns)
    for c in conns:
        codes = [e["code"] for e in c.take("error")]
        assert codes == ["unavailable" if c.extensions else "internal"] * 10, codes
    assert stored(realm, room) == {f"c{i}": a["seq"] for i, a in enumerate(first)}
    realm.start("chat")
    a = sealed.chat(realm, users[0]).ask("new_message", "ack", room=room, message={"text": "late"}, cid="new")
    assert a["seq"] == 6


def test_sigterm_while_the_disk_does_not_answer(new_realm, shim, tmp_path):
    """It is cut off; what was acknowledged is there."""
    realm = new_realm(start=False, policy={"throttle": "no"})
    way = Preloaded(realm, shim, -60000, tmp_path)
    realm.start("as", "tgs")
    realm.start("chat", env=way.env)
    users, conns, room = people(realm, 2)
    first = [conns[0].ask("new_message", "ack", room=room, message={"text": str(i)}, cid=f"c{i}") for i in range(5)]
    way.fail()
    conns[0].send("new_message", room=room, message={"text": "late"}, cid="late")
    wait_until(lambda: readyz(realm) == 503, timeout=15, what="not ready, since nothing came back for 10 s")
    status, took = stop(realm)
    assert status == 1 and took < 13, (status, took)
    print(f"{took:.2f} s")
    check_farewell(conns)
    there = stored(realm, room)
    there.pop("late", None)  # written, and never said to be stored: there as a whole, or not at all
    assert there == {f"c{i}": a["seq"] for i, a in enumerate(first)}
