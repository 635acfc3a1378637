"""The TGS exchange of the classic profile: what it answers, and the attacks on it."""
import base64
import json
import os
import time

import pytest

from kerbtest import classic, web
from kerbtest.envelope import b64url, from_b64url, with_times
from kerbtest.kdc import post_tgs
from kerbtest.realm import wait_until

REPLY = {"service", "time_to_live", "client_service_sk", "service_ticket", "timestamp"}


def refused(reply, code, status=401):
    assert (reply.status, reply.code) == (status, code), reply


def opened(tgt, reply):
    assert reply.status == 200, reply
    return classic.open_box(tgt.key, reply.body.decode())


@pytest.fixture
def realm(any_realm):
    """Every test here runs direct and through nginx."""
    return any_realm


@pytest.fixture
def tgt(realm, alice):
    return realm.login(alice)


@pytest.fixture
def files_service(realm):
    name = "files-" + os.urandom(4).hex()
    realm.kerbadm("service", "add", name)
    return name


# --- the exchange ---

def test_reply_has_exactly_the_fields_of_the_protocol(any_realm):
    tgt = any_realm.login(any_realm.add_user())
    r = post_tgs(any_realm, tgt.fields())
    reply = opened(tgt, r)
    assert set(reply) == REPLY
    assert reply["service"] == "chat"
    assert len(base64.b64decode(reply["client_service_sk"], validate=True)) == 16
    assert 3590 <= reply["time_to_live"] <= 3600
    assert not r.body.endswith(b"\n")


def test_reply_and_ticket_agree(realm, alice):
    tgt = realm.login(alice)
    reply = opened(tgt, post_tgs(realm, tgt.fields()))
    ticket = realm.keytab("chat").read(reply["service_ticket"], realm.name)
    parent = realm.keytab("tgs").read(tgt.ticket, realm.name)
    assert ticket["user_login"] == ticket["user_name"] == alice.name
    assert ticket["server"] == ticket["service"] == "chat"
    assert ticket["client_service_sk"] == reply["client_service_sk"]
    assert ticket["parent_id"] == parent["ticket_id"] and ticket["client_id"] == parent["client_id"]
    assert ticket["end_time"] <= parent["end_time"]
    for field in REPLY & set(ticket):
        assert reply[field] == ticket[field], field


@pytest.mark.parametrize("path", ["/tgs", "/tgs/"])
def test_path_with_and_without_slash(any_realm, path):
    tgt = any_realm.login(any_realm.add_user())
    opened(tgt, post_tgs(any_realm, tgt.fields(), path=path))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_json_body(realm, tgt, content_type):
    opened(tgt, web.post_json(realm.tgs_addr, "/tgs", tgt.fields(), content_type))


def test_ticket_and_authenticator_pasted_unescaped(realm, tgt):
    for _ in range(8):
        f = tgt.fields()
        body = f"tgs_ticket={f['tgs_ticket']}&authenticator={f['authenticator']}&service=chat".encode()
        opened(tgt, web.request(realm.tgs_addr, "POST", "/tgs", body))


def test_two_honest_requests_in_a_second(realm, tgt):
    stamp = classic.stamp()
    text = {"user_name": tgt.user.name, "timestamp": stamp}
    keys = {opened(tgt, post_tgs(realm, {**tgt.fields(), "authenticator": classic.seal(tgt.key, text)}))
            ["client_service_sk"] for _ in range(3)}
    assert len(keys) == 3


def test_another_service(realm, tgt, files_service):
    t = tgt.service(files_service)
    assert t.service == files_service


def test_classic_service_lifetime(new_realm):
    realm = new_realm(policy={"classic_service_lifetime": 120, "classic_tgt_lifetime": 90})
    tgt = realm.login(realm.add_user())
    assert tgt.reply["time_to_live"] == 90
    assert tgt.service().reply["time_to_live"] <= 90


# --- attacks ---

def test_attack_stamps_in_the_past_and_in_the_future(realm, tgt):
    for s in (-610, 610, -86400, 86400):
        refused(post_tgs(realm, tgt.fields(offset_s=s)), "KRB_AP_ERR_SKEW")
    for s in (-590, 590):
        opened(tgt, post_tgs(realm, tgt.fields(offset_s=s)))


def test_attack_same_authenticator_twice(realm, tgt, files_service):
    fields = tgt.fields()
    opened(tgt, post_tgs(realm, fields))
    refused(post_tgs(realm, fields), "KRB_AP_ERR_REPEAT")
    refused(post_tgs(realm, {**fields, "service": files_service}), "KRB_AP_ERR_REPEAT")


def test_attack_replay_re_spaced_through_the_iv(realm, tgt):
    fields = tgt.fields()
    again = {**fields, "authenticator": classic.re_spaced(fields["authenticator"], at=13)}
    assert (classic.open_box(tgt.key, again["authenticator"]) == classic.open_box(tgt.key, fields["authenticator"]))
    opened(tgt, post_tgs(realm, fields))
    refused(post_tgs(realm, again), "KRB_AP_ERR_REPEAT")


def test_attack_replay_without_its_padding_block(realm, tgt):
    text = json.dumps({"user_name": tgt.user.name, "timestamp": classic.stamp()})
    text = text[:-1] + " " * (-len(text) % 16) + "}"
    fields = {**tgt.fields(), "authenticator": classic.seal(tgt.key, text)}
    opened(tgt, post_tgs(realm, fields))
    refused(post_tgs(realm, {**fields, "authenticator": classic.cut_block(fields["authenticator"])}),
            "KRB_AP_ERR_REPEAT")


def test_attack_replay_after_an_orderly_restart(new_realm):
    realm = new_realm()
    tgt = realm.login(realm.add_user())
    fields, ahead = tgt.fields(), tgt.fields(offset_s=300)
    for f in (fields, ahead):
        opened(tgt, post_tgs(realm, f))
    realm.restart("tgs")
    for f in (fields, ahead):
        refused(post_tgs(realm, f), "KRB_AP_ERR_REPEAT")
    opened(tgt, post_tgs(realm, tgt.fields()))


def test_attack_replay_after_sigkill_also_with_a_stamp_that_lay_ahead(new_realm):
    realm = new_realm()
    user = realm.add_user()
    tgt = realm.login(user)
    requests = [tgt.fields(offset_s=s) for s in (-100, 0, 2, 300)]
    for f in requests:
        opened(tgt, post_tgs(realm, f))
    unused = tgt.fields()
    realm.kill("tgs")
    realm.start("tgs")
    for f in [*requests, unused, tgt.fields()]:
        refused(post_tgs(realm, f), "KRB_AP_ERR_TKT_EXPIRED")
    assert realm.login(user).service().ticket


def test_attack_authenticator_of_another_user(realm, tgt, bob):
    refused(post_tgs(realm, tgt.fields(user_name=bob.name)), "KRB_AP_ERR_BADMATCH")


def test_attack_ticket_of_another_user(realm, tgt, bob):
    theirs = realm.login(bob)
    refused(post_tgs(realm, {**tgt.fields(), "tgs_ticket": theirs.ticket}), "KRB_AP_ERR_MODIFIED")


def test_attack_one_bit_of_the_tgt_flipped(realm, tgt):
    raw = from_b64url(tgt.ticket)
    for at in [*range(0, 24), len(raw) // 2, len(raw) - 17, len(raw) - 16, len(raw) - 1]:
        for bit in (1, 0x80):
            bad = bytearray(raw)
            bad[at] ^= bit
            refused(post_tgs(realm, {**tgt.fields(), "tgs_ticket": b64url(bad)}), "KRB_AP_ERR_MODIFIED")


def test_attack_tgt_cut_or_lengthened(realm, tgt):
    raw = from_b64url(tgt.ticket)
    for bad in (raw[:-1], raw[:-16], raw[:38], raw[:22], raw[:5], raw + b"\0", raw + raw[-16:], raw + raw):
        refused(post_tgs(realm, {**tgt.fields(), "tgs_ticket": b64url(bad)}), "KRB_AP_ERR_MODIFIED")


def test_attack_tgt_in_another_spelling(realm, tgt):
    for bad in (tgt.ticket + "=", tgt.ticket + "==", tgt.ticket + "\n", " " + tgt.ticket, tgt.ticket[:-1],
                tgt.ticket.replace("-", "+").replace("_", "/") + "=", tgt.ticket + "A"):
        if bad.replace("+", "-").replace("/", "_") != tgt.ticket:
            r = web.post_json(realm.tgs_addr, "/tgs", {**tgt.fields(), "tgs_ticket": bad})
            assert r.status in (400, 401), r


def test_attack_service_ticket_as_tgt(realm, tgt):
    t = tgt.service()
    fields = {"authenticator": t.authenticator(), "tgs_ticket": t.ticket, "service": "chat"}
    refused(post_tgs(realm, fields), "KRB_AP_ERR_MODIFIED")


@pytest.mark.parametrize("change", [
    {"server": "chat"}, {"server": "tgs2"}, {"realm": "OTHER"}, {"tgs_name": "chat"}, {"etype": "aes128-cbc-hs256"},
    {"user_name": "other"}, {"session_key": "AAAA"}, {"client_id": "x"}, {"end_time": "soon"},
])
def test_attack_minted_tgt_that_is_wrong_inside(realm, tgt, change):
    """Whoever sealed this had the key; the TGS still looks at every field."""
    keytab = realm.keytab("tgs")
    fields = keytab.read(tgt.ticket, realm.name)
    assert post_tgs(realm, {**tgt.fields(), "tgs_ticket": keytab.mint(fields, realm.name)}).status == 200
    r = post_tgs(realm, {**tgt.fields(), "tgs_ticket": keytab.mint({**fields, **change}, realm.name)})
    assert r.status == 401 and r.code.startswith("KRB_AP_ERR_"), r


def test_attack_tgt_sealed_for_another_realm_or_label(realm, tgt):
    keytab = realm.keytab("tgs")
    fields = keytab.read(tgt.ticket, realm.name)
    for ticket in (keytab.mint(fields, "OTHER"), keytab.mint(fields, realm.name, server="chat"),
                   realm.keytab("chat").mint(fields, realm.name), realm.keytab("chat").mint(fields, realm.name, "tgs")):
        refused(post_tgs(realm, {**tgt.fields(), "tgs_ticket": ticket}), "KRB_AP_ERR_MODIFIED")


def test_attack_expired_tgt(realm, tgt):
    keytab = realm.keytab("tgs")
    fields = keytab.read(tgt.ticket, realm.name)
    now = int(time.time())
    for start, end in ((now - 7200, now - 3600), (now - 100, now - 1), (now + 3600, now + 7200)):
        ticket = keytab.mint(with_times(fields, start, end), realm.name)
        refused(post_tgs(realm, {**tgt.fields(), "tgs_ticket": ticket}), "KRB_AP_ERR_TKT_EXPIRED")
    ticket = keytab.mint(with_times(fields, None, now + 60), realm.name)
    assert opened(tgt, post_tgs(realm, {**tgt.fields(), "tgs_ticket": ticket}))["time_to_live"] <= 60


def test_attack_key_version_that_is_not_there(realm, tgt):
    raw = bytearray(from_b64url(tgt.ticket))
    raw[2:6] = b"\0\0\0\x63"
    refused(post_tgs(realm, {**tgt.fields(), "tgs_ticket": b64url(raw)}), "KRB_AP_ERR_MODIFIED")


def test_attack_user_or_tgs_as_service(realm, tgt, bob):
    for service in (bob.name, tgt.user.name, "tgs", "nobody", "CHAT", "chat "):
        r = post_tgs(realm, tgt.fields(service=service))
        assert r.status == 400 and r.code in ("KDC_ERR_S_PRINCIPAL_UNKNOWN", "KRB_ERR_MALFORMED"), r


def test_attack_unknown_service_is_told_to_nobody_who_did_not_prove(realm, tgt):
    fields = {**tgt.fields(service="nobody"), "authenticator": classic.seal(os.urandom(16), {"user_name": "x"})}
    refused(post_tgs(realm, fields), "KRB_AP_ERR_MODIFIED")


def test_attack_authenticator_that_is_none(realm, tgt):
    for text in ("{}", "[]", "1", "x", "", json.dumps({"user_name": tgt.user.name}),
                 json.dumps({"timestamp": classic.stamp()}), json.dumps({"user_name": 1, "timestamp": classic.stamp()}),
                 json.dumps({"user_name": tgt.user.name, "timestamp": 17})):
        r = post_tgs(realm, {**tgt.fields(), "authenticator": classic.seal(tgt.key, text)})
        assert r.status == 401, (text, r)


@pytest.mark.parametrize("drop", ["authenticator", "tgs_ticket", "service"])
def test_missing_parameter(realm, tgt, drop):
    fields = tgt.fields()
    del fields[drop]
    refused(post_tgs(realm, fields), "KRB_ERR_MALFORMED", 400)


def test_attack_one_user_fills_the_replay_cache(new_realm):
    realm = new_realm()
    mallory, alice = (realm.login(u) for u in realm.add_users(2))
    c = web.http.client.HTTPConnection(*realm.tgs_addr, timeout=20)
    statuses = [web.post_form(realm.tgs_addr, "/tgs", mallory.fields(), connection=c).status for _ in range(4096)]
    assert statuses == [200] * 4096
    refused(post_tgs(realm, mallory.fields()), "KERB_ERR_RATE_LIMITED", 429)
    assert alice.service().ticket


def test_attack_address_when_the_realm_binds_it(new_realm):
    realm = new_realm(realm={"check_address": "yes"}, proxy={"trusted": "127.0.0.1"})
    user = realm.add_user()
    tgt = realm.login(user, headers={"X-Forwarded-For": "192.0.2.7"})
    refused(post_tgs(realm, tgt.fields(), headers={"X-Forwarded-For": "192.0.2.8"}), "KRB_AP_ERR_MODIFIED")
    opened(tgt, post_tgs(realm, tgt.fields(), headers={"X-Forwarded-For": "192.0.2.7"}))


def test_rotated_service_key(new_realm):
    realm = new_realm(policy={"keytab_delay": 0})
    user = realm.add_user()
    old = realm.ticket(user)
    realm.kerbadm("service", "rotate", "chat")
    assert realm.keytab("chat").newest["kvno"] == 2 or realm.kerbadm(
        "keytab", "export", "chat", "--out", os.path.join(realm.state, "chat", "chat.keytab")).returncode == 0
    wait_until(lambda: from_b64url(realm.ticket(user).ticket)[2:6] == b"\0\0\0\2", what="a ticket under the new key")
    new = realm.ticket(user)
    realm.chat(old)
    realm.daemons["chat"].signal(1)
    realm.chat(new)
