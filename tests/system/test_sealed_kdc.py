"""Attacks on the sealed exchanges with AS and TGS, each against the daemons as they run."""
import base64
import http.client
import json
import os
import random
import sqlite3
import statistics
import time

import pytest

from kerbtest import account, kdc, sealed, web
from kerbtest.classic import password_key
from kerbtest.envelope import b64url, from_b64url, seal, unseal, with_times
from kerbtest.realm import Realm, wait_until
from kerbtest.sealed import Preauth, dump, pack, sha

LABELS = ["as-cookie", "as-preauth", "as-reply", "ticket", "tgs-authenticator", "tgs-reply", "ap-authenticator",
          "ap-reply", "c2s", "s2c", "message", "epochs", "row", "new-keys", "vault", "audit", ""]
CUT_OFF_S = 2


def post_as(realm, request):
    return web.post_json(realm.as_addr, "/as/login", request)


def post_tgs(realm, request):
    return web.post_json(realm.tgs_addr, "/tgs", request)


def refused(reply, code, status=401):
    assert (reply.status, reply.code) == (status, code), reply


def asks_again(reply, before):
    """A new request for proof: another cookie, the same parameters."""
    refused(reply, "KDC_ERR_PREAUTH_REQUIRED")
    again = reply.json
    assert again["cookie"] != before["cookie"]
    for field in ("realm", "etypes", "salt", "iterations"):
        assert again[field] == before[field], field
    return again


class Asked:
    """An offer of the AS to a user, and his key."""

    def __init__(self, realm, user, **wishes):
        self.realm, self.user = realm, user
        self.preauth = Preauth(realm, user.name, **wishes)
        self.offer = self.preauth.asked
        self.key = self.preauth.key(user.password)

    def request(self, **how):
        return self.preauth.request(how.pop("key", self.key), **how)

    def post(self, **how):
        return post_as(self.realm, self.request(**how))

    def open(self, reply, request, label="as-reply"):
        return json.loads(unseal(self.key, label, from_b64url(reply.json["reply"]), self.realm.name, self.user.name,
                                 "tgs", sha(request)))


def flipped(text, at):
    raw = bytearray(from_b64url(text))
    raw[at] ^= 1
    return b64url(bytes(raw))


@pytest.fixture
def asked(realm, alice):
    return Asked(realm, alice)


@pytest.fixture
def tgt(realm, alice):
    return sealed.login(realm, alice)


@pytest.fixture
def files(realm):
    name = "files-" + os.urandom(4).hex()
    realm.kerbadm("service", "add", name)
    return name


# --- cookies ---

def test_attack_cookie_used_again(realm, alice, asked):
    request = asked.request()
    assert post_as(realm, request).status == 200
    again = asks_again(post_as(realm, request), asked.offer)
    asks_again(asked.post(), asked.offer)  # the used cookie under a proof of its own
    asks_again(asked.post(key=os.urandom(32)), asked.offer)  # and a wrong one: no try at a password
    assert asked.post(cookie=again["cookie"]).status == 200


def test_attack_cookie_used_with_another_body(realm, alice, asked):
    assert asked.post().status == 200
    other = Asked(realm, alice, lifetime_s=600)
    asks_again(other.post(cookie=asked.offer["cookie"]), asked.offer)


def test_attack_cookie_of_another_client(realm, asked, bob):
    asks_again(asked.post(cookie=Asked(realm, bob).offer["cookie"]), asked.offer)
    asks_again(asked.post(cookie=Preauth(realm, "nobody-" + bob.name).asked["cookie"]), asked.offer)
    assert asked.post().status == 200


def test_attack_cookie_of_another_start(new_realm):
    """Expiry works the same way: the unit test cookie__ends_after_two_minutes has a clock to turn."""
    realm = new_realm(start=False)
    user = realm.add_user()
    realm.start("as", "tgs")
    asked = Asked(realm, user)
    realm.restart("as")
    again = asks_again(asked.post(), asked.offer)
    assert asked.post(cookie=again["cookie"]).status == 200


def test_attack_cookie_of_another_realm(realm, alice, asked, new_realm):
    other = new_realm(start=False)
    other.start("as")
    other.add_user(alice.name, alice.password)
    asks_again(asked.post(cookie=Asked(other, alice).offer["cookie"]), asked.offer)


def test_attack_cookie_that_cannot_be_read(realm, asked):
    cookie = asked.offer["cookie"]
    n = len(from_b64url(cookie))
    broken = [flipped(cookie, at) for at in (0, 1, 2, 5, 6, 21, 22, n - 17, n - 16, n - 1)]
    broken += [cookie[:-4], cookie + "AAAA", cookie + "=", cookie + "\n", " " + cookie, "A", "!!", "+/+/", "é",
               b64url(os.urandom(n)), b64url(bytes(n)), cookie.swapcase()]
    for c in broken:
        asks_again(asked.post(cookie=c), asked.offer)
    assert asked.post().status == 200


def test_cookie_is_left_by_a_wrong_proof(realm, asked):
    refused(asked.post(key=os.urandom(32)), "KDC_ERR_PREAUTH_FAILED")
    assert asked.post().status == 200


def knows(realm, key):
    return f"`{key}`" in realm.kerbadm("config", "--markdown").stdout


def test_attack_cookies_of_no_use_lock_nobody_out(new_realm):
    """They are no wrong passwords, even where three of those already cost a delay."""
    realm = new_realm(start=False)
    if knows(realm, "throttle_free"):
        realm.write_config({"policy": {"pbkdf2_iterations": 200000, "throttle_free": 3, "throttle_network": 20}})
    user = realm.add_user()
    realm.start("as", "tgs")
    asked = Asked(realm, user)
    used = asked.request()
    assert post_as(realm, used).status == 200
    for i in range(60):
        request = used if i % 2 else asked.request(key=os.urandom(32), cookie=b64url(os.urandom(70)))
        refused(post_as(realm, request), "KDC_ERR_PREAUTH_REQUIRED")
    begin = time.monotonic()
    assert Asked(realm, user).post().status == 200
    assert time.monotonic() - begin < 5


# --- the proof ---

@pytest.mark.parametrize("label", [x for x in LABELS if x != "as-preauth"])
def test_attack_proof_of_another_kind(realm, asked, label):
    refused(asked.post(label=label), "KDC_ERR_PREAUTH_FAILED")


def test_attack_reply_turned_back_as_proof(realm, asked):
    request = asked.request()
    reply = post_as(realm, request).json["reply"]
    fresh = Asked(realm, asked.user)
    for body, cookie in ((asked.preauth.body, fresh.offer["cookie"]), (fresh.preauth.body, fresh.offer["cookie"])):
        refused(post_as(realm, {"v": 1, "body": body, "cookie": cookie, "preauth": reply}), "KDC_ERR_PREAUTH_FAILED")


def test_attack_proof_under_another_body(realm, alice, asked):
    """Someone on the way would like another lifetime, or a renewable ticket."""
    wanted = {"login": alice.name, "tgs_name": "tgs", "nonce": b64url(asked.preauth.nonce)}
    for more in ({"renewable": True}, {"lifetime_s": 60}, {}):
        request = {**json.loads(asked.request()), "body": pack({**wanted, **more}) if more else
                   b64url(json.dumps(wanted, separators=(",", ":")).encode())}
        refused(post_as(realm, request), "KDC_ERR_PREAUTH_FAILED")
    assert asked.post().status == 200


def test_attack_proof_of_one_for_another(realm, alice, bob):
    """Alice's proof under Bob's name, with a cookie that is good for Bob."""
    a, b = Asked(realm, alice), Asked(realm, bob)
    request = json.loads(a.request(cookie=b.offer["cookie"]))
    refused(post_as(realm, {**request, "body": b.preauth.body}), "KDC_ERR_PREAUTH_FAILED")
    asks_again(post_as(realm, request), a.offer)


@pytest.mark.parametrize("seen", [[], ["aes128-cbc"], ["aes128-cbc", sealed.ETYPE], [sealed.ETYPE, "aes128-cbc"],
                                  [sealed.ETYPE] * 2, [None], [[sealed.ETYPE]], sealed.ETYPE, None, 1, {},
                                  [sealed.ETYPE + "\0"], [sealed.ETYPE.upper()]])
def test_attack_offer_edited_on_the_way(realm, asked, seen):
    refused(asked.post(etypes_seen=seen), "KDC_ERR_PREAUTH_FAILED")


def test_attack_proof_that_is_not_whole(realm, asked):
    for change in ({"nonce": b64url(bytes(16))}, {"nonce": None}, {"nonce": ""}, {"time": "1"}, {"time": None}):
        refused(asked.post(**change), "KDC_ERR_PREAUTH_FAILED")
    for preauth in ("", "A", "AAAA", "====", b64url(bytes(70)), b64url(os.urandom(150)), "é"):
        r = post_as(realm, {**json.loads(asked.request()), "preauth": preauth})
        assert r.code in ("KDC_ERR_PREAUTH_FAILED", "KDC_ERR_PREAUTH_REQUIRED") and r.status == 401, (preauth, r)
    assert asked.post(time=0).status == 200  # whatever the clock


def test_parameters_stand_under_the_seal(realm, asked):
    """What lets a client see that its offer was edited to fewer iterations, another salt or classic only."""
    request = asked.request()
    told = asked.open(post_as(realm, request), request)
    for field in ("salt", "iterations", "etypes", "realm"):
        assert told[field] == asked.offer[field]
    assert asked.offer["iterations"] >= 200000 and asked.offer["etypes"] == [sealed.ETYPE]


def test_attack_key_of_fewer_iterations(realm, asked):
    """Who made a victim use fewer iterations gets a proof that the AS does not take."""
    weak = sealed.user_key(asked.user.password, realm.name, asked.user.name, from_b64url(asked.offer["salt"]), 1000)
    refused(asked.post(key=weak), "KDC_ERR_PREAUTH_FAILED")


# --- replies ---

def test_attack_reply_of_one_request_given_to_another(realm, alice):
    one, two = Asked(realm, alice), Asked(realm, alice)
    first, second = one.request(), two.request()
    reply = post_as(realm, first)
    assert one.open(reply, first)["nonce"] == b64url(one.preauth.nonce)
    for other in (second, first + b" ", one.preauth.body.encode()):
        with pytest.raises(AssertionError, match="tag"):
            one.open(reply, other)
    tgt = sealed.login(realm, alice)
    first, nonce = tgt.request("chat")
    second, _ = tgt.request("chat")
    reply = post_tgs(realm, first)
    assert tgt.open(reply, first, nonce, "chat")
    with pytest.raises(AssertionError, match="tag"):
        tgt.open(reply, second, nonce, "chat")


@pytest.mark.parametrize("exchange", ["as", "tgs"])
def test_reply_opens_as_nothing_else(realm, asked, tgt, exchange):
    if exchange == "as":
        request, key, server, right = asked.request(), asked.key, "tgs", "as-reply"
        reply = post_as(realm, request)
    else:
        request, key, server, right = tgt.request("chat")[0], tgt.key, "chat", "tgs-reply"
        reply = post_tgs(realm, request)
    envelope = from_b64url(reply.json["reply"])
    name = asked.user.name
    unseal(key, right, envelope, realm.name, name, server, sha(request))
    wrong = [(x, realm.name, name, server) for x in LABELS if x != right]
    wrong += [(right, realm.name + "x", name, server), (right, realm.name, name + "x", server),
              (right, realm.name, name, server + "x"), (right, realm.name, server, name)]
    for label, *names in wrong:
        with pytest.raises(AssertionError, match="tag"):
            unseal(key, label, envelope, *names, sha(request))


# --- the TGS ---

@pytest.mark.parametrize("label", [x for x in LABELS if x != "tgs-authenticator"])
def test_attack_authenticator_of_another_kind(realm, alice, tgt, label):
    text = pack({"service": "chat", "nonce": b64url(bytes(16))})
    a = seal(tgt.key, label, dump({"client": alice.name, "time": 0, "nonce": b64url(bytes(16))}), realm.name, alice.name,
             "chat", sha(tgt.ticket) + sha(text))
    refused(post_tgs(realm, {"v": 1, "tgt": tgt.ticket, "authenticator": b64url(a), "body": text}),
            "KRB_AP_ERR_MODIFIED")


def test_attack_service_swapped_on_the_way(realm, tgt, files):
    """The body asks for another service, or the same with other wishes; the authenticator was made for the first."""
    request = json.loads(tgt.request("chat")[0])
    inside = json.loads(from_b64url(request["body"]))
    for change in ({"service": files}, {"service": "kerb/admin"}, {"lifetime_s": 60}, {"options": ["renew"]},
                   {"service": "tgs", "options": ["renew"]}):
        refused(post_tgs(realm, {**request, "body": pack({**inside, **change})}), "KRB_AP_ERR_MODIFIED")
    assert post_tgs(realm, request).status == 200


def test_attack_authenticator_under_another_ticket(realm, alice, bob, tgt):
    again, theirs = sealed.login(realm, alice), sealed.login(realm, bob)
    request = json.loads(tgt.request("chat")[0])
    for other in (again, theirs):
        refused(post_tgs(realm, {**request, "tgt": other.ticket}), "KRB_AP_ERR_MODIFIED")
        refused(post_tgs(realm, {**json.loads(other.request("chat")[0]), "tgt": tgt.ticket}), "KRB_AP_ERR_MODIFIED")


def test_attack_authenticator_of_another_name(realm, alice, bob, tgt):
    nonce = b64url(os.urandom(16))
    text = pack({"service": "chat", "nonce": nonce})

    def post(bound_to, client, shown=nonce):
        a = seal(tgt.key, "tgs-authenticator", dump({"client": client, "time": 0, "nonce": shown}), realm.name, bound_to,
                 "chat", sha(tgt.ticket) + sha(text))
        return post_tgs(realm, {"v": 1, "tgt": tgt.ticket, "authenticator": b64url(a), "body": text})
    assert post(alice.name, alice.name).status == 200
    refused(post(bob.name, bob.name), "KRB_AP_ERR_MODIFIED")
    refused(post(alice.name, bob.name), "KRB_AP_ERR_BADMATCH")
    refused(post(alice.name, alice.name, shown=b64url(os.urandom(16))), "KRB_AP_ERR_MODIFIED")


def test_attack_ticket_changed_anywhere(realm, tgt):
    n = len(from_b64url(tgt.ticket))
    for at in [*range(0, 24), *range(24, n - 16, 37), *range(n - 16, n)]:
        changed = sealed.Tgt(realm, tgt.user, {**tgt.fields, "tgt": flipped(tgt.ticket, at)})
        refused(post_tgs(realm, changed.request("chat")[0]), "KRB_AP_ERR_MODIFIED")


def test_attack_service_ticket_as_tgt(realm, tgt):
    t = tgt.service()
    as_tgt = sealed.Tgt(realm, tgt.user, {"tgt": t.ticket, "session_key": t.fields["session_key"]})
    refused(post_tgs(realm, as_tgt.request("chat")[0]), "KRB_AP_ERR_MODIFIED")


def test_repeated_request_opens_for_the_owner_only(realm, tgt):
    """No replay cache: what a thief of the request gets is sealed, and no two keys are the same."""
    request, nonce = tgt.request("chat")
    keys = {tgt.open(post_tgs(realm, request), request, nonce, "chat")["session_key"] for _ in range(3)}
    assert len(keys) == 3


def test_attack_ticket_of_another_realm(realm, alice, tgt, new_realm):
    other = new_realm(start=False)
    other.start("as", "tgs")
    other.add_user(alice.name, alice.password)
    foreign = sealed.login(other, alice)
    refused(post_tgs(realm, sealed.Tgt(realm, alice, foreign.fields).request("chat")[0]), "KRB_AP_ERR_MODIFIED")


# --- lifetimes and renewal ---

def read(realm, ticket, server):
    return realm.keytab(server).read(ticket, realm.name)


def renew(tgt, **body):
    """The renewed TGT."""
    request, nonce = tgt.request("tgs", options=["renew"], **body)
    r = post_tgs(tgt.realm, request)
    if r.status != 200:
        raise kdc.Refused(r)
    fields = tgt.open(r, request, nonce, "tgs")
    return sealed.Tgt(tgt.realm, tgt.user, {**fields, "tgt": fields["ticket"]})


def minted(realm, tgt, start_s, end_s, **fields):
    """The TGT with other times and fields, as only the TGS's key can make it."""
    keytab = realm.keytab("tgs")
    was = with_times(keytab.read(tgt.ticket, realm.name), start_s, end_s)
    was.update(fields)
    if "renew_till" in fields:
        was["flags"] = ["renewable"] if fields["renew_till"] else []
    return sealed.Tgt(realm, tgt.user, {**tgt.fields, "tgt": keytab.mint(was, realm.name)})


def test_lifetimes_are_cut_to_what_was_asked_for_and_allowed(realm, alice):
    for wish, life in ((60, 60), (36000, 36000), (10**9, 36000), (None, 36000)):
        t = sealed.login(realm, alice, lifetime_s=wish)
        assert t.fields["end_time"] - t.fields["start_time"] == life and t.fields["renew_till"] == 0
        assert read(realm, t.ticket, "tgs")["end_time"] == t.fields["end_time"]


def test_attack_service_ticket_never_outlives_its_tgt(realm, alice):
    tgt = sealed.login(realm, alice, lifetime_s=120)
    for wish in ({}, {"lifetime_s": 10**9}, {"lifetime_s": 2**62}):
        t = tgt.service("chat", **wish)
        assert t.fields["end_time"] == tgt.fields["end_time"]
        ticket = read(realm, t.ticket, "chat")
        assert ticket["end_time"] == tgt.fields["end_time"] and ticket["auth_time"] == tgt.fields["auth_time"]
        assert t.fields["renew_till"] == 0 and ticket["flags"] == []
    t = tgt.service("chat", lifetime_s=30)
    assert t.fields["end_time"] - t.fields["start_time"] == 30


def test_attack_ticket_past_its_end(realm, tgt):
    now = int(time.time())
    minted(realm, tgt, now - 60, now + 60).service()
    for times in ((now - 120, now - 1), (now - 7200, now - 3600)):
        refused(post_tgs(realm, minted(realm, tgt, *times, renew_till=now + 3600).request("chat")[0]),
                "KRB_AP_ERR_TKT_EXPIRED")
        with pytest.raises(kdc.Refused, match="TKT_EXPIRED"):  # an ended ticket is not brought back to life
            renew(minted(realm, tgt, *times, renew_till=now + 3600))


def test_renewal_never_passes_renew_till(realm, alice):
    tgt = sealed.login(realm, alice, renewable=True)
    till = tgt.fields["renew_till"]
    assert till - tgt.fields["start_time"] == 604800
    now = int(time.time())
    late = minted(realm, tgt, now - 600, now + 600, renew_till=now + 100)
    for wish in ({}, {"lifetime_s": 10**9}):
        t = renew(late, **wish)
        assert t.fields["end_time"] == t.fields["renew_till"] == now + 100
        assert read(realm, t.ticket, "tgs")["end_time"] == now + 100
        service = t.service()
        assert service.fields["end_time"] <= now + 100
    again = renew(renew(tgt))
    assert again.fields["renew_till"] == till  # handed on, never moved
    assert read(realm, again.ticket, "tgs")["auth_time"] == tgt.fields["auth_time"]


def test_attack_renewed_after_renew_till(realm, alice):
    tgt = sealed.login(realm, alice, renewable=True)
    now = int(time.time())
    for till in (now - 1, now - 3600):
        with pytest.raises(kdc.Refused) as e:
            renew(minted(realm, tgt, now - 7200, now + 600, renew_till=till))
        refused(e.value.reply, "KRB_AP_ERR_TKT_EXPIRED")


def test_attack_renewal_ends_for_good(new_realm):
    """The whole way, by the clock: nothing that descends from a login lives past its renew_till."""
    realm = new_realm(start=False)
    realm.write_config({"policy": {"pbkdf2_iterations": 200000, "sealed_tgt_lifetime": 60, "sealed_renew_lifetime": 62}})
    user = realm.add_user()
    realm.start("as", "tgs")
    tgt = sealed.login(realm, user, renewable=True)
    till = tgt.fields["renew_till"]
    assert till == tgt.fields["start_time"] + 62 and tgt.fields["end_time"] == till - 2
    while time.time() < till - 55:
        time.sleep(0.1)
    newer = renew(tgt)
    assert newer.fields["end_time"] == till
    newest = renew(newer)
    while time.time() < till + 0.2:
        time.sleep(0.1)
    for t in (tgt, newer, newest):
        refused(post_tgs(realm, t.request("chat")[0]), "KRB_AP_ERR_TKT_EXPIRED")
        with pytest.raises(kdc.Refused, match="TKT_EXPIRED"):
            renew(t)


def test_attack_renewal_of_what_is_not_renewable(realm, alice, tgt):
    with pytest.raises(kdc.Refused) as e:
        renew(tgt)
    refused(e.value.reply, "KDC_ERR_POLICY", 403)
    with pytest.raises(kdc.Refused):
        request, _ = sealed.login(realm, alice, renewable=True).request("chat", options=["renew"])
        raise kdc.Refused(post_tgs(realm, request))
    refused(post_tgs(realm, request), "KDC_ERR_S_PRINCIPAL_UNKNOWN", 400)


# --- cut-off ---

def is_cut_off(tgt):
    r = post_tgs(tgt.realm, tgt.request("chat")[0])
    if r.status == 200:
        return False
    refused(r, "KRB_AP_ERR_TKT_EXPIRED")
    return True


@pytest.mark.parametrize("how", [("disable",), ("del",), ("passwd", "--cut-off", "--random"), ("profiles", "sealed")])
def test_attack_tickets_after_cut_off(realm, alice, bob, how):
    """Within two seconds, by the local kerbadm and without a restart: the TGT, and service tickets at both services."""
    tgt, others = sealed.login(realm, alice, renewable=True), sealed.login(realm, bob)
    chat_ticket, http_ticket = tgt.service(), account.Login(realm, alice.name, alice.password).service("kerb/changepw")
    http_ticket.challenge("/as/changepw")
    words = [how[0], alice.name, *how[1:]] if how[0] == "profiles" else [*how, alice.name]
    realm.kerbadm("user", *words)
    wait_until(lambda: is_cut_off(tgt), CUT_OFF_S, "the cut-off")
    with pytest.raises(kdc.Refused, match="TKT_EXPIRED"):
        renew(tgt)
    wait_until(lambda: login_refused(realm, chat_ticket), CUT_OFF_S, "the cut-off at the chat")
    with pytest.raises(account.Refused):
        challenge = account.post(realm, "/as/changepw", {"v": 1, "ticket": http_ticket.ticket})[0]
        if challenge.status != 401 or challenge.code != "KDC_ERR_PREAUTH_REQUIRED":
            raise account.Refused(challenge)
        http_ticket.call("/as/changepw", {"op": "passwd", "keys": "AAAA"}, challenge.json["challenge"])
    others.service()


def login_refused(realm, ticket):
    c = sealed.SealedChat(realm, ticket, greet=False)
    c.send_raw(c.login_frame())
    try:
        return c.closed(timeout=1) == 4503
    except (AssertionError, TimeoutError):
        return False


# --- the database file ---

@pytest.fixture
def filed(new_realm):
    """A realm of one's own with two users, and its file."""
    realm = new_realm(start=False)
    users = realm.add_users(2)
    realm.start("as", "tgs")

    def sql(*statements):
        db = sqlite3.connect(os.path.join(realm.state, "as", "as.db"), timeout=10)
        with db:
            for s in statements:
                db.execute(*s)
        db.close()
    return realm, users, sql


ROW = "(SELECT id FROM principal WHERE name = ?)"


def stays_out(realm, name, password):
    """A sealed and a classic login with this password, both in vain."""
    body = pack({"login": name, "tgs_name": "tgs", "nonce": b64url(bytes(16))})
    r = post_as(realm, {"v": 1, "body": body})
    if r.status == 401:
        user = type("Mallory", (), {"name": name, "password": password})
        r = Asked(realm, user).post()
    assert r.status in (401, 500), r
    with pytest.raises(kdc.Refused) as e:
        kdc.login(realm, type("Mallory", (), {"name": name, "key": password_key(password)}))
    assert e.value.status in (401, 500)
    assert b"tgt" not in r.body and b"session" not in r.body


@pytest.mark.parametrize("how", ["copied", "moved", "renamed", "client id"])
def test_attack_row_of_one_user_moved_to_another(filed, how):
    """Mallory can write the file: his own keys under the victim's name are of no use to him."""
    realm, (victim, mallory), sql = filed
    both = (victim.name, mallory.name)
    sealed.login(realm, mallory).service()
    if how == "copied":
        sql((f"UPDATE principal_key AS v SET (sealed, iterations, kvno) = (SELECT sealed, iterations, kvno FROM principal_key"
             f" WHERE principal = (SELECT id FROM principal WHERE name = ?2) AND etype = v.etype)"
             f" WHERE principal = (SELECT id FROM principal WHERE name = ?1)", both))
    elif how == "moved":
        sql((f"DELETE FROM principal_key WHERE principal = {ROW}", both[:1]),
            (f"UPDATE principal_key SET principal = (SELECT id FROM principal WHERE name = ?1)"
             f" WHERE principal = (SELECT id FROM principal WHERE name = ?2)", both))
    elif how == "renamed":
        sql(("UPDATE principal SET name = 'gone', folded = 'gone' WHERE name = ?", both[:1]),
            ("UPDATE principal SET name = ?1, folded = ?1 WHERE name = ?2", both))
    else:  # mallory's row with the victim's identity
        sql(("CREATE TEMP TABLE ids AS SELECT name, client_id FROM principal", ()),
            ("UPDATE principal SET client_id = randomblob(16) WHERE name = ?", both[:1]),
            ("UPDATE principal SET client_id = (SELECT client_id FROM ids WHERE name = ?1) WHERE name = ?2", both))
    stays_out(realm, victim.name, mallory.password)
    if how == "client id":
        stays_out(realm, mallory.name, mallory.password)
    check = realm.kerbadm("check", check=False)
    assert check.returncode == 1, check.stdout


def test_attack_sealed_key_of_another_version(filed):
    """An old key, kept from a backup, put back as the newest version."""
    realm, (victim, _), sql = filed
    db = sqlite3.connect(os.path.join(realm.state, "as", "as.db"))
    old = db.execute(f"SELECT etype, sealed FROM principal_key WHERE principal = {ROW}", (victim.name,)).fetchall()
    db.close()
    realm.kerbadm("user", "passwd", victim.name, "--random")
    for etype, blob in old:
        sql((f"UPDATE principal_key SET sealed = ? WHERE etype = ? AND principal = {ROW}", (blob, etype, victim.name)))
    stays_out(realm, victim.name, victim.password)


def test_attack_iterations_lowered_in_the_file(filed):
    """They stand under the seal; what stands beside it is only for names that do not exist."""
    realm, (victim, _), sql = filed
    sql((f"UPDATE principal_key SET iterations = 1 WHERE principal = {ROW} AND etype = 1", (victim.name,)))
    assert Preauth(realm, victim.name).asked["iterations"] == 200000
    sealed.login(realm, victim)


# --- names ---

def test_attack_two_users_who_differ_in_case_only(realm):
    user = realm.add_user("Straße-" + os.urandom(3).hex())
    for other in (user.name.upper(), user.name.lower(), user.name.replace("ß", "SS"), user.name.replace("ß", "ẞ")):
        r = realm.kerbadm("user", "add", other, "--random", check=False)
        assert r.returncode == 1 and "already" in r.stderr, (other, r)
        asked = Preauth(realm, other)
        assert asked.asked["salt"] != Preauth(realm, user.name).asked["salt"]
        refused(post_as(realm, asked.request(asked.key(user.password))), "KDC_ERR_PREAUTH_FAILED")
    sealed.login(realm, user)


def test_attack_new_user_of_a_deleted_users_name(realm, bob):
    """His rooms, his share, his tickets and his proof are of no use to who has his name now."""
    old = realm.add_user()
    a, b = sealed.chat(realm, old), sealed.chat(realm, bob)
    room = "r-" + os.urandom(4).hex()
    a.ask("new_room", "new_room", room=room, threshold=2, users=[bob.name])
    b.expect("new_room", room=room)
    share, b_share = a.shares[room], b.shares[room]
    tgt, proof = sealed.login(realm, old, renewable=True), Asked(realm, old)
    ticket, stale = tgt.service(), proof.request()
    realm.kerbadm("user", "del", old.name)
    assert a.closed(timeout=5) == 4503
    new = realm.add_user(old.name)
    refused(post_as(realm, stale), "KDC_ERR_PREAUTH_FAILED")
    wait_until(lambda: is_cut_off(tgt), CUT_OFF_S, "the cut-off")
    with pytest.raises(kdc.Refused, match="TKT_EXPIRED"):
        renew(tgt)
    assert login_refused(realm, ticket)
    c = sealed.chat(realm, new)
    for s in (share, b_share):
        c.send("go_room", room=room, secret=s, id="go" + s[:3])
        assert c.expect("error", id="go" + s[:3])["code"] == "not_found"
        c.send("secret", room=room, secret=s, id="se" + s[:3])
        assert c.expect("error", id="se" + s[:3])["code"] == "not_found"
    mine, his = (read(realm, t, "tgs")["client_id"] for t in (sealed.login(realm, new).ticket, tgt.ticket))
    assert mine != his


def test_unknown_names_are_told_what_somebody_has(new_realm):
    """The same shape, the same each time, and iterations that occur: none of it tells who exists."""
    realm = new_realm(start=False)
    users = realm.add_users(8)
    realm.start("as", "tgs")
    for u in users[:4]:
        login = account.Login(realm, u.name, u.password)
        assert account.change_password(login, u.password, op="strengthen", iterations=250000)["ok"]
    known = [Preauth(realm, u.name).asked for u in users]
    # Each key answers for a random part of the names. That four parts of eight escape 200 names: once in a million.
    names = [f"nobody{i}" for i in range(200)]
    unknown = [Preauth(realm, n).asked for n in names]
    assert {o["iterations"] for o in unknown} == {o["iterations"] for o in known} == {200000, 250000}

    def shape(o):
        return sorted((k, type(v).__name__, len(str(v)) if k in ("salt", "error", "message", "realm") else 0)
                      for k, v in o.items())
    assert all(shape(o) == shape(known[0]) for o in known + unknown)
    assert len({o["salt"] for o in known + unknown}) == len(known) + len(unknown)
    for n, o in zip(names[:10], unknown):
        again = Preauth(realm, n).asked
        assert (again["salt"], again["iterations"]) == (o["salt"], o["iterations"])
        assert len(again["cookie"]) == len(o["cookie"])


# --- files ---

@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602])
@pytest.mark.parametrize("daemon,path", [("as", "as/as.keytab"), ("as", "as/master.key"), ("tgs", "tgs/tgs.keytab")])
def test_attack_keytab_that_others_can_read_or_write(new_realm, daemon, path, mode):
    realm = new_realm(start=False)
    os.chmod(os.path.join(realm.state, path), mode)
    problem = realm.kerbadm("check", check=False)
    assert problem.returncode == 1 and path in problem.stdout + problem.stderr
    with pytest.raises(AssertionError, match="read or written by others"):
        realm.start(daemon)
    assert realm.daemons.pop(daemon).wait() == 1


# --- profiles ---

def test_attack_profiles_mixed_at_the_as(realm, alice, asked):
    classic, proof = kdc.as_fields(alice), json.loads(asked.request())
    mixed = [
        ({**classic, "v": 1}, "KRB_ERR_MALFORMED", 400),  # classic fields that claim to be sealed
        ({**classic, "v": 2}, "KRB_ERR_MALFORMED", 400),
        ({**classic, "v": None}, "KRB_ERR_MALFORMED", 400),
        ({k: v for k, v in proof.items() if k != "v"}, "KRB_ERR_MALFORMED", 400),  # sealed ones that do not
        ({"login": alice.name, "encrypted": proof["preauth"]}, "KDC_ERR_PREAUTH_FAILED", 401),
        ({**proof, "preauth": b64url(base64.b64decode(classic["encrypted"]))}, "KDC_ERR_PREAUTH_FAILED", 401),
        ({**proof, "cookie": classic["encrypted"]}, "KDC_ERR_PREAUTH_REQUIRED", 401),
    ]
    for fields, code, status in mixed:
        refused(post_as(realm, fields), code, status)
    refused(web.post_form(realm.as_addr, "/as/login", {k: str(v) for k, v in proof.items()}), "KRB_ERR_MALFORMED", 400)
    # whoever claims to be sealed is never answered in a box, also with both proofs at hand
    request = dump({**proof, **kdc.as_fields(alice)})
    assert asked.open(post_as(realm, request), request)["etype"] == sealed.ETYPE


def test_attack_keys_of_one_profile_in_the_other(realm, asked):
    """The classic key, as it is, stretched or doubled, makes no sealed proof; nor the sealed key a box."""
    classic = asked.user.key
    for key in (classic + bytes(16), classic + classic, bytes(16) + classic, sha(asked.user.password)):
        refused(asked.post(key=key), "KDC_ERR_PREAUTH_FAILED")
    for key in (asked.key[:16], asked.key[16:]):
        with pytest.raises(kdc.Refused, match="PREAUTH_FAILED"):
            kdc.login(realm, type("Mallory", (), {"name": asked.user.name, "key": key}))


def test_attack_classic_request_of_a_sealed_only_user(realm, alice, bob):
    realm.kerbadm("user", "profiles", alice.name, "sealed")
    with pytest.raises(kdc.Refused) as e:
        kdc.login(realm, alice)
    refused(e.value.reply, "KDC_ERR_PREAUTH_FAILED")
    with pytest.raises(kdc.Refused) as f:
        kdc.login(realm, type("Mallory", (), {"name": bob.name, "key": os.urandom(16)}))
    same = [{**x.value.reply.json, "op_id": 0, "server_time": 0} for x in (e, f)]
    assert same[0] == same[1]
    sealed.login(realm, alice).service()


def test_attack_sealed_request_of_a_classic_only_user(new_realm):
    """He is offered what a name that nobody has is offered, and his password proves nothing."""
    realm = new_realm(start=False)
    realm.write_config({"realm": {"name": realm.name, "profiles": "classic"}})
    user = realm.add_user()
    realm.write_config({"realm": {"name": realm.name, "profiles": "sealed, classic"}})
    both = realm.add_user()
    realm.start("as", "tgs")
    asked = Asked(realm, user)
    assert asked.offer["etypes"] == [sealed.ETYPE] and asked.offer["iterations"] == 200000
    refused(asked.post(), "KDC_ERR_PREAUTH_FAILED")
    for key in (password_key(user.password) + bytes(16), sha(user.password)):
        refused(asked.post(key=key), "KDC_ERR_PREAUTH_FAILED")
    kdc.login(realm, user).service()
    sealed.login(realm, both).service()


def test_attack_classic_tickets_in_sealed_requests(realm, alice):
    """A classic session key, whichever way it is filled up, speaks no sealed TGS exchange."""
    classic = realm.login(alice)
    for key in (classic.key + bytes(16), classic.key * 2, sha(classic.key)):
        fields = {"tgt": classic.ticket, "session_key": b64url(key)}
        for service, options in (("chat", {}), ("tgs", {"options": ["renew"]})):
            request, _ = sealed.Tgt(realm, alice, fields).request(service, **options)
            refused(post_tgs(realm, request), "KRB_AP_ERR_MODIFIED")
    refused(post_tgs(realm, {**classic.fields(), "v": 1}), "KRB_ERR_MALFORMED", 400)
    refused(post_tgs(realm, {"v": 1, "tgt": classic.ticket, "authenticator": classic.authenticator(),
                             "body": pack({"service": "chat", "nonce": b64url(bytes(16))})}), "KRB_AP_ERR_MODIFIED")


def test_attack_sealed_tickets_in_classic_requests(realm, tgt):
    for key in (tgt.key[:16], tgt.key[16:]):
        classic = kdc.Tgt(realm, tgt.user, {"tgs_ticket": tgt.ticket, "session_key": base64.b64encode(key).decode()})
        refused(kdc.post_tgs(realm, classic.fields()), "KRB_AP_ERR_MODIFIED")
        refused(web.post_json(realm.tgs_addr, "/tgs", classic.fields()), "KRB_AP_ERR_MODIFIED")
    request = json.loads(tgt.request("chat")[0])
    refused(kdc.post_tgs(realm, {"authenticator": request["authenticator"], "tgs_ticket": tgt.ticket,
                                 "service": "chat"}), "KRB_AP_ERR_MODIFIED")
    refused(kdc.post_tgs(realm, {k: str(v) for k, v in request.items()}), "KRB_ERR_MALFORMED", 400)


def test_tickets_are_of_their_tgts_profile(realm, alice, tgt):
    """No way leads from one profile to the other through the TGS."""
    assert read(realm, tgt.service().ticket, "chat")["etype"] == sealed.ETYPE
    assert read(realm, realm.ticket(alice).ticket, "chat")["etype"] == "aes128-cbc"
    renewed = renew(sealed.login(realm, alice, renewable=True))
    assert read(realm, renewed.ticket, "tgs")["etype"] == sealed.ETYPE


@pytest.mark.parametrize("service,path", [("kerb/changepw", "/as/changepw"), ("kerb/admin", "/as/admin")])
def test_attack_classic_ticket_for_a_service_of_the_as(realm, alice, service, path):
    realm.kerbadm("admin", "grant", alice.name)
    t = realm.ticket(alice, service)
    r, _ = account.post(realm, path, {"v": 1, "ticket": t.ticket})
    body = pack({"op": "user_list"})
    challenge = r.json.get("challenge") or account.Login(realm, alice.name, alice.password).service(service).challenge(path)
    for key in (t.key + bytes(16), t.key * 2, sha(t.key)):
        a = seal(key, "ap-authenticator", dump({"client": alice.name, "time": 0, "nonce": b64url(bytes(16))}), realm.name,
                 alice.name, service, account.sha(t.ticket, body, challenge))
        r, _ = account.post(realm, path, {"v": 1, "ticket": t.ticket, "authenticator": b64url(a), "challenge": challenge,
                                          "body": body})
        refused(r, "KRB_AP_ERR_MODIFIED")


@pytest.mark.parametrize("label", [x for x in LABELS if x != "ap-authenticator"])
def test_attack_ap_authenticator_of_another_kind(realm, alice, label):
    """At the chat, and at a service over HTTP."""
    t = sealed.login(realm, alice).service()
    c = sealed.SealedChat(realm, t, greet=False)
    nonce = from_b64url(c.challenge["nonce"])
    a = t.authenticator(nonce, label=label, ecdh=b64url(c.point()))
    c.send_raw(json.dumps({"type": "login", "v": 1, "ticket": t.ticket, "authenticator": a}))
    assert c.expect("error")["code"] == "login_failed" and c.closed() == 4500
    http = account.Login(realm, alice.name, alice.password).service("kerb/changepw")
    challenge, body = http.challenge("/as/changepw"), pack({"op": "passwd", "keys": "AAAA"})
    a = seal(http.session, label, dump({"client": alice.name, "time": 0, "nonce": b64url(bytes(16))}), realm.name,
             alice.name, "kerb/changepw", account.sha(http.ticket, body, challenge))
    r, _ = account.post(realm, "/as/changepw", {"v": 1, "ticket": http.ticket, "authenticator": b64url(a),
                                                "challenge": challenge, "body": body})
    refused(r, "KRB_AP_ERR_MODIFIED")


# --- strict reading ---

GOOD = {"login": "somebody", "tgs_name": "tgs", "nonce": b64url(bytes(16))}
VERSIONS = [0, 2, -1, 1.0, 1.5, "1", "", True, None, [1], {}, 2**31, 2**63 - 1]
BODIES = [None, 1, [], {}, "", "A", "AAAAA", "e30=", "e30\n", " e30", "e3 0", "e31", "+/+/", "e30é", b64url(b"{"),
          b64url(b"[]"), b64url(b"null"), b64url(b"{}x"), b64url(b"\xff\xfe"), b64url(b'{"a":"\xc3"}'),
          b64url(b'{"login":"a","login":"a"}'), b64url(b"[" * 50), "A" * 8193]
FIELDS = [("login", x) for x in (None, 1, "", " a", "a ", "a\n", "a\0", "x" * 65, "x" * 2000, ["a"])]
FIELDS += [("tgs_name", x) for x in (None, 1, "", "x" * 65, "t\tgs")]
NONCES = [None, 1, "", b64url(bytes(15)), b64url(bytes(17)), b64url(bytes(16)) + "==", b64url(bytes(16))[:-1] + "B",
          "+" * 22, " " + b64url(bytes(16)), [0] * 16, b64url(bytes(16)) + "\n"]
LIVES = [0, -1, 1.5, "60", True, [], 2**63, -2**63]
FIELDS += [("nonce", x) for x in NONCES] + [("lifetime_s", x) for x in LIVES]
FIELDS += [("renewable", x) for x in (0, 1, "true", [], {})]


def malformed(reply, what):
    assert (reply.status, reply.code) == (400, "KRB_ERR_MALFORMED"), (what, reply)


def test_as_reads_requests_strictly(realm, asked):
    assert post_as(realm, {"v": 1, "body": pack(GOOD)}).code == "KDC_ERR_PREAUTH_REQUIRED"
    for v in VERSIONS:
        malformed(post_as(realm, {"v": v, "body": pack(GOOD)}), v)
    for body in BODIES:
        malformed(post_as(realm, {"v": 1, "body": body}), body)
    malformed(post_as(realm, {"v": 1}), "no body")
    for name, value in FIELDS:
        malformed(post_as(realm, {"v": 1, "body": pack({**GOOD, name: value})}), (name, value))
    for name in GOOD:
        malformed(post_as(realm, {"v": 1, "body": pack({k: x for k, x in GOOD.items() if k != name})}), name)
    proof = json.loads(asked.request())
    for name in ("cookie", "preauth"):
        for value in (None, 1, [], {}, True, "A" * 8193):
            malformed(post_as(realm, {**proof, name: value}), (name, value))
    once = asked.request()[:-1]
    for twice in (b', "v": 1}', b', "body": "e30"}', b', "preauth": "AAAA"}'):
        malformed(post_as(realm, once + twice), twice)
    for tail in (b"x", b"{}", b"\0", b","):
        malformed(post_as(realm, asked.request() + tail), tail)
    assert post_as(realm, {**proof, "more": "A" * 17000}).status == 413
    assert asked.post().status == 200


def test_tgs_reads_requests_strictly(realm, tgt):
    """Under an authenticator that is right: it is the reading that refuses."""
    good = {"service": "chat", "nonce": b64url(bytes(16))}

    def ask(text, **change):
        a = ""
        if isinstance(text, str):
            a = b64url(seal(tgt.key, "tgs-authenticator", dump({"client": tgt.user.name, "time": 0, "nonce": good["nonce"]}),
                            realm.name, tgt.user.name, "chat", sha(tgt.ticket) + sha(text)))
        return post_tgs(realm, {"v": 1, "tgt": tgt.ticket, "authenticator": a, "body": text, **change})
    assert ask(pack(good)).status == 200
    for v in VERSIONS:
        malformed(ask(pack(good), v=v), v)
    for body in BODIES:
        malformed(ask(body), body)
    changes = [("service", x) for x in (None, 1, "", " chat", "chat\n", "x" * 65, "x" * 2000, ["chat"])]
    changes += [("nonce", x) for x in NONCES] + [("lifetime_s", x) for x in LIVES]
    changes += [("options", x) for x in (None, "renew", {}, 1, ["forward"], ["renew", "forward"], [1], [None], ["RENEW"])]
    for name, value in changes:
        malformed(ask(pack({**good, name: value})), (name, value))
    for name in ("tgt", "authenticator"):
        for value in (None, 1, [], {}, True, "A" * 8193):
            malformed(ask(pack(good), **{name: value}), (name, value))
        for value in ("", "A", "AAAA", "!!", "é", b64url(os.urandom(200))):
            refused(ask(pack(good), **{name: value}), "KRB_AP_ERR_MODIFIED")
    request = tgt.request("chat")[0][:-1]
    for twice in (b', "v": 1}', b', "body": "e30"}', b', "tgt": "AAAA"}'):
        malformed(post_tgs(realm, request + twice), twice)
    refused(post_tgs(realm, tgt.request("no such service")[0]), "KDC_ERR_S_PRINCIPAL_UNKNOWN", 400)
    refused(post_tgs(realm, tgt.request("tgs")[0]), "KDC_ERR_S_PRINCIPAL_UNKNOWN", 400)
    assert ask(pack(good), more="x").status == 200


# --- timing ---

TRIES, DRAWS = 500, 200


def apart(one, two):
    return abs(statistics.median(one) - statistics.median(two))


def by_chance(times):
    """The largest difference between the medians of random halves of one kind, in 200 draws."""
    def draw():
        mixed = random.sample(times, len(times))
        return apart(mixed[::2], mixed[1::2])
    return max(draw() for _ in range(DRAWS))


def tells_apart(one, two):
    return apart(one, two) >= max(by_chance(one), by_chance(two))


class Stopwatch:
    """How long the AS takes for requests, over one connection."""

    def __init__(self, realm):
        self.connection = http.client.HTTPConnection(*realm.as_addr, timeout=20)

    def time(self, raw, code):
        begin = time.perf_counter()
        self.connection.request("POST", "/as/login", raw)
        r = self.connection.getresponse()
        body = r.read()
        end = time.perf_counter()
        assert json.loads(body)["error"] == code, body
        return end - begin

    def compare(self, kinds, code):
        """Times of each kind (a list of requests, taken in turn), in pairs of random order."""
        times = [[] for _ in kinds]
        for i in range(TRIES + 50):
            for k in random.sample(range(len(kinds)), len(kinds)):
                t = self.time(kinds[k][i % len(kinds[k])], code)
                if i >= 50:  # caches are warm
                    times[k].append(t)
        return times


@pytest.fixture(scope="module")
def unthrottled(many_files, tmp_path_factory):
    """A realm without throttle."""
    directory = tmp_path_factory.mktemp("timing")
    realm = Realm(directory)
    if knows(realm, "throttle"):
        realm.write_config({"policy": {"pbkdf2_iterations": 200000, "throttle": "no"}})
    user = realm.add_user()
    realm.start("as")
    yield realm, user
    realm.close()


def proofs_of(realm, names, key):
    return [Preauth(realm, n).request(key) for n in names]


def boxes_of(names):
    return [json.dumps(kdc.as_fields(type("U", (), {"name": n, "key": os.urandom(16)}))).encode() for n in names]


@pytest.mark.parametrize("what", ["proof", "offer", "box"])
def test_attack_unknown_user_by_the_time_that_an_answer_takes(unthrottled, what):
    """
    A user's wrong password against one of nobody; also the offers, and classic requests. Machines have noise, so a
    difference counts when it is there three times.
    """
    realm, user = unthrottled
    names, nobody = [user.name], ["u" + os.urandom(6).hex()]
    watch = Stopwatch(realm)
    if what == "offer":
        kinds = [[dump({"v": 1, "body": Preauth(realm, n).body}) for n in group] for group in (names, nobody)]
        code = "KDC_ERR_PREAUTH_REQUIRED"
    else:
        kinds = [proofs_of(realm, g, os.urandom(32)) if what == "proof" else boxes_of(g) for g in (names, nobody)]
        code = "KDC_ERR_PREAUTH_FAILED"
    for _ in range(3):
        one, two = watch.compare(kinds, code)
        if not tells_apart(one, two):
            return
    raise AssertionError(f"medians {statistics.median(one):.7f} and {statistics.median(two):.7f} s; "
                         f"by chance {by_chance(one):.7f} and {by_chance(two):.7f} s")


def test_the_statistic_sees_a_difference(unthrottled):
    """A little more work is found: so it would be found above."""
    realm, user = unthrottled
    watch = Stopwatch(realm)
    short = proofs_of(realm, [user.name], os.urandom(32))
    long = [raw[:-1] + b', "more": "' + b"x" * 12000 + b'"}' for raw in short]
    one, two = watch.compare([short, long], "KDC_ERR_PREAUTH_FAILED")
    assert tells_apart(one, two), (statistics.median(one), statistics.median(two), by_chance(one), by_chance(two))
