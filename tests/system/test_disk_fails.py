"""The chat's disk goes wrong and comes back: nothing acknowledged is lost, everybody is told, no restart is needed."""
import contextlib
import errno
import os
import secrets
import sqlite3
import threading
import time

import pytest
from kerbtest import sealed, web
from kerbtest.disk import Locked, Preloaded, Small
from kerbtest.nginx import Front
from kerbtest.realm import realm_in, wait_until
from test_kerb_chat import People, config, quits, say as type_line

MIB = 1 << 20


def rid():
    return "room-" + secrets.token_hex(6)


def readyz(realm):
    return web.request(realm.chat_addr, "GET", "/readyz", None, {}).status


def cpu_s(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def database(realm):
    return contextlib.closing(sqlite3.connect(f"file:{realm.state}/chat/chat.db", uri=True, isolation_level=None))


@pytest.fixture(params=["full", "full, preloaded", "read-only", "input/output error", "locked"])
def trouble(request, new_realm, shim, tmp_path):
    """A running realm and what can go wrong with the disk of its chat."""
    realm = new_realm(start=False, policy={"throttle": "no"})
    numbers = {"full, preloaded": errno.ENOSPC, "read-only": errno.EROFS, "input/output error": errno.EIO}
    if request.param == "full":
        way = Small(realm, 8 * MIB)
    elif request.param == "locked":
        way = Locked(realm)
    else:
        way = Preloaded(realm, shim, numbers[request.param], tmp_path)
    realm.start("as", "tgs")
    realm.start("chat", env=getattr(way, "env", None))
    yield realm, way
    realm.stop()
    way.end()


class Sender(threading.Thread):
    """Sends numbered texts; one that is refused for now is sent again until it is acknowledged."""

    def __init__(self, conn, room):
        super().__init__(daemon=True)
        self.conn, self.room = conn, room
        self.acks, self.refused, self.over, self.failed = {}, 0, threading.Event(), None

    def send(self, cid):
        while True:
            a = self.conn.ask("new_message", None, room=self.room, message={"text": cid}, cid=cid)
            if a["type"] == "ack":
                return a
            assert (a["type"], a["code"]) == ("error", "unavailable") and a["retry_after_ms"] == 1000, a
            self.refused += 1
            if self.over.is_set():
                return None
            time.sleep(0.02)

    def run(self):
        try:
            while not self.over.is_set():
                cid = f"{self.conn.user.name}-{len(self.acks)}"
                if ack := self.send(cid):
                    self.acks[cid] = ack
        except Exception as e:
            self.failed = e

    def stop(self):
        self.over.set()
        self.join(20)
        assert not self.is_alive() and self.failed is None, self.failed


def refused(conn, type_, **fields):
    a = conn.ask(type_, None, **fields)
    assert (a["type"], a.get("code")) == ("error", "unavailable"), a


def open_rooms(realm):
    """Two people on sealed connections, and a classic one; a room without a secret, and one that they have opened."""
    users = realm.add_users(2)
    a, b = (sealed.chat(realm, u) for u in users)
    plain = realm.chat(users[1])
    room, vault = rid(), rid()
    a.new_room(room, 0, users)
    a.new_room(vault, 2, users)
    b.expect("new_room", room=vault)
    for c in (a, b):
        c.contribute(vault)
    a.expect("room_messages", room=vault)
    for c in (a, b, plain):
        c.fence()
    return a, b, plain, room, vault


def all_is_refused(realm, a, b, plain, room, vault):
    """While it lasts."""
    assert readyz(realm) == 503
    wait_until(lambda: realm.metrics("chat")["kerb_store_failing"] == 1)
    refused(a, "new_message", room=vault, message={"text": "sealed"}, cid="v1")
    refused(a, "mark_read", room=room, seq=1)
    refused(a, "save_data", key="k", data="v")
    refused(a, "new_room", room=rid(), threshold=0, users=[])
    refused(a, "delete_chat", room=vault)
    for _ in range(120):
        plain.send("new_message", room=room, message={"text": "never stored"})
    assert {plain.expect("error")["code"] for _ in range(120)} == {"internal"}
    assert b.ask("get_history", "room_messages", room=room)["messages"]
    newcomer = sealed.chat(realm, realm.add_user())
    assert newcomer.ask("online", "online")["users_online"]
    newcomer.close()


def all_is_quiet(process):
    """It neither spins nor writes line after line."""
    lines, cpu = len(process.lines), cpu_s(process)
    time.sleep(3)
    assert len(process.lines) - lines < 20 and cpu_s(process) - cpu < 0.6


def test_a_disk_that_fails_and_comes_back(trouble):
    realm, way = trouble
    a, b, plain, room, vault = open_rooms(realm)
    senders = [Sender(sealed.chat(realm, u), room) for u in (a.user, b.user)]
    for s in senders:
        s.start()
    wait_until(lambda: min(len(s.acks) for s in senders) > 50, what="load")
    way.fail()
    wait_until(lambda: min(s.refused for s in senders) > 3, timeout=30, what="refusals")
    all_is_refused(realm, a, b, plain, room, vault)
    for s in senders:
        s.stop()
    all_is_quiet(realm.daemons["chat"])
    assert len(realm.daemons["chat"].find(event="store", level="error")) == 1
    way.mend()
    wait_until(lambda: readyz(realm) == 200, what="ready, though nobody has written anything")
    wait_until(lambda: realm.metrics("chat")["kerb_store_failing"] == 0)
    told = {cid: ack for s in senders for cid, ack in s.acks.items()}
    for s in senders:
        told[f"again-{s.conn.user.name}"] = s.send(f"again-{s.conn.user.name}")
    assert a.ask("new_message", "ack", room=vault, message={"text": "sealed"}, cid="v1")["seq"] == 1
    b.fence()  # what was refused was seen by nobody, not even live
    heard = [f["new_message"] for f in b.take("new_message", room=room)]
    assert {m["text"] for m in heard} == set(told) and len(heard) == len(told)
    check_stored(realm, room, told)


def check_stored(realm, room, told):
    """Each acknowledged message is there, once, under its number; no other one is; after a crash, too."""
    realm.kill("chat")
    with database(realm) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute("SELECT m.seq, m.cid FROM message m JOIN room r ON r.id = m.room WHERE r.room_id = ?"
                          " ORDER BY m.seq", (room,)).fetchall()
        assert db.execute("SELECT count(*) FROM sweep").fetchone() == (0,)
    assert [seq for seq, _ in rows] == list(range(1, len(rows) + 1))
    stored = {cid: seq for seq, cid in rows}
    assert len(stored) == len(rows) and stored == {cid: ack["seq"] for cid, ack in told.items()}
    realm.start("chat")


def test_a_log_that_grows_behind_a_long_reader_shrinks_by_itself(new_realm):
    """Somebody reads the database for long: its log cannot go into it, and fills the disk at last."""
    realm = new_realm(start=False)
    way = Small(realm, 8 * MIB)
    try:
        realm.start()
        a = sealed.chat(realm, realm.add_user())
        room = rid()
        a.new_room(room, 0, [])
        with database(realm) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM message").fetchone()
            s = Sender(a, room)
            s.start()
            wait_until(lambda: s.refused, timeout=60, what="a full disk")
            s.stop()
            wait_until(lambda: realm.metrics("chat")["kerb_store_log_bytes"] > 4 * MIB)
            assert readyz(realm) == 503 and realm.daemons["chat"].find(event="store", level="error")
        wait_until(lambda: readyz(realm) == 200, what="ready again")
        s.send("again")
        wait_until(lambda: realm.metrics("chat")["kerb_store_log_bytes"] < MIB)
        check_stored(realm, room, {**s.acks, "again": {"seq": len(s.acks) + 1}})
    finally:
        realm.stop()
        way.end()


def test_kerb_send_waits_for_the_disk(tmp_path, many_files):
    """The client follows the rule: the same again after the time that it was told, stored once."""
    with realm_in(tmp_path / "realm", config=config()) as realm:
        Front(realm)
        people = People(realm, tmp_path)
        alice, = people.add(1)
        t = people.chat(alice)
        type_line(t, "/new lounge 0")
        t.expect("you are in the room lounge")
        quits(t)
        way = Locked(realm)
        way.fail()
        mending = threading.Timer(7, way.mend)
        mending.start()
        sent = alice.run("send", "lounge", "in spite of it all")
        mending.join()
        assert sent.returncode == 0, sent
        assert realm.daemons["chat"].find(event="store", level="error")
        assert alice.run("history", "lounge").stdout.count("in spite of it all") == 1
