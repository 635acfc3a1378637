"""The chat's requests and pushes: fields, open rooms, saved data, who is online, errors that keep the connection."""
import json
import secrets
import time

import pytest

from kerbtest import classic, web
from kerbtest.chat import Chat
from kerbtest.realm import wait_until

COMMON = {"type", "service", "timestamp"}
ROOM = {"room", "name", "users", "threshold", "opened", "pending"}


def rid():
    return "room-" + secrets.token_hex(6)


def fields(frame, *names, also=()):
    """The frame has what every push has, these names, and at most `also` beside them."""
    assert COMMON | set(names) <= set(frame) <= COMMON | set(names) | set(also), frame
    assert frame["service"] == "chat"
    classic.datetime.datetime.strptime(frame["timestamp"], "%Y-%m-%d %H:%M:%S")
    return frame


def room_object(got, **want):
    assert set(got) == ROOM, got
    assert {k: got[k] for k in want} == want
    return got


@pytest.fixture
def realm(any_realm):
    """Every test here runs direct and through nginx."""
    return any_realm


@pytest.fixture
def three(realm):
    """Alice, bob and carol, online."""
    return [realm.chat(u) for u in realm.add_users(3)]


# --- login ---

def test_handshake_fields(any_realm):
    user = any_realm.add_user()
    t = any_realm.ticket(user)
    c = Chat(any_realm, t, greet=False)
    text = {"user_name": user.name, "timestamp": classic.stamp(-7)}
    c.send_plain({**t.login_frame(), "authenticator": classic.seal(t.key, text)})
    hello = fields(c.expect("handshake"), "authenticator_timestamp", "users_online", "rooms")
    assert hello["authenticator_timestamp"] == text["timestamp"]
    assert user.name in hello["users_online"] and hello["rooms"] == []
    assert "_plain" not in hello


@pytest.mark.parametrize("path", ["/chat", "/chat/"])
def test_path_with_and_without_slash(any_realm, path):
    any_realm.chat(any_realm.add_user(), path=path)


def test_handshake_lists_rooms(realm, three):
    a, b, c = three
    room = rid()
    a.new_room(room, 0, [b.user])
    again = realm.chat(b.user)
    assert [r["room"] for r in again.hello["rooms"]] == [room]
    room_object(again.hello["rooms"][0], room=room, name=room, threshold=0)


def test_a_second_login_on_a_connection_is_refused(realm, alice):
    t = realm.ticket(alice)
    c = realm.chat(t)
    c.send_raw(classic.seal(t.key, {**t.login_frame(), "timestamp": classic.stamp()}))
    assert c.expect("error", request="login")["code"] == "logged_in"
    c.fence()


def test_requests_before_login_are_plain_errors(realm, alice):
    c = Chat(realm, realm.ticket(alice), greet=False)
    c.send_plain({"type": "online", "timestamp": classic.stamp()})
    e = c.expect("error")
    assert e["code"] == "not_logged_in" and e["_plain"] and e["request"] == "online"
    assert c.close_code is None
    c.send_plain(c.ticket.login_frame())
    c.expect("handshake")


def test_health_beside_the_websocket(realm):
    assert web.get(("127.0.0.1", realm.daemons["chat"].port), "/healthz").status == 200
    assert web.get(("127.0.0.1", realm.daemons["chat"].port), "/nothing").status == 404


# --- online ---

def test_online_when_asked(realm, three):
    a, b, c = three
    o = fields(a.online(), "users_online", "rooms", "rooms_waiting")
    assert {x.user.name for x in three} <= set(o["users_online"])
    assert len(set(o["users_online"])) == len(o["users_online"])


def test_online_unasked_after_login(realm, alice):
    c = realm.chat(alice)
    fields(c.expect("online", timeout=4), "users_online", "rooms", "rooms_waiting")


def test_online_unasked_when_somebody_comes_and_goes(realm, three):
    a = three[0]
    user = realm.add_user()
    came = realm.chat(user)
    a.expect("online", timeout=4, users_online=lambda u: user.name in u)
    came.close()
    a.expect("online", timeout=4, users_online=lambda u: user.name not in u)


def test_online_unasked_after_an_unclean_departure(realm, three):
    a, b, _ = three
    b.cut()
    a.expect("online", timeout=4, users_online=lambda u: b.user.name not in u)


def test_online_unasked_when_rooms_come_and_go(realm, three):
    a, b, _ = three
    room = rid()
    a.new_room(room, 0, [b.user])
    for x in (a, b):
        x.expect("online", timeout=4, rooms=lambda rooms: room in [r["room"] for r in rooms])
    a.send("delete_chat", room=room)
    b.send("delete_chat", room=room)
    for x in (a, b):
        x.expect("online", timeout=4, rooms=lambda rooms: room not in [r["room"] for r in rooms])


def test_online_once_more_5_s_after_the_last_change(new_realm):
    realm = new_realm()
    a, b = (realm.chat(u) for u in realm.add_users(2))
    a.expect("online", timeout=3, users_online=lambda u: b.user.name in u)
    a.take("online")
    b.close()
    gone = time.monotonic()
    a.expect("online", timeout=3, users_online=[a.user.name])
    told = time.monotonic()
    a.expect("online", timeout=8, users_online=[a.user.name])
    assert told - gone < 2 and 4.5 < time.monotonic() - gone < 7
    time.sleep(2)  # and not again: nothing tells that nothing comes
    assert not a.take("online")


def test_online_at_most_once_a_second(new_realm):
    realm = new_realm()
    a, b = (realm.chat(u) for u in realm.add_users(2))
    start = time.monotonic()
    for _ in range(30):
        realm.chat(realm.ticket(b.user)).close()
    a.fence()
    took = time.monotonic() - start
    assert len(a.take("online")) <= took + 2


def test_rooms_and_rooms_waiting(realm, three):
    a, b, c = three
    room = rid()
    a.new_room(room, 2, [a.user, b.user])
    assert room in [r["room"] for r in a.online()["rooms"]]
    b.close()
    o = a.expect("online", timeout=4, rooms_waiting=lambda w: room in [r["room"] for r in w])
    assert room not in [r["room"] for r in o["rooms"]]
    room_object(next(r for r in o["rooms_waiting"] if r["room"] == room), threshold=2, opened=False)


# --- rooms ---

def test_new_room_fields_for_every_member(realm, three):
    a, b, c = three
    room = rid()
    a.send("new_room", room=room, threshold=0, users=[b.user.name, c.user.name])
    for x in three:
        push = fields(x.expect("new_room", room=room), "room", "secret")
        assert push["secret"] == ""
        r = room_object(push["room"], room=room, name=room, threshold=0)
        assert r["users"] == [b.user.name, c.user.name, a.user.name], "the caller is added last"


def test_caller_in_the_list_keeps_his_place_and_duplicates_count_once(realm, three):
    a, b, c = three
    room = rid()
    names = [b.user.name, a.user.name, b.user.name, a.user.name]
    push = a.new_room(room, 2, names)
    assert push["room"]["users"] == [b.user.name, a.user.name]
    assert push["room"]["threshold"] == 2 and push["secret"].startswith("2-")


def test_new_room_with_a_name(realm, three):
    a, b, _ = three
    room = rid()
    push = a.new_room(room, 0, [b.user], name="Our place")
    assert push["room"]["name"] == "Our place" and push["room"]["room"] == room


@pytest.mark.parametrize("threshold, gives", [("0", 0), ("2", 2), ("", 3), (3, 3), (1, 1)])
def test_threshold_as_number_and_text(realm, three, threshold, gives):
    a, b, c = three
    push = a.new_room(rid(), threshold, three_names(three))
    assert push["room"]["threshold"] == gives


def three_names(three):
    return [x.user.name for x in three]


@pytest.mark.parametrize("threshold", [-1, 4, "4", 1.5, "x", None, [], "1 ", 1 << 40, "999999999999999999999"])
def test_bad_threshold(realm, three, threshold):
    code = three[0].error("new_room", room=rid(), threshold=threshold, users=three_names(three))
    assert code in ("bad_threshold", "malformed")


def test_taken_id(realm, three):
    a, b, c = three
    room = rid()
    a.new_room(room, 0, [b.user])
    assert a.error("new_room", room=room, threshold=0, users=[]) == "exists"
    assert c.error("new_room", room=room, threshold=0, users=[]) == "exists"


def test_users_who_never_logged_in_to_the_chat(realm, three):
    a, b, _ = three
    stranger = realm.add_user()
    room = rid()
    a.send("new_room", room=room, threshold=0, users=[b.user.name, stranger.name])
    e = fields(a.expect("error", request="new_room"), "error", "code", "request")
    assert e["code"] == "unknown_user" and stranger.name in e["error"] and b.user.name not in e["error"]
    realm.chat(stranger)
    a.new_room(room, 0, [b.user, stranger])


def test_new_message_fields(realm, three):
    a, b, c = three
    room = rid()
    a.new_room(room, 0, [b.user])
    text = "Grüße / \"quoted\" \\ \u2028 \U0001f600 \t."
    a.send("new_message", room=room, message={"text": text, "room": room, "from": a.user.name,
                                               "time": classic.stamp()})
    for x in (a, b):
        push = fields(x.expect("new_message", room=room), "room", "new_message")
        m = push["new_message"]
        assert set(m) == {"from", "time", "room", "text", "message", "mid", "seq"}
        assert (m["from"], m["room"], m["text"]) == (a.user.name, room, text)
        assert m["message"] == {k: m[k] for k in ("from", "time", "room", "text")}
    c.refuses("new_message")


def test_message_as_plain_text(realm, three):
    a, b, _ = three
    room = rid()
    a.new_room(room, 0, [b.user])
    a.send("new_message", room=room, message="just text")
    assert b.heard(room, "just text")["from"] == a.user.name


@pytest.mark.parametrize("text", ["", " ", "  blanks kept  ", "x" * 16384, "\n"])
def test_texts_come_back_as_they_are(realm, alice, text):
    c = realm.chat(alice)
    room = rid()
    c.new_room(room, 0, [])
    c.send("new_message", room=room, message={"text": text})
    assert c.expect("new_message", room=room)["new_message"]["text"] == text


def test_text_that_is_too_long(realm, alice):
    c = realm.chat(alice)
    room = rid()
    c.new_room(room, 0, [])
    assert c.error("new_message", room=room, message={"text": "x" * 16385}) in ("limit", "malformed")


def test_seq_is_dense_and_mid_is_unique(realm, three):
    room = rid()
    a, b = (realm.chat(x.user, extensions=True) for x in three[:2])
    a.new_room(room, 0, [b.user])
    said = [x.say(room, f"number {i}") for i, x in enumerate([a, b, a, a, b])]
    assert [m["seq"] for m in said] == [1, 2, 3, 4, 5]
    assert len({m["mid"] for m in said}) == 5


def test_go_room_shows_history(realm, three):
    a, b, _ = three
    room = rid()
    a.new_room(room, 0, [b.user])
    for i in range(3):
        a.say(room, f"message {i} of {room}")
    push = fields(b.enter(room), "room", "messages", "more")
    room_object(push["room"], room=room, opened=True, threshold=0)
    assert [m["text"] for m in push["messages"]] == [f"message {i} of {room}" for i in range(3)]
    assert all({"from", "time", "room", "text"} <= set(m) for m in push["messages"])
    assert push["more"] is False


def test_history_shows_the_newest_thousand_oldest_first(realm, alice):
    c = realm.chat(alice)
    room = rid()
    c.new_room(room, 0, [])
    for i in range(1004):
        c.send("new_message", room=room, message={"text": f"m{i}"})
    c.heard(room, "m1003")
    push = c.enter(room)
    assert [m["text"] for m in push["messages"]] == [f"m{i}" for i in range(4, 1004)]
    assert push["more"] is True


def test_history_of_at_most_512_kib(realm, alice):
    c = realm.chat(alice)
    room = rid()
    c.new_room(room, 0, [])
    for i in range(40):
        c.send("new_message", room=room, message={"text": f"{i:05}" + "y" * 16000})
    c.expect("new_message", new_message=lambda m: m["text"].startswith("00039"))
    push = c.enter(room)
    texts = [m["text"][:5] for m in push["messages"]]
    assert push["more"] is True and texts[-1] == "00039" and 25 <= len(texts) <= 33
    assert texts == sorted(texts)


@pytest.mark.parametrize("spelled", [lambda r: r, lambda r: {"room": r}, lambda r: {"name": r}])
def test_room_as_text_and_as_object(realm, alice, spelled):
    c = realm.chat(alice)
    room = rid()
    c.send("new_room", room=spelled(room), threshold=0, users=[])
    c.expect("new_room", room=room)
    c.send("new_message", room=spelled(room), message={"text": "hi"})
    c.heard(room, "hi")
    c.send("go_room", room=spelled(room))
    c.expect("room_messages", room=room)
    c.send("delete_chat", room=spelled(room))
    c.expect("close_room", room=room)


def test_secret_in_an_open_room_is_ignored(realm, three):
    a, b, _ = three
    room = rid()
    a.new_room(room, 0, [b.user])
    a.send("go_room", room=room, secret="")
    a.expect("room_messages", room=room)
    a.send("go_room", room=room, secret="1-ff")
    a.expect("room_messages", room=room)
    a.send("secret", room=room, secret="nonsense")
    a.refuses("error")


# --- leaving and deleting ---

def test_delete_chat_leaves_when_the_threshold_is_below_the_members(realm, three):
    a, b, c = three
    room = rid()
    a.new_room(room, 2, three_names(three))
    c.leave(room)
    assert room not in json.dumps(c.online()) and not c.take("close_room")
    assert c.error("go_room", room=room) == "not_found"
    a.fence()
    a.expect("online", timeout=4, rooms=lambda rooms: any(
        r["room"] == room and r["users"] == [a.user.name, b.user.name] for r in rooms))
    for x in (a, b):
        wait_until(lambda: room in x.shares, what="the share")
        x.contribute(room)
    a.expect("room_messages", room=room)


def test_delete_chat_of_all_deletes_when_the_threshold_is_all(realm, three):
    a, b, c = three
    room = rid()
    a.new_room(room, "", three_names(three))
    b.send("delete_chat", room=room)
    for x in three:
        push = fields(x.expect("close_room", room=room), "room", "reason")
        assert push["reason"] == "deleted" and set(push["room"]) == ROOM
        assert x.error("go_room", room=room) == "not_found"
    a.new_room(room, 0, [b.user])


def test_the_last_to_leave_an_open_room_takes_it_along(realm, three):
    a, b, _ = three
    room = rid()
    a.new_room(room, 0, [b.user])
    a.say(room, "left behind")
    a.leave(room)
    assert [m["text"] for m in b.enter(room)["messages"]] == ["left behind"]
    assert a.error("new_room", room=room, threshold=0, users=[]) == "exists"
    b.delete(room)
    push = a.new_room(room, 0, [])
    assert push["room"]["users"] == [a.user.name]
    assert a.enter(room)["messages"] == []


def test_leaving_makes_a_room_of_all_remaining(realm, three):
    """Threshold 2 of 3; after one left, 2 of 2: the next delete_chat deletes."""
    a, b, c = three
    room = rid()
    a.new_room(room, 2, three_names(three))
    c.leave(room)
    a.delete(room)
    b.expect("close_room", room=room)
    assert b.error("go_room", room=room) == "not_found"


# --- saved data ---

def test_save_and_get_data(realm, alice):
    c = realm.chat(alice)
    for key, data in [("text", "a text"), ("number", 17), ("object", {"a": [1, None, True, 1.5], "ü": "/"}),
                      ("null", None), ("empty", ""), ("ключ", ["x"])]:
        c.send("save_data", key=key, data=data)
        push = fields(c.ask("get_data", "data", {"key": key}, key=key), "key", "data")
        assert push["data"] == data
    c.send("save_data", key="text", data="another")
    assert c.ask("get_data", "data", key="text")["data"] == "another"


def test_unknown_key_reads_as_empty_text(realm, alice):
    assert realm.chat(alice).ask("get_data", "data", key="nothing here")["data"] == ""


def test_get_data_without_key_gives_the_dictionary(realm, alice):
    c = realm.chat(alice)
    assert c.ask("get_data", "data")["data"] == {}
    c.send("save_data", key="a", data=1)
    c.send("save_data", key="b", data={"x": "y"})
    assert c.ask("get_data", "data")["data"] == {"a": 1, "b": {"x": "y"}}


def test_key_as_object_with_name(realm, alice):
    c = realm.chat(alice)
    c.send("save_data", key={"name": "k"}, data="v")
    assert c.ask("get_data", "data", key={"name": "k"})["data"] == "v"
    assert c.ask("get_data", "data", key="k")["data"] == "v"


def test_data_is_ones_own(realm, three):
    a, b, _ = three
    a.send("save_data", key="k", data="alice's")
    a.fence()
    assert b.ask("get_data", "data", key="k")["data"] == ""
    other_device = realm.chat(a.user)
    assert other_device.ask("get_data", "data", key="k")["data"] == "alice's"


def test_data_limit(new_realm):
    realm = new_realm(chat={"user_data_max": 4096})
    c = realm.chat(realm.add_user())
    c.send("save_data", key="a", data="x" * 3000)
    assert c.error("save_data", key="b", data="x" * 3000) == "limit"
    c.send("save_data", key="a", data="y" * 3500)
    assert c.ask("get_data", "data", key="a")["data"] == "y" * 3500
    c.refuses("error")


# --- labels and extensions ---

def test_label_is_echoed_on_exactly_one_final_reply(realm, alice):
    c = realm.chat(alice, extensions=True)
    room = rid()
    replies = {
        "new_room": dict(room=room, threshold=0, users=[]), "online": {}, "go_room": dict(room=room),
        "new_message": dict(room=room, message={"text": "labelled"}), "secret": dict(room=room, secret=""),
        "save_data": dict(key="k", data=1), "get_data": dict(key="k"), "delete_chat": dict(room=room),
    }
    for n, (type_, f) in enumerate(replies.items()):
        c.send(type_, id=f"label {n} ü", **f)
        reply = c.expect(id=f"label {n} ü")
        assert reply["type"] in (type_, "ack", {"go_room": "room_messages", "get_data": "data"}.get(type_)), reply
        c.fence()
        assert not c.take(id=f"label {n} ü"), type_
    assert c.ask("go_room", "error", room=room)["code"] == "not_found"


def test_label_of_the_login_is_echoed(realm, alice):
    c = realm.chat(alice, extensions=True, id="first")
    assert c.hello["id"] == "first"


def test_ack_comes_with_mid_seq_and_time(realm, three):
    a, b = (realm.chat(x.user, extensions=True) for x in three[:2])
    room = rid()
    a.new_room(room, 0, [b.user])
    a.send("new_message", room=room, message={"text": "hello"}, id="x1")
    ack = a.expect(id="x1")
    m = b.heard(room, "hello")
    if ack["type"] == "ack":
        assert (ack["mid"], ack["seq"], ack["time"]) == (m["mid"], m["seq"], m["time"])


@pytest.mark.parametrize("label", ["x" * 65, 17, None, {}, []])
def test_label_of_the_wrong_form(realm, alice, label):
    c = realm.chat(alice, extensions=True)
    c.send("online", id=label)
    answer = c.expect(None, type=lambda t: t in ("error", "online"))
    assert answer.get("id") is None


def test_classic_without_extensions_gets_no_labels_and_no_ack(realm, alice):
    c = realm.chat(alice)
    room = rid()
    c.send("new_room", room=room, threshold=0, users=[], id="l1")
    c.send("new_message", room=room, message={"text": "t"}, id="l2")
    c.send("save_data", key="k", data=1, id="l3")
    c.send("delete_chat", room="no such room", id="l4")
    c.fence()
    assert c.take("error")
    assert not c.take("ack")
    assert not [f for f in c.take() if "id" in f]


# --- several connections ---

def test_several_connections_of_one_user(realm, three):
    a, b, _ = three
    a2 = realm.chat(a.user)
    room = rid()
    b.send("new_room", room=room, threshold=0, users=[a.user.name])
    for x in (a, a2, b):
        x.expect("new_room", room=room)
    a2.say(room, "from the second device")
    a.heard(room, "from the second device")
    a2.close()
    b.fence()
    assert a.user.name in b.online()["users_online"]
    a.close()
    b.expect("online", timeout=4, users_online=lambda u: a.user.name not in u)


def test_connections_under_one_ticket(realm, alice):
    t = realm.ticket(alice)
    a, b = realm.chat(t), realm.chat(t)
    room = rid()
    a.new_room(room, 0, [])
    b.expect("new_room", room=room)


# --- errors keep the connection ---

ERRORS = [
    ({"type": "nothing"}, "malformed"), ({}, "malformed"), ({"type": 7}, "malformed"), ({"type": None}, "malformed"),
    ({"type": ""}, "malformed"), ({"type": "LOGIN"}, "malformed"),
    ({"type": "go_room"}, "malformed"), ({"type": "go_room", "room": 7}, "malformed"),
    ({"type": "go_room", "room": {}}, "malformed"), ({"type": "go_room", "room": "no such room"}, "not_found"),
    ({"type": "go_room", "room": "x", "secret": 7}, "malformed"),
    ({"type": "secret", "room": "x"}, "malformed"), ({"type": "secret", "room": "x", "secret": "1-a"}, "not_found"),
    ({"type": "new_message", "room": "x"}, "malformed"),
    ({"type": "new_message", "room": "x", "message": {}}, "malformed"),
    ({"type": "new_message", "room": "x", "message": {"text": 7}}, "malformed"),
    ({"type": "new_message", "room": "x", "message": {"text": "t"}}, "not_found"),
    ({"type": "new_room", "room": "x", "threshold": 0}, "malformed"),
    ({"type": "new_room", "room": "x", "threshold": 0, "users": "bob"}, "malformed"),
    ({"type": "new_room", "room": "x", "threshold": 0, "users": [7]}, "malformed"),
    ({"type": "new_room", "room": "", "threshold": 0, "users": []}, "malformed"),
    ({"type": "new_room", "room": "x" * 65, "threshold": 0, "users": []}, "malformed"),
    ({"type": "new_room", "room": "a\u0007b", "threshold": 0, "users": []}, "malformed"),
    ({"type": "delete_chat"}, "malformed"), ({"type": "delete_chat", "room": "no such room"}, "not_found"),
    ({"type": "save_data", "data": 1}, "malformed"), ({"type": "save_data", "key": "k"}, "malformed"),
    ({"type": "save_data", "key": 7, "data": 1}, "malformed"),
    ({"type": "get_data", "key": 7}, "malformed"),
]


@pytest.mark.parametrize("frame, code", ERRORS, ids=[json.dumps(e[0])[:60] for e in ERRORS])
def test_error_that_keeps_the_connection(realm, alice, frame, code):
    c = realm.chat(alice)
    c.send_raw(classic.seal(c.key, {"timestamp": classic.stamp(), **frame}))
    e = fields(c.expect("error"), "error", "code", "request")
    assert e["code"] == code, e
    c.fence()


def test_false_from_is_refused_and_own_name_is_not(realm, three):
    a, b, _ = three
    assert a.error("online", **{"from": b.user.name}) == "wrong_from"
    a.ask("online", "online", **{"from": a.user.name})
    room = rid()
    a.new_room(room, 0, [b.user])
    a.send("new_message", room=room, message={"text": "x", "from": b.user.name})
    assert a.expect("error")["code"] == "wrong_from"
    b.refuses("new_message")


@pytest.mark.parametrize("text", ["[]", "1", "\"x\"", "null", "{", "", "{}{}", "{\"type\":\"online\"} x",
                                  "{\"type\":\"online\",\"type\":\"online\"}", "[" * 20 + "]" * 20,
                                  "{\"type\":\"online\",\"x\":" + "[" * 16 + "]" * 16 + "}"])
def test_text_that_is_no_request(realm, alice, text):
    c = realm.chat(alice)
    c.send_raw(classic.seal(c.key, text))
    assert c.expect("error")["code"] == "malformed"
    c.fence()


def test_known_ways_to_write_the_json(realm, alice):
    c = realm.chat(alice)
    for text in (json.dumps({"type": "online", "timestamp": classic.stamp()}, indent=2),
                 "  " + json.dumps({"timestamp": classic.stamp(), "type": "online", "note": "a/b"}).replace("/", "\\/"),
                 json.dumps({"type": "online", "timestamp": classic.stamp(), "ü": "raw"}, ensure_ascii=False)):
        c.send_raw(classic.seal(c.key, text))
        c.expect("online")
        c.send_raw(classic.seal(c.key, text + " ", pad="space"))
        c.expect("online")
    c.refuses("error")
