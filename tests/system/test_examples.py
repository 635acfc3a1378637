"""deploy/examples: what a newcomer tries first, behind nginx as deploy/up serves it."""
import base64
import json
import os
import queue
import secrets
import subprocess
import threading

import pytest

from conftest import ROOT
from kerbtest.kdc import ServiceTicket

EXAMPLES = os.path.join(ROOT, "deploy/examples")


@pytest.fixture
def realm(front_realm):
    return front_realm


def url(realm):
    return f"http://127.0.0.1:{realm.front.port}"


def login_sh(realm, user, password=None, service=()):
    return subprocess.run([os.path.join(EXAMPLES, "login.sh"), "--url", url(realm), user.name, *service],
                          input=(password or user.password) + "\n", capture_output=True, text=True, timeout=60)


# --- login.sh: curl, openssl, jq ---

def test_login_sh_gets_a_ticket_that_the_chat_takes(realm):
    user = realm.add_user()
    r = login_sh(realm, user)
    assert r.returncode == 0, r.stderr
    reply = json.loads(r.stdout)
    assert set(reply) == {"service", "time_to_live", "client_service_sk", "service_ticket", "timestamp"}
    assert len(base64.b64decode(reply["client_service_sk"])) == 16
    realm.chat(ServiceTicket(realm, user, reply)).fence()


def test_login_sh_of_a_name_and_password_with_all_letters(realm):
    user = realm.add_user(name="Zoë & co +" + secrets.token_hex(4), password="ä b+c&d=e%41'\"\\$x`y`")
    r = login_sh(realm, user)
    assert r.returncode == 0, r.stderr
    realm.chat(ServiceTicket(realm, user, json.loads(r.stdout))).fence()


def test_login_sh_again_and_again(realm):
    """Random letters in boxes, '+' and '/' and '=' among them."""
    user = realm.add_user()
    for _ in range(4):
        assert login_sh(realm, user).returncode == 0


def test_login_sh_with_a_wrong_password_says_so(realm):
    r = login_sh(realm, realm.add_user(), password="not it")
    assert r.returncode != 0 and "KDC_ERR_PREAUTH_FAILED" in r.stderr and not r.stdout


def test_login_sh_and_chat_py_tell_what_is_missing(realm):
    for program in "login.sh", "chat.py":
        run = [os.path.join(EXAMPLES, program), "--url", url(realm), "nobody"]
        r = subprocess.run(run, input="", capture_output=True, text=True, timeout=30)
        assert r.returncode == 1 and "no password was given" in r.stderr
        nowhere = dict(os.environ, KERB_URL="http://127.0.0.1:1")
        r = subprocess.run([run[0], "nobody"], input="pw\n", env=nowhere, capture_output=True, text=True, timeout=30)
        assert r.returncode == 1 and "no answer from http://127.0.0.1:1" in r.stderr and "Traceback" not in r.stderr


def test_login_sh_for_an_unknown_service_says_so(realm):
    r = login_sh(realm, realm.add_user(), service=["nothing"])
    assert r.returncode != 0 and "KDC_ERR_S_PRINCIPAL_UNKNOWN" in r.stderr and not r.stdout


# --- chat.py: a terminal client ---

class Terminal:
    """chat.py as somebody uses it."""

    def __init__(self, realm, user, tmp_path):
        self.popen = subprocess.Popen(
            [os.path.join(EXAMPLES, "chat.py"), "--url", url(realm), "--shares", str(tmp_path / f"{user.name}.json"),
             user.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        self.lines, self.seen = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()
        self.type(user.password)
        self.sees("logged in to chat")

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def type(self, line):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def sees(self, part):
        """Reads on until a line holds the part."""
        while True:
            try:
                line = self.lines.get(timeout=20)
            except queue.Empty:
                line = None
            assert line is not None, f"{part!r} was never shown: {self.seen}"
            self.seen.append(line)
            if part in line:
                return line

    def quit(self):
        self.type("/quit")
        assert self.popen.wait(20) == 0

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()


@pytest.fixture
def terminal(realm, tmp_path):
    opened = []

    def start(user):
        opened.append(Terminal(realm, user, tmp_path))
        return opened[-1]
    yield start
    for t in opened:
        t.kill()


def test_chat_py_two_of_three_unlock_a_room(realm, terminal):
    users = realm.add_users(3)
    a, b, c = (terminal(u) for u in users)
    room = "room-" + secrets.token_hex(4)
    a.type(f"/new {room} 2 {users[1].name} {users[2].name}")
    for t in (a, b, c):
        t.sees(f"room {room} of")
    a.type(f"/go {room}")
    b.sees(f"asks to open {room}")
    b.type(f"/go {room}")
    for t in (a, b, c):
        t.sees(f"room {room} is open")
    a.type("hello from a terminal")
    for t in (a, b, c):
        t.sees(f"[{room}] {users[0].name}: hello from a terminal")
    for t in (a, b, c):
        t.quit()
    # Later: the same shares, from their files.
    b, c = terminal(users[1]), terminal(users[2])
    b.type(f"/go {room}")
    c.sees("asks to open")
    c.type(f"/go {room}")
    for t in (b, c):
        t.sees("hello from a terminal")


def test_chat_py_other_commands(realm, terminal):
    a = terminal(realm.add_user())
    a.type("/save note some words")
    a.type("/get note")
    a.sees("note = some words")
    a.type("/online")
    a.sees("online: ")
    a.type("/go nowhere")
    a.sees("(not_found)")
    a.type("/help")
    a.sees("/quit")
    a.quit()
