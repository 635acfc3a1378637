"""The feed: what kerbadm changes in the AS's database reaches TGS and services in time, and nobody else."""
import configparser
import json
import os
import sqlite3
import struct
import subprocess
import threading
import time

import pytest

from kerbtest import web
from kerbtest.envelope import Keytab, b64url, from_b64url, seal, unseal
from kerbtest.kdc import Refused
from kerbtest.realm import wait_until

CUT_OFF_S = 2  # from the command to the refusal


def inner(realm, name):
    """The address of a daemon's inner listener."""
    conf = configparser.ConfigParser(interpolation=None)
    conf.read(realm.conf)
    return ("127.0.0.1", int(conf[name]["inner"].rpartition(":")[2]))


def ready(realm, name):
    return web.get(realm.daemons[name] and ("127.0.0.1", realm.daemons[name].port), "/readyz").status


def is_cut_off(tgt):
    try:
        tgt.service()
    except Refused as e:
        assert (e.status, e.code) == (401, "KRB_AP_ERR_TKT_EXPIRED"), e
        return True
    return False


def ask(addr, realm_name, keytab, after=0, service=None, key=None, wait=False, kvno=None, **outer):
    """A question as a service asks it; the answer and what is in it."""
    service = service or keytab.principal
    plain = json.dumps({"after": after, "nonce": b64url(bytes(range(16))), "wait": wait}).encode()
    e = seal(key or keytab.key, "epochs", plain, realm_name, server=service, context=struct.pack(">Q", after),
             kvno=kvno or keytab.newest["kvno"])
    r = web.post_json(addr, "/feed", {"v": 1, "service": service, "after": after, "feed": b64url(e), **outer})
    if r.status != 200:
        return r, None
    seq = r.json["seq"]
    answer = json.loads(unseal(keytab.key, "epochs", from_b64url(r.json["feed"]), realm_name, server=service,
                               context=struct.pack(">Q", seq)))
    assert answer["seq"] == seq and answer["nonce"] == b64url(bytes(range(16)))
    return r, answer


def test_disabling_cuts_off_the_tgt_in_time(realm):
    user, other = realm.add_user(), realm.add_user()
    tgt, others = realm.login(user), realm.login(other)
    tgt.service()
    realm.kerbadm("user", "disable", user.name)
    wait_until(lambda: is_cut_off(tgt), CUT_OFF_S, "the cut-off")
    others.service()
    realm.kerbadm("user", "enable", user.name)
    assert is_cut_off(tgt)  # for good
    realm.login(user).service()


def test_deleting_cuts_off_and_the_name_inherits_nothing(realm):
    user = realm.add_user()
    tgt = realm.login(user)
    realm.kerbadm("user", "del", user.name)
    wait_until(lambda: is_cut_off(tgt), CUT_OFF_S, "the cut-off")
    again = realm.add_user(user.name)
    realm.login(again).service()
    assert is_cut_off(tgt)


def test_what_happened_while_the_tgs_was_down_is_made_up_for(new_realm):
    realm = new_realm(start=False)
    realm.start("as", "tgs")
    user = realm.add_user()
    tgt = realm.login(user)
    realm.stop("tgs")
    realm.kerbadm("user", "disable", user.name)
    realm.start("tgs")
    wait_until(lambda: is_cut_off(tgt), CUT_OFF_S, "the cut-off")
    realm.restart("tgs")  # and remembered
    realm.stop("as")
    assert is_cut_off(tgt)


def test_readyz_tells_of_a_link_that_is_down(new_realm):
    realm = new_realm(start=False)
    realm.start("as", "tgs")
    user = realm.add_user()
    tgt = realm.login(user)
    wait_until(lambda: ready(realm, "tgs") == 200, 5, "ready")
    realm.stop("as")
    time.sleep(1)
    assert ready(realm, "tgs") == 200  # not for long yet
    wait_until(lambda: ready(realm, "tgs") == 503, 8, "not ready")
    tgt.service()  # it serves on
    realm.kerbadm("user", "disable", user.name)
    realm.start("as")
    wait_until(lambda: ready(realm, "tgs") == 200, 5, "ready again")
    wait_until(lambda: is_cut_off(tgt), CUT_OFF_S, "the cut-off")


def test_a_rotated_service_key_is_told_to_its_service_alone(new_realm):
    realm = new_realm(start=False, policy={"keytab_delay": 3})
    realm.start("as", "tgs")
    realm.kerbadm("service", "add", "files")
    path = os.path.join(realm.dir, "files.keytab")
    realm.kerbadm("keytab", "export", "files", "--out", path)
    files, chat = Keytab(path), realm.keytab("chat")
    user = realm.add_user()
    tgt = realm.login(user)
    before = tgt.service("files")
    addr, name = inner(realm, "tgs"), realm.name
    realm.kerbadm("service", "rotate", "files")
    _, answer = ask(addr, name, files)
    (item,) = [i for i in answer["items"] if i["kind"] == "rotate"]
    assert (item["service"], item["kvno"]) == ("files", 2)
    assert not [i for i in ask(addr, name, chat)[1]["items"] if i["kind"] == "rotate"]
    assert kvno_of(tgt.service("files")) == 1  # keytabs are read meanwhile
    wait_until(lambda: kvno_of(tgt.service("files")) == 2, 6, "the new key")
    after = tgt.service("files")
    unseal(from_b64url(item["key"]), "ticket", from_b64url(after.ticket), name, server="files")
    unseal(files.key, "ticket", from_b64url(before.ticket), name, server="files")


def kvno_of(ticket):
    return struct.unpack(">I", from_b64url(ticket.ticket)[2:6])[0]


def test_a_held_question_is_answered_when_something_happens(realm):
    tgs, addr = realm.keytab("tgs"), inner(realm, "as")
    _, answer = ask(addr, realm.name, tgs)
    user = realm.add_user()
    begin = time.monotonic()
    timer = threading.Timer(0.5, lambda: realm.kerbadm("user", "disable", user.name))
    timer.start()
    _, news = ask(addr, realm.name, tgs, after=answer["seq"], wait=True)
    timer.join()
    assert 0.4 < time.monotonic() - begin < 5
    assert [i["kind"] for i in news["items"]] == ["epoch"] and news["seq"] > answer["seq"]


@pytest.mark.parametrize("daemon", ["as", "tgs"])
def test_nobody_else_is_answered(realm, daemon):
    reader = realm.keytab("tgs" if daemon == "as" else "chat")
    other = realm.keytab("chat" if daemon == "as" else "tgs")
    addr = inner(realm, daemon)
    assert ask(addr, realm.name, reader)[0].status == 200
    for how in ({"keytab": other}, {"keytab": reader, "key": other.key}, {"keytab": reader, "service": "nobody"},
                {"keytab": reader, "kvno": 77}):
        r, _ = ask(addr, realm.name, **how)
        assert (r.status, r.code) == (401, "KRB_AP_ERR_MODIFIED"), (how, r)
    r, _ = ask(addr, "ELSEWHERE", reader)
    assert (r.status, r.code) == (401, "KRB_AP_ERR_MODIFIED")
    assert web.post_json(addr, "/feed", {"v": 1}).code == "KRB_ERR_MALFORMED"
    assert web.get(addr, "/feed").status == 405


@pytest.mark.parametrize("daemon", ["as", "tgs"])
def test_the_feed_is_not_on_the_public_listener(realm, daemon):
    addr = ("127.0.0.1", realm.daemons[daemon].port)
    assert web.post_json(addr, "/feed", {"v": 1}).status == 404


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:8812"])
def test_an_inner_listener_is_on_loopback_only(new_realm, listen):
    realm = new_realm(start=False)
    with open(realm.conf, encoding="utf-8") as f:
        text = f.read()
    realm.write_config({"tgs": {"inner": listen}})
    r = subprocess.run([os.path.join(realm.bin, "kerb-tgs"), "--config", realm.conf, "--check-config"],
                       capture_output=True, text=True)
    assert r.returncode == 1 and "loopback" in r.stderr, r
    with open(realm.conf, "w", encoding="utf-8") as f:
        f.write(text)


def order(realm, kind, text="", number=0):
    """What the admin service writes for the other daemons."""
    with sqlite3.connect(os.path.join(realm.state, "as/as.db")) as c:
        c.execute("INSERT INTO feed (time_s, kind, client_id, number, text) VALUES (?, ?, zeroblob(16), ?, ?)",
                  (int(time.time()), kind, number, text))


NOTICE, DRAIN, ROTATE = 2, 3, 5


def test_a_key_ordered_from_afar_reaches_the_running_service(new_realm):
    realm = new_realm(policy={"keytab_delay": 3})
    tgt = realm.login(realm.add_user())
    order(realm, ROTATE, "chat")
    wait_until(lambda: realm.keytab("chat").newest["kvno"] == 2, 5, "the key in the chat's keytab")
    wait_until(lambda: kvno_of(tgt.service()) == 2, 8, "the new key in use")
    realm.chat(tgt.service())
    assert realm.kerbadm("check").returncode == 0


def test_a_daemon_that_is_told_to_end_ends_in_order(new_realm):
    realm = new_realm(start=False)
    realm.start("as", "tgs")
    wait_until(lambda: ready(realm, "tgs") == 200, 5, "ready")
    order(realm, NOTICE, "not for the TGS")
    order(realm, DRAIN, "tgs")
    d = realm.daemons["tgs"]
    assert d.wait() == 0
    d.check_clean()
    realm.start("tgs")  # the order is not carried out again
    wait_until(lambda: ready(realm, "tgs") == 200, 5, "ready")
    time.sleep(1)
    assert realm.daemons["tgs"].is_alive()
