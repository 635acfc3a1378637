"""Who is online, for those who subscribe: deltas, the hold, counts, slow readers, and what is refused."""
import json
import secrets
import time

import pytest
from kerbtest import classic, sealed
from kerbtest.rawws import RawSocket, frame
from kerbtest.realm import wait_until

HOLD_S, ROUND_S = 20, 2


class View:
    """What a client makes of `presence`, by the rules of PROTOCOL.md."""

    def __init__(self):
        self.state = self.users = self.count = None
        self.rooms = set()
        self.deltas = []

    def take(self, f):
        if "from" in f:
            assert f["from"] == self.state, "a delta from a state that was never told"
            self.deltas.append((time.monotonic(), f))
        else:
            self.users = set(f["users"]) if "users" in f else None
            self.rooms = {r["room"] for r in f["rooms"]}
        if "joined" in f:
            assert self.users is not None and not self.users & set(f["joined"]) and set(f["left"]) <= self.users
            self.users = (self.users - set(f["left"])) | set(f["joined"])
        elif "from" in f:
            self.users = None
        self.rooms = (self.rooms - set(f.get("waiting", []))) | set(f.get("available", []))
        self.state, self.count = f["state"], f["count"]
        assert self.users is None or len(self.users) == self.count


class Watcher:
    """A connection that subscribes, with its view."""

    def __init__(self, conn):
        self.conn, self.view = conn, View()
        self.subscribe()

    def subscribe(self):
        self.view.take(self.conn.ask("subscribe", "presence", presence=True))

    def look(self):
        for f in self.conn.take("presence"):
            self.view.take(f)
        return self.view

    def sees(self, claim, timeout=10):
        wait_until(lambda: claim(self.look()), timeout=timeout, what="what the subscriber should see")


@pytest.fixture(params=["sealed", "extensions"])
def connect(request):
    """A connection of each kind that can subscribe."""
    if request.param == "sealed":
        return sealed.chat
    return lambda realm, user: realm.chat(user, extensions=True)


def test_subscribers_are_told_who_comes_and_who_has_gone(new_realm, connect):
    realm = new_realm()
    a, b, c, d = realm.add_users(4)
    w = Watcher(connect(realm, a))
    assert w.view.users == {a.name} and w.view.count == 1
    conn = connect(realm, b)
    w.sees(lambda v: v.users == {a.name, b.name}, timeout=1)  # the first change at once
    others = [realm.chat(u) for u in (c, d)]
    w.sees(lambda v: v.users == {a.name, b.name, c.name, d.name}, timeout=ROUND_S + 1)
    assert len(w.view.deltas) == 2, "what comes within 2 s comes together"

    left = time.monotonic()
    for x in (conn, *others):
        x.close()
    time.sleep(HOLD_S / 2)
    with_c = realm.chat(c)  # back in time: nothing is told
    w.sees(lambda v: v.users == {a.name, c.name}, timeout=HOLD_S)
    assert time.monotonic() - left > HOLD_S - 1
    time.sleep(ROUND_S + 1)
    assert {n for _, f in w.look().deltas for n in f["left"]} == {b.name, d.name}
    assert [n for _, f in w.view.deltas for n in f["joined"]].count(c.name) == 1
    times = [t for t, _ in w.view.deltas]
    assert all(later - sooner > ROUND_S - 0.5 for sooner, later in zip(times, times[1:]))

    w.conn.ask("subscribe", "ack", presence=False)
    realm.chat(d)
    time.sleep(ROUND_S + 1)
    assert not w.conn.take("presence")
    w.subscribe()
    assert w.view.users == {a.name, c.name, d.name}
    with_c.close()


def test_rooms_become_available_and_not(new_realm):
    realm = new_realm()
    a, b, c = realm.add_users(3)
    wa, wc = Watcher(sealed.chat(realm, a)), Watcher(sealed.chat(realm, c))
    realm.chat(b).close()  # known to the chat
    wa.conn.new_room("pair", 2, [a, b])
    cb = sealed.chat(realm, b)
    wa.sees(lambda v: "pair" in v.rooms)
    cb.cut()
    time.sleep(ROUND_S + 1)
    assert "pair" in wa.look().rooms  # the hold
    wa.sees(lambda v: "pair" not in v.rooms, timeout=HOLD_S + 5)
    assert wc.look().rooms == set() and not any("available" in f for _, f in wc.view.deltas)
    wa.subscribe()
    assert "pair" not in wa.view.rooms


def test_nothing_comes_unasked_with_extensions(realm, connect):
    c = connect(realm, realm.add_user())
    realm.chat(realm.add_user()).close()
    time.sleep(ROUND_S + 4)
    assert not c.take("online") and not c.take("presence")
    assert c.user.name in c.ask("online", "online")["users_online"]


def test_of_many_people_the_count_is_told(new_realm):
    realm = new_realm()
    users = realm.add_users(103)
    w = Watcher(sealed.chat(realm, users[0]))
    conns = [realm.chat(u) for u in users[1:100]]
    w.sees(lambda v: v.users == {u.name for u in users[:100]})
    conns.append(realm.chat(users[100]))
    w.sees(lambda v: v.users is None and v.count == 101)
    other = sealed.chat(realm, users[101])
    assert "users_online" not in other.hello
    assert Watcher(other).view.users is None
    w.sees(lambda v: v.count == 102)
    assert len(realm.chat(users[102]).hello["users_online"]) == 103  # known clients get the list
    w.sees(lambda v: v.count == 103)
    for c in conns[:23]:
        c.cut()
    w.sees(lambda v: v.users is not None and v.count <= 80, timeout=HOLD_S + 10)
    assert w.view.users == {u.name for u in users[24:]} | {users[0].name}


def test_a_slow_reader_is_right_in_the_end(new_realm):
    realm = new_realm(chat={"queue_max": 262144})
    a, users = realm.chat(realm.add_user(), extensions=True), realm.add_users(12)
    slow_user = users.pop()
    ticket, room, view = realm.ticket(slow_user), "room", View()
    realm.chat(ticket).close()
    a.new_room(room, 0, [slow_user])
    with RawSocket(realm.chat_addr, rcvbuf=4096) as slow:
        def read():
            while True:
                opcode, payload = slow.read()
                if opcode == 1:
                    return classic.open_box(ticket.key, payload.decode())
        slow.send(frame(json.dumps(ticket.login_frame(extensions=True)).encode()))
        assert read()["type"] == "handshake"
        slow.send(frame(classic.seal(ticket.key, {"type": "subscribe", "presence": True, "timestamp": classic.stamp()}).encode()))
        while (f := read())["type"] != "presence":
            pass
        view.take(f)
        conns = []
        for u in users:  # his queue is full while they come
            for _ in range(30):
                a.ask("new_message", "ack", room=room, message={"text": "z" * 16000}, cid=secrets.token_hex(8))
            conns.append(realm.chat(u))
            time.sleep(ROUND_S / 4)
        want = {slow_user.name, a.user.name, *(u.name for u in users)}
        while view.users != want:
            if (f := read())["type"] == "presence":
                view.take(f)
    assert len(view.deltas) < 4, "what he could not read was put together"


# --- attackers ---

def test_subscribing_is_for_who_is_logged_in_with_extensions(realm, alice):
    c = realm.chat(alice, greet=False)
    c.send_plain({"type": "subscribe", "presence": True, "timestamp": classic.stamp()})
    assert c.expect("error")["code"] == "not_logged_in"
    c = realm.chat(alice)
    for on in (True, False):
        assert c.error("subscribe", presence=on) == "malformed"
    realm.chat(realm.add_user())
    c.expect("online", timeout=4)
    assert not c.take("presence")


@pytest.mark.parametrize("fields", [{}, {"presence": None}, {"presence": 1}, {"presence": "true"}, {"presence": []}])
def test_what_is_no_subscription_is_refused(realm, connect, fields):
    c = connect(realm, realm.add_user())
    assert c.error("subscribe", **fields) == "malformed"
    realm.chat(realm.add_user())
    time.sleep(1)
    c.refuses("presence")


def test_who_subscribes_again_and_again_hurts_himself_alone(new_realm):
    realm = new_realm(chat={"request_rate": 50, "request_burst": 100})
    a, b = Watcher(sealed.chat(realm, realm.add_user())), sealed.chat(realm, realm.add_user())
    for i in range(400):
        b.send("subscribe", id=f"s{i}", presence=i % 2 == 0)
    answers = [b.expect(None, id=f"s{i}") for i in range(400)]
    assert {f["type"] for f in answers} == {"presence", "ack", "error"}
    refused = [f for f in answers if f["type"] == "error"]
    assert len(refused) > 300 and {f["code"] for f in refused} == {"rate_limited"}
    wait_until(lambda: b.ask("subscribe", None, presence=True)["type"] == "presence")
    time.sleep(ROUND_S + 1)
    b.take("presence")
    user = realm.add_user()
    realm.chat(user)
    a.sees(lambda v: user.name in v.users)
    assert b.expect("presence")["joined"] == [user.name]
    time.sleep(ROUND_S + 1)
    assert not b.take("presence"), "told twice"


def test_flapping_makes_no_news(new_realm):
    realm = new_realm()
    a, b = realm.add_users(2)
    w, ticket = Watcher(sealed.chat(realm, a)), realm.ticket(b)
    realm.chat(ticket).cut()
    w.sees(lambda v: b.name in v.users)
    for _ in range(30):
        realm.chat(realm.ticket(b)).cut()
    time.sleep(ROUND_S + 1)
    assert len(w.look().deltas) == 1
    w.sees(lambda v: b.name not in v.users, timeout=HOLD_S + 5)
    assert len(w.view.deltas) == 2
