"""What a daemon looks at before it serves: its command line, configuration, key files and database."""
import os
import re
import socket
import sqlite3
import subprocess

import pytest

from kerbtest import web
from kerbtest.realm import NAMES, environment, free_port

KEYTABS = {"as": "as/master.key", "tgs": "tgs/tgs.keytab", "chat": "chat/chat.keytab"}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def run(realm, name, *words):
    """Runs a daemon that is not expected to serve."""
    return subprocess.run([os.path.join(realm.bin, "kerb-" + name), *words], capture_output=True, text=True,
                          timeout=30, env=environment())


def refuses(realm, name, *parts):
    """The daemon does not start, and says why in words that hold these parts."""
    r = run(realm, name, "--config", realm.conf)
    assert r.returncode not in (0, 99) and r.returncode > 0, r
    for part in parts:
        assert part in r.stderr, r.stderr
    assert '"listening"' not in r.stderr
    return r.stderr


@pytest.fixture
def stopped(new_realm):
    return new_realm(start=False)


def test_check_config(stopped, name):
    assert run(stopped, name, "--config", stopped.conf, "--check-config").returncode == 0
    with open(stopped.conf, "a", encoding="utf-8") as f:
        f.write("\n[chat]\nlistn = 127.0.0.1:0\n")
    r = run(stopped, name, "--config", stopped.conf, "--check-config")
    line = open(stopped.conf, encoding="utf-8").read().count("\n")
    assert r.returncode != 0 and f"kerb.conf:{line}" in r.stderr and "listn" in r.stderr, r.stderr


def test_command_line(stopped, name):
    assert run(stopped, name, "--help").returncode == 0
    assert run(stopped, name, "--version").returncode == 0
    for words in ((), ("--nonsense",), ("--config",), ("--config", "/nothing/there.conf"), ("extra", "--config", "x")):
        assert run(stopped, name, *words).returncode not in (0, 99), words


@pytest.mark.parametrize("section, key, value", [
    ("as", "nonsense", "1"), ("nonsense", "listen", "x"), ("as", "threads", "0"), ("as", "threads", "two"),
    ("as", "threads", "65"), ("as", "threads", "1.5"), ("as", "threads", ""), ("realm", "check_address", "perhaps"),
    ("realm", "clock_skew", "99999999999999999999"), ("realm", "clock_skew", "-1"), ("log", "level", "loud"),
    ("realm", "name", ""), ("realm", "name", "x" * 1000),
])
def test_bad_configuration_is_refused_with_its_line(stopped, section, key, value):
    with open(stopped.conf, encoding="utf-8") as f:
        text = f.read()
    text = re.sub(rf"(\[{section}\][^\[]*?)\n{key} *=.*", r"\1", text + "\n[nonsense]\n" * (section == "nonsense"))
    head, _, tail = text.partition(f"[{section}]\n")
    text = f"{head}[{section}]\n{key} = {value}\n{tail}"
    with open(stopped.conf, "w", encoding="utf-8") as f:
        f.write(text)
    for name in NAMES:
        said = refuses(stopped, name)
        assert re.search(r"kerb\.conf:\d+", said) or key in said, said


@pytest.mark.parametrize("key, value", [("listen", "nowhere"), ("listen", "127.0.0.1"), ("listen", "127.0.0.1:70000"),
                                        ("listen", "example.org:80"), ("listen", "192.0.2.1:0")])
def test_address_that_cannot_be_listened_on(stopped, name, key, value):
    stopped.write_config({name: {key: value}})
    refuses(stopped, name)


def test_trusted_proxies_that_are_none(stopped, name):
    stopped.write_config({"proxy": {"trusted": "127.0.0.1 300.1.1.1"}})
    refuses(stopped, name)


def test_attack_configuration_that_others_can_write(stopped, name):
    os.chmod(stopped.conf, 0o666)
    refuses(stopped, name, "kerb.conf")
    os.chmod(stopped.conf, 0o620)
    refuses(stopped, name, "kerb.conf")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602])
def test_attack_key_file_that_others_can_read_or_write(stopped, name, mode):
    for path in {KEYTABS[name], f"{name}/master.key"}:
        path = os.path.join(stopped.state, path)
        os.chmod(path, mode)
        refuses(stopped, name)
        os.chmod(path, 0o600)


def test_attack_key_file_that_is_a_link_or_none(stopped, name):
    path = os.path.join(stopped.state, KEYTABS[name])
    os.rename(path, path + ".away")
    refuses(stopped, name)
    os.mkdir(path, 0o700)
    refuses(stopped, name)


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"keytab":2,"keys":[]}', '{"keytab":1}',
                                  '{"keytab":1,"keys":[{"principal":"x","etype":"aes128-cbc-hs256","kvno":1,'
                                  '"valid_from":0,"key":"AAAA"}]}'])
def test_key_file_that_is_broken(stopped, name, text):
    path = os.path.join(stopped.state, KEYTABS[name])
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    refuses(stopped, name)


@pytest.mark.parametrize("name", ["tgs", "chat"])
def test_key_file_without_keys_is_not_ready(stopped, name):
    path = os.path.join(stopped.state, KEYTABS[name])
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"keytab":1,"keys":[]}')
    try:
        stopped.start(name)
    except AssertionError:
        return refuses(stopped, name)
    assert web.get(("127.0.0.1", stopped.daemons[name].port), "/readyz").status == 503


@pytest.mark.parametrize("name", ["as", "tgs"])
def test_master_key_of_another_realm(new_realm, name):
    """What was sealed under the one does not open under the other, and check says so."""
    realm, other = new_realm(start=False), new_realm(start=False)
    realm.add_user()
    with open(os.path.join(other.state, name, "master.key"), "rb") as f:
        key = f.read()
    with open(os.path.join(realm.state, name, "master.key"), "wb") as f:
        f.write(key)
    assert realm.kerbadm("check", check=False).returncode != 0


def test_database_newer_than_the_program(new_realm, name):
    realm = new_realm()
    realm.stop()
    path = os.path.join(realm.state, name, f"{name}.db")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9999")
    db.close()
    refuses(realm, name)


def test_database_that_is_none(new_realm, name):
    realm = new_realm()
    realm.stop()
    path = os.path.join(realm.state, name, f"{name}.db")
    with open(path, "wb") as f:
        f.write(os.urandom(8192))
    refuses(realm, name)


def test_processes_keep_their_memory_to_themselves(realm, name):
    """No core dump, no debugger of the same user: /proc shows root as the owner then."""
    pid = realm.daemons[name].pid
    with open(f"/proc/{pid}/limits", encoding="utf-8") as f:
        assert re.search(r"Max core file size +0 +0", f.read())
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        assert not any(s in f.read() for s in realm.secret)


def test_an_inner_port_that_is_taken_is_named(new_realm, name):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        realm = new_realm(start=False, **{name: {"inner": f"127.0.0.1:{port}"}})
        with pytest.raises(AssertionError, match=f"127.0.0.1:{port}"):
            realm.start(name)
        assert realm.daemons.pop(name).wait() == 1  # and nothing leaked
