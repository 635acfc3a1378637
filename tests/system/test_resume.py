"""Resume: a connection that drops is told what it missed, once and in order, and nobody else is."""
import os
import random
import re
import secrets
import socket
import subprocess
import time

import pytest
from kerbtest import sealed
from kerbtest.follower import Follower
from kerbtest.nginx import Front
from kerbtest.realm import realm_in, wait_until
from test_kerb_chat import Between, People, config

SEED = int(os.environ.get("KERB_SEED") or random.randrange(1 << 32))


def rid():
    return "room-" + secrets.token_hex(6)


def texts(conn):
    return [f["new_message"]["text"] for f in conn.take("new_message")]


class Pair:
    """alice and bob in a room; bob's ticket is at hand for his next connections."""

    def __init__(self, realm):
        self.realm = realm
        alice, bob = realm.add_users(2)
        self.a, self.ticket = sealed.chat(realm, alice), sealed.login(realm, bob).service()
        self.b = sealed.chat(realm, self.ticket)
        self.room = rid()
        self.a.new_room(self.room, 0, [bob])
        self.b.expect("new_room", room=self.room)

    def say(self, *words):
        for text in words:
            self.a.ask("new_message", "ack", room=self.room, message=text)

    def back(self, resume, ticket=None):
        """Bob's next connection, when all that is replayed is there."""
        b = sealed.chat(self.realm, ticket or self.ticket, resume=resume)
        return b.fence()


@pytest.fixture
def pair(realm):
    return Pair(realm)


def test_what_was_missed_comes_in_order_and_once(pair):
    before = pair.realm.metrics("chat")
    pair.say("one", "two")
    pair.b.heard(pair.room, "two")
    pair.b.fence().cut()
    pair.say("three")
    other = rid()
    pair.a.new_room(other, 0, [pair.ticket.user])
    b = pair.back(pair.b.resumable())
    assert b.hello["resumed"] is True
    assert texts(b) == ["three"] and [f["room"]["room"] for f in b.take("new_room")] == [other]
    pair.say("four")
    assert b.heard(pair.room, "four")["seq"] == 4
    after = pair.realm.metrics("chat")
    assert after["kerb_resumed_total"] == before["kerb_resumed_total"] + 1
    assert after["kerb_not_resumed_total"] == before["kerb_not_resumed_total"]


@pytest.mark.parametrize("processed", range(4))
def test_from_each_record_on(pair, processed):
    """Replies and presence are records, too: told again is what came behind the record that the client names."""
    b, last = pair.back(None), []
    for i in range(4):
        pair.say(f"text {i}")
        b.heard(pair.room, f"text {i}")
        b.fence()
        last.append(b.streams[1].n - 1)
    missed = [f"text {i}" for i in range(processed + 1, 4)]
    b.cut()
    b = pair.back(b.resumable(last[processed]))
    assert texts(b) == missed
    for seen in (-1, 0):  # neither the handshake nor what is behind it; the handshake
        b2 = pair.back(b.resumable(seen))
        assert texts(b2) == missed and b.closed() == 4507
        b = b2
    if missed:  # behind the handshake they follow each other
        assert texts(pair.back(b.resumable(1))) == missed[1:]


def test_a_token_is_good_once_and_only_for_its_client(pair):
    pair.say("secret")
    pair.b.heard(pair.room, "secret")
    pair.b.cut()
    resume = pair.b.resumable(0)
    mallory = sealed.chat(pair.realm, pair.realm.add_user(), resume=resume).fence()
    assert mallory.hello["resumed"] is False and not mallory.take("new_message")
    b = pair.back(resume)
    assert b.hello["resumed"] is True and texts(b) == ["secret"]
    again = pair.back(resume)
    assert again.hello["resumed"] is False and not again.take("new_message")
    assert b.fence().close_code is None
    unknown = pair.back({"token": sealed.b64url(secrets.token_bytes(32)), "last": 0})
    assert unknown.hello["resumed"] is False
    assert "resumed" not in pair.back(None).hello


def test_a_token_survives_its_use_by_somebody_else_while_its_connection_lives(pair):
    mallory = sealed.chat(pair.realm, pair.realm.add_user(), resume=pair.b.resumable())
    assert mallory.hello["resumed"] is False
    pair.say("still there")
    assert pair.b.heard(pair.room, "still there")


def test_a_connection_whose_network_is_gone_is_taken_over(pair):
    pair.say("one")
    pair.b.heard(pair.room, "one")
    b = pair.back(pair.b.resumable(0))
    assert b.hello["resumed"] is True and texts(b) == ["one"]
    assert pair.b.closed() == 4507
    pair.say("two")
    assert texts(b.fence()) == ["two"]


def test_who_says_goodbye_has_nothing_to_resume(pair):
    pair.b.fence().close()
    assert pair.back(pair.b.resumable()).hello["resumed"] is False


@pytest.mark.parametrize("bad", [None, {}, {"token": "AAAA", "last": 0}, {"token": "A" * 43}, {"token": "A" * 43, "last": -2},
                                 {"token": "A" * 43, "last": 1 << 63}, {"token": "A" * 43, "last": "0"}])
def test_a_resume_that_is_malformed_is_no_login(pair, bad):
    b = sealed.SealedChat(pair.realm, pair.ticket, greet=False)
    a = pair.ticket.authenticator(sealed.from_b64url(b.challenge["nonce"]), ecdh=sealed.b64url(b.point()), resume=bad)
    b.send_plain({"type": "login", "v": 1, "ticket": pair.ticket.ticket, "authenticator": a})
    assert b.expect("error")["code"] == "login_failed"
    assert b.closed() == 4500


def test_a_killed_daemon_has_forgotten_the_tokens(new_realm):
    pair = Pair(new_realm())
    pair.say("one")
    pair.b.heard(pair.room, "one")
    pair.realm.kill("chat")
    pair.realm.start("chat")
    b = pair.back(pair.b.resumable(0))
    assert b.hello["resumed"] is False and not b.take("new_message")
    mine, = b.hello["rooms"]
    assert mine["head"] == 1


def test_nothing_of_a_sealed_room_is_replayed_when_it_has_closed(realm):
    users = realm.add_users(3)
    tickets = [sealed.login(realm, u).service() for u in users]
    a, b, c = (sealed.chat(realm, t) for t in tickets)
    room = rid()
    a.new_room(room, 2, users)
    for x in (b, c):
        x.expect("new_room", room=room)
    for x in (a, b):
        x.contribute(room)
    c.expect("room_messages", room=room)
    c.fence()
    resume = c.resumable()
    a.ask("new_message", "ack", room=room, message="for those who agree")
    c.heard(room, "for those who agree")
    c.cut()
    c2 = sealed.chat(realm, tickets[2], resume=resume).fence()  # it is open still
    assert c2.hello["resumed"] is True and texts(c2) == ["for those who agree"]
    b.cut()
    c2.cut()
    a.expect("close_room", room=room)
    c3 = sealed.chat(realm, tickets[2], resume=c2.resumable(0)).fence()
    assert c3.hello["resumed"] is False and not c3.take("new_message")
    b2 = sealed.chat(realm, tickets[1], resume=b.resumable()).fence()
    assert not b2.take("new_message")
    for x, share in ((c3, c.shares[room]), (b2, b.shares[room])):
        x.send("secret", room=room, secret=share)
    assert [m["text"] for m in c3.expect("room_messages", room=room)["messages"]] == ["for those who agree"]


def test_whoever_left_a_room_is_told_nothing_of_it(pair):
    pair.say("one")
    pair.b.heard(pair.room, "one")
    pair.b.cut()
    other = pair.back(None)
    other.ask("delete_chat", "ack", room=pair.room)
    pair.say("two")
    b = pair.back(pair.b.resumable(0))
    assert b.hello["resumed"] is True and not b.take("new_message") and not b.hello["rooms"]


# --- the promise ---

class Storm:
    """Clients in rooms that keep to the rules, while connections are cut and the daemon is killed at random."""

    def __init__(self, realm, clients, messages):
        self.realm, self.messages = realm, messages
        self.rng = random.Random(SEED)
        users = realm.add_users(clients)
        tickets = [sealed.login(realm, u).service() for u in users]
        conns = [sealed.chat(realm, t) for t in tickets]
        self.rooms = [rid(), rid(), rid()]
        for room, threshold in zip(self.rooms, (0, 0, 2)):
            conns[0].new_room(room, threshold, users)
            for c in conns[1:]:
                c.expect("new_room", room=room)
        self.followers = [Follower(realm, t, random.Random(self.rng.random()), c.shares)
                          for t, c in zip(tickets, conns)]
        for c in conns:
            c.fence()  # the shares are there
            c.close()

    def check(self):
        for f in self.followers:
            if f.problem:
                raise f.problem

    def write(self):
        """All have their messages to send from the beginning."""
        for i in range(self.messages):
            f = self.followers[i % len(self.followers)]
            f.say(self.rng.choice(self.rooms), f"text {i}", f"{f.user.name}-{i}")

    def rage(self):
        """Until everything is acknowledged."""
        kills = cuts = 0
        while any(f.outbox for f in self.followers):
            self.check()
            time.sleep(0.15 * self.rng.random())
            if self.rng.random() < 0.1:
                self.realm.kill("chat")
                time.sleep(0.2 * self.rng.random())
                self.realm.start("chat")
                kills += 1
            else:
                self.rng.choice(self.followers).cut()
                cuts += 1
        return kills, cuts

    def settled(self):
        self.check()
        heads = [max(f.last.get(r, 0) for f in self.followers) for r in self.rooms]
        return sum(heads) >= self.messages and all(f.last.get(r, 0) == h for f in self.followers
                                                   for r, h in zip(self.rooms, heads))


def test_after_random_kills_everybody_has_shown_every_message_once_and_in_order(new_realm):
    print(f"KERB_SEED={SEED}")
    storm = Storm(new_realm(chat={"request_rate": 100000, "request_burst": 100000}), clients=6, messages=5000)
    storm.write()
    for f in storm.followers:
        f.start()
    kills, cuts = storm.rage()
    try:
        wait_until(storm.settled, timeout=30, what="the end of the storm")
    except AssertionError:
        for f in storm.followers:
            print(f, *f.trace, sep="\n")
        raise
    for f in storm.followers:
        f.stop()
    storm.check()
    first = storm.followers[0]
    for f in storm.followers[1:]:
        assert f.shown == first.shown
    shown = [t for r in storm.rooms for t in first.shown.get(r, [])]
    assert sorted(shown) == sorted(f"text {i}" for i in range(storm.messages))
    resumed = {k: sum(f.resumed[k] for f in storm.followers) for k in (True, False)}
    print(f"{kills} kills, {cuts} cuts, resumed {resumed[True]}, not resumed {resumed[False]}")
    assert kills > 0 and resumed[True] > 0 and resumed[False] > 0


class Cutter(Between):
    """The way to a realm, whose connections can be cut."""

    def __init__(self, port):
        self.open = []
        super().__init__(port)

    def serve(self, s):
        self.open.append(s)
        super().serve(s)

    def cut(self):
        while self.open:
            try:
                self.open.pop().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Person:
    """kerb chat in a room, fed by a pipe, over a way of its own."""

    def __init__(self, kerb, way, room, directory):
        self.name, self.way = kerb.user.name, way
        self.path = directory / f"{self.name}.out"
        self.out = open(self.path, "w", encoding="utf-8")
        kerb.env["KERB_URL"] = f"http://127.0.0.1:{way.port}"
        self.process = subprocess.Popen([kerb.bin, "chat", room], stdin=subprocess.PIPE, stdout=self.out,
                                        stderr=subprocess.STDOUT, env=kerb.env, text=True)

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def text(self):
        return self.path.read_text(encoding="utf-8")

    def shown(self):
        return re.findall(r"^(?:\d{4}-\d\d-\d\d )?\d\d:\d\d #\d+ \S+: (line \d+)$", self.text(), re.M)

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(20)
        self.out.close()
        return status


def test_kerb_chat_shows_every_message_once_and_in_order_through_all_that(many_files, tmp_path):
    print(f"KERB_SEED={SEED}")
    rng = random.Random(SEED)
    with realm_in(tmp_path / "realm", config=config()) as realm:
        Front(realm)
        kerbs = People(realm, tmp_path).add(4)
        for k in kerbs:
            k.run("rooms")
        kerbs[0].run("chat", stdin="/new lounge 0 " + " ".join(k.user.name for k in kerbs[1:]) + "\n")
        people = [Person(k, Cutter(realm.front.port), "lounge", tmp_path) for k in kerbs]
        for p in people:
            wait_until(lambda p=p: "lounge is open" in p.text(), what=f"{p.name} in the room")
        for i in range(1000):
            rng.choice(people).type(f"line {i}")
            time.sleep(0.012 * rng.random())
            if rng.random() < 0.004:
                realm.kill("chat")
                time.sleep(0.1 * rng.random())
                realm.start("chat")
            elif rng.random() < 0.03:
                rng.choice(people).way.cut()

        def settled():
            shown = people[0].shown()
            return len(shown) == 1000 and all(p.shown() == shown for p in people)
        try:
            wait_until(settled, timeout=60, what="that all have shown all")
        except AssertionError:
            for p in people:
                print(p.name, len(p.shown()), len(set(p.shown())), p.text()[-400:], sep="\n")
            raise
        history = [m["text"] for m in sealed.chat(realm, kerbs[0].user).enter("lounge")["messages"]]
        for p in people:
            assert p.shown() == history and p.end() == 0
            p.way.close()
        assert len(set(history)) == 1000
