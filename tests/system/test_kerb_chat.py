"""kerb chat, send, rooms, history and vault: people in terminals and scripts, against real daemons behind nginx."""
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from kerbtest.nginx import Front
from kerbtest.realm import User, free_port, realm_in, wait_until
from test_kerb import Kerb

def config():
    return {"proxy": {"trusted": "127.0.0.1"}, "policy": {"pbkdf2_iterations": 200000},
            "chat": {"listen": f"127.0.0.1:{free_port()}"}}


@pytest.fixture(scope="module")
def chat_realm(many_files, tmp_path_factory):
    with realm_in(tmp_path_factory.mktemp("kerbchat"), config=config()) as r:
        Front(r)
        yield r


@pytest.fixture
def own_realm(many_files, tmp_path):
    """One that may be restarted."""
    with realm_in(tmp_path / "own", config=config()) as r:
        Front(r)
        yield r


class People:
    """Makes people with a machine of their own, logged in."""

    def __init__(self, realm, directory):
        self.realm, self.dir, self.n = realm, directory, 0

    def machine(self, user):
        self.n += 1
        k = Kerb(self.realm, self.dir / f"machine{self.n}")
        k.user = user
        k.login(user)
        return k

    def add(self, n):
        return [self.machine(self.realm.add_user()) for _ in range(n)]

    def chat(self, kerb, *words):
        t = kerb.terminal("chat", *words)
        t.expect("/help lists the commands")
        return t


@pytest.fixture
def people(chat_realm, tmp_path):
    return People(chat_realm, tmp_path)


def room(base):
    """Ids of rooms are unique in a realm."""
    return f"{base}-{secrets.token_hex(4)}"


def say(terminal, text):
    terminal.type(text + "\r")


def quits(terminal):
    say(terminal, "/quit")
    assert terminal.end()[0] == 0


def make_room(a, *others, threshold=2, name):
    say(a, f"/new {name} {threshold} " + " ".join(others))


# --- people in terminals ---

def test_two_of_three_open_a_room_and_talk(people):
    board = room("board")
    alice, bob, carol = people.add(3)
    a, b, c = people.chat(alice), people.chat(bob), people.chat(carol)
    make_room(a, bob.user.name, carol.user.name, name=board)
    for t in (a, b, c):
        t.expect(f"your share of {board} is kept in your vault")
    say(a, f"/open {board}")
    a.expect(f"{board}: presented 1 of 2; the others who are here are asked")
    for t in (b, c):
        t.expect(f"{alice.user.name} asks for your share to open {board}")
    say(c, f"/refuse {board}")
    c.expect(f"your share of {board} stays with you")
    say(b, f"/approve {board}")
    b.expect(f"{board}: presented 2 of 2, it is open")
    a.expect(f"{board} is open: 0 messages")
    say(a, "the moon is full")
    b.expect("the moon is full")
    c.expect("the moon is full")
    say(b, "//slash first")
    a.expect("/slash first")
    for t in (a, b, c):
        quits(t)


def test_a_share_is_given_only_when_its_owner_says_so(people):
    quiet = room("quiet")
    alice, bob = people.add(2)
    a, b = people.chat(alice), people.chat(bob)
    make_room(a, bob.user.name, name=quiet)
    b.expect(f"your share of {quiet} is kept")
    say(a, f"/open {quiet}")
    b.expect(f"asks for your share to open {quiet}")
    say(b, "/rooms")  # b's client has had every chance to answer by itself
    b.expect(f"{quiet}: sealed, opens with 2 of 2 shares")
    say(b, "/refuse")
    b.expect(f"your share of {quiet} stays with you")
    say(a, f"/open {quiet}")
    a.expect("presented 1 of 2")
    a.expect("presented 1 of 2")
    say(a, "not yet")
    a.expect("you are in no room yet")


def test_a_member_who_leaves_closes_the_room_and_is_told_what_that_means(people):
    brief = room("brief")
    alice, bob = people.add(2)
    a, b = people.chat(alice), people.chat(bob)
    make_room(a, bob.user.name, name=brief)
    b.expect(f"your share of {brief} is kept")
    say(a, f"/leave {brief}")
    a.expect(f"it would be deleted for everybody: /leave {brief} delete")
    say(a, f"/open {brief}")
    b.expect("asks for your share")
    say(b, "/approve")
    a.expect(f"{brief} is open")
    quits(b)
    a.expect(f"{brief} is closed: too few of its members are here")
    say(a, f"/leave {brief} delete")
    a.expect(f"deleted {brief}")
    say(a, "/rooms")
    a.expect("you are in no room; /new makes one")


def test_history_comes_back_after_a_restart(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, bob = people.add(2)
    a, b = people.chat(alice), people.chat(bob)
    make_room(a, bob.user.name, name="board")
    b.expect("your share of board is kept")
    say(a, "/open board")
    b.expect("asks for your share")
    say(b, "/approve board")
    a.expect("board is open: 0 messages")
    say(a, "before the restart")
    b.expect("before the restart")
    own_realm.restart("chat")
    for t in (a, b):
        t.expect("trying again")
        t.expect("the connection is back", timeout=40)
    say(b, "/open board")
    a.expect(f"{bob.user.name} asks for your share")
    say(a, "/approve board")
    b.expect("board is open: 1 message")
    say(b, "/history")
    b.expect("before the restart")
    r = bob.run("history", "board")
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d #1 {alice.user.name}: before the restart\n", r.stdout)


def test_what_was_said_while_the_connection_was_away_is_shown(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, bob = people.add(2)
    assert alice.run("rooms").returncode == 0
    b = people.chat(bob)
    say(b, f"/new lounge 0 {alice.user.name}")
    b.expect("you are in the room lounge")
    say(b, "/open lounge")
    b.expect("lounge is open: 0 messages")
    assert alice.run("send", "lounge", "before").returncode == 0
    b.expect("before")
    os.kill(b.pid, signal.SIGSTOP)
    own_realm.kill("chat")
    own_realm.start("chat")
    for i in range(3):
        assert alice.run("send", "lounge", f"meanwhile {i}").returncode == 0
    os.kill(b.pid, signal.SIGCONT)
    for i in range(3):
        b.expect(f"meanwhile {i}", timeout=40)
    say(b, "and on")
    b.expect("and on")
    say(b, "/quit")
    status, rest = b.end()
    assert status == 0 and "meanwhile" not in rest


def in_open_room(people):
    """Two who talk in a room without a secret."""
    alice, bob = people.add(2)
    a, b = people.chat(alice), people.chat(bob)
    make_room(a, bob.user.name, threshold=0, name="lounge")
    b.expect("you are in the room lounge")
    for t in (a, b):
        say(t, "/open lounge")
        t.expect("lounge is open: 0 messages")
    return alice, bob, a, b


def texts(kerb, name):
    return [m["text"] for m in json.loads(kerb.run("history", name, "--json").stdout)]


def test_what_is_typed_without_a_connection_is_sent_once_and_in_order(own_realm, tmp_path):
    alice, bob, a, b = in_open_room(People(own_realm, tmp_path))
    said = [f"line {i}." for i in range(40)]
    for text in said[:10]:
        say(a, text)
    own_realm.kill("chat")  # some of it is under way
    a.expect("trying again")
    for text in said[10:30]:
        say(a, text)
    a.expect("waits for the connection: line 29.")
    a.type("half a li")
    a.expect("half a li", timeout=2)  # the terminal goes on
    own_realm.start("chat")
    a.type("ne\r")
    a.expect("the connection is back", timeout=40)
    for text in said[30:]:
        say(a, text)
    said.insert(30, "half a line")
    seen = b.expect(said[-1], timeout=40) + said[-1]
    assert re.findall(r"half a line|line \d+\.", seen) == said
    say(b, "all of it?")
    a.expect("all of it?")
    assert texts(bob, "lounge") == said + ["all of it?"]
    for t in (a, b):
        quits(t)


def test_a_signal_ends_the_chat_while_the_connection_is_sought(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, = people.add(1)
    a = people.chat(alice)
    own_realm.kill("chat")
    a.expect("trying again")
    time.sleep(3)  # the pauses have grown
    start = time.monotonic()
    os.kill(a.pid, signal.SIGTERM)
    assert a.end()[0] == 0 and time.monotonic() - start < 3


def test_what_is_typed_seeks_the_connection_at_once(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, = people.add(1)
    a = people.chat(alice)
    make_room(a, threshold=0, name="lounge")
    a.expect("you are in the room lounge")
    say(a, "/open lounge")
    a.expect("lounge is open: 0 messages")
    own_realm.kill("chat")
    a.expect("trying again")
    time.sleep(16)  # the pauses have grown: 0.5, 1, 2, 4, 8 s, or half of it
    own_realm.start("chat")
    say(a, "now")
    a.expect("the connection is back", timeout=3)
    a.expect(f"{alice.user.name}:\x1b[0m now", timeout=3)
    quits(a)


def test_what_is_typed_for_a_closed_room_is_sent_when_it_is_open(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, bob = people.add(2)
    a, b = people.chat(alice), people.chat(bob)
    make_room(a, bob.user.name, name="board")
    b.expect("your share of board is kept")
    say(a, "/open board")
    b.expect("asks for your share")
    say(b, "/approve board")
    for t in (a, b):
        t.expect("board is open: 0 messages")
    said = [f"line {i}." for i in range(30)]
    for text in said[:10]:
        say(a, text)
    own_realm.restart("chat")
    for text in said[10:20]:
        say(a, text)
    a.expect("to a sealed room your share must be presented again", timeout=40)
    a.expect("the room is closed (/open asks for the shares); waits until it is open: line 19.")
    for text in said[20:]:
        say(a, text)
    seen = b.expect("the connection is back", timeout=40)
    say(b, "/open board")
    a.expect("asks for your share")
    say(a, "/approve board")
    seen += b.expect(said[-1]) + said[-1]
    assert re.findall(r"line \d+\.", seen) == said
    say(b, "all of it?")
    a.expect("all of it?")
    assert texts(bob, "board") == said + ["all of it?"]
    for t in (a, b):
        quits(t)


def test_what_was_not_sent_is_told_at_the_end(own_realm, tmp_path):
    alice, bob, a, b = in_open_room(People(own_realm, tmp_path))
    own_realm.kill("chat")
    a.expect("trying again")
    for i in range(200):
        say(a, f"line {i}.")
        a.expect(f"waits for the connection: line {i}.")
    say(a, "one more")
    a.expect("not sent, too many messages wait: one more")
    say(a, "/quit")
    status, rest = a.end()
    assert status == 1 and "not acknowledged in lounge: line 0." in rest
    assert "not acknowledged in lounge: line 199." in rest and "one more" not in rest


def test_a_script_waits_for_the_connection(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, bob = people.add(2)
    open_room(people, alice, bob, name="lounge")
    p = subprocess.Popen([alice.bin, "chat", "lounge"], env=alice.env, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    while "lounge is open" not in p.stdout.readline():
        pass
    own_realm.kill("chat")
    said = [f"line {i}." for i in range(300)]  # more than are kept
    p.stdin.write("\n".join(said[:150]) + "\n")
    p.stdin.flush()
    own_realm.start("chat")
    out, _ = p.communicate("\n".join(said[150:]) + "\n/edit line 299!\n", timeout=90)
    assert p.returncode == 0, out
    messages = [m for m in json.loads(bob.run("history", "lounge", "--json").stdout) if "edits" not in m]
    assert [m["text"] for m in messages][-90:] == said[210:299] + ["line 299!"]
    assert messages[-1]["seq"] == len(said)


def test_a_script_fails_when_a_text_was_not_taken(people):
    alice, = people.add(1)
    r = alice.run("chat", stdin="said to nobody\n", status=1)
    assert "not sent, for it is in no room: said to nobody" in r.stdout


def test_for_how_long_messages_are_kept_is_shown(many_files, tmp_path):
    bounded = config()
    bounded["chat"]["keep_days_max"] = "30"
    with realm_in(tmp_path / "own", config=bounded) as realm:
        Front(realm)
        people = People(realm, tmp_path)
        alice, = people.add(1)
        a = people.chat(alice)
        make_room(a, threshold=0, name="lounge")
        a.expect("you are in the room lounge")
        say(a, "/rooms")
        a.expect("lounge: open to its members; messages are kept for 30 days; online: ")
        say(a, "/new brief 0,1d")
        a.expect("you are in the room brief")
        say(a, "/rooms")
        a.expect("brief: open to its members; messages are kept for 1 day; online: ")
        say(a, "/new long 0,31d")
        a.expect("a limit of this server is reached")
        for bad in ("0,", "0,d", "0,1", "0,0d", "0,36501d", "0,1d,", ",1d", "x"):
            say(a, f"/new bad {bad}")
            a.expect("/new ROOM N[,DAYSd] USER...")
        quits(a)
        assert "; messages are kept for 30 days; members: " in alice.run("rooms").stdout


def unread(kerb, name):
    shown = re.search(rf"^{name} .*?; (\d+) unread", kerb.run("rooms").stdout, re.M)
    return int(shown[1]) if shown else 0


def test_what_was_shown_is_read(people):
    plain, other = room("plain"), room("other")
    alice, bob = people.add(2)
    for name in (plain, other):
        open_room(people, alice, bob, name=name)
        for i in range(3):
            bob.run("send", name, f"line {i}.")
    assert [unread(alice, x) for x in (plain, other)] == [3, 3]
    alice.run("chat", plain, stdin="/who\n")  # a script reads nothing
    assert unread(alice, plain) == 3
    a = people.chat(alice, plain)
    a.expect("line 2.")
    wait_until(lambda: unread(alice, plain) == 0)
    for i in range(3, 9):
        bob.run("send", plain, f"line {i}.")
    a.expect("line 8.")
    wait_until(lambda: unread(alice, plain) == 0)
    bob.run("send", other, "line 3.")
    a.expect(f"[{other}] ")  # shown, but not what was before it
    say(a, "/rooms")
    a.expect(f"{other}: open to its members; 4 unread")
    say(a, f"/open {other}")
    a.expect(f"{other} is open")
    quits(a)
    assert [unread(alice, x) for x in (plain, other)] == [0, 0]


# --- the vault ---

def sealed_room(people, *members, name):
    """A 2-of-n room whose shares all lie in the vaults."""
    terminals = [people.chat(m) for m in members]
    make_room(terminals[0], *(m.user.name for m in members[1:]), name=name)
    for t in terminals:
        t.expect(f"your share of {name} is kept in your vault")
    for m, t in zip(members, terminals):
        quits(t)
        assert not os.path.exists(m.cache + ".shares")


def opens(people, kerb, name):
    """What his own share does on this machine."""
    t = people.chat(kerb, name)
    t.expect(f"{name}: presented 1 of 2")
    quits(t)


def test_a_second_device_has_the_shares(people):
    board = room("board")
    alice, bob = people.add(2)
    sealed_room(people, alice, bob, name=board)
    phone = people.machine(alice.user)
    opens(people, phone, board)


def test_passwd_rewraps_the_vault(people):
    board = room("board")
    alice, bob = people.add(2)
    sealed_room(people, alice, bob, name=board)
    changed = User(alice.user.name, "a much longer password " + alice.user.password[-8:])
    people.realm.remember("password", changed.password)
    alice.run("passwd", stdin=f"{alice.user.password}\n{changed.password}\n")
    opens(people, alice, board)
    opens(people, people.machine(changed), board)


def reset(people, user):
    """By an administrator, who does not know the password."""
    fresh = User(user.name, "reset password " + user.password[-8:])
    people.realm.kerbadm("user", "passwd", user.name, "--password-file", "-", stdin=fresh.password + "\n")
    people.realm.remember("password", fresh.password)
    return fresh


def test_a_reset_loses_the_vault_unless_the_old_password_is_known(people):
    board = room("board")
    alice, bob = people.add(2)
    sealed_room(people, alice, bob, name=board)
    old, fresh = alice.user, reset(people, alice.user)
    alice.run("logout")
    r = alice.login(fresh)
    assert "under an earlier password" in r.stderr
    assert "'kerb vault recover'" in alice.run("vault", status=1).stderr
    t = people.chat(alice, board)
    t.expect("your vault is not open")
    quits(t)
    assert "does not open" in alice.run("vault", "recover", stdin=f"wrong {old.password}\n{fresh.password}\n",
                                        status=1).stderr
    assert "wrong name or password" in alice.run("vault", "recover", stdin=f"{old.password}\nwrong word\n",
                                                 status=1).stderr
    alice.run("vault", "recover", stdin=f"{old.password}\n{fresh.password}\n")
    alice.run("vault")
    opens(people, alice, board)
    opens(people, people.machine(fresh), board)


def test_a_machine_that_still_has_the_vault_saves_it_from_a_reset(people):
    board = room("board")
    alice, bob = people.add(2)
    sealed_room(people, alice, bob, name=board)
    fresh = reset(people, alice.user)
    assert alice.login(fresh).stderr == ""
    opens(people, alice, board)
    opens(people, people.machine(fresh), board)


def test_a_new_vault_says_which_shares_are_lost(people):
    board = room("board")
    alice, bob = people.add(2)
    sealed_room(people, alice, bob, name=board)
    fresh = reset(people, alice.user)
    alice.run("logout")
    alice.login(fresh)
    assert "shares of the old one are lost" in alice.run("vault", "new", stdin=fresh.password + "\n").stdout
    t = people.chat(alice, board)
    t.expect("reset of your password by an administrator, and then lost")
    second = room("second")
    make_room(t, bob.user.name, name=second)
    t.expect(f"your share of {second} is kept in your vault")


def test_a_share_that_comes_without_a_vault_waits_on_the_machine(people):
    board = room("board")
    alice, bob = people.add(2)
    old, fresh = bob.user, reset(people, bob.user)
    bob.run("logout")
    bob.login(fresh)  # his vault, made at the first login, does not open
    a, b = people.chat(alice), people.chat(bob)
    make_room(a, bob.user.name, name=board)
    b.expect(f"your share of {board} is kept on this machine only")
    assert os.stat(bob.cache + ".shares").st_mode & 0o7777 == 0o600
    say(b, f"/open {board}")
    b.expect("presented 1 of 2")
    quits(b)
    bob.run("vault", "recover", stdin=f"{old.password}\n{fresh.password}\n")
    bob.run("rooms")  # any connection brings it to the vault
    assert not os.path.exists(bob.cache + ".shares")
    opens(people, people.machine(fresh), board)


# --- scripts ---

def open_room(people, *members, name):
    """A room without a secret."""
    t = people.chat(members[0])
    make_room(t, *(m.user.name for m in members[1:]), threshold=0, name=name)
    t.expect(f"you are in the room {name} (open to its members)")
    quits(t)


def test_scripts_send_list_and_read(people):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    assert alice.run("send", plain, "one").stdout == ""
    alice.run("send", plain, stdin="two\nlines\n")
    ack = json.loads(bob.run("send", plain, "three", "--json").stdout)
    assert ack["type"] == "ack" and ack["seq"] == 3
    lines = bob.run("history", plain).stdout.splitlines()
    assert [x.split(" ", 2)[2] for x in lines] == [f"#1 {alice.user.name}: one", f"#2 {alice.user.name}: two\\nlines",
                                                   f"#3 {bob.user.name}: three"]
    messages = json.loads(bob.run("history", plain, "--json").stdout)
    assert [m["text"] for m in messages] == ["one", "two\nlines", "three"]
    rooms = json.loads(alice.run("rooms", "--json").stdout)
    assert [r["room"] for r in rooms["rooms"]] == [plain]
    assert alice.user.name in rooms["users_online"]
    text = alice.run("rooms").stdout
    assert text.startswith(plain) and "open to its members" in text and bob.user.name in text


def test_scripts_fail_with_a_sentence(people):
    shut = room("shut")
    alice, bob = people.add(2)
    sealed_room(people, alice, bob, name=shut)
    assert "closed" in alice.run("send", shut, "x", status=1).stderr
    assert f"'kerb chat {shut}'" in alice.run("history", shut, status=1).stderr
    for words in (("send", "nowhere", "x"), ("history", "nowhere")):
        assert alice.run(*words, status=1).stderr == "kerb: you are in no room nowhere; 'kerb rooms' lists yours\n"
    assert "no text" in alice.run("send", shut, "", status=2).stderr
    alice.run("send", status=2)
    alice.run("rooms", "more", status=2)
    alice.run("history", "a\x1bb", status=2)
    alice.run("vault", "old", status=2)
    alice.run("logout")
    assert "kerb login" in alice.run("rooms", status=1).stderr
    assert "kerb login" in alice.run("chat", status=1).stderr


def test_chat_without_a_terminal_is_plain_text(people):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    r = alice.run("chat", plain, stdin="hello from a pipe\n/who\n/nonsense\n")
    assert "\x1b" not in r.stdout
    assert f"{alice.user.name}: hello from a pipe" in r.stdout
    assert "there is no command /nonsense" in r.stdout


def test_no_color_is_respected(people):
    alice, = people.add(1)
    alice.env["NO_COLOR"] = "1"
    t = people.chat(alice)
    say(t, "/help")
    text = t.expect("send a text that begins with a slash")
    assert not re.search(r"\x1b\[[0-9;]*m", text)


def test_what_others_write_cannot_act_on_the_terminal(people):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    t = people.chat(alice, plain)
    bob.run("send", plain, "\x1b]0;title\x07\x1b[2Jgone\r\u202eevil\x9b31m")
    t.expect("\\x1b]0;title\\x07\\x1b[2Jgone\\x0d\\u202eevil\\x9b31m")
    history = bob.run("history", plain).stdout
    assert "\x1b" not in history and "\\x1b[2Jgone" in history
    raw = bob.run("history", plain, "--json").stdout
    assert all(" " <= c <= "~" for c in raw.rstrip("\n"))


def test_the_line_being_typed_survives_what_comes(people):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    t = people.chat(alice, plain)
    t.expect(f"{plain} is open")
    t.type("half of a ")
    t.expect("half of a ")
    bob.run("send", plain, "interrupted")
    t.expect("interrupted")
    t.expect(f"{plain}> half of a ")
    t.type("sentence\r")
    t.expect("half of a sentence")
    wait_until(lambda: [m["text"] for m in json.loads(bob.run("history", plain, "--json").stdout)] ==
               ["interrupted", "half of a sentence"])


# --- trace ---

def records(trace):
    """(arrow, type, whether it has a label) of each record; every such line has a size."""
    lines = [x for x in trace.splitlines() if " record: " in x]
    found = [re.fullmatch(r"(->|<-) record: (\w+)(, id k\d+)?, (\d+) bytes", x) for x in lines]
    assert all(found), lines
    assert all(int(m[4]) > 50 for m in found), lines
    return [(m[1], m[2], bool(m[3])) for m in found]


def assert_no_secret(text, *secret):
    for s in secret:
        assert s not in text
    assert not re.search(r"[0-9]-[0-9a-f]{16}", text), "a share"
    assert not re.search(r"[A-Za-z0-9_-]{40,}", text), "something long that nobody can read"


def test_trace_shows_what_is_said_and_not_its_content(people):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    sent = alice.run("trace", "send", plain, "the moon is full").stderr
    assert ("<-", "handshake", False) in records(sent)
    assert records(sent).index(("->", "new_message", True)) < records(sent).index(("<-", "ack", True))
    assert "moon" not in sent
    read = bob.run("trace", "history", plain)
    assert {("->", "online", True), ("->", "go_room", True), ("<-", "room_messages", True)} <= set(records(read.stderr))
    assert "moon" in read.stdout and "moon" not in read.stderr
    assert_no_secret(sent + read.stderr, alice.user.password, bob.user.password)


def test_trace_shows_no_share_and_nothing_of_the_vault(people):
    board = room("board")
    alice, bob = people.add(2)
    r = alice.run("trace", "chat", stdin=f"/new {board} 1 {bob.user.name}\n/open {board}\nthe moon is full\n")
    assert f"{board} is open" in r.stdout and "the moon is full" in r.stdout
    assert {("->", "new_room", True), ("<-", "new_room", True), ("->", "save_data", True), ("->", "go_room", True),
            ("->", "new_message", True), ("<-", "new_message", False)} <= set(records(r.stderr))
    changed = "a much longer password " + alice.user.password[-8:]
    people.realm.remember("password", changed)
    p = alice.run("trace", "passwd", stdin=f"{alice.user.password}\n{changed}\n")
    assert {("->", "save_data", True), ("<-", "ack", True)} <= set(records(p.stderr))
    alice.run("logout")
    v = alice.run("trace", "login", alice.user.name, stdin=f"{changed}\n")
    assert {("->", "get_data", True), ("<-", "data", True)} <= set(records(v.stderr))
    assert_no_secret(r.stderr + p.stderr + v.stderr, "moon", alice.user.password, changed, '"')


def test_trace_shows_a_ticket_once_for_a_connection(people):
    alice, = people.add(1)
    alice.run("logout")
    alice.login(alice.user)
    first, again = (alice.run("trace", "rooms").stderr for _ in range(2))
    kept = "the ticket for chat that is kept is still good: nothing is sent"
    assert first.count("/tgs,") == 1 and kept not in first
    assert again.count("/tgs,") == 0 and again.count(kept) == 1


# --- the way between ---

class Between:
    """A TCP forwarder to the realm's front that may speak TLS to the client and change what the server says."""

    def __init__(self, port, context=None, change=lambda data: data):
        self.port_behind, self.context, self.change = port, context, change
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
        except OSError:
            return
        behind = socket.create_connection(("127.0.0.1", self.port_behind))
        threading.Thread(target=self.pump, args=(s, behind, lambda data: data), daemon=True).start()
        self.pump(behind, s, self.change)

    @staticmethod
    def pump(source, target, change):
        try:
            while data := source.recv(65536):
                target.sendall(change(data))
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


@pytest.fixture
def between(chat_realm):
    made = []

    def make(**how):
        made.append(Between(chat_realm.front.port, **how))
        return made[-1]
    yield make
    for b in made:
        b.close()


def make_certificate(directory, name):
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


def test_over_tls_the_certificate_is_checked(people, between, tmp_path):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    context, cert = make_certificate(tmp_path, "localhost")
    url = f"https://localhost:{between(context=context).port}"
    alice.run("send", plain, "over TLS", "--url", url, "--ca-file", cert)
    assert "over TLS" in bob.run("history", plain).stdout
    # the ticket is there, so nothing but the websocket is asked for
    r = alice.run("send", plain, "to a stranger", "--url", url, status=1)
    assert "no connection to the chat" in r.stderr
    assert "to a stranger" not in bob.run("history", plain).stdout


def test_over_tls_the_name_is_checked(people, between, tmp_path):
    alice, = people.add(1)
    alice.run("rooms")
    context, cert = make_certificate(tmp_path, "chat.example.org")
    url = f"https://localhost:{between(context=context).port}"
    assert "no connection to the chat" in alice.run("rooms", "--url", url, "--ca-file", cert, status=1).stderr


def test_a_server_that_does_not_echo_the_subprotocol_is_left(people, between):
    alice, = people.add(1)
    alice.run("rooms")

    def strip(data):
        return re.sub(rb"(?i)sec-websocket-protocol:[^\r]*\r\n", b"", data)
    url = f"http://127.0.0.1:{between(change=strip).port}"
    assert "does not speak kerb.v1" in alice.run("rooms", "--url", url, status=1).stderr


def test_a_redirect_is_not_followed(people, between):
    alice, = people.add(1)
    alice.run("rooms")

    def redirect(data):
        if data.startswith(b"HTTP/1.1 101"):
            return (f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{people.realm.front.port}/chat\r\n"
                    "Content-Length: 0\r\n\r\n").encode()
        return data
    url = f"http://127.0.0.1:{between(change=redirect).port}"
    assert "no connection to the chat" in alice.run("rooms", "--url", url, status=1).stderr


def test_a_changed_record_ends_the_connection(people, between):
    alice, = people.add(1)
    alice.run("rooms")

    def flip(data):  # binary frames are records; the first one is the server's handshake
        if data[:1] == b"\x82":
            data = data[:-1] + bytes([data[-1] ^ 1])
        return data
    url = f"http://127.0.0.1:{between(change=flip).port}"
    assert "cannot be trusted" in alice.run("rooms", "--url", url, status=1).stderr


# --- tickets that end ---

def has_vault(kerb):
    with open(kerb.cache, encoding="utf-8") as f:
        return "vault" in json.load(f)


def test_a_cut_off_ends_the_chat_and_the_login(people):
    alice, = people.add(1)
    t = people.chat(alice)
    people.realm.kerbadm("user", "disable", alice.user.name)
    t.expect("the realm takes this login no longer: kerb login")
    assert t.end()[0] == 1
    alice.run("list", "-s", status=1)
    assert has_vault(alice)
    people.realm.kerbadm("user", "enable", alice.user.name)
    alice.login(alice.user)
    alice.run("list", "-s")
    alice.run("rooms")


def test_a_ticket_for_the_chat_that_was_cut_off_ends_the_login(people):
    alice, = people.add(1)
    alice.run("rooms")
    people.realm.kerbadm("user", "disable", alice.user.name)
    time.sleep(2.5)
    assert "the realm takes this login no longer: kerb login" in alice.run("rooms", status=1).stderr
    alice.run("list", "-s", status=1)


def test_somebody_who_is_shown_the_door_stays_logged_in(people, between):
    alice, = people.add(1)

    def kick(data):  # close 4503 behind a record
        return data + b"\x88\x02" + (4503).to_bytes(2, "big") if data[:1] == b"\x82" else data
    url = f"http://127.0.0.1:{between(change=kick).port}"
    t = alice.terminal("chat", "--url", url)
    t.expect("shown the door")
    assert t.end()[0] == 1
    alice.run("list", "-s")
    alice.run("rooms")



def test_a_long_chat_renews_its_ticket_on_the_same_connection(many_files, tmp_path):
    brief = config()
    brief["policy"]["sealed_service_lifetime"] = 63
    with realm_in(tmp_path / "brief", config=brief) as realm:
        Front(realm)
        people = People(realm, tmp_path)
        alice, bob = people.add(2)
        open_room(people, alice, bob, name="plain")
        t = people.chat(alice, "plain")
        t.expect("plain is open")

        def end_of_ticket():
            return max(e["end_time"] for e in alice.list()["tickets"] if e["service"] == "chat")
        first = end_of_ticket()
        wait_until(lambda: t._read(0.05) and end_of_ticket() > first + 3, timeout=30, what="a fresh ticket")
        say(t, "still here")
        assert "trying again" not in t.expect(f"{alice.user.name}:")
        t.expect("still here")
        alice.run("logout")
        quits(t)


# --- keys ---

def test_keys_edit_the_line_and_none_of_them_stops_the_rest(people):
    plain = room("plain")
    alice, bob = people.add(2)
    open_room(people, alice, bob, name=plain)
    t = people.chat(alice, plain)
    t.expect("is open")
    t.type("grün 你好 x")
    t.expect("x")
    t.type("\x7f\x7f!\r")  # backspace
    t.expect(f"{alice.user.name}:")
    t.expect("grün 你好!")
    t.type("\x7f")  # on an empty line
    t.type("\x1b")  # Escape alone: libedit waits for the rest of a key
    time.sleep(0.5)
    bob.run("send", plain, "still shown")
    t.expect("still shown")
    t.type("\x1b[A\r")  # the line before, once more
    t.expect("grün 你好!")
    wait_until(lambda: len(json.loads(bob.run("history", plain, "--json").stdout)) == 3)
    t.type("\x04")
    assert t.end()[0] == 0


def test_a_signal_gives_the_terminal_back(people):
    alice, = people.add(1)
    t = people.chat(alice)
    t.expect("> ")
    os.kill(t.pid, signal.SIGTERM)
    assert t.end()[0] == 0
