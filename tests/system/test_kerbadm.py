"""kerbadm: each command does what it says, refuses what it should, and never leaves half of something behind."""
import base64
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import sqlite3
import stat
import subprocess
import termios
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERBADM = str(Path(os.environ.get("KERB_BIN", ROOT / "build/dev/bin")) / "kerbadm")
OWN = ["kerb/admin", "kerb/changepw"]
MADE = {"as/as.db", "as/master.key", "as/as.keytab", "tgs/tgs.db", "tgs/master.key", "tgs/tgs.keytab", "chat/master.key",
        "chat/chat.keytab"}


class State:
    """A state directory and kerbadm on it."""

    def __init__(self, path):
        self.path = Path(path)

    def __truediv__(self, sub):
        return self.path / sub

    def run(self, *words, stdin=b"", **more):
        return subprocess.run([KERBADM, "--state", str(self.path), *map(str, words)], input=stdin, capture_output=True,
                              timeout=60, **more)

    def ok(self, *words, stdin=b""):
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def json(self, *words, stdin=b""):
        return json.loads(self.ok("--json", *words, stdin=stdin))

    def refused(self, *words, stdin=b"", why, status=1):
        done = self.run(*words, stdin=stdin)
        assert done.returncode == status, done
        assert re.search(why, done.stderr.decode()), done.stderr
        return done

    def add(self, name, password="a long password"):
        self.ok("user", "add", name, "--password-file", "-", stdin=password.encode() + b"\n")
        return self.user(name)

    def user(self, name):
        return self.json("user", "show", name)

    def problems(self):
        done = self.run("--json", "check")
        told = json.loads(done.stdout)
        assert told["ok"] == (done.returncode == 0) == (told["problems"] == [])
        return told["problems"]

    def files(self):
        return {str(p.relative_to(self.path)) for p in self.path.rglob("*") if not p.is_dir()}


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    s = State(tmp_path_factory.mktemp("kerbadm") / "state")
    s.ok("init", "--realm", "TEST.REALM")
    return s


@pytest.fixture
def state(template, tmp_path):
    """A fresh realm of one's own."""
    shutil.copytree(template.path, tmp_path / "state")
    return State(tmp_path / "state")


@pytest.fixture
def empty(tmp_path):
    return State(tmp_path / "state")


# --- init ---

def test_init_makes_private_files_and_no_user(empty):
    told = empty.json("init", "--realm", "TEST.REALM")
    assert told == {"realm": "TEST.REALM", "state": str(empty.path), "config": str(empty / "kerb.conf"),
                    "services": ["chat", *OWN]}
    assert empty.files() == MADE | {"kerb.conf"}
    assert {mode(empty / f) for f in MADE} == {0o600}
    assert {mode(empty / d) for d in ("as", "tgs", "chat")} == {0o700}
    assert empty.json("user", "list") == {"users": []}
    assert [s["name"] for s in empty.json("service", "list")["services"]] == ["chat", *OWN]
    assert empty.problems() == []


def test_init_draws_fresh_keys(tmp_path):
    a, b = State(tmp_path / "a"), State(tmp_path / "b")
    a.ok("init")
    b.ok("init")
    for key in ("as/master.key", "tgs/master.key", "chat/master.key", "tgs/tgs.keytab", "chat/chat.keytab"):
        assert json.loads((a / key).read_text())["keys"][0]["key"] != json.loads((b / key).read_text())["keys"][0]["key"]


def test_init_refuses_a_realm_that_is_there(state):
    before = {f: (state / f).read_bytes() for f in state.files()}
    state.refused("init", why="already")
    assert {f: (state / f).read_bytes() for f in state.files()} == before


@pytest.mark.parametrize("lost", sorted(MADE | {"kerb.conf"}))
def test_init_tells_what_a_half_made_state_lacks(state, lost):
    (state / lost).unlink()
    before = state.files()
    state.refused("init", why=f"half made: .*but not {lost}")
    assert state.files() == before


def test_init_keeps_a_configuration_that_is_there(empty):
    empty.path.mkdir()
    (empty / "kerb.conf").write_text("[realm]\nname = MINE\n[chat]\nservice = talk\n")
    assert empty.json("init")["services"] == ["talk", *OWN]
    assert json.loads((empty / "chat/chat.keytab").read_text())["keys"][0]["principal"] == "talk"
    assert empty.problems() == []


def test_init_refuses_another_realm_than_the_configuration_has(empty):
    empty.path.mkdir()
    (empty / "kerb.conf").write_text("[realm]\nname = MINE\n")
    empty.refused("init", "--realm", "OTHER", why="'MINE', not 'OTHER'")
    assert empty.files() == {"kerb.conf"}


@pytest.mark.parametrize("realm", ["", " X", "X ; Y", "a\nb", "x" * 65])
def test_init_refuses_a_name_that_the_configuration_cannot_hold(empty, realm):
    empty.refused("init", "--realm", realm, why="realm")
    assert not empty.path.exists()


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))


def test_init_that_fails_midway_takes_away_what_it_made(empty):
    assert empty.run("init", preexec_fn=small_files).returncode == 1
    assert not empty.path.exists()
    empty.ok("init")


def test_init_that_fails_midway_leaves_what_was_there(empty):
    (empty / "as").mkdir(parents=True, mode=0o700)
    os.chmod(empty / "as", 0o700)
    (empty / "notes").write_text("mine")
    assert empty.run("init", preexec_fn=small_files).returncode == 1
    assert {p.name for p in empty.path.iterdir()} == {"as", "notes"}
    assert list((empty / "as").iterdir()) == []


def test_init_refuses_a_directory_that_others_enter(empty):
    (empty / "chat").mkdir(parents=True)
    os.chmod(empty / "chat", 0o755)
    empty.refused("init", why="chat: .*0700")
    assert empty.files() == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_root_makes_files_for_the_owner_of_the_directory(empty):
    owners = {"as": 61001, "tgs": 61002, "chat": 61003}
    for d, uid in owners.items():
        (empty / d).mkdir(parents=True)
        os.chmod(empty / d, 0o700)
        os.chown(empty / d, uid, uid)
    empty.ok("init")
    empty.ok("service", "rotate", "chat")
    empty.ok("service", "rotate", "tgs")
    holds = sqlite3.connect(empty / "as/as.db")  # while it is open, -wal and -shm stay
    holds.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    empty.add("alice")
    assert {"as/as.db-wal", "as/as.db-shm"} <= empty.files()
    for f in empty.files() - {"kerb.conf"}:
        assert os.stat(empty / f).st_uid == owners[f.split("/")[0]], f
    assert empty.problems() == []
    holds.close()
    os.chown(empty / "tgs/tgs.keytab", 0, 0)
    assert any("tgs.keytab: belongs to user 0" in p for p in empty.problems())


# --- users ---

def test_a_user_is_added_and_shown(state):
    now = time.time()
    u = state.add("alice")
    assert u["name"] == "alice" and not u["disabled"] and u["kvno"] == 1 and u["epoch"] == 0
    assert abs(u["created"] - now) < 30 and abs(u["changed"] - now) < 30
    assert len(base64.urlsafe_b64decode(u["client_id"] + "==")) == 16
    state.add("Zoë")
    assert [x["name"] for x in state.json("user", "list")["users"]] == ["Zoë", "alice"]
    assert u in state.json("user", "list")["users"]
    text = state.ok("user", "show", "alice")
    assert u["client_id"] in text and "enabled" in text
    assert re.search(r"enabled .* alice\n", state.ok("user", "list"))


@pytest.mark.parametrize("name", ["", " a", "a ", "a\tb", "x" * 65, b"\xff"])
def test_bad_names_are_refused(state, name):
    done = subprocess.run([KERBADM, "--state", str(state.path), "user", "add", name, "--random"], capture_output=True)
    assert done.returncode == 1 and b"not a name" in done.stderr and done.stdout == b""


@pytest.mark.parametrize("name", ["alice", "ALICE"])
def test_a_name_is_given_once_whatever_its_capitals(state, name):
    state.add("alice")
    state.refused("user", "add", name, "--random", why="already")
    assert len(state.json("user", "list")["users"]) == 1


def test_random_passwords_are_long_and_printed_alone(state):
    seen = set()
    for i in range(20):
        out = state.ok("user", "add", f"u{i}", "--random")
        assert re.fullmatch(r"([0-9a-hjkmnp-tv-z]{5}-){4}[0-9a-hjkmnp-tv-z]{5}\n", out)  # 25 letters of 5 bits
        seen.add(out)
    assert len(seen) == 20
    told = state.json("user", "add", "last", "--random")
    assert told["name"] == "last" and len(told["password"]) == 29


def test_the_first_line_of_a_file_is_the_password(state, tmp_path):
    path = tmp_path / "password"
    path.write_bytes("pässword one\r\nignored \xff\n".encode())
    os.chmod(path, 0o600)
    done = state.run("user", "add", "alice", "--password-file", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    os.chmod(path, 0o644)
    done = state.run("user", "passwd", "alice", "--password-file", path)
    assert done.returncode == 0 and b"other users may read" in done.stderr


@pytest.mark.parametrize("password, why", [
    (b"", "empty"), (b"\nsecond line\n", "empty"), (b"\xff\xfe\n", "UTF-8"), (b"x" * 1025 + b"\n", "longer than 1024"),
    (b"x" * 1026, "longer than 1024"), (b"x" * 100_000, "longer than 1024")])
def test_bad_passwords_are_refused(state, password, why):
    state.refused("user", "add", "alice", "--password-file", "-", stdin=password, why=why)
    assert state.json("user", "list") == {"users": []}


@pytest.mark.parametrize("password", [b"x" * 1024, b"x" * 1024 + b"\n", "ä".encode() * 512])
def test_the_longest_password_is_accepted(state, password):
    state.ok("user", "add", "alice", "--password-file", "-", stdin=password)


@pytest.mark.parametrize("password, warning", [
    (b"short7777", b"too short: take 10 characters"), (b"long enough", b""), ("ääüöäöüäöü".encode(), b""),
    (b"alice-the-user", b"your name"), (b"ALICE-the-user", b"your name"), (b"Password2024!", b"tries first"),
    (b"qwertyuiop", b"tries first"), (b"abcabcabcabc", b"tries first")])
def test_weak_passwords_are_accepted_with_a_warning(state, password, warning):
    """The policy is that of kerb, by the same code."""
    done = state.run("user", "add", "alice-the-user", "--password-file", "-", stdin=password)
    assert done.returncode == 0
    assert warning in done.stderr and bool(done.stderr) == bool(warning)
    assert b"warning: 'alice-the-user'" in done.stderr or not warning
    again = state.run("user", "passwd", "alice-the-user", "--password-file", "-", stdin=password)
    assert again.returncode == 0 and warning in again.stderr


def test_a_missing_password_file_is_told(state):
    state.refused("user", "add", "alice", "--password-file", state / "none", why="No such file")


def test_a_new_password_is_a_new_key_version(state):
    before = state.add("alice")
    state.ok("user", "passwd", "alice", "--password-file", "-", stdin=b"another password\n")
    after = state.user("alice")
    assert after["kvno"] == 2 and after["client_id"] == before["client_id"]
    with sqlite3.connect(state / "as/as.db") as db:
        kept = db.execute("SELECT etype, kvno FROM principal_key WHERE principal > 0 ORDER BY etype").fetchall()
    assert kept == [(1, 2), (2, 2)]


def test_a_new_password_cuts_tickets_off_when_told_to(state):
    state.add("alice")
    state.ok("user", "passwd", "alice", "--random")
    assert state.user("alice")["epoch"] == 0
    state.ok("user", "passwd", "alice", "--random", "--cut-off")
    assert state.user("alice")["epoch"] == 1
    assert feed(state) == [(1, 0, 1)]


def feed(state):
    with sqlite3.connect(state / "as/as.db") as db:
        return db.execute("SELECT seq, kind, number FROM feed ORDER BY seq").fetchall()


# --- profiles ---

def test_a_password_makes_keys_for_every_profile_of_the_realm(state):
    assert state.add("alice")["profiles"] == ["sealed", "classic"]


def test_a_sealed_only_realm_makes_no_classic_keys(empty):
    empty.ok("init", "--sealed-only")
    assert "profiles = sealed\n" in (empty / "kerb.conf").read_text()
    assert empty.add("alice")["profiles"] == ["sealed"]
    assert empty.problems() == []


def test_sealed_only_contradicts_a_configuration_that_allows_more(empty):
    empty.path.mkdir()
    (empty / "kerb.conf").write_text("[realm]\nprofiles = sealed, classic\n")
    empty.refused("init", "--sealed-only", why="allows other profiles")
    assert empty.files() == {"kerb.conf"}


@pytest.mark.parametrize("text", ["", "sealed,", "sealed, sealed", "open", "sealed classic"])
def test_profiles_of_a_realm_are_known_words(state, text):
    with open(state / "kerb.conf", "a", encoding="utf-8") as conf:
        conf.write(f"profiles = {text}\n")
    state.refused("user", "list", why="profiles|key = value")


def test_dropping_classic_deletes_its_key_and_raises_the_epoch(state):
    state.add("alice")
    state.ok("user", "profiles", "alice", "sealed")
    u = state.user("alice")
    assert u["profiles"] == ["sealed"] and u["epoch"] == 1
    with sqlite3.connect(state / "as/as.db") as db:
        assert db.execute("SELECT etype FROM principal_key WHERE principal > 0").fetchall() == [(1,)]
    assert feed(state) == [(1, 0, 1)]
    state.refused("user", "profiles", "alice", "classic", why="no key of that profile")
    state.refused("user", "profiles", "alice", "all", why="profiles are")
    state.refused("user", "profiles", "alice", why="usage", status=2)


def test_a_password_that_brings_the_classic_key_back_says_so(state):
    state.add("alice")
    back = b"alice had no classic key before and has one now"
    assert back not in state.run("user", "passwd", "alice", "--random").stderr
    state.ok("user", "profiles", "alice", "sealed")
    done = state.run("user", "passwd", "alice", "--random")
    assert done.returncode == 0 and back in done.stderr
    assert state.user("alice")["profiles"] == ["sealed", "classic"]
    state.ok("user", "profiles", "alice", "sealed")
    with open(state / "kerb.conf", "a", encoding="utf-8") as conf:
        conf.write("profiles = sealed\n")
    assert back not in state.run("user", "passwd", "alice", "--random").stderr
    assert state.user("alice")["profiles"] == ["sealed"]


def test_report_lists_who_has_a_classic_key(state):
    state.add("alice")
    state.add("bob")
    state.ok("user", "profiles", "alice", "sealed")
    told = state.json("report", "classic")
    assert [u["name"] for u in told["users"]] == ["bob"] and told["of"] == 2 and told["classic_only"] == 0
    assert "1 of 2 users" in state.ok("report", "classic")


# --- administrators and codes ---

def test_administrators_are_made_and_unmade(state):
    assert not state.add("alice")["admin"]
    state.ok("admin", "grant", "alice")
    assert state.user("alice")["admin"] and "administrator" in state.ok("user", "list")
    state.ok("admin", "revoke", "alice")
    assert not state.user("alice")["admin"]
    state.refused("admin", "grant", "nobody", why="no user 'nobody'")


def take_registrations(state, word="invite"):
    with open(state / "kerb.conf", "a", encoding="utf-8") as conf:
        conf.write(f"registration = {word}\n")


@pytest.mark.parametrize("words, kind", [(["user", "code", "alice"], "reset"), (["invite"], "register"),
                                         (["invite", "--name", "bob"], "register"), (["admin", "code"], "first-admin")])
def test_codes_are_26_letters_for_an_hour(state, words, kind):
    take_registrations(state)
    state.add("alice")
    told = state.json(*words)
    assert told["kind"] == kind and abs(told["expires"] - time.time() - 3600) < 30
    assert re.fullmatch(r"([0-9a-hj-km-np-tv-z]{5}-){4}[0-9a-hj-km-np-tv-z]{6}", told["code"])
    assert state.ok(*words).strip() != told["code"]
    letters = told["code"].replace("-", "").encode()
    assert letters not in (state / "as/as.db").read_bytes()


def test_codes_are_refused_for_names_that_do_not_fit(state):
    take_registrations(state, "open")
    state.add("alice")
    state.refused("user", "code", "nobody", why="no user 'nobody'")
    state.refused("invite", "--name", "alice", why="already")


def test_no_invitation_to_a_realm_that_takes_no_registrations(state):
    for words in (["invite"], ["invite", "--name", "bob"]):
        done = state.refused(*words, why=r"'registration = invite' into \[realm\] of .*kerb\.conf")
        assert done.stdout == b""
    state.ok("admin", "code")  # good in every realm


def run_in_terminal(argv, answers):
    """Types each answer when its prompt has come; returns all that was shown and the exit status."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(argv[0], argv)
    shown = b""
    try:
        for prompt, answer in answers:
            while prompt not in shown:
                assert select.select([fd], [], [], 30)[0], shown
                shown += os.read(fd, 4096)
            time.sleep(0.05)
            os.write(fd, answer)
        while True:
            try:
                chunk = os.read(fd, 4096)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
    finally:
        os.close(fd)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_init_asks_for_the_first_administrator(empty):
    argv = [KERBADM, "--state", str(empty.path), "init"]
    shown, status = run_in_terminal(argv, [(b"administrator", b"root\n"), (b"Password of root", b"a good password\n"),
                                           (b"once more", b"a good password\n")])
    assert status == 0 and b"a good password" not in shown
    assert b"warning" not in shown
    u = empty.user("root")
    assert u["admin"] and u["profiles"] == ["sealed", "classic"]


def test_init_warns_of_a_weak_password_of_the_first_administrator(empty):
    shown, status = run_in_terminal([KERBADM, "--state", str(empty.path), "init"],
                                    [(b"administrator", b"root\n"), (b"Password of root", b"qwertyuiop\n"),
                                     (b"once more", b"qwertyuiop\n")])
    assert status == 0 and b"warning: 'root'" in shown


def test_init_takes_no_administrator_for_an_answer(empty):
    shown, status = run_in_terminal([KERBADM, "--state", str(empty.path), "init"], [(b"administrator", b"\n")])
    assert status == 0, shown
    assert empty.json("user", "list") == {"users": []} and empty.problems() == []


# --- the services of the AS itself ---

def test_services_of_the_as_lie_in_its_keytab(state):
    names = [k["principal"] for k in keys_of(state / "as/as.keytab")]
    assert names == OWN
    told = state.json("service", "rotate", "kerb/admin")
    assert told["keytab"] == str(state / "as/as.keytab")
    assert [k["kvno"] for k in keys_of(state / "as/as.keytab")] == [1, 2, 1]
    assert state.problems() == []


def make_older(state):
    """As a realm was before feeds, and before the AS had services."""
    with sqlite3.connect(state / "tgs/tgs.db") as db:
        db.executescript("DROP TABLE epoch; DROP TABLE feed_position; DROP TABLE feed; PRAGMA user_version = 1;"
                         "DELETE FROM service_key WHERE service IN (SELECT id FROM service WHERE name LIKE 'kerb/%');"
                         "DELETE FROM service WHERE name LIKE 'kerb/%';")
    (state / "as/as.keytab").unlink()


def test_upgrade_brings_an_older_realm_up_to_date(state):
    make_older(state)
    state.refused("service", "list", why="older schema: run kerbadm upgrade")
    assert state.problems() != []
    state.ok("upgrade")
    assert state.problems() == []
    assert [k["principal"] for k in keys_of(state / "as/as.keytab")] == OWN
    assert mode(state / "as/as.keytab") == 0o600
    before = (state / "as/as.keytab").read_bytes()
    state.ok("upgrade")
    assert (state / "as/as.keytab").read_bytes() == before and state.problems() == []


def test_upgrade_leaves_a_newer_database_alone(state):
    with sqlite3.connect(state / "tgs/tgs.db") as db:
        db.execute("PRAGMA user_version = 999")
    state.refused("upgrade", why="newer")


def test_an_unknown_command_shows_its_neighbours(state):
    told = state.refused("service", "ad", "x", why="no command 'service ad'", status=2).stderr.decode()
    assert "service rotate NAME" in told and "user add" not in told
    state.refused("--radnom", "user", "add", "x", why="kerbadm --help", status=2)
    state.refused("nonsense", why="kerbadm --help", status=2)


def test_check_tells_when_the_keytab_of_the_as_is_not_the_tgss(state):
    with sqlite3.connect(state / "tgs/tgs.db") as db:
        db.execute("DELETE FROM service_key WHERE service = (SELECT id FROM service WHERE name = 'kerb/admin')")
        db.execute("DELETE FROM service WHERE name = 'kerb/admin'")
    assert any("kerb/admin" in p for p in state.problems())
    (state / "as/as.keytab").unlink()
    assert any("as.keytab" in p for p in state.problems())
    with sqlite3.connect(state / "tgs/tgs.db") as db:
        db.execute("DELETE FROM service_key WHERE service = (SELECT id FROM service WHERE name = 'kerb/changepw')")
        db.execute("DELETE FROM service WHERE name = 'kerb/changepw'")
    for name in OWN:  # how a realm of before gets them
        state.ok("service", "add", name)
    assert state.problems() == []


def test_disabling_raises_the_epoch(state):
    state.add("alice")
    state.ok("user", "disable", "alice")
    u = state.user("alice")
    assert u["disabled"] and u["epoch"] == 1
    state.ok("user", "enable", "alice")
    u = state.user("alice")
    assert not u["disabled"] and u["epoch"] == 1


def test_a_list_may_be_of_names_that_begin_so(state):
    for name in ("alice", "alina", "al", "bob", "ällä"):
        state.ok("user", "add", name, "--random")

    def listed(*prefix):
        return [u["name"] for u in state.json("user", "list", *prefix)["users"]]
    assert listed() == listed("") == ["al", "alice", "alina", "bob", "ällä"]
    assert listed("ali") == ["alice", "alina"] and listed("ä") == ["ällä"] and listed("alice") == ["alice"]
    assert listed("A") == listed("alicex") == listed("%") == []
    assert [x.split()[-1] for x in state.ok("user", "list", "al").splitlines()] == ["name", "al", "alice", "alina"]
    state.refused("user", "list", "x" * 257, why="no name begins so")
    state.refused("user", "list", "a", "b", why="usage", status=2)


def test_who_gets_a_deleted_users_name_is_somebody_else(state):
    before = state.add("alice")
    state.ok("user", "del", "alice")
    assert state.json("user", "list") == {"users": []}
    assert state.add("alice")["client_id"] != before["client_id"]


@pytest.mark.parametrize("command", ["passwd", "disable", "enable", "del", "show"])
def test_unknown_users_are_told(state, command):
    state.refused("user", command, "nobody", why="no user 'nobody'")


# --- the prompt ---

class Terminal:
    """kerbadm on a terminal of its own."""

    def __init__(self, state, *words):
        pid, self.fd = pty.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background has it ignored
            os.execv(KERBADM, [KERBADM, "--state", str(state.path), *words])
        self.pid, self.seen = pid, b""

    def expect(self, text, within=10):
        end = time.monotonic() + within
        while text not in self.seen:
            assert select.select([self.fd], [], [], max(0, end - time.monotonic()))[0], self.seen
            try:
                got = os.read(self.fd, 4096)
            except OSError:
                got = b""
            assert got, self.seen
            self.seen += got

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def asks(self, prompt):
        self.expect(prompt)
        end = time.monotonic() + 5
        while self.echoes() and time.monotonic() < end:
            time.sleep(0.01)
        assert not self.echoes()

    def type(self, text):
        os.write(self.fd, text)

    def end(self, press=b""):
        """Waits, pressing a key now and then. Returns the exit status as subprocess has it."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            os.write(self.fd, press)
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(self.seen)


def test_the_prompt_asks_twice_and_shows_nothing(state):
    t = Terminal(state, "user", "add", "alice")
    t.asks(b"Password of alice: ")
    t.type(b"prompted password\n")
    t.asks(b"once more: ")
    t.type(b"prompted password\n")
    assert t.end() == 0
    assert b"prompted" not in t.seen
    assert t.echoes()
    assert state.user("alice")["kvno"] == 1


def test_two_different_passwords_change_nothing(state):
    state.add("alice")
    t = Terminal(state, "user", "passwd", "alice", "--yes")
    t.asks(b"Password of alice: ")
    t.type(b"prompted password\n")
    t.asks(b"once more: ")
    t.type(b"prompted passwore\n")
    assert t.end() == 1
    assert b"not the same" in t.seen
    assert state.user("alice")["kvno"] == 1


@pytest.mark.parametrize("words", [["passwd", "alice", "--random"], ["code", "alice"], ["reset", "alice"]])
def test_a_reset_says_first_that_the_vault_is_lost_and_asks_on_a_terminal(state, words):
    state.add("alice")
    lost = b"the shares that alice has kept in the vault cannot be read any more"

    def on_terminal(answer, *more):
        t = Terminal(state, "user", *words, *more)
        if answer is not None:
            t.expect(b"Go on? (y/N) ")
            assert lost in t.seen
            t.type(answer)
        return t.end(), t.seen
    kvno = 1
    for answer in (b"\n", b"n\n", b"what\n", b"\x04"):
        status, seen = on_terminal(answer)
        assert status == 1 and b"nothing was changed" in seen and state.user("alice")["kvno"] == kvno
    for answer, more in ((b"y\n", []), (b"Yes, do it now, please\n", []), (None, ["--yes"])):
        status, seen = on_terminal(answer, *more)
        kvno += words[0] == "passwd"
        assert status == 0 and lost in seen and state.user("alice")["kvno"] == kvno
    done = state.run("user", *words)  # a script is not asked
    assert done.returncode == 0 and lost in done.stderr and b"Go on" not in done.stderr
    words[1] = "nobody"
    done = state.refused("user", *words, why="no user 'nobody'")
    assert b"vault" not in done.stderr


def test_an_interrupt_gives_the_terminal_back(state):
    t = Terminal(state, "user", "add", "alice")
    t.asks(b"Password of alice: ")
    t.type(b"half a pass")
    assert t.end(press=b"\x03") == -signal.SIGINT  # more than once: between prompt and read one may be lost
    assert t.echoes()
    assert state.json("user", "list") == {"users": []}


def test_without_a_terminal_the_prompt_says_what_else_there_is(state):
    done = subprocess.run([KERBADM, "--state", str(state.path), "user", "add", "alice"], stdin=subprocess.DEVNULL,
                          capture_output=True, start_new_session=True, timeout=20)
    assert done.returncode == 1 and b"--password-file or --random" in done.stderr


def test_nobody_is_asked_for_the_password_of_a_user_that_cannot_be_added(state):
    state.add("alice")
    t = Terminal(state, "user", "add", "alice")
    assert t.end() == 1
    assert b"Password" not in t.seen


# --- services and keytabs ---

def keys_of(path):
    return json.loads(Path(path).read_text())["keys"]


def test_services_are_added_once(state):
    told = state.json("service", "add", "files")
    assert told["name"] == "files" and told["kvno"] == 1 and not told["disabled"]
    state.refused("service", "add", "FILES", why="already")
    state.refused("service", "add", "tgs", why="the TGS itself")
    state.refused("service", "add", " x", why="not a name")
    assert [s["name"] for s in state.json("service", "list")["services"]] == ["chat", "files", *OWN]
    assert "files" in state.ok("service", "list")


def test_rotating_the_chat_appends_to_its_keytab(state):
    first = keys_of(state / "chat/chat.keytab")
    told = state.json("service", "rotate", "chat")
    assert told["kvno"] == 2 and abs(told["key_from"] - time.time() - 60) < 30
    assert told["keytab"] == str(state / "chat/chat.keytab")
    now = keys_of(state / "chat/chat.keytab")
    assert now[0] == first[0] and now[1]["kvno"] == 2 and now[1]["valid_from"] == told["key_from"]
    assert now[0]["key"] != now[1]["key"] and mode(state / "chat/chat.keytab") == 0o600
    assert state.problems() == []


def test_rotating_the_tgs_gives_both_sides_the_key(state):
    for kvno in (2, 3):
        assert state.json("service", "rotate", "tgs")["kvno"] == kvno
    assert [k["kvno"] for k in keys_of(state / "tgs/tgs.keytab")] == [1, 2, 3]
    assert state.problems() == []


def age(state, name, keytab, db, table, seconds):
    """Lets all versions of a key be so much older. valid_from is not secret, so nothing seals it."""
    path = state / keytab
    content = json.loads(path.read_text())
    for key in content["keys"]:
        if key["principal"] == name:
            key["valid_from"] = max(0, key["valid_from"] - seconds)
    path.write_text(json.dumps(content))
    whose = "" if table == "tgs_key" else f" WHERE service = (SELECT id FROM service WHERE name = '{name}')"
    with sqlite3.connect(state / db) as c:
        c.execute(f"UPDATE {table} SET valid_from_s = max(0, valid_from_s - ?){whose}", (seconds,))


@pytest.mark.parametrize("name, keytab, db, table, life", [
    ("chat", "chat/chat.keytab", "tgs/tgs.db", "service_key", 3600),
    ("kerb/admin", "as/as.keytab", "tgs/tgs.db", "service_key", 3600),
    ("tgs", "tgs/tgs.keytab", "as/as.db", "tgs_key", 36000),
])
def test_old_versions_are_kept_until_no_ticket_can_need_them(state, name, keytab, db, table, life):
    def versions():
        return [k["kvno"] for k in keys_of(state / keytab) if k["principal"] == name]

    def purged():
        return state.json("service", "purge", name)["purged"]
    state.ok("service", "rotate", name)  # 2 is used in 60 s
    assert purged() == 0
    age(state, name, keytab, db, table, 60 + life + 600 - 20)
    assert purged() == 0 and versions() == [1, 2]
    state.ok("service", "rotate", name)
    assert versions() == [1, 2, 3]
    age(state, name, keytab, db, table, 60)
    assert purged() == 1 and versions() == [2, 3]
    assert purged() == 0
    age(state, name, keytab, db, table, life + 700)
    state.ok("service", "rotate", name)  # the same happens here
    assert versions() == [3, 4]
    assert state.problems() == []
    state.refused("service", "purge", "none", why="no service 'none'")


def test_rotations_at_the_same_time_lose_no_key(state):
    words = [KERBADM, "--state", str(state.path), "service", "rotate"]
    running = [subprocess.Popen([*words, name], stdout=subprocess.DEVNULL) for name in ("chat", "tgs") * 6]
    assert [p.wait(timeout=60) for p in running] == [0] * 12
    assert [k["kvno"] for k in keys_of(state / "chat/chat.keytab")] == list(range(1, 8))
    assert [k["kvno"] for k in keys_of(state / "tgs/tgs.keytab")] == list(range(1, 8))
    assert state.problems() == []


def test_rotation_changes_nothing_when_the_keytab_cannot_be_read(state):
    (state / "chat/chat.keytab").write_text("{}")
    state.refused("service", "rotate", "chat", why="nothing was changed")
    assert state.json("service", "list")["services"][0]["kvno"] == 1


def test_rotating_another_service_tells_to_export(state):
    state.ok("service", "add", "files")
    assert "keytab export files" in state.ok("service", "rotate", "files")
    state.refused("service", "rotate", "none", why="no service 'none'")


def test_a_keytab_is_listed_without_its_keys(state):
    told = state.json("keytab", "list", state / "chat/chat.keytab")
    key = keys_of(state / "chat/chat.keytab")[0]
    assert told == {"keys": [{n: key[n] for n in ("principal", "etype", "kvno", "valid_from")}]}
    text = state.ok("keytab", "list", state / "chat/chat.keytab")
    assert "aes128-cbc-hs256" in text and key["key"] not in text


@pytest.mark.parametrize("content, perm, why", [("x", 0o600, "not a keytab"), (None, 0o644, "others"), ("{}", 0o600, "not a")])
def test_a_bad_keytab_is_refused(state, tmp_path, content, perm, why):
    path = tmp_path / "k"
    path.write_text(content or (state / "chat/chat.keytab").read_text())
    os.chmod(path, perm)
    state.refused("keytab", "list", path, why=why)


def test_export_writes_all_versions_and_overwrites_only_when_told(state, tmp_path):
    out = tmp_path / "files.keytab"
    state.ok("service", "add", "files")
    state.ok("service", "rotate", "files")
    state.ok("keytab", "export", "files", "--out", out)
    assert [(k["principal"], k["kvno"]) for k in keys_of(out)] == [("files", 1), ("files", 2)]
    assert mode(out) == 0o600
    state.ok("service", "rotate", "files")
    state.refused("keytab", "export", "files", "--out", out, why="--force")
    assert len(keys_of(out)) == 2
    state.ok("keytab", "export", "files", "--out", out, "--force")
    assert len(keys_of(out)) == 3


def test_export_that_fails_leaves_no_file(state, tmp_path):
    state.refused("keytab", "export", "none", "--out", tmp_path / "k", why="no service 'none'")
    state.refused("keytab", "export", "chat", "--out", tmp_path / "no/k", why="No such file")
    assert not (tmp_path / "k").exists()


def test_export_mends_a_lost_chat_keytab(state):
    keytab = state / "chat/chat.keytab"
    keytab.unlink()
    assert any("chat.keytab" in p for p in state.problems())
    state.ok("keytab", "export", "chat", "--out", keytab)
    assert state.problems() == []


# --- check ---

@pytest.mark.parametrize("path, bits, word", [
    ("as/master.key", 0o644, "0644"), ("chat/master.key", 0o640, "0640"), ("tgs/tgs.keytab", 0o604, "0604"),
    ("as/as.db", 0o660, "0660"), ("as", 0o750, "0750"), ("tgs", 0o701, "0701"), (".", 0o777, "others may write")])
def test_check_sees_what_others_may_read_or_write(state, path, bits, word):
    os.chmod(state / path, bits)
    assert any(word in p and str(state / path).rstrip("/.") in p for p in state.problems())


@pytest.mark.parametrize("lost", sorted(MADE))
def test_check_sees_a_file_that_is_missing(state, lost):
    (state / lost).unlink()
    assert any(lost in p for p in state.problems())


def test_check_sees_a_file_that_is_none(state):
    (state / "chat/link").symlink_to("/etc/hostname")
    assert any("link: not a regular file" in p for p in state.problems())


def spoil(path, sql):
    db = sqlite3.connect(path)
    with db:
        assert db.execute(sql).rowcount >= 1
    db.close()


@pytest.mark.parametrize("file, sql", [
    ("as/as.db", "UPDATE principal_key SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00' || x'' "
                 "WHERE principal > 0 AND etype = 1"),
    ("as/as.db", "UPDATE principal_key SET kvno = 7 WHERE principal > 0 AND etype = 2"),
    ("as/as.db", "UPDATE principal SET client_id = zeroblob(16) WHERE name = 'alice'"),
    ("as/as.db", "UPDATE principal SET name = 'mallory' WHERE name = 'alice'"),
    ("as/as.db", "UPDATE principal_key SET sealed = x'' WHERE principal > 0 AND etype = 1"),
    ("tgs/tgs.db", "UPDATE service_key SET sealed = zeroblob(80) WHERE service = (SELECT min(service) FROM service_key)"),
])
def test_check_finds_a_row_that_does_not_open(state, file, sql):
    state.add("alice")
    spoil(state / file, sql)
    assert any(re.search(file + r": [12] of \d+ sealed rows do not open", p) for p in state.problems())


@pytest.mark.parametrize("file", ["as/as.db", "tgs/tgs.db"])
def test_a_newer_database_is_refused_and_left_alone(state, file):
    db = sqlite3.connect(state / file)
    db.execute("PRAGMA user_version = 999")
    db.close()
    before = (state / file).read_bytes()
    command = ["user", "add", "alice", "--random"] if "as.db" in file else ["service", "add", "files"]
    state.refused(*command, why="newer")
    assert any("newer" in p for p in state.problems())
    assert (state / file).read_bytes() == before


def test_another_daemons_database_is_refused(state):
    shutil.copy(state / "tgs/tgs.db", state / "as/as.db")
    state.refused("user", "list", why="another program")
    assert any("another program" in p for p in state.problems())


def test_another_master_key_opens_nothing(state):
    state.add("alice")
    shutil.copy(state / "tgs/master.key", state / "as/master.key")
    assert any("as" in p for p in state.problems())
    state.refused("user", "add", "bob", "--random", why="as: ")


def rewrite(path, change):
    told = json.loads(path.read_text())
    change(told["keys"])
    path.write_text(json.dumps(told))


@pytest.mark.parametrize("keytab", ["tgs/tgs.keytab", "chat/chat.keytab"])
@pytest.mark.parametrize("change", [
    lambda keys: keys[0].update(key=base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")),
    lambda keys: keys[0].update(kvno=2),
    lambda keys: keys[0].update(principal="other"),
])
def test_check_sees_a_keytab_that_does_not_agree(state, keytab, change):
    rewrite(state / keytab, change)
    assert any(keytab in p for p in state.problems())


def test_check_sees_a_tgs_key_that_the_as_does_not_have(state):
    rewrite(state / "tgs/tgs.keytab", lambda keys: keys.append({**keys[0], "kvno": 2}))
    assert any("version 2, but as.db goes up to 1" in p for p in state.problems())


def test_check_lists_all_problems_and_counts_them(state):
    os.chmod(state / "as/master.key", 0o644)
    os.chmod(state / "chat", 0o755)
    done = state.run("check")
    assert done.returncode == 1
    assert b"as/master.key" in done.stdout and b"/chat: mode" in done.stdout and b"problems" in done.stderr
    os.chmod(state / "as/master.key", 0o600)
    os.chmod(state / "chat", 0o700)
    assert state.ok("check") == "all is well\n"


# --- configuration and the command line ---

def test_the_reference_is_what_the_program_prints():
    done = subprocess.run([KERBADM, "config", "--markdown"], capture_output=True, check=True)
    assert done.stdout.decode() == (ROOT / "docs/kerb.conf.md").read_text()


def test_the_example_is_a_configuration_that_works(empty):
    empty.path.mkdir()
    (empty / "kerb.conf").write_text(empty.ok("config", "--example"))
    empty.ok("init")
    assert empty.problems() == []


def test_a_wrong_configuration_is_told_with_its_line(state):
    (state / "kerb.conf").write_text("[realm]\nname = X\n[as]\nprot = 1\n")
    state.refused("user", "list", why=r"kerb\.conf:4: .*prot")


def test_a_configuration_that_others_write_is_refused(state):
    os.chmod(state / "kerb.conf", 0o666)
    state.refused("check", why="kerb.conf")


def test_a_missing_realm_is_told(empty):
    empty.refused("user", "list", why="kerbadm init")


def test_state_must_be_where_its_configuration_says(state, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    conf = elsewhere / "kerb.conf"
    conf.write_text(f"[realm]\nname = TEST.REALM\nstate = {state.path}\n")
    State(elsewhere).refused("user", "list", why="--config")
    done = subprocess.run([KERBADM, "--config", str(conf), "check"], capture_output=True)
    assert done.returncode == 0, done


@pytest.mark.parametrize("words", [
    [], ["user"], ["user", "frobnicate", "x"], ["user", "add"], ["user", "add", "a", "b"], ["init", "x"],
    ["user", "add", "a", "--realm", "x"], ["check", "--random"], ["user", "add", "a", "--random", "--password-file", "-"],
    ["keytab", "export", "chat"], ["config"], ["config", "--markdown", "--example"], ["--nonsense"],
    ["--config", "x", "check"], ["user", "add", "--password-file"]])
def test_a_wrong_call_exits_2_and_does_nothing(state, words):
    done = state.run(*words)
    assert done.returncode == 2 and done.stderr and not done.stdout
    assert state.json("user", "list") == {"users": []}


def test_help_names_each_command_and_each_command_has_help():
    text = subprocess.run([KERBADM, "--help"], capture_output=True, check=True, text=True).stdout
    commands = re.findall(r"^  ([a-z]+(?: [a-z-]+)?)(?: \[?[A-Z_]+\]?)*  +\S", text, re.M)
    assert len(commands) == 43
    for c in commands:
        told = subprocess.run([KERBADM, *c.split(), "--help"], capture_output=True, check=True, text=True).stdout
        assert f"kerbadm [OPTION...] {c}" in told


def test_what_cannot_be_printed_is_a_failure(state):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([KERBADM, "--state", str(state.path), "user", "list"], stdout=full,
                              stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"standard output" in done.stderr


def test_no_secret_is_in_a_file_in_clear(state):
    password = "tell-tale password"
    state.add("alice", password)
    secrets = [password.encode(), *[k["key"].encode() for f in ("tgs/tgs.keytab", "chat/chat.keytab")
                                    for k in keys_of(state / f)]]
    raw = [base64.urlsafe_b64decode(s + b"=") for s in secrets[1:]]
    for f in ("as/as.db", "tgs/tgs.db"):
        content = (state / f).read_bytes()
        assert not [s for s in secrets + raw if s in content]
