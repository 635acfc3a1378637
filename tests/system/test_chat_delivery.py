"""Acknowledged messages: stored once however often they are sent, over lost connections and killed daemons."""
import json
import os
import random
import secrets
import shutil
import sqlite3
import threading

import pytest
from kerbtest import classic, sealed
from kerbtest.nginx import Front
from kerbtest.rawws import RawSocket, frame
from kerbtest.realm import realm_in, wait_until
from test_kerb_chat import People, config, say as type_line


def rid():
    return "room-" + secrets.token_hex(6)


@pytest.fixture(params=["sealed", "extensions"])
def connect(request):
    """A connection of each kind that has a cid."""
    if request.param == "sealed":
        return sealed.chat
    return lambda realm, user: realm.chat(user, extensions=True)


@pytest.fixture
def pair(realm, connect):
    a, b = (connect(realm, u) for u in realm.add_users(2))
    room = rid()
    a.new_room(room, 0, [b.user])
    b.expect("new_room", room=room)
    return a, b, room


def say(conn, room, text, cid, answer="ack"):
    return conn.ask("new_message", answer, room=room, message={"text": text}, cid=cid)


def test_cid_comes_back_in_the_ack_and_a_second_try_is_the_first(realm, pair, connect):
    a, b, room = pair
    first = say(a, room, "once", "c1")
    m = b.heard(room, "once")
    assert (first["cid"], first["mid"], first["seq"], first["time"]) == ("c1", m["mid"], m["seq"], m["time"])
    assert "dup" not in first
    other = connect(realm, a.user)
    for c in (a, other):
        again = say(c, room, "once", "c1")
        assert again["dup"] is True
        assert [again[k] for k in ("cid", "mid", "seq", "time")] == [first[k] for k in ("cid", "mid", "seq", "time")]
    b.refuses("new_message")
    assert [m["text"] for m in b.enter(room)["messages"]] == ["once"]


def test_ack_without_a_label(realm, pair):
    a, _, room = pair
    a.send("new_message", room=room, message={"text": "no label"}, cid="c1")
    ack = a.expect("ack", cid="c1")
    assert "id" not in ack and ack["seq"] == 1


def test_cid_with_another_body_or_room_is_a_conflict(realm, pair):
    a, b, room = pair
    say(a, room, "once", "c1")
    other = rid()
    a.new_room(other, 0, [])
    for r, text in ((room, "other"), (room, "Once"), (room, ""), (other, "once")):
        assert say(a, r, text, "c1", "error")["code"] == "cid_conflict"
    b.heard(room, "once")
    assert say(b, room, "mine", "c1")["seq"] == 2


def test_dup_while_the_room_is_closed_and_nothing_is_compared(realm, connect):
    a, b = (connect(realm, u) for u in realm.add_users(2))
    room = rid()
    a.new_room(room, 2, [b.user])
    b.expect("new_room", room=room)
    for c in (a, b):
        c.send("go_room", room=room, secret=c.shares[room])
    a.expect("room_messages", room=room)
    first = say(a, room, "sealed", "c1")
    b.close()
    a.expect("close_room", room=room)
    for text in ("sealed", "something else"):
        again = say(a, room, text, "c1")
        assert again["dup"] is True and again["mid"] == first["mid"]
    assert say(a, room, "new", "c2", "error")["code"] == "room_closed"


def test_a_classic_connection_without_extensions_has_no_cid(realm):
    c = realm.chat(realm.add_user())
    room = rid()
    c.new_room(room, 0, [])
    for _ in range(2):
        c.send("new_message", room=room, message={"text": "twice"}, cid="c1")
    c.fence()
    assert len(c.take("new_message")) == 2 and not c.take("ack")


# --- pages ---

def pages(conn, room, side, at, limit):
    """All of a history, page by page."""
    seqs = []
    while True:
        page = conn.ask("get_history", "room_messages", room=room, limit=limit, **({side: at} if at is not None else {}))
        got = [m["seq"] for m in page["messages"]]
        seqs = got + seqs if side == "before" else seqs + got
        if not page["more_before" if side == "before" else "more_after"]:
            return seqs, page["head"]
        at = got[0] if side == "before" else got[-1]


@pytest.mark.parametrize("side,start", [("before", None), ("after", 0)])
def test_a_history_read_in_pages_has_every_message_once(realm, pair, side, start):
    a, _, room = pair
    for i in range(57):
        a.send("new_message", room=room, message={"text": f"message {i}"})
    a.fence()
    seqs, head = pages(a, room, side, start, 10)
    assert seqs == list(range(1, 58)) and head == 57
    around = a.ask("get_history", "room_messages", room=room, around=20, limit=5)
    assert [m["text"] for m in around["messages"]] == [f"message {i}" for i in range(17, 22)]


def test_get_history_is_refused_in_closed_and_foreign_rooms(realm, connect):
    a, b, c = (connect(realm, u) for u in realm.add_users(3))
    room = rid()
    a.new_room(room, 2, [b.user])
    assert a.error("get_history", room=room) == "room_closed"
    assert c.error("get_history", room=room) == "not_found"
    for bad in ({"limit": 201}, {"limit": 0}, {"before": "7"}, {"before": 1, "after": 1}, {"around": -1}):
        assert a.error("get_history", room=room, **bad) == "malformed"


def test_get_history_is_unknown_to_a_classic_connection(realm):
    c = realm.chat(realm.add_user())
    room = rid()
    c.new_room(room, 0, [])
    assert c.error("get_history", room=room) == "malformed"


# --- marks ---

def test_read_marks_are_ones_own_and_outlive_a_restart(new_realm, connect):
    realm = new_realm()
    alice, bob = realm.add_users(2)
    a, a2, b = connect(realm, alice), connect(realm, alice), connect(realm, bob)
    room = rid()
    a.new_room(room, 0, [bob])
    for i in range(5):
        say(a, room, f"message {i}", f"c{i}")
    a.ask("mark_read", "ack", room=room, seq=3)
    assert a2.expect("read", room=room)["seq"] == 3
    b.refuses("read")
    realm.kill("chat")
    realm.start("chat")
    mine, = connect(realm, alice).hello["rooms"]
    his, = connect(realm, bob).hello["rooms"]
    assert (mine["head"], mine["read"], his["read"]) == (5, 3, 0)
    assert "read" not in realm.chat(alice).hello["rooms"][0]


def test_typing_is_told_to_the_others_once_a_second(realm, pair):
    a, b, room = pair
    for _ in range(5):
        a.ask("typing", "ack", room=room)
    assert b.expect("typing", room=room)["from"] == a.user.name
    assert len(b.take("typing")) <= 1
    a.refuses("typing")


# --- slow readers ---

def test_a_slow_reader_is_told_from_where_to_read_the_history(new_realm):
    realm = new_realm(chat={"queue_max": 1048576})
    a, user = realm.chat(realm.add_user(), extensions=True), realm.add_user()
    ticket = realm.ticket(user)
    realm.chat(ticket).close()
    room = rid()
    a.new_room(room, 0, [user])
    with RawSocket(realm.chat_addr, rcvbuf=4096) as slow:
        slow.send(frame(json.dumps(ticket.login_frame(extensions=True)).encode()))
        seqs, lagged, n = [], None, 400

        def read():
            while True:
                opcode, payload = slow.read()
                if opcode == 1:
                    return classic.open_box(ticket.key, payload.decode())
        assert read()["type"] == "handshake"
        wait_until(lambda: user.name in a.online()["users_online"])
        for i in range(n):
            say(a, room, "z" * 16000, f"c{i}")
        while lagged is None:
            f = read()
            seqs += [f["new_message"]["seq"]] if f["type"] == "new_message" else []
            lagged = f if f["type"] == "lagged" else None
        assert seqs == list(range(1, len(seqs) + 1)) and len(seqs) < n
        assert lagged["room"] == room and lagged["from_seq"] == len(seqs) + 1
        say(a, room, "live again", "last")
        while (f := read())["type"] != "new_message":
            pass
        assert f["new_message"]["seq"] == n + 1
    m = realm.metrics("chat")
    assert m["kerb_lagged_total"] == 1 and m["kerb_slow_readers_total"] == 0


def test_who_reads_nothing_is_closed_whatever_he_sends(new_realm):
    realm = new_realm(chat={"queue_max": 1048576, "ping_interval": 1, "pong_timeout": 1})
    a, user = realm.chat(realm.add_user(), extensions=True), realm.add_user()
    ticket = realm.ticket(user)
    realm.chat(ticket).close()
    room = rid()
    a.new_room(room, 0, [user])
    with RawSocket(realm.chat_addr, rcvbuf=4096) as slow:
        slow.send(frame(json.dumps(ticket.login_frame(extensions=True)).encode()))
        assert slow.read()[0] == 1
        wait_until(lambda: user.name in a.online()["users_online"])

        def said():
            slow.send(frame(b"alive", opcode=10))
            say(a, room, "z" * 16000, secrets.token_hex(8))
            return realm.metrics("chat")["kerb_slow_readers_total"] == 1
        wait_until(said, timeout=60, what="the end of who does not read")
    wait_until(lambda: user.name not in a.online()["users_online"])


# --- rates ---

def test_who_asks_too_much_is_told_when_to_go_on(new_realm):
    realm = new_realm(chat={"request_rate": 20, "request_burst": 10})
    c = sealed.chat(realm, realm.add_user())
    for i in range(200):
        c.send("get_data", key="k", id=f"r{i}")
    answers = [c.expect(None, id=f"r{i}") for i in range(200)]
    refused = [a for a in answers if a["type"] == "error"]
    assert 150 < len(refused) < 191 and {a["code"] for a in refused} == {"rate_limited"}
    assert all(0 < a["retry_after_ms"] <= 50 for a in refused)
    wait_until(lambda: c.ask("online", None)["type"] == "online")


# --- the history's id ---

def history_id(realm, user):
    c = sealed.chat(realm, user)
    c.close()
    return c.hello["history_id"]


def test_history_id_changes_when_a_backup_is_put_back(new_realm, tmp_path):
    realm = new_realm()
    user = realm.add_user()
    first = history_id(realm, user)
    assert "history_id" not in realm.chat(user).hello
    realm.restart("chat")
    assert history_id(realm, user) == first
    realm.kill("chat")
    realm.start("chat")
    assert history_id(realm, user) == first
    db = os.path.join(realm.state, "chat", "chat.db")
    with sqlite3.connect(db) as source, sqlite3.connect(tmp_path / "backup.db") as target:
        source.backup(target)
    realm.stop("chat")
    for tail in ("-wal", "-shm"):
        if os.path.exists(db + tail):
            os.unlink(db + tail)
    os.unlink(db)
    shutil.copy(tmp_path / "backup.db", db)
    os.chmod(db, 0o600)
    realm.start("chat")
    assert history_id(realm, user) != first


# --- under fire ---

class Sender(threading.Thread):
    """Sends numbered texts one by one; each until it was acknowledged, on whatever connection there is."""

    def __init__(self, realm, user, room, n):
        super().__init__(daemon=True)
        self.realm, self.user, self.room, self.n = realm, user, room, n
        self.acks, self.tries, self.conn, self.failed = {}, 0, None, None

    def once(self, cid, text):
        if self.conn is None or self.conn.close_code is not None:
            self.conn = sealed.chat(self.realm, self.user)
        self.tries += 1
        self.conn.send("new_message", room=self.room, message={"text": text}, cid=cid, id=cid)
        answer = self.conn.expect(None, timeout=5, id=cid)
        assert answer["type"] == "ack", answer
        return answer

    def run(self):
        try:
            for i in range(self.n):
                cid = f"{self.user.name}-{i:05}"

                def done(cid=cid, i=i):
                    try:
                        self.acks[cid] = self.once(cid, f"{self.user.name} {i}")
                        return True
                    except (AssertionError, OSError, Exception):  # the connection or the daemon went
                        if self.conn is not None and self.conn.close_code is None:
                            self.conn.cut()
                        self.conn = None
                        return False
                wait_until(done, timeout=60, what="an ack")
        except Exception as e:
            self.failed = e


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
def test_every_message_is_stored_once_while_connections_and_daemon_are_killed(new_realm, end):
    """Thousands of messages of several senders: each acknowledged one is there, once, in its sender's order."""
    realm = new_realm(policy={"throttle": "no"})
    users = realm.add_users(4)
    maker = sealed.chat(realm, users[0])
    for u in users[1:]:
        sealed.chat(realm, u).close()
    room = rid()
    maker.new_room(room, 0, users)
    maker.close()
    senders = [Sender(realm, u, room, 500) for u in users]
    for s in senders:
        s.start()
    rng = random.Random(4711)
    kills, each = 0, sum(s.n for s in senders) // 6
    while any(s.is_alive() for s in senders):
        threading.Event().wait(rng.uniform(0.05, 0.3))
        conn = rng.choice(senders).conn
        if conn is not None and conn.close_code is None:
            conn.cut()
        if sum(len(s.acks) for s in senders) >= (kills + 1) * each:
            (realm.kill if end == "SIGKILL" else realm.stop)("chat")
            realm.start("chat")
            kills += 1
    assert not [s.failed for s in senders if s.failed]
    assert kills >= 5 and sum(s.tries for s in senders) > sum(s.n for s in senders)
    db = sqlite3.connect(f"file:{realm.state}/chat/chat.db?mode=ro", uri=True)
    rows = db.execute("SELECT m.seq, m.cid, m.sender FROM message m ORDER BY m.seq").fetchall()
    db.close()
    assert [r[0] for r in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == sum(s.n for s in senders)
    for s in senders:
        mine = [r for r in rows if r[2] == s.user.name]
        assert [r[1] for r in mine] == [f"{s.user.name}-{i:05}" for i in range(s.n)]
        assert [r[0] for r in mine] == [s.acks[r[1]]["seq"] for r in mine]


def test_whoever_understands_it_is_told_when_to_come_back(new_realm):
    realm = new_realm()
    users = realm.add_users(5)
    conns = [sealed.chat(realm, u) for u in users] + [realm.chat(u, extensions=True) for u in users]
    plain = realm.chat(users[0])
    realm.stop("chat")
    waits = [c.expect("restart")["retry_after_ms"] for c in conns]
    assert all(0 <= w < 1000 + 2 * 11 for w in waits) and len(set(waits)) > 3
    assert {c.closed() for c in (*conns, plain)} == {4000}
    assert not plain.take("restart")


def test_kerb_send_outlives_a_killed_chat(many_files, tmp_path):
    with realm_in(tmp_path / "realm", config=config()) as realm:
        Front(realm)
        people = People(realm, tmp_path)
        alice, = people.add(1)
        t = people.chat(alice)
        type_line(t, "/new lounge 0")
        t.expect("you are in the room lounge")
        type_line(t, "/open lounge")
        t.expect("lounge is open")
        realm.daemons["chat"].kill()
        realm.daemons.pop("chat")
        t.expect("trying again")
        type_line(t, "typed while it was away")
        t.expect("waits for the connection: typed while it was away")
        realm.start("chat")
        t.expect("the connection is back", timeout=40)
        t.expect("typed while it was away", timeout=40)
        type_line(t, "/quit")
        assert t.end()[0] == 0
        got = alice.run("history", "lounge").stdout
        assert got.count("typed while it was away") == 1
