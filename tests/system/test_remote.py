"""kerbadm --remote: the administrator's words, from another machine, through the realm's own admin service."""
import json
import os
import sqlite3
import subprocess

import pytest
from kerbtest.nginx import Front
from kerbtest.realm import User, realm_in, wait_until
from kerbtest.terminal import Terminal
from test_kerb import Kerb

CONFIG = {"proxy": {"trusted": "127.0.0.1"}, "policy": {"pbkdf2_iterations": 200000}}


class Admin(Kerb):
    """An administrator at a machine of her own: no file of the realm is there."""

    def __init__(self, realm, directory):
        super().__init__(realm, directory)
        self.kerbadm_bin = os.path.join(realm.bin, "kerbadm")

    def remote(self, *words, status=0, stdin="", **env):
        r = subprocess.run([self.kerbadm_bin, "--remote", *words], input=stdin, capture_output=True, text=True,
                           timeout=60, cwd=self.dir, env={**self.env, **env})
        assert r.returncode == status, f"kerbadm --remote {' '.join(words)}: {r.returncode} {r.stdout} {r.stderr}"
        return r

    def json(self, *words):
        return json.loads(self.remote("--json", *words).stdout)

    def refused(self, *words, why, status=1, **how):
        assert why in self.remote(*words, status=status, **how).stderr


@pytest.fixture(scope="module")
def remote_realm(many_files, tmp_path_factory):
    with realm_in(tmp_path_factory.mktemp("remote"), config=CONFIG) as r:
        Front(r)
        yield r


@pytest.fixture
def root(remote_realm):
    user = remote_realm.add_user()
    remote_realm.kerbadm("admin", "grant", user.name)
    return user


@pytest.fixture
def admin(remote_realm, root, tmp_path):
    a = Admin(remote_realm, tmp_path)
    a.login(root)
    return a


@pytest.fixture
def dora(remote_realm):
    return remote_realm.add_user()


def test_the_same_words_show_the_same(admin, remote_realm, dora):
    for words in (["user", "show", dora.name], ["user", "list"], ["user", "list", dora.name[:6]], ["user", "list", "?"],
                  ["report", "classic"]):
        assert admin.remote(*words).stdout == remote_realm.kerbadm(*words).stdout
        assert admin.json(*words) == json.loads(remote_realm.kerbadm("--json", *words).stdout)


def test_a_new_user_sets_his_password_with_the_code(admin, remote_realm, tmp_path):
    code = admin.remote("user", "add", "newcomer").stdout.strip()
    assert len(code.replace("-", "")) == 26
    person = Kerb(remote_realm, tmp_path / "person")
    person.run("register", "newcomer", "--code", code, stdin="a quite long sentence\n")
    person.login(User("newcomer", "a quite long sentence"))
    told = admin.json("user", "code", "newcomer")
    assert told["name"] == "newcomer" and told["code"] != code and told["expires"] > 0
    admin.refused("user", "add", "newcomer", why="exists")
    admin.refused("user", "add", "Newcomer", why="exists")
    admin.refused("user", "add", "other", "--random", why="no password goes to the realm")


def test_disabling_and_enabling(admin, remote_realm, dora):
    remote_realm.login(dora)
    admin.remote("user", "disable", dora.name)
    assert admin.json("user", "show", dora.name)["disabled"] is True
    with pytest.raises(Exception):
        remote_realm.login(dora)
    admin.remote("user", "enable", dora.name)
    remote_realm.login(dora)
    admin.remote("user", "del", dora.name)
    admin.refused("user", "show", dora.name, why="not_found")


def test_grant_and_revoke(admin, remote_realm, dora, tmp_path):
    other = Admin(remote_realm, tmp_path / "other")
    other.login(dora)
    other.remote("user", "list", status=1)  # nobody's administrator
    admin.remote("user", "grant", dora.name)
    assert "(administrator)" in other.remote("user", "list").stdout
    admin.remote("admin", "revoke", dora.name)
    other.remote("user", "list", status=1)


def test_kick_and_notice_reach_the_chat(admin, remote_realm, dora):
    c = remote_realm.chat(dora, extensions=True)
    admin.remote("chat", "notice", "the realm rests at \"noon\"")
    assert c.expect("notice")["text"] == 'the realm rests at "noon"'
    admin.remote("chat", "kick", dora.name)
    assert c.closed() == 4503
    admin.refused("chat", "kick", "nobody at all", why="not_found")


def test_profiles_and_cut_off(admin, dora):
    before = admin.json("user", "show", dora.name)
    admin.remote("user", "profiles", dora.name, "sealed")
    after = admin.json("user", "show", dora.name)
    assert after["profiles"] == ["sealed"] and after["epoch"] == before["epoch"] + 1
    admin.remote("user", "cut-off", dora.name)
    assert admin.json("user", "show", dora.name)["epoch"] == before["epoch"] + 2
    admin.refused("user", "profiles", dora.name, "classic", why="no_key")


def test_a_reset_says_first_what_is_lost(admin, dora):
    done = admin.remote("user", "reset", dora.name)
    assert f"the shares that {dora.name} has kept in the vault cannot be read any more" in done.stderr
    assert len(done.stdout.strip().replace("-", "")) == 26


def test_a_reset_asks_on_a_terminal(admin, dora):
    t = Terminal([admin.kerbadm_bin, "--remote", "user", "reset", dora.name], admin.env)
    t.answer("Go on? (y/N) ", "")
    status, text = t.end()
    assert status == 1 and "nothing was changed" in text
    t = Terminal([admin.kerbadm_bin, "--remote", "user", "reset", dora.name, "--yes"], admin.env)
    status, text = t.end()
    assert status == 0 and "vault" in text and "Go on" not in text


def test_rotation_of_a_service_and_of_the_tgs(admin, remote_realm):
    before = {s["name"]: s["kvno"] for s in json.loads(remote_realm.kerbadm("--json", "service", "list").stdout)["services"]}
    admin.remote("service", "rotate", "chat")

    def rotated():
        now = json.loads(remote_realm.kerbadm("--json", "service", "list").stdout)["services"]
        return {s["name"]: s["kvno"] for s in now}["chat"] == before["chat"] + 1
    wait_until(rotated)
    assert admin.json("service", "rotate", "tgs")["kvno"] == 2
    told = admin.remote("service", "rotate", "nosuch").stdout  # the AS cannot know
    assert told == "nosuch: the next key is ordered; the TGS passes over a service that it does not have\n"


def test_a_list_longer_than_one_answer(admin, remote_realm):
    with sqlite3.connect(os.path.join(remote_realm.state, "as", "as.db")) as db:
        db.executemany("INSERT INTO principal(name, folded, client_id, disabled, epoch, created_s, changed_s)"
                       " VALUES (?, ?, randomblob(16), 0, 0, 0, 0)",
                       [(f"many{i:03}", f"many{i:03}".encode()) for i in range(405)])
    db.close()
    assert len(admin.json("user", "list", "many")["users"]) == 405
    assert [u["name"] for u in admin.json("user", "list", "many40")["users"]] == [f"many40{i}" for i in range(5)]
    report = admin.json("report", "classic")
    assert report["of"] > 405 and report == json.loads(remote_realm.kerbadm("--json", "report", "classic").stdout)
    names = [u["name"] for u in admin.json("user", "list")["users"]]
    assert len(names) > 405
    assert names == [u["name"] for u in json.loads(remote_realm.kerbadm("--json", "user", "list").stdout)["users"]]


def test_login_for_one_command_asks_and_leaves_nothing(remote_realm, root, tmp_path):
    a = Admin(remote_realm, tmp_path)
    a.refused("user", "list", why="log")  # nobody is logged in
    t = Terminal([a.kerbadm_bin, "--remote", "--login", root.name, "user", "list"], a.env)
    t.answer(f"Password of {root.name}: ", root.password)
    status, text = t.end()
    assert status == 0 and root.name in text and root.password not in text
    assert not os.path.exists(a.cache)
    assert a.remote("--login", root.name, "user", "list", stdin=root.password + "\n").stdout
    a.remote("--login", root.name, "user", "list", stdin="wrong\n", status=1)


def test_calls_that_cannot_be(admin, remote_realm, root):
    admin.refused("init", why="on the machine of the realm")
    admin.refused("mkey", "add", "as", why="on the machine of the realm")
    admin.refused("user", "show", why="usage", status=2)
    local = remote_realm.kerbadm("user", "cut-off", "x", check=False)
    assert local.returncode == 1 and "--remote" in local.stderr
    wrong = remote_realm.kerbadm("--url", "http://127.0.0.1:1", "user", "list", check=False)
    assert wrong.returncode == 2
    admin.refused("--url", "http://127.0.0.1:1", "--login", root.name, "user", "list", stdin="x\n", why="127.0.0.1:1")


def test_what_is_wrong_in_itself_is_said_as_on_the_machine(admin, remote_realm, root):
    """Nothing is sent: nobody needs to be there who answers, nor to be logged in."""
    away = ["--url", "http://127.0.0.1:1", "--login", root.name]
    name, profiles, daemon = "this is not a name", "profiles are sealed, or classic", "the daemon is as, tgs or chat, not"
    for words, why in ((["user", "add", ""], name), (["user", "show", "x" * 65], name), (["user", "del", " x"], name),
                       (["admin", "grant", "x\n"], name), (["invite", "--name", ""], name),
                       (["service", "rotate", ""], name), (["chat", "kick", ""], name),
                       (["user", "profiles", "bob", "foo"], profiles), (["user", "profiles", "", "sealed"], name),
                       (["drain", "nosuch"], daemon), (["shutdown", ""], daemon),
                       (["chat", "notice", ""], "a text has 1 to"), (["chat", "notice", "x" * 1025], "a text has 1 to"),
                       (["user", "list", "x" * 257], "no name begins so"), (["user", "reset", ""], name)):
        admin.refused(*away, *words, why=why)
    for words in (["user", "profiles", "bob", "foo"], ["user", "del", " x"], ["user", "list", "x" * 257]):
        assert remote_realm.kerbadm(*words, check=False).stderr == admin.remote(*away, *words, status=1).stderr
    local = remote_realm.kerbadm("mkey", "list", "nosuch", check=False)
    assert local.stderr == admin.remote(*away, "drain", "nosuch", status=1).stderr


def test_an_administrator_who_was_disabled_is_out(admin, remote_realm, root):
    admin.remote("user", "list")
    remote_realm.kerbadm("user", "disable", root.name)
    admin.remote("user", "list", status=1)


def test_drain_and_shutdown_end_the_daemons(new_realm, tmp_path):
    realm = new_realm(**CONFIG)
    Front(realm)
    root = realm.add_user()
    realm.kerbadm("admin", "grant", root.name)
    a = Admin(realm, tmp_path / "admin")
    a.login(root)
    a.remote("user", "list")
    for daemon, word in (("chat", "drain"), ("tgs", "shutdown"), ("as", "drain")):
        a.remote(word, daemon)
        assert realm.daemons[daemon].wait() == 0
        realm.daemons.pop(daemon).check_clean()
