"""Back-pressure: what one reader who stops, and senders who do not, can make the chat hold."""
import contextlib
import json
import secrets
import sqlite3
import time

import pytest
from kerbtest import classic, sealed
from kerbtest.disk import Preloaded
from kerbtest.rawws import RawSocket, frame
from kerbtest.realm import BIN, wait_until

MIB = 1 << 20
KEPT = 4 if "asan" in BIN else 1  # AddressSanitizer keeps what is freed


def rid():
    return "room-" + secrets.token_hex(6)


def rss(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1]) * 1024


# --- outgoing ---

class SlowReader:
    """A connection with extensions and a small buffer, that reads when it is told to."""

    def __init__(self, realm, user):
        self.ticket = realm.ticket(user)
        self.raw = RawSocket(realm.chat_addr, rcvbuf=4096, timeout=30)
        self.raw.send(frame(json.dumps(self.ticket.login_frame(extensions=True)).encode()))
        assert self.read()["type"] == "handshake"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.raw.sock.close()

    def seal(self, type_, **fields):
        return frame(classic.seal(self.ticket.key, {"type": type_, "timestamp": classic.stamp(), **fields}).encode())

    def send(self, type_, **fields):
        self.raw.send(self.seal(type_, **fields))

    def read(self):
        while True:
            opcode, payload = self.raw.read()
            if opcode == 1:
                return classic.open_box(self.ticket.key, payload.decode())

    def read_until(self, type_):
        while (f := self.read())["type"] != type_:
            pass
        return f


def test_a_reader_who_stops_loses_typing_first_then_messages_then_the_connection(new_realm):
    """By bytes that wait: a quarter of queue_max, half of it, all of it; and no more memory than that is taken."""
    realm = new_realm(chat={"queue_max": 16 * MIB, "connections_per_user_max": 20})
    users = realm.add_users(2)
    a, *typers = [realm.chat(users[0], extensions=True) for _ in range(13)]
    realm.chat(users[1]).close()
    room = rid()
    a.new_room(room, 0, [users[1]])
    with SlowReader(realm, users[1]) as slow:
        dropped, n = 0, 0
        while not (m := realm.metrics("chat"))["kerb_lagged_total"]:
            dropped = m["kerb_dropped_total"]
            if n % 10 == 0:  # each of them about once a second: more is not passed on
                typers[n // 10 % 12].send("typing", room=room)
            a.say(room, "z" * 16000)
            n += 1
            assert n < 2000
        assert dropped > 0, "nobody's typing was left out before the first message was"
        before = rss(realm.daemons["chat"])
        for _ in range(40):
            slow.send("get_history", room=room)
        wait_until(lambda: realm.metrics("chat")["kerb_slow_readers_total"] == 1, what="4003")
        assert realm.metrics("chat")["kerb_lagged_total"] == 1
        assert rss(realm.daemons["chat"]) < before + KEPT * 64 * MIB
    realm.daemons["chat"].wait_log(event="close", code=4003)
    a.say(room, "still here")


def test_one_push_alone_may_be_longer_than_the_queue(new_realm):
    """What waits behind a push that the socket has half taken: one more is told, a second is too much."""
    realm = new_realm(chat={"queue_max": 65536})
    user = realm.add_user()
    a = realm.chat(user)
    for i in range(15):
        a.send("save_data", key=f"k{i}", data="d" * 46000)
    a.fence()
    a.close()
    with SlowReader(realm, user) as slow:
        n = 0
        while realm.metrics("chat")["kerb_queue_bytes"] < 1.2 * MIB:
            slow.send("get_data")
            n += 1
            time.sleep(1.1)  # the gauge is set once a second
            assert n < 20 and realm.metrics("chat")["kerb_slow_readers_total"] == 0
        for _ in range(n):
            assert len(slow.read_until("data")["data"]) == 15
    with SlowReader(realm, user) as slow:
        for _ in range(n + 2):
            slow.send("get_data")
        wait_until(lambda: realm.metrics("chat")["kerb_slow_readers_total"] == 1, what="4003")


# --- incoming ---

def messages_of(realm, room):
    """[(seq, cid)] as stored."""
    with contextlib.closing(sqlite3.connect(f"file:{realm.state}/chat/chat.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT m.seq, m.cid FROM message m JOIN room r ON r.id = m.room WHERE r.room_id = ?"
                          " ORDER BY m.seq", (room,)).fetchall()


@pytest.fixture
def slow_disk(new_realm, shim, tmp_path):
    """A function that makes a realm whose chat has a disk that can be made slow."""
    def make(**chat):
        realm = new_realm(start=False, policy={"throttle": "no"},
                          chat={"request_rate": 1000000, "request_burst": 1000000, **chat})
        way = Preloaded(realm, shim, -4000, tmp_path)
        realm.start("as", "tgs")
        realm.start("chat", env=way.env)
        return realm, way
    return make


def paused(realm):
    return realm.metrics("chat")["kerb_reading_paused"] == 1


@pytest.mark.parametrize("n,size", [(800, 100), (300, 12000)], ids=["many", "large"])
def test_who_sends_faster_than_the_disk_takes_is_not_read(slow_disk, n, size):
    """By number and by bytes. Nobody else is held up, and everything is stored once, in each sender's order."""
    realm, way = slow_disk(ping_interval=1, pong_timeout=4)
    conns = [sealed.chat(realm, u) for u in realm.add_users(10)]
    quiet, leaver = (realm.chat(u) for u in realm.add_users(2))
    rooms = [rid() for _ in conns]
    for c, room in zip(conns, rooms):
        c.new_room(room, 0, [])
    way.fail()
    before = rss(realm.daemons["chat"])
    tasks = [c.push([c.seal("new_message", room=room, message={"text": "x" * size}, cid=f"{k}") for k in range(n)])
             for c, room in zip(conns, rooms)]
    wait_until(lambda: paused(realm), timeout=30, what="a pause")
    began = time.monotonic()
    sealed.chat(realm, realm.add_user()).close()
    quiet.take("online")
    leaver.close()
    quiet.expect("online", users_online=lambda u: leaver.user.name not in u)
    assert time.monotonic() - began < 5
    most = 0
    while time.monotonic() - began < 9:  # longer than a ping and its pong may take
        m = realm.metrics("chat")
        assert m["kerb_store_jobs"] < 4200 and m["kerb_store_bytes"] < 40 * MIB, m
        most = max(most, rss(realm.daemons["chat"]) - before)
        time.sleep(0.1)
    way.mend()
    for t in tasks:
        t.result(60)
    for c, room in zip(conns, rooms):
        acks = [c.expect("ack", timeout=60, cid=f"{k}")["seq"] for k in range(n)]
        assert acks == list(range(1, n + 1)) and messages_of(realm, room) == [(k + 1, f"{k}") for k in range(n)]
    wait_until(lambda: not paused(realm))
    assert most < KEPT * 160 * MIB, f"{most / MIB} MiB"
    print(f"{n} x {size}: {most / MIB:.1f} MiB more at most")
    assert not [x for x in realm.daemons["chat"].find(event="close") if x.get("code") in (4001, 4003, 4004, 4501)]


def test_what_was_read_already_when_reading_stopped_is_not_forgotten(slow_disk):
    """Three frames in one segment, the socket empty behind them, and nothing else happens on any socket."""
    realm, way = slow_disk()
    a, user = realm.chat(realm.add_user()), realm.add_user()  # gets no ack, so nothing is written to him either
    with SlowReader(realm, user) as b:
        time.sleep(7)  # nobody is told any more who is online
        way.fail()
        a.send_many([a.seal("save_data", key="k", data=i) for i in range(4001)])
        wait_until(lambda: paused(realm), what="a pause")
        b.raw.send(b"".join(b.seal("save_data", key=f"k{i}", data=i, id=f"{i}") for i in range(3)))
        time.sleep(0.5)
        way.mend()
        assert [b.read_until("ack")["id"] for _ in range(3)] == ["0", "1", "2"]
