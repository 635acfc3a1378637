"""Sealed rooms: shares, quorum reached and lost, history that outlives everybody's departure."""
import json
import secrets

import pytest

from kerbtest import classic
from kerbtest.chat import Chat
from kerbtest.rawws import RawSocket, frame
from kerbtest.realm import wait_until

P = 2**255 - 19


def rid():
    return "room-" + secrets.token_hex(6)


def parse(share):
    i, v = share.split("-")
    assert share == f"{int(i)}-{int(v, 16):x}", "share is not in its only spelling"
    return int(i), int(v, 16)


def combine(shares):
    """f(0) by Lagrange."""
    s = 0
    for i, y in shares:
        num = den = 1
        for j, _ in shares:
            if i != j:
                num, den = num * -j % P, den * (i - j) % P
        s += y * num * pow(den, -1, P)
    return s % P


class Room:
    """A sealed room of n people who are online; `at[i]` is member number i+1."""

    def __init__(self, realm, n, threshold, **more):
        self.realm, self.id, self.k = realm, rid(), threshold
        self.users = realm.add_users(n)
        self.at = [realm.chat(u) for u in self.users]
        self.at[0].send("new_room", room=self.id, threshold=threshold, users=[u.name for u in self.users], **more)
        self.push = [c.expect("new_room", room=self.id) for c in self.at]
        self.shares = [p["secret"] for p in self.push]

    def share(self, i, conn=None):
        (conn or self.at[i]).send("secret", room=self.id, secret=self.shares[i])

    def open(self, *who):
        for i in who or range(self.k):
            self.share(i)
        return [c.expect("room_messages", room=self.id) for c in self.at if c.close_code is None]


@pytest.fixture
def realm(any_realm):
    """Every test here runs direct and through nginx."""
    return any_realm


@pytest.fixture
def room3(realm):
    return Room(realm, 3, 2)


@pytest.mark.parametrize("n, k", [(1, 1), (2, 1), (3, 2), (3, 3), (5, 3)])
def test_every_member_gets_the_share_of_his_number(realm, n, k):
    room = Room(realm, n, k)
    points = [parse(s) for s in room.shares]
    assert [i for i, _ in points] == list(range(1, n + 1))
    secret = combine(points[:k])
    assert combine(points[n - k:]) == secret and combine(points) == secret
    if k > 1:
        assert combine(points[:k - 1]) != secret
        assert len({v for _, v in points}) == n
    else:
        assert {v for _, v in points} == {secret}
    for p in room.push:
        assert p["room"]["threshold"] == k and p["room"]["opened"] is False


@pytest.mark.parametrize("n, k", [(1, 1), (2, 1), (3, 2), (3, 3), (5, 3)])
def test_quorum_opens_the_room_for_everybody(realm, n, k):
    room = Room(realm, n, k)
    for i in range(k - 1):
        room.share(i)
        room.at[i].fence()
        assert not room.at[i].take("room_messages") and not room.at[i].take("error")
    room.share(k - 1)
    for c in room.at:
        push = c.expect("room_messages", room=room.id)
        assert push["messages"] == [] and push["room"]["opened"] is True
    room.at[0].say(room.id, "first words")
    for c in room.at[1:]:
        c.heard(room.id, "first words")


def test_any_threshold_of_the_members_will_do(realm):
    room = Room(realm, 4, 2)
    room.open(1, 3)
    room.at[0].say(room.id, "opened by others")


def test_a_room_of_many(realm):
    room = Room(realm, 20, 20)
    room.open()
    room.at[7].say(room.id, "all twenty")
    room.at[19].heard(room.id, "all twenty")


def test_255_members_at_most_in_a_sealed_room(new_realm):
    realm = new_realm(realm={"profiles": "classic"})  # keys of the other profile take their time for so many
    names = []
    for _ in range(256):
        names.append(realm.add_user())
    boss = None
    for u in names:
        c = realm.chat(u)
        if boss is None:
            boss = c
        else:
            c.close()
    assert boss.error("new_room", room=rid(), threshold=2, users=[u.name for u in names]) in ("limit", "bad_threshold")
    push = boss.new_room(rid(), 255, [u.name for u in names[:255]])
    assert push["secret"].startswith("1-")
    boss.new_room(rid(), 0, [u.name for u in names])


def test_go_room_with_the_share_contributes(room3):
    a, b, c = room3.at
    a.send("go_room", room=room3.id, secret=room3.shares[0])
    b.expect("get_secret", room=room3.id)
    b.send("go_room", room=room3.id, secret=room3.shares[1])
    for x in (a, b, c):
        x.expect("room_messages", room=room3.id)


def test_go_room_asks_the_others_for_their_shares(room3):
    a, b, c = room3.at
    a.send("go_room", room=room3.id)
    for x in (b, c):
        push = x.expect("get_secret", room=room3.id)
        assert set(push) == {"type", "service", "timestamp", "room", "asked_by"}
        assert push["asked_by"] == a.user.name
    a.refuses("get_secret")
    assert not a.take("room_messages")


def test_presenters_are_not_asked_again(room3):
    a, b, c = room3.at
    room3.share(1)
    b.fence()
    a.send("go_room", room=room3.id)
    c.expect("get_secret", room=room3.id)
    b.refuses("get_secret")


def test_go_room_of_an_open_room_answers_the_asker_alone(room3):
    room3.open()
    a, b, c = room3.at
    a.say(room3.id, "for the asker")
    c.send("go_room", room=room3.id)
    assert [m["text"] for m in c.expect("room_messages", room=room3.id)["messages"]] == ["for the asker"]
    for x in (a, b):
        x.refuses("room_messages")
        assert not x.take("get_secret")


def test_secret_for_an_open_room_makes_a_presenter_and_shows_nothing(room3):
    room3.open(0, 1)
    c = room3.at[2]
    room3.share(2)
    c.refuses("error")
    assert not c.take("room_messages")


def test_reading_and_writing_need_the_room_open(room3):
    a = room3.at[0]
    assert a.error("new_message", room=room3.id, message={"text": "too early"}) == "room_closed"
    room3.share(0)
    assert a.error("new_message", room=room3.id, message={"text": "still"}) == "room_closed"
    a.send("go_room", room=room3.id, secret=room3.shares[0])
    a.refuses("room_messages")


def test_several_devices_of_one_person_count_once(room3):
    a = room3.at[0]
    a2 = room3.realm.chat(a.user)
    room3.share(0)
    room3.share(0, conn=a2)
    a2.send("go_room", room=room3.id, secret=room3.shares[0])
    a2.fence()
    assert not a.take("room_messages") and not a2.take("room_messages")
    room3.share(1)
    for x in (a, a2):
        x.expect("room_messages", room=room3.id)


def test_quorum_lost_when_too_few_members_are_online(room3):
    room3.open()
    a, b, c = room3.at
    a.say(room3.id, "before")
    c.close()
    a.fence()
    a.say(room3.id, "two are enough")
    b.close()
    push = a.expect("close_room", room=room3.id)
    assert set(push) == {"type", "service", "timestamp", "room", "reason"}
    assert push["reason"] == "quorum_lost" and push["room"]["opened"] is False
    a.expect("online", timeout=4, rooms_waiting=lambda w: room3.id in [r["room"] for r in w])
    assert a.error("new_message", room=room3.id, message={"text": "too late"}) == "room_closed"


def test_quorum_lost_by_an_unclean_departure(room3):
    room3.open()
    a, b, c = room3.at
    b.cut()
    c.cut()
    assert a.expect("close_room", room=room3.id)["reason"] == "quorum_lost"


def test_after_a_loss_threshold_shares_are_needed_again(room3):
    room3.open()
    a, b, c = room3.at
    a.say(room3.id, "kept")
    b.close()
    c.close()
    a.expect("close_room", room=room3.id)
    b = room3.realm.chat(b.user)
    b.send("go_room", room=room3.id, secret=room3.shares[1])
    b.refuses("room_messages")
    a.expect("get_secret", room=room3.id)
    room3.share(0)
    for x in (a, b):
        assert [m["text"] for m in x.expect("room_messages", room=room3.id)["messages"]] == ["kept"]


def test_a_presenter_who_leaves_is_none_any_more(room3):
    a, b, c = room3.at
    room3.share(0)
    a.fence().close()
    room3.share(1)
    b.fence()
    assert not b.take("room_messages")
    room3.share(2)
    b.expect("room_messages", room=room3.id)


def test_one_device_of_a_presenter_may_leave(room3):
    a, b, c = room3.at
    a2 = room3.realm.chat(a.user)
    room3.share(0, conn=a2)
    a2.fence().close()
    room3.share(1)
    a.expect("room_messages", room=room3.id)


def test_hold_members_is_the_default(realm):
    """Two presenters open the room and leave: two other members hold it."""
    room = Room(realm, 4, 2)
    room.open(0, 1)
    room.at[0].close()
    room.at[1].close()
    room.at[2].say(room.id, "held by members")
    assert not room.at[2].take("close_room")


def test_hold_presenters(realm):
    room = Room(realm, 4, 2, hold="presenters")
    room.open(0, 1)
    room.at[2].say(room.id, "open")
    room.at[0].close()
    for c in room.at[1:]:
        assert c.expect("close_room", room=room.id)["reason"] == "quorum_lost"


def test_hold_of_another_word(realm, alice):
    c = realm.chat(alice)
    assert c.error("new_room", room=rid(), threshold=1, users=[], hold="nobody") == "malformed"


def test_leaving_an_open_room_can_lose_the_quorum(realm):
    room = Room(realm, 3, 2)
    room.open()
    room.at[2].close()
    room.at.pop(1).leave(room.id)
    room.shares.pop(1)
    assert room.at[0].expect("close_room", room=room.id)["reason"] == "quorum_lost"


def test_numbers_are_not_reused_after_leaving(realm):
    room = Room(realm, 4, 2)
    room.at.pop(1).leave(room.id)
    room.shares.pop(1)
    room.open(1, 2)
    room.at[0].say(room.id, "opened with shares 3 and 4")


def test_share_of_an_absent_member_comes_at_his_next_login(realm):
    a, b = realm.add_users(2)
    realm.chat(b).close()
    ca = realm.chat(a)
    push = ca.new_room("absent-" + a.name, 2, [a, b])
    assert push["room"]["pending"] >= 1
    ca.fence().close()
    cb = realm.chat(b)
    share = cb.expect("new_room", room="absent-" + a.name)["secret"]
    assert share.startswith("2-")
    ca = realm.chat(a)
    for c, s in ((ca, push["secret"]), (cb, share)):
        c.send("secret", room="absent-" + a.name, secret=s)
    ca.expect("room_messages", room="absent-" + a.name)


def test_share_is_given_once_when_its_arrival_is_known(realm):
    a, b = realm.add_users(2)
    realm.chat(b).close()
    ca = realm.chat(a)
    room = "once-" + a.name
    ca.new_room(room, 2, [a, b])
    cb = realm.chat(b)
    cb.expect("new_room", room=room)
    wait_until(lambda: [r["pending"] for r in ca.online()["rooms"] if r["room"] == room] == [0],
               what="the arrival of both shares")
    cb.close()
    cb = realm.chat(b)
    cb.refuses("new_room")


def test_share_comes_again_until_a_ping_behind_it_was_answered(realm):
    """A client that answers no ping has not proved that it has read."""
    a, b = realm.add_users(2)
    realm.chat(b).close()
    ca = realm.chat(a)
    room = "again-" + a.name
    ca.new_room(room, 2, [a, b])
    shares = []
    for _ in range(2):
        t = realm.ticket(b)
        with RawSocket(realm.chat_addr) as s:
            s.send(frame(json.dumps(t.login_frame()).encode()))
            asked, number = False, None
            while number is None or not asked:
                opcode, payload = s.read()
                f = classic.open_box(t.key, payload.decode()) if opcode == 1 else {}
                if f.get("type") == "new_room":
                    shares.append(f["secret"])
                elif opcode == 9 and payload.isdigit():
                    number = int(payload)
                    for other in (b"0", b"%d" % (number - 1), b"x"):  # answers, but not to this ping
                        s.send(frame(other, opcode=10))
                    s.send(frame(classic.seal(t.key, {"type": "get_data", "timestamp": classic.stamp()}).encode()))
                elif f.get("type") == "data":
                    asked = True
    cb = realm.chat(b)
    shares.append(cb.expect("new_room", room=room)["secret"])
    assert len(set(shares)) == 1 and shares[0].startswith("2-")


def test_hundreds_of_shares_are_delivered(realm):
    a, b = (realm.chat(u) for u in realm.add_users(2))
    rooms = {rid() for _ in range(150)}
    for room in rooms:
        a.send("new_room", room=room, threshold=2, users=[a.user.name, b.user.name])
    wait_until(lambda: set(a.shares) == set(b.shares) == rooms, what="all shares", timeout=30)
    wait_until(lambda: {r["pending"] for r in a.online()["rooms"]} == {0}, what="their arrival")


def test_history_of_a_sealed_room_is_for_all_who_open_it(realm):
    room = Room(realm, 3, 3)
    room.open()
    texts = [f"line {i} {secrets.token_hex(4)}" for i in range(5)]
    for i, t in enumerate(texts):
        room.at[i % 3].say(room.id, t)
    for c in room.at:
        c.close()
    room.at = [realm.chat(u) for u in room.users]
    for push in room.open():
        assert [m["text"] for m in push["messages"]] == texts
        assert [m["from"] for m in push["messages"]] == [room.users[i % 3].name for i in range(5)]


def test_a_room_created_anew_under_the_same_id_has_other_shares(realm):
    a, b = (realm.chat(u) for u in realm.add_users(2))
    room = rid()
    old = a.new_room(room, 2, [a.user, b.user])["secret"]
    a.delete(room)
    new = a.new_room(room, 2, [a.user, b.user])["secret"]
    assert old != new
    a.send("secret", room=room, secret=old)
    assert a.expect("error", request="secret")["code"] == "share_invalid"


def test_classic_client_that_logs_in_by_hand(realm):
    """What the iOS app does: log in, wait for the unasked lists, enter the room that they show."""
    room = Room(realm, 2, 2)
    user = room.users[1]
    room.at[1].close()
    c = Chat(realm, realm.ticket(user))
    o = c.expect("online", timeout=4, rooms=lambda rs: room.id in [r["room"] for r in rs])
    c.send("go_room", room=next(r for r in o["rooms"] if r["room"] == room.id), secret=room.shares[1])
    room.at[0].expect("get_secret", room=room.id)
    room.share(0)
    c.expect("room_messages", room=room.id)
