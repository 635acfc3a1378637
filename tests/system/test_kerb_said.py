"""kerb chat: edit, delete, search; kerb search and kerb history in scripts."""
import json

from test_kerb_chat import People, chat_realm, own_realm, people, quits, room, say  # noqa: F401


def hears(terminal, number, user, rest):
    """The line of that message; what came before it."""
    colon = ":" if rest.startswith(":") else ""
    return terminal.expect(f"#{number}\x1b[0m \x1b[1m{user.name}{colon}\x1b[0m{rest[len(colon):]}", timeout=60)


def two_in_a_room(people, name):  # noqa: F811
    alice, bob = people.add(2)
    a, b = people.chat(alice), people.chat(bob)
    say(a, f"/new {name} 0 {bob.user.name}")
    b.expect(f"you are in the room {name}")
    for t in (a, b):
        say(t, f"/open {name}")
        t.expect(f"{name} is open: 0 messages")
    return alice, bob, a, b


def test_what_was_said_is_edited_taken_back_and_found(people):  # noqa: F811
    name = room("lounge")
    alice, bob, a, b = two_in_a_room(people, name)
    say(a, "/edit too early")
    a.expect("which message?")
    say(a, "the fool moon")
    hears(b, 1, alice.user, ": the fool moon")
    say(b, "what?")
    hears(a, 2, bob.user, ": what?")
    say(a, "/edit the full  moon")
    for t in (a, b):
        hears(t, 3, alice.user, " edits #1: the full  moon")
    say(a, "/edit #2 not mine")
    a.expect("you have written no message of that number")
    say(a, "/delete #2")
    a.expect("you have written no message of that number")
    say(b, "/delete")
    for t in (a, b):
        hears(t, 4, bob.user, " deletes #2")
    say(b, "/search MOON fu")
    hears(b, 1, alice.user, ": the full  moon (edited)")
    b.expect("1 found")
    say(b, "/search")
    b.expect("looks for all of the words")
    say(b, "/history")
    b.expect(f"{name} is open: 1 message")
    hears(b, 1, alice.user, ": the full  moon (edited)")
    hears(b, 2, bob.user, " (deleted)")
    for t in (a, b):
        quits(t)
    r = bob.run("history", name)
    lines = [line.split(" ", 2)[2] for line in r.stdout.splitlines()]
    assert lines == [f"#1 {alice.user.name}: the full  moon (edited)", f"#2 {bob.user.name} (deleted)"]
    r = bob.run("search", name, "moon")
    assert r.stdout.endswith(f" #1 {alice.user.name}: the full  moon (edited)\n") and r.stderr == ""
    reply = json.loads(bob.run("search", name, "moon", "--json").stdout)
    assert reply["complete"] is True and [m["seq"] for m in reply["messages"]] == [1]
    assert bob.run("search", name, "nothing").stdout == ""
    assert "you are in no room nowhere" in bob.run("search", "nowhere", "moon", status=1).stderr
    assert "not a request" in bob.run("search", name, "...", status=1).stderr
    bob.run("search", name, status=2)


def test_what_was_changed_while_the_connection_was_away_is_told_once(own_realm, tmp_path):  # noqa: F811
    alice, bob, a, b = two_in_a_room(People(own_realm, tmp_path), "lounge")
    for text in ("one", "two"):
        say(a, text)
        b.expect(text)
    own_realm.kill("chat")
    b.expect("trying again")
    own_realm.start("chat")
    other = own_realm.chat(alice.user, extensions=True)
    other.ask("edit_message", "ack", room="lounge", seq=1, text="uno")
    other.ask("new_message", "ack", room="lounge", message="three")
    other.ask("edit_message", "ack", room="lounge", seq=4, text="tres")
    # Whatever came by which way: each change stands there once, and what was shown is not shown again.
    before = hears(b, 3, alice.user, " edits #1: uno")
    assert "#1\x1b" not in before and "#2\x1b" not in before
    b.expect("#4\x1b")
    b.expect("tres")
    say(b, "/search uno tres nothing")
    rest = b.expect("0 found")
    assert "edits #1" not in rest
    for t in (a, b):
        quits(t)


def test_attack_an_edited_text_cannot_act_on_the_terminal(people):  # noqa: F811
    name = room("trap")
    alice, bob, a, b = two_in_a_room(people, name)
    chat = people.realm.chat(alice.user, extensions=True)
    chat.ask("new_message", "ack", room=name, message="harmless")
    chat.ask("edit_message", "ack", room=name, seq=1, text="\x1b[2J\u202e\nmoon")
    b.expect("edits #1: \\x1b[2J\\u202e\\nmoon")
    say(b, "/search moon")
    b.expect("1 found")
    assert "\\x1b[2J\\u202e\\nmoon (edited)" in bob.run("search", name, "moon").stdout
    for t in (a, b):
        quits(t)
