"""The kerb command, as people and scripts use it: in a terminal and without, against real daemons."""
import json
import os
import re
import secrets
import stat
import subprocess
import time

import pytest
from kerbtest.nginx import Front
from kerbtest.realm import User, environment, realm_in, wait_until
from kerbtest.terminal import Terminal

CONFIG = {"proxy": {"trusted": "127.0.0.1"}, "policy": {"pbkdf2_iterations": 200000}, "realm": {"registration": "open"}}


class Kerb:
    """One person at one machine: a home, a ticket file, the command."""

    def __init__(self, realm, directory):
        self.realm, self.dir = realm, str(directory)
        self.bin = os.path.join(realm.bin, "kerb")
        self.runtime = os.path.join(self.dir, "runtime")
        os.makedirs(self.runtime, mode=0o700)
        self.env = environment(KERB_URL=f"http://127.0.0.1:{realm.front.port}", HOME=self.dir,
                               XDG_RUNTIME_DIR=self.runtime, USER="nobody-here")
        for word in ("KERB_REALM", "KERB_CONFIG", "KERB_CCACHE", "KERB_CA_FILE", "XDG_CONFIG_HOME"):
            self.env.pop(word, None)
        self.cache = os.path.join(self.runtime, "kerb", "ccache")

    def run(self, *words, stdin="", status=0, **env):
        r = subprocess.run([self.bin, *words], input=stdin, capture_output=True, text=True, timeout=60,
                           env={**self.env, **env})
        assert r.returncode == status, f"kerb {' '.join(words)}: {r.returncode} {r.stdout} {r.stderr}"
        return r

    def login(self, user, *options, **how):
        return self.run("login", user.name, *options, stdin=user.password + "\n", **how)

    def list(self):
        return json.loads(self.run("list", "--json").stdout)

    def terminal(self, *words):
        return Terminal([self.bin, *words], self.env)


@pytest.fixture(scope="module")
def kerb_realm(many_files, tmp_path_factory):
    with realm_in(tmp_path_factory.mktemp("kerb"), config=CONFIG) as r:
        Front(r)
        yield r


@pytest.fixture
def kerb(kerb_realm, tmp_path):
    return Kerb(kerb_realm, tmp_path)


@pytest.fixture
def other(kerb_realm, tmp_path):
    return Kerb(kerb_realm, tmp_path / "other")


@pytest.fixture
def dora(kerb_realm):
    return kerb_realm.add_user()


# --- in a terminal ---

def test_login_in_a_terminal_asks_without_echo(kerb, dora):
    t = kerb.terminal("login", dora.name)
    t.answer(f"Password of {dora.name}: ", dora.password)
    status, text = t.end()
    assert status == 0
    assert dora.password not in text
    assert f"Logged in as {dora.name} in TEST.REALM, good until " in text
    assert kerb.list()["good"]


def test_a_wrong_password_in_a_terminal_is_told_and_leaves_nothing(kerb, dora):
    t = kerb.terminal("login", dora.name)
    t.answer("Password of ", "not " + dora.password)
    status, text = t.end()
    assert status == 1 and "wrong name or password" in text
    assert not os.path.exists(kerb.cache)


def test_passwd_in_a_terminal_asks_for_the_new_one_twice(kerb, dora):
    kerb.login(dora)
    new = "fresh " + secrets.token_hex(8)
    t = kerb.terminal("passwd")
    t.answer("Present password of ", dora.password)
    t.answer("New password of ", new)
    t.answer("The same once more: ", new)
    status, text = t.end()
    assert status == 0, text
    assert f"The password of {dora.name} is changed." in text and new not in text
    assert kerb.list()["good"]
    kerb.login(dora, status=1)
    dora.password = new
    kerb.login(dora)


def test_passwd_in_a_terminal_with_two_different_ones_changes_nothing(kerb, dora):
    t = kerb.terminal("passwd", dora.name)
    t.answer("Present password of ", dora.password)
    t.answer("New password of ", "one thing of mine")
    t.answer("The same once more: ", "another thing of mine")
    status, text = t.end()
    assert status == 1 and "not the same" in text
    kerb.login(dora)


def test_a_short_password_is_refused_before_it_must_be_typed_again(kerb, dora):
    t = kerb.terminal("passwd", dora.name)
    t.answer("Present password of ", dora.password)
    t.answer("New password of ", "short")
    status, text = t.end()
    assert status == 1 and "too short" in text and "once more" not in text


# --- the tickets ---

def test_login_list_ticket_logout(kerb, dora):
    assert "nobody is logged in: kerb login" in kerb.run("list", status=1).stderr
    kerb.run("list", "-s", status=1)
    kerb.login(dora)
    assert kerb.run("list", "-s").stdout == ""
    listed = kerb.list()
    assert listed["client"] == dora.name and listed["realm"] == "TEST.REALM"
    assert [t["service"] for t in listed["tickets"]] == ["tgs"]
    assert kerb.run("ticket", "chat").stdout.startswith("Ticket for chat, key version 1, good until ")
    assert [t["service"] for t in kerb.list()["tickets"]] == ["tgs", "chat"]
    assert "chat" in kerb.run("list").stdout
    assert kerb.run("logout").stdout == "Logged out: the tickets are wiped.\n"
    assert not os.path.exists(kerb.cache)
    kerb.run("list", "-s", status=1)
    kerb.run("logout", status=1)


def test_a_ticket_is_asked_for_once(kerb, dora):
    kerb.login(dora)
    first = kerb.run("trace", "ticket", "chat")
    assert "-> POST" in first.stderr
    again = kerb.run("trace", "ticket", "chat")
    assert "-> POST" not in again.stderr
    assert first.stdout.split(" (")[0] == again.stdout.split(" (")[0]


def test_the_ticket_file_is_ones_own(kerb, dora):
    kerb.login(dora)
    assert stat.S_IMODE(os.stat(kerb.cache).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(kerb.cache)).st_mode) == 0o700
    os.chmod(kerb.cache, 0o644)
    assert "yours alone" in kerb.run("list", status=1).stderr
    os.chmod(kerb.cache, 0o600)
    os.chmod(os.path.dirname(kerb.cache), 0o755)
    assert "yours alone" in kerb.login(dora, status=1).stderr


def test_a_directory_that_is_a_link_is_not_used(kerb, dora, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    os.symlink(tmp_path / "elsewhere", os.path.join(kerb.runtime, "kerb"))
    kerb.login(dora, status=1)
    assert not os.listdir(tmp_path / "elsewhere")


def test_a_damaged_ticket_file_is_told_and_a_login_replaces_it(kerb, dora):
    kerb.login(dora)
    with open(kerb.cache, encoding="utf-8") as f:
        whole = f.read()
    with open(kerb.cache, "w", encoding="utf-8") as f:
        f.write(whole[:-20])
    assert "damaged" in kerb.run("list", status=1).stderr
    assert "damaged" in kerb.run("ticket", "chat", status=1).stderr
    kerb.login(dora)
    kerb.run("ticket", "chat")


def test_logout_overwrites_before_it_unlinks(kerb, dora, tmp_path):
    kerb.login(dora)
    size = os.stat(kerb.cache).st_size
    with open(kerb.cache, "rb") as kept:  # the same file, also when its name is gone
        assert b"session_key" in kept.read()
        kerb.run("logout")
        kept.seek(0)
        assert kept.read() == bytes(size)


def test_lifetime_and_renewal(kerb, dora):
    kerb.login(dora, "--lifetime", "30m", "--renewable")
    first = kerb.list()["tickets"][0]
    assert first["end_time"] - first["start_time"] == 1800
    assert first["renew_till"] - first["start_time"] == 604800
    assert kerb.run("renew").stdout.startswith("Renewed: ")
    second = kerb.list()["tickets"][0]
    assert second["end_time"] > first["end_time"] and second["renew_till"] == first["renew_till"]
    assert second["auth_time"] == first["auth_time"]


def test_a_login_that_is_not_renewable_says_so(kerb, dora):
    kerb.login(dora)
    assert "kerb login --renewable" in kerb.run("renew", status=1).stderr


def test_a_login_that_is_over(kerb, dora):
    kerb.login(dora, "--lifetime", "1s")
    time.sleep(1.2)
    r = kerb.run("list", status=1)
    assert "the login is over: kerb login" in r.stderr
    assert re.search(r"\(login\) +over since [-0-9]{10} [:0-9]{8} UTC\n$", r.stdout)
    kerb.run("list", "-s", status=1)
    assert not json.loads(kerb.run("list", "--json", status=1).stdout)["good"]
    assert "kerb login" in kerb.run("ticket", "chat", status=1).stderr


def test_a_login_that_an_administrator_ended_is_over_once_a_server_has_said_so(kerb, dora):
    kerb.login(dora, "--renewable")
    kerb.run("ticket", "chat")
    kerb.realm.kerbadm("user", "disable", dora.name)
    kerb.run("list", "-s")  # only the servers know
    wait_until(lambda: "this login no longer: kerb login" in kerb.run("ticket", "nosuch", status=1).stderr, 5)
    kerb.run("list", "-s", status=1)
    assert "over since" in kerb.run("list", status=1).stdout
    listed = json.loads(kerb.run("list", "--json", status=1).stdout)
    assert listed["client"] == dora.name and [t["service"] for t in listed["tickets"]] == ["tgs"]
    assert "kerb login" in kerb.run("ticket", "chat", status=1).stderr
    kerb.realm.kerbadm("user", "enable", dora.name)
    kerb.login(dora)
    kerb.run("list", "-s")
    kerb.run("ticket", "chat")


def test_a_new_password_for_a_login_that_is_over_gives_a_whole_one(kerb, dora):
    kerb.login(dora, "--lifetime", "2s")
    time.sleep(2.2)
    new = "fresh " + secrets.token_hex(8)
    kerb.run("passwd", stdin=f"{dora.password}\n{new}\n")
    tgt = kerb.list()["tickets"][0]
    assert tgt["end_time"] - tgt["start_time"] > 3600


def test_an_unknown_service(kerb, dora):
    kerb.login(dora)
    assert "no such service" in kerb.run("ticket", "nosuch", status=1).stderr


def test_an_unknown_user_reads_like_a_wrong_password(kerb, dora):
    wrong = kerb.run("login", dora.name, stdin="wrong\n", status=1)
    unknown = kerb.run("login", "nobody" + secrets.token_hex(4), stdin="wrong\n", status=1)
    assert "wrong name or password" in wrong.stderr and "wrong name or password" in unknown.stderr


def op_id_of(r):
    return re.fullmatch(r"kerb: .* \(op_id ([0-9a-zA-Z_-]+)\)\n", r.stderr)[1]


def test_what_is_refused_can_be_explained_by_its_op_id(kerb, dora):
    nobody = "nobody" + secrets.token_hex(4)
    wrong = kerb.run("login", dora.name, stdin="wrong\n", status=1)
    unknown = kerb.run("login", nobody, stdin="wrong\n", status=1)
    code = kerb.run("register", nobody, "--code", "0" * 26, stdin="a few words of mine\n", status=1)
    kerb.login(dora)
    service = kerb.run("ticket", "nosuch", status=1)
    assert wrong.stderr.replace(op_id_of(wrong), "") == unknown.stderr.replace(op_id_of(unknown), "")
    for r, daemon, why in ((wrong, "as", "The password was wrong"), (unknown, "as", "There is no user of this name"),
                           (code, "as", "code"), (service, "tgs", "service")):
        kerb.realm.wait_audit(daemon, op_id=op_id_of(r))
        assert why in kerb.realm.kerbadm("audit", "explain", op_id_of(r)).stdout


# --- where the realm is ---

def test_no_url_is_told_with_what_to_do(kerb):
    assert "--url" in kerb.run("login", "x", stdin="y\n", status=1, KERB_URL="").stderr


def test_url_of_kerb_conf(kerb, dora, tmp_path):
    conf = tmp_path / ".config" / "kerb" / "kerb.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(f"[client]\nurl = {kerb.env['KERB_URL']}\nrealm = TEST.REALM\n")
    conf.chmod(0o600)
    kerb.login(dora, KERB_URL="")
    conf.write_text(f"[client]\nurl = {kerb.env['KERB_URL']}\nrealm = OTHER.REALM\n")
    assert "is the realm TEST.REALM, and not OTHER.REALM" in kerb.login(dora, status=1, KERB_URL="").stderr
    conf.write_text("[client]\nurll = x\n")
    assert "kerb.conf:2: unknown key 'urll'" in kerb.login(dora, status=1, KERB_URL="").stderr


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "http://a:b@127.0.0.1/",
                                 "http://127.0.0.1/?x", "http://"])
def test_urls_that_cannot_be(kerb, url):
    assert kerb.run("--url", url, "list", status=2).stderr.startswith("kerb: the realm's URL must be like")


def test_nobody_there(kerb):
    r = kerb.run("--url", "http://127.0.0.1:1", "login", "x", stdin="y\n", status=1)
    assert r.stderr.startswith("kerb: http://127.0.0.1:1: ")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(kerb, dora):
    kerb.login(dora, http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1")


def test_another_realm_is_refused(kerb, dora):
    r = kerb.login(dora, "--realm", "OTHER.REALM", status=1)
    assert "is the realm TEST.REALM, and not OTHER.REALM" in r.stderr


# --- the command line ---

def test_wrong_usage(kerb):
    kerb.run("nosuch", status=2)
    kerb.run(status=2)
    kerb.run("ticket", status=2)
    kerb.run("login", "a", "b", status=2)
    kerb.run("list", "--cut-off", status=2)
    kerb.run("login", "a", "--lifetime", "soon", stdin="x\n", status=2)
    kerb.run("--nosuch", status=2)


def test_help_names_every_command(kerb):
    text = kerb.run("--help").stdout
    for word in ("login", "list", "renew", "logout", "ticket", "passwd", "register", "trace"):
        assert re.search(rf"^  {word}\b", text, re.M)
        if word != "trace":
            assert f"usage: kerb [OPTION...] [trace] {word}" in kerb.run(word, "--help").stdout
            assert kerb.run("help", word).stdout == kerb.run(word, "--help").stdout
    assert kerb.run("help").stdout == text
    assert "there is no command 'nonsense'" in kerb.run("help", "nonsense", status=2).stderr


def test_completion_and_man_page_know_every_command_and_option(kerb):
    root = os.path.join(os.path.dirname(__file__), "../..")
    with open(os.path.join(root, "deploy/completion/kerb"), encoding="utf-8") as f:
        completion = f.read()
    with open(os.path.join(root, "docs/man/kerb.1"), encoding="utf-8") as f:
        man = f.read().replace("\\-", "-")
    words = re.findall(r"^  (\w+)", kerb.run("--help").stdout.split("options of")[0], re.M)
    options = {o for w in words if w != "trace" for o in re.findall(r"--[a-z-]+", kerb.run(w, "--help").stdout)}
    assert len(words) >= 8 and len(options) >= 12
    for word in [*words, *options]:
        assert re.search(rf"{word}\b", completion), word
        assert re.search(rf"{word}\b", man), word


def test_completion_completes(kerb):
    path = os.path.join(os.path.dirname(__file__), "../../deploy/completion/kerb")

    def complete(*words):
        script = f"source {path}; COMP_WORDS=({' '.join(words)} ''); COMP_CWORD={len(words)}; _kerb; echo ${{COMPREPLY[*]}}"
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"login", "trace", "passwd"} <= set(complete("kerb"))
    assert "login" in complete("kerb", "trace")
    script = f"source {path}; COMP_WORDS=(kerb list --j); COMP_CWORD=2; _kerb; echo ${{COMPREPLY[*]}}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout.split() == ["--json"]


# --- trace ---

def test_trace_shows_the_exchange_and_no_secret(kerb, dora):
    r = kerb.run("trace", "login", dora.name, stdin=dora.password + "\n")
    for words in ("-> POST http://127.0.0.1", "/as/login", "KDC_ERR_PREAUTH_REQUIRED", "200000 PBKDF2 iterations",
                  "label as-preauth", "label as-reply", "version 1"):
        assert words in r.stderr
    t = kerb.run("trace", "ticket", "chat")
    for words in ("/tgs", "label tgs-authenticator", "label tgs-reply", "ticket for chat"):
        assert words in t.stderr
    with open(kerb.cache, encoding="utf-8") as f:
        cache = json.load(f)
    text = r.stderr + t.stderr + r.stdout + t.stdout
    assert dora.password not in text
    for entry in cache["tickets"]:
        assert entry["session_key"] not in text
        assert entry["ticket"][:24] not in text and entry["ticket"][-24:] not in text
    assert not re.search(r"[A-Za-z0-9_-]{40,}", text), "something long that nobody can read"


# --- accounts ---

def test_passwd_without_a_terminal_takes_two_lines(kerb, dora):
    kerb.login(dora)
    kerb.run("ticket", "chat")
    kerb.run("passwd", stdin=f"{dora.password}\nanother quiet evening\n")
    assert [t["service"] for t in kerb.list()["tickets"]] == ["tgs"]
    kerb.run("ticket", "chat")
    kerb.login(dora, status=1)
    dora.password = "another quiet evening"
    kerb.login(dora)


def test_passwd_keeps_the_classic_login(kerb, dora):
    kerb.run("passwd", dora.name, stdin=f"{dora.password}\nanother quiet evening\n")
    assert not os.path.exists(kerb.cache)
    assert kerb.realm.login(User(dora.name, "another quiet evening"))


def test_passwd_with_the_wrong_old_one(kerb, dora):
    r = kerb.run("passwd", dora.name, stdin="not the old one\nanother quiet evening\n", status=1)
    assert "wrong name or password" in r.stderr
    kerb.login(dora)


def test_passwd_cut_off_ends_other_logins(kerb, other, dora):
    other.login(dora, "--renewable")
    kerb.login(dora)
    kerb.run("passwd", "--cut-off", stdin=f"{dora.password}\nanother quiet evening\n")
    kerb.run("ticket", "chat")

    def refused():  # the TGS learns it by the feed
        r = subprocess.run([other.bin, "renew"], capture_output=True, text=True, env=other.env)
        return r.returncode == 1 and "this login no longer: kerb login" in r.stderr
    wait_until(refused, 5, "the end of the other login")
    assert kerb.list()["good"]


@pytest.mark.parametrize("password, why", [
    ("short", "too short"), ("password123", "everybody"), ("P4ssw0rd!!!!", "everybody"), ("aaaaaaaaaaaa", "everybody"),
    ("1234567890", "everybody"), ("qwertyuiop", "everybody"), ("{name}", "your name"), ("{name}1", "your name")])
def test_password_policy(kerb, kerb_realm, password, why):
    name = "Rosalind " + secrets.token_hex(1).translate(str.maketrans("0123456789", "ghijklmnop"))
    r = kerb.run("register", name, stdin=password.format(name=name) + "\n", status=1)
    assert why in r.stderr
    assert kerb_realm.kerbadm("user", "show", name, check=False).returncode != 0


def test_register_in_an_open_realm(kerb):
    name = "open" + secrets.token_hex(4)
    r = kerb.run("register", name, stdin="a few words of mine\n")
    assert f"kerb login {name}" in r.stdout
    kerb.run("login", name, stdin="a few words of mine\n")
    assert "taken" in kerb.run("register", name.upper(), stdin="a few words of mine\n", status=1).stderr


def onecode(text):
    return re.search(r"\b(?:[0-9a-z]{5}-){4}[0-9a-z]{6}\b", text).group(0)


def test_register_with_a_code(kerb, kerb_realm):
    name = "invited" + secrets.token_hex(4)
    code = onecode(kerb_realm.kerbadm("invite").stdout)
    r = kerb.run("trace", "register", name, "--code", code, stdin="a few words of mine\n")
    assert code not in r.stderr and "label new-keys" in r.stderr
    kerb.run("login", name, stdin="a few words of mine\n")
    again = kerb.run("register", name + "2", "--code", code, stdin="a few words of mine\n", status=1)
    assert "the code is not known" in again.stderr
    assert "not a one-time code" in kerb.run("register", "x", "--code", "abc", stdin="a few words of mine\n", status=2).stderr


def test_a_reset_code_sets_the_password(kerb, kerb_realm, dora):
    code = onecode(kerb_realm.kerbadm("user", "code", dora.name).stdout)
    kerb.run("register", dora.name, "--code", code, stdin="a few words of mine\n")
    kerb.login(dora, status=1)
    kerb.run("login", dora.name, stdin="a few words of mine\n")


def test_a_weak_key_is_strengthened_by_a_login(new_realm, tmp_path):
    realm = new_realm(**CONFIG)
    user = realm.add_user()
    realm.write_config({**CONFIG, "policy": {"pbkdf2_iterations": 250000}})
    realm.restart()
    Front(realm)
    kerb = Kerb(realm, tmp_path / "me")
    first = kerb.run("trace", "login", user.name, stdin=user.password + "\n")
    assert "200000 PBKDF2 iterations" in first.stderr and "made stronger" in first.stderr
    second = kerb.run("trace", "login", user.name, stdin=user.password + "\n")
    assert "250000 PBKDF2 iterations" in second.stderr and "made stronger" not in second.stderr
    assert realm.login(user), "the classic key stays"
