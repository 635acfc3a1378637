"""Edits, deletions, retention and search against the real daemon: crashes, and people who would do what they may not."""
import os
import secrets
import sqlite3
import time

import pytest

from kerbtest.realm import wait_until


def rid():
    return "room-" + secrets.token_hex(6)


def page(chat, room, **where):
    return chat.ask("get_history", "room_messages", {"room": room}, room=room, **where)


def texts(reply):
    return [(m["seq"], m.get("text")) for m in reply["messages"]]


def edit(chat, room, seq, text):
    chat.realm.remember("text", text)
    return chat.ask("edit_message", "ack", room=room, seq=seq, text=text)


def delete(chat, room, seq):
    return chat.ask("delete_message", "ack", room=room, seq=seq)


def found(chat, room, text, **more):
    return chat.ask("search", "found", room=room, text=text, **more)


def open_room(realm, n=2, extensions=True):
    users = realm.add_users(n)
    chats = [realm.chat(u, extensions=extensions) for u in users]
    room = rid()
    chats[0].new_room(room, 0, users)
    for c in chats[1:]:
        c.expect("new_room", room=room)
    return room, chats


def sealed_room(realm):
    users = realm.add_users(2)
    a, b = (realm.chat(u, extensions=True) for u in users)
    room = rid()
    a.new_room(room, 2, users)
    b.expect("new_room", room=room)
    unseal(room, a, b)
    return room, a, b


def unseal(room, a, b):
    a.send("go_room", room=room, secret=a.shares[room])
    b.expect("get_secret", room=room)
    b.contribute(room)
    for c in (a, b):
        c.expect("room_messages", room=room)


def database(realm):
    return os.path.join(realm.state, "chat", "chat.db")


def tamper(realm, *statements):
    """As somebody with the file, while the daemon is down."""
    with sqlite3.connect(database(realm)) as db:
        for statement, values in statements:
            db.execute(statement, values)
    db.close()


def boxes(realm):
    """{number: the sealed text}, of the one room there is."""
    db = sqlite3.connect(f"file:{database(realm)}?mode=ro", uri=True)
    rows = dict(db.execute("SELECT seq, box FROM message").fetchall())
    db.close()
    return rows


# --- edits and deletions ---

def test_everybody_hears_of_an_edit_once(realm):
    users = realm.add_users(3)
    a, a2, b = realm.chat(users[0], extensions=True), realm.chat(users[0], extensions=True), realm.chat(users[1],
                                                                                                      extensions=True)
    old = realm.chat(users[2])
    room = rid()
    a.new_room(room, 0, users)
    said = a.say(room, "one")
    seq = said["seq"]
    ack = edit(a, room, seq, "two")
    assert (ack["seq"], ack["target"], "dup" in ack) == (2, 1, False)
    for c in (a, a2, b):
        m = c.expect("edited", room=room)["edited"]
        assert (m["from"], m["seq"], m["edits"], m["text"]) == (users[0].name, 2, 1, "two")
    again = edit(a2, room, seq, "two")
    assert again | {"id": 0, "timestamp": 0} == ack | {"id": 0, "timestamp": 0, "dup": True}
    assert ack["mid"] != said["mid"]
    assert delete(a2, room, seq)["seq"] == 3
    assert delete(a, room, seq) | {"id": 0, "timestamp": 0} == delete(a, room, seq) | {"id": 0, "timestamp": 0}
    for c in (a, a2, b):
        m = c.expect("deleted", room=room)["deleted"]
        assert (m["seq"], m["deletes"], "text" in m) == (3, 1, False)
        c.refuses("edited")
        c.refuses("deleted")
    assert texts(page(b, room, after=1)) == [(2, None), (3, None)]
    assert page(b, room)["messages"][0]["deleted"] == 3
    # Who asked for nothing of that sees what is there.
    old.refuses("edited")
    old.refuses("deleted")
    assert old.enter(room)["messages"] == []
    assert old.say(room, "next")["seq"] == 4


def test_an_edit_outlives_a_crash(new_realm):
    realm = new_realm()
    room, (a, b) = open_room(realm)
    users = [a.user, b.user]
    for i in range(20):
        a.say(room, f"text {i}")
    for i in range(1, 21, 2):
        edit(a, room, i, f"other {i}")
    delete(a, room, 2)
    realm.kill("chat")
    realm.start("chat")
    b = realm.chat(users[1], extensions=True)
    got = page(b, room)
    assert got["head"] == 31 and [m["seq"] for m in got["messages"]] == list(range(1, 32))
    for m in got["messages"][:20]:
        want = None if m["seq"] == 2 else f"other {m['seq']}" if m["seq"] % 2 else f"text {m['seq'] - 1}"
        assert m.get("text") == want, m
    assert {m["edits"]: m["text"] for m in got["messages"][20:30]} == {i: f"other {i}" for i in range(1, 21, 2)}


def test_attack_nobody_revises_what_is_not_his(realm):
    room, (a, b) = open_room(realm)
    stranger = realm.chat(realm.add_user(), extensions=True)
    plain = realm.chat(a.user)
    a.say(room, "mine")
    edit(a, room, 1, "still mine")
    other = rid()
    b.new_room(other, 0, [b.user])
    b.say(other, "elsewhere")
    for seq in (0, 1, 2, 3, 2**63 - 1):
        assert b.error("edit_message", room=room, seq=seq, text="yours") == "no_message"
        assert b.error("delete_message", room=room, seq=seq) == "no_message"
    assert a.error("edit_message", room=other, seq=1, text="x") == "not_found"
    for where in (room, rid()):
        assert stranger.error("edit_message", room=where, seq=1, text="x") == "not_found"
        assert stranger.error("delete_message", room=where, seq=1) == "not_found"
        assert stranger.error("search", room=where, text="mine") == "not_found"
    plain.send("edit_message", room=room, seq=1, text="x")
    assert plain.expect("error")["code"] == "malformed"
    assert texts(page(a, room)) == [(1, "still mine"), (2, "still mine")]


def test_attack_a_text_of_before_does_not_open(new_realm):
    realm = new_realm()
    room, (a, b) = open_room(realm)
    user = a.user
    for text in ("first", "second", "third"):
        a.say(room, text)
    before = boxes(realm)
    edit(a, room, 1, "first, edited")
    once = boxes(realm)
    edit(a, room, 1, "first, edited again")
    delete(a, room, 2)
    after = boxes(realm)
    for name, statements, want in (
            ("an older text", [("UPDATE message SET box = ? WHERE seq = 1", (before[1],))], {3}),
            ("the text of an older edit", [("UPDATE message SET box = ? WHERE seq = 1", (once[1],))], {3}),
            ("a deletion undone", [("UPDATE message SET box = ? WHERE seq = 2", (before[2],))], {1, 3}),
            ("a text blanked", [("UPDATE message SET box = x'' WHERE seq = 3", ())], {1}),
            ("a revision of what was not revised", [
                ("INSERT INTO message(room, seq, time, mid, sender, epoch, box, user, target)"
                 " SELECT room, 7, time, mid, sender, epoch, x'', user, 3 FROM message WHERE seq = 3", ())], {1}),
            ("two texts changed about", [("UPDATE message SET box = ? WHERE seq = 1", (after[3],)),
                                         ("UPDATE message SET box = ? WHERE seq = 3", (after[1],))], set())):
        realm.stop("chat")
        with open(database(realm), "rb") as f:
            clean = f.read()
        tamper(realm, *statements)
        realm.start("chat")
        a = realm.chat(user, extensions=True)
        shown = {m["seq"] for m in page(a, room)["messages"] if m.get("text") and "edits" not in m}
        assert shown == want, name
        realm.stop("chat")
        with open(database(realm), "wb") as f:
            f.write(clean)
        realm.start("chat")
    a = realm.chat(user, extensions=True)
    assert texts(page(a, room))[:3] == [(1, "first, edited again"), (2, None), (3, "third")]


def test_attack_what_was_replaced_is_nowhere_in_the_files(new_realm):
    realm = new_realm()
    room, a, _ = sealed_room(realm)
    opened, (c, _) = open_room(realm)
    gone = []
    for chat, where in ((a, room), (c, opened)):
        chat.say(where, "what was said " * 20)
        chat.say(where, "what was said " * 30)
    db = sqlite3.connect(f"file:{database(realm)}?mode=ro", uri=True)
    gone += [row[0][-64:] for row in db.execute("SELECT box FROM message")]
    db.close()
    for chat, where in ((a, room), (c, opened)):
        edit(chat, where, 1, "and is unsaid")
        delete(chat, where, 2)
    db = sqlite3.connect(f"file:{database(realm)}?mode=ro", uri=True)
    gone += [row[0][-32:] for row in db.execute("SELECT box FROM message WHERE seq = 1")]
    db.close()
    for chat, where in ((a, room), (c, opened)):
        edit(chat, where, 1, "and now this")
    assert len(gone) == 6

    def left():
        data = b""
        for name in ("chat.db", "chat.db-wal"):
            path = os.path.join(realm.state, "chat", name)
            data += open(path, "rb").read() if os.path.exists(path) else b""
        return [i for i, box in enumerate(gone) if box in data]
    wait_until(lambda: not left(), timeout=10)


# --- retention ---

def days_ago(realm, n):
    """All messages become so much older: the daemon sees it at its next start. Their boxes are bound to their times."""
    tamper(realm, ("UPDATE message SET time = time - ?", (n * 86400,)))


def test_a_room_forgets_what_is_older(new_realm):
    realm = new_realm()
    a = realm.chat(realm.add_user(), extensions=True)
    user, room, kept = a.user, rid(), rid()
    a.new_room(room, 0, [user], keep_days=7)
    a.new_room(kept, 0, [user])
    for i in range(5):
        a.say(room, f"text {i}")
    a.say(kept, "for ever")
    assert a.error("new_room", room=rid(), threshold=0, users=[], keep_days=36501) == "malformed"
    rows = boxes(realm)
    realm.stop("chat")
    days_ago(realm, 8)
    realm.start("chat")
    a = realm.chat(user, extensions=True)
    assert [r["keep_days"] for r in a.hello["rooms"] if r["room"] == room] == [7]
    got = page(a, room)
    assert (got["messages"], got["floor"], got["head"], got["more_before"]) == ([], 5, 5, False)
    assert found(a, room, "text")["messages"] == []
    wait_until(lambda: len(boxes(realm)) == 1, timeout=15)
    assert a.say(room, "text 6")["seq"] == 6
    assert texts(page(a, room, after=0)) == [(6, "text 6")]
    realm.restart("chat")
    a = realm.chat(user, extensions=True)
    assert a.say(room, "text 7")["seq"] == 7
    data = open(database(realm), "rb").read()
    assert all(box not in data for seq, box in rows.items() if box and seq > 1)


def test_the_operator_bounds_what_is_kept(new_realm):
    realm = new_realm(chat={"keep_days_max": "30"})
    a = realm.chat(realm.add_user(), extensions=True)
    assert a.error("new_room", room=rid(), threshold=0, users=[a.user.name], keep_days=31) == "limit"
    old = realm.chat(a.user)
    assert a.new_room("plain", 0, [a.user])["room"]["keep_days"] == 30
    assert a.new_room("short", 0, [a.user], keep_days=3)["room"]["keep_days"] == 3
    assert "keep_days" not in old.expect("new_room", room="plain")["room"]
    a.say("short", "hello")
    assert page(a, "short")["room"]["keep_days"] == 3
    assert "keep_days" not in old.enter("short")["room"]
    rooms = {r["room"]: r.get("keep_days") for r in realm.chat(a.user, extensions=True).hello["rooms"]}
    assert rooms == {"plain": 30, "short": 3}


# --- search ---

def test_search_finds_what_is_said_now(realm):
    room, (a, b) = open_room(realm)
    a.say(room, "The quick brown fox")
    b.say(room, "brown: ÉTÉ, Straße")
    a.say(room, "nothing")
    assert [m["seq"] for m in found(a, room, "BROWN")["messages"]] == [2, 1]
    assert [m["seq"] for m in found(a, room, "brown qui")["messages"]] == [1]
    assert [m["seq"] for m in found(a, room, "STRASSE été")["messages"]] == [2]
    got = found(b, room, "brown", limit=1)
    assert (texts(got), got["more"], got["from_seq"], got["complete"]) == ([(2, "brown: ÉTÉ, Straße")], True, 1, True)
    assert texts(found(b, room, "brown", before=2)) == [(1, "The quick brown fox")]
    edit(a, room, 3, "a brown hare")
    delete(b, room, 2)
    got = found(a, room, "brown")["messages"]
    assert [(m["seq"], m["text"], m.get("edited")) for m in got] == [(3, "a brown hare", 4),
                                                                     (1, "The quick brown fox", None)]


def test_search_in_a_sealed_room(new_realm):
    realm = new_realm()
    room, a, b = sealed_room(realm)
    users = [a.user, b.user]
    shares = {**a.shares}, {**b.shares}
    a.say(room, "the moon is full")
    assert texts(found(a, room, "moon")) == [(1, "the moon is full")]
    b.close()
    a.expect("close_room", room=room)
    assert a.error("search", room=room, text="moon") == "room_closed"
    assert a.error("edit_message", room=room, seq=1, text="x") == "room_closed"
    assert a.error("delete_message", room=room, seq=1) == "room_closed"
    realm.kill("chat")
    realm.start("chat")
    a, b = (realm.chat(u, extensions=True) for u in users)
    a.shares, b.shares = shares
    assert a.error("search", room=room, text="moon") == "room_closed"
    unseal(room, a, b)
    assert texts(found(b, room, "moon")) == [(1, "the moon is full")]


def test_search_of_a_long_room_holds_nobody_up(new_realm):
    realm = new_realm(chat={"request_rate": "100000", "request_burst": "100000"})
    room, (a, b) = open_room(realm)
    a.send_many(a.seal("new_message", room=room, message=f"message {i} of many") for i in range(5000))
    wait_until(lambda: page(b, room, limit=1)["head"] == 5000, timeout=60)
    b.take()
    a.take()
    label = "the search"
    a.send("search", room=room, text="17 many", id=label)
    b.fence()
    got = a.expect("found", id=label)
    assert got["complete"] and [m["text"] for m in got["messages"]] == ["message 17 of many"]
    assert len(found(a, room, "message")["messages"]) == 20


def test_attack_searches_are_bounded(realm):
    room, (a, b) = open_room(realm)
    a.say(room, "a word")
    assert a.error("search", room=room, text="x" * 1025) == "limit"
    for bad in ({}, {"text": ""}, {"text": " .,"}, {"text": 7}, {"text": "a", "limit": 51}, {"text": "a", "limit": 0},
                {"text": "a", "before": -1}):
        assert a.error("search", room=room, **bad) == "malformed"
    long = "\u0001" * 5000
    for i in range(50):
        a.send("new_message", room=room, message=f"word{i} {long}")
    a.fence()
    got = found(b, room, "word", limit=50)
    assert 1 <= len(got["messages"]) < 50 and got["more"]
    assert found(b, room, "word", before=got["messages"][-1]["seq"], limit=50)["messages"]


@pytest.mark.parametrize("text", ["\u202e", "\ud83d\ude42", "%", "' OR 1=1 --", "a" * 1000])
def test_search_takes_any_text(realm, text):
    room, (a, _) = open_room(realm)
    a.say(room, "a word")
    start = time.monotonic()
    a.send("search", room=room, text=text, id="any")
    reply = a.expect(id="any")
    assert reply["type"] in ("found", "error") and time.monotonic() - start < 10
