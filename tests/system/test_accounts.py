"""Accounts on running daemons: the sealed login, passwords, codes, registration, administration, from the outside."""
import json
import sqlite3
import statistics
import time

import pytest

from kerbtest import account, kdc, web
from kerbtest.account import Login, Refused, administer, change_password, register
from kerbtest.envelope import b64url, from_b64url
from kerbtest.realm import wait_until

FAST = {"policy": {"pbkdf2_iterations": 200000}}


@pytest.fixture(scope="module")
def realm(many_files, tmp_path_factory):
    from kerbtest.realm import realm_in
    with realm_in(tmp_path_factory.mktemp("accounts"), config={**FAST, "realm": {"registration": "invite"}}) as r:
        yield r


@pytest.fixture
def root(realm):
    user = realm.add_user()
    realm.kerbadm("admin", "grant", user.name)
    return user


def refused(code, status, what, *args, **kwargs):
    with pytest.raises((Refused, kdc.Refused)) as e:
        what(*args, **kwargs)
    assert (e.value.status, e.value.code) == (status, code), e.value
    return e.value


def show(realm, name):
    return json.loads(realm.kerbadm("--json", "user", "show", name).stdout)


# --- the sealed login ---

def test_login_gives_a_ticket_that_the_tgs_takes(realm):
    user = realm.add_user()
    login = Login(realm, user.name, user.password, renewable=True)
    assert login.offer["iterations"] == 200000 and login.offer["realm"] == realm.name
    assert login.told["end_time"] - login.told["start_time"] == 36000
    assert login.told["renew_till"] - login.told["start_time"] == 604800
    t = realm.keytab("tgs").read(login.tgt, realm.name)
    assert t["user_name"] == user.name and t["etype"] == "aes128-cbc-hs256" and t["flags"] == ["renewable"]
    login.service("chat")


def test_wrong_password_and_unknown_name_are_one_answer(realm):
    user = realm.add_user()
    one = refused("KDC_ERR_PREAUTH_FAILED", 401, Login, realm, user.name, "wrong").reply.json
    two = refused("KDC_ERR_PREAUTH_FAILED", 401, Login, realm, "nobody-" + user.name, "wrong").reply.json
    assert {**one, "op_id": 0, "server_time": 0} == {**two, "op_id": 0, "server_time": 0}


def test_unknown_names_are_told_the_same_parameters_after_a_restart(new_realm):
    realm = new_realm(**FAST)
    realm.add_user("alice", "pw alice")

    def offer(name):
        body = account.pack({"login": name, "tgs_name": "tgs", "nonce": b64url(bytes(16))})
        return account.post(realm, "/as/login", {"v": 1, "body": body})[0].json
    before = {n: offer(n) for n in ("alice", "nobody", "nobody2")}
    assert len({o["salt"] for o in before.values()}) == 3
    assert {o["iterations"] for o in before.values()} == {200000}
    assert len({tuple((k, type(v), k not in ("cookie", "message") and len(str(v))) for k, v in sorted(o.items()))
                for o in before.values()}) == 1
    realm.restart()
    for name, o in before.items():
        again = offer(name)
        assert (again["salt"], again["iterations"]) == (o["salt"], o["iterations"])


def test_cookie_serves_once_and_for_its_client_only(realm):
    user, other = realm.add_user(), realm.add_user()
    login = Login(realm, user.name, user.password)
    reply, _ = account.post(realm, "/as/login", login.request)
    assert (reply.status, reply.code) == (401, "KDC_ERR_PREAUTH_REQUIRED")
    theirs = Login(realm, other.name, other.password).offer["cookie"]
    refused("KDC_ERR_PREAUTH_REQUIRED", 401, Login, realm, user.name, user.password,
            change=lambda r: r.update(cookie=theirs))


def test_profiles_do_not_mix(realm):
    user = realm.add_user()
    assert realm.login(user).reply["tgs_ticket"]
    realm.kerbadm("user", "profiles", user.name, "sealed")
    refused("KDC_ERR_PREAUTH_FAILED", 401, realm.login, user)
    sealed = Login(realm, user.name, user.password)
    r = web.post_form(realm.as_addr, "/as/login", {**kdc.as_fields(user), "v": "1"})
    assert (r.status, r.code) == (401, "KDC_ERR_PREAUTH_FAILED")  # a form is classic, whatever it holds
    r = web.post_json(realm.as_addr, "/as/login", {**kdc.as_fields(user), "v": 1})
    assert (r.status, r.code) == (400, "KRB_ERR_MALFORMED")
    sealed.service("chat")


def test_sealed_only_realm_refuses_classic(new_realm):
    realm = new_realm(**FAST, realm={"profiles": "sealed"})
    user = realm.add_user()
    refused("KDC_ERR_PREAUTH_FAILED", 401, realm.login, user)
    Login(realm, user.name, user.password)
    with sqlite3.connect(realm.state + "/as/as.db") as db:
        assert db.execute("SELECT DISTINCT etype FROM principal_key WHERE principal > 0").fetchall() == [(1,)]


def test_parallel_requests_with_one_cookie_are_served_once(realm):
    from concurrent.futures import ThreadPoolExecutor
    user = realm.add_user()
    first = Login(realm, user.name, user.password)
    body = account.pack({"login": user.name, "tgs_name": "tgs", "nonce": first.nonce})
    cookie = account.post(realm, "/as/login", {"v": 1, "body": body})[0].json["cookie"]
    proof = json.dumps({"nonce": first.nonce, "time": 1, "etypes_seen": account.ETYPES}).encode()
    preauth = account.seal(first.key, "as-preauth", proof, realm.name, user.name, "tgs", account.sha(body, cookie))
    request = {"v": 1, "body": body, "cookie": cookie, "preauth": b64url(preauth)}
    with ThreadPoolExecutor(16) as pool:
        got = [r.status for r, _ in pool.map(lambda _: account.post(realm, "/as/login", request), range(32))]
    assert got.count(200) == 1 and got.count(401) == 31


def test_unknown_name_takes_as_long_as_a_wrong_password(new_realm):
    """Medians of both kinds differ less than those of halves of one kind do by chance."""
    import random
    realm = new_realm(policy={"throttle": "no"})
    user = realm.add_user()
    body = {n: account.pack({"login": n, "tgs_name": "tgs", "nonce": b64url(bytes(16))})
            for n in (user.name, "x" + user.name[1:])}
    times = {n: [] for n in body}
    import http.client
    c = http.client.HTTPConnection(*realm.as_addr)
    cookies = {n: account.post(realm, "/as/login", {"v": 1, "body": b})[0].json["cookie"] for n, b in body.items()}
    junk = b64url(b"\1\1\0\0\0\0" + bytes(16 + 96 + 16))
    order = [n for n in body for _ in range(500)]
    random.shuffle(order)
    for n in order:
        raw = json.dumps({"v": 1, "body": body[n], "cookie": cookies[n], "preauth": junk}).encode()
        start = time.perf_counter()
        c.request("POST", "/as/login", raw)
        r = c.getresponse()
        r.read()
        times[n].append(time.perf_counter() - start)
        assert r.status == 401
    one, two = (times[n] for n in body)
    apart = abs(statistics.median(one) - statistics.median(two))

    def by_chance():
        mixed = random.sample(one, len(one))
        return abs(statistics.median(mixed[::2]) - statistics.median(mixed[1::2]))
    assert apart <= max(max(by_chance() for _ in range(200)), 0.00002)


# --- passwords ---

def test_password_change_replaces_both_keys_and_needs_the_current_one(realm):
    user = realm.add_user()
    login = Login(realm, user.name, user.password)
    refused("KDC_ERR_PREAUTH_FAILED", 401, change_password, login, "new password", under=login.session)
    assert change_password(login, "new password") == {"ok": True, "profiles": ["sealed", "classic"]}
    refused("KDC_ERR_PREAUTH_FAILED", 401, Login, realm, user.name, user.password)
    refused("KDC_ERR_PREAUTH_FAILED", 401, realm.login, user)
    Login(realm, user.name, "new password").service("chat")
    login.service("chat")  # old tickets live on
    user.key = account.classic.password_key("new password")
    realm.login(user)


def test_password_change_cuts_old_tickets_off_in_time(realm):
    user = realm.add_user()
    login = Login(realm, user.name, user.password)
    assert change_password(login, "new password", cut_off=True)["ok"]

    def is_cut_off():
        try:
            login.service("chat")
        except Refused as e:
            assert (e.status, e.code) == (401, "KRB_AP_ERR_TKT_EXPIRED")
            return True
        return False
    wait_until(is_cut_off, 2, "the cut-off")
    Login(realm, user.name, "new password").service("chat")


def test_a_key_is_strengthened_and_never_weakened(realm):
    user = realm.add_user()
    login = Login(realm, user.name, user.password)
    assert change_password(login, user.password, op="strengthen", iterations=300000)["ok"]
    login = Login(realm, user.name, user.password)
    assert login.offer["iterations"] == 300000
    told = change_password(login, user.password, op="strengthen", iterations=250000)
    assert (told["ok"], told["code"]) == (False, "not_stronger")
    told = change_password(login, user.password, iterations=1000)
    assert (told["ok"], told["code"]) == (False, "policy")
    realm.login(user)  # the classic key is the old one still


def test_admin_ticket_is_no_changepw_ticket(realm):
    user = realm.add_user()
    ticket = Login(realm, user.name, user.password).service("kerb/admin")
    refused("KRB_AP_ERR_MODIFIED", 401, ticket.call, "/as/changepw", {"op": "passwd", "keys": "AAAA"})


# --- codes and registration ---

def test_invitation_makes_one_account(realm):
    code = realm.kerbadm("invite").stdout.strip()
    r = register(realm, "newcomer", "a new password", code)
    assert (r.status, r.json["kind"]) == (200, "register")
    Login(realm, "newcomer", "a new password").service("chat")
    r = register(realm, "another", "a new password", code)
    assert (r.status, r.code) == (401, "KDC_ERR_PREAUTH_FAILED")
    r = register(realm, "another", "a new password")
    assert (r.status, r.code, r.json["code"]) == (403, "KDC_ERR_POLICY", "closed")
    code = realm.kerbadm("invite").stdout.strip()
    r = register(realm, "NewComer", "a new password", code)
    assert (r.status, r.json["code"]) == (403, "exists")


def test_code_shown_by_many_at_once_serves_once(realm):
    from concurrent.futures import ThreadPoolExecutor
    code = realm.kerbadm("invite").stdout.strip()
    with ThreadPoolExecutor(8) as pool:
        got = [r.status for r in pool.map(lambda i: register(realm, f"racer{i}", "a new password", code), range(16))]
    assert sorted(got) == [200] + [401] * 15


def test_password_changed_by_two_at_once_is_one_of_them(realm):
    from concurrent.futures import ThreadPoolExecutor
    user = realm.add_user()
    login = Login(realm, user.name, user.password)
    words = [f"password {i}" for i in range(6)]

    def change(word):
        try:
            return change_password(login, word)["ok"]
        except Refused as e:  # the key of before is not the current one any more
            assert e.code == "KDC_ERR_PREAUTH_FAILED"
            return False
    with ThreadPoolExecutor(6) as pool:
        done = [w for w, ok in zip(words, pool.map(change, words)) if ok]
    assert len(done) == 1
    Login(realm, user.name, done[0])


def test_open_realm_takes_registrations(new_realm):
    realm = new_realm(**FAST, realm={"registration": "open"})
    assert register(realm, "dave", "a new password").status == 200
    Login(realm, "dave", "a new password")
    assert register(realm, "DAVE", "a new password").json["code"] == "exists"


def test_reset_code_replaces_the_password_and_cuts_off(realm):
    user = realm.add_user()
    login = Login(realm, user.name, user.password)
    code = realm.kerbadm("user", "code", user.name).stdout.strip()
    login.service("chat")
    assert register(realm, user.name, "after the reset", code).json["kind"] == "reset"
    refused("KDC_ERR_PREAUTH_FAILED", 401, Login, realm, user.name, user.password)
    Login(realm, user.name, "after the reset")
    assert show(realm, user.name)["epoch"] == 1


def test_first_administrator_comes_by_code(realm):
    code = realm.kerbadm("admin", "code", "--name", "first").stdout.strip()
    assert register(realm, "first", "a good password", code).json["kind"] == "first-admin"
    assert administer(Login(realm, "first", "a good password"), "user_show", name="first")["user"]["admin"]


# --- administration ---

def test_only_administrators_of_now_administer(realm, root):
    user = realm.add_user()
    refused("KDC_ERR_POLICY", 403, administer, Login(realm, user.name, user.password), "user_list")
    login = Login(realm, root.name, root.password)
    ticket = login.service("kerb/admin")
    assert ticket.call("/as/admin", {"op": "user_list", "limit": 1})["more"]
    realm.kerbadm("admin", "revoke", root.name)
    refused("KDC_ERR_POLICY", 403, ticket.call, "/as/admin", {"op": "user_list"})


def test_user_is_added_by_an_administrator_and_starts_with_a_code(realm, root):
    login = Login(realm, root.name, root.password)
    told = administer(login, "user_add", name="employee")
    assert told["ok"] and abs(told["expires"] - time.time() - 3600) < 30
    refused("KDC_ERR_PREAUTH_FAILED", 401, Login, realm, "employee", "anything")
    assert register(realm, "employee", "my own password", told["onecode"]).status == 200
    Login(realm, "employee", "my own password").service("chat")
    assert administer(login, "user_add", name="EMPLOYEE")["code"] == "exists"


def test_disabling_from_elsewhere_cuts_off_in_time(realm, root):
    user = realm.add_user()
    tgt = realm.login(user)
    tgt.service()
    login = Login(realm, root.name, root.password)
    assert administer(login, "user_disable", name=user.name)["ok"]

    def is_cut_off():
        try:
            tgt.service()
        except kdc.Refused as e:
            return e.code == "KRB_AP_ERR_TKT_EXPIRED"
        return False
    wait_until(is_cut_off, 2, "the cut-off")
    refused("KDC_ERR_PREAUTH_FAILED", 401, realm.login, user)
    assert administer(login, "user_enable", name=user.name)["ok"]
    realm.login(user).service()


@pytest.mark.parametrize("op, field", [("user_disable", "name"), ("user_del", "name"), ("user_cut_off", "name"),
                                       ("chat_kick", "user")])
def test_live_chat_connections_end_in_time(realm, root, op, field):
    user, other = realm.add_user(), realm.add_user()
    chat, others = realm.chat(user), realm.chat(other)
    login = Login(realm, root.name, root.password)
    ticket = login.service("kerb/admin")
    assert ticket.call("/as/admin", {"op": op, field: user.name})["ok"]
    assert chat.closed(timeout=2) == 4503
    others.ask("online", "online")


def test_notice_reaches_everybody(realm, root):
    chat = realm.chat(realm.add_user(), extensions=True)
    assert administer(Login(realm, root.name, root.password), "chat_notice", text="Back at noon")["ok"]
    assert chat.expect("notice", timeout=3)["text"] == "Back at noon"


def test_tgs_key_is_rotated_from_elsewhere(new_realm):
    realm = new_realm(**{"policy": {**FAST["policy"], "keytab_delay": 1}})
    user = realm.add_user()
    realm.kerbadm("admin", "grant", user.name)
    before = Login(realm, user.name, user.password)
    told = administer(before, "tgs_rotate")
    assert told["ok"] and told["kvno"] == 2
    wait_until(lambda: realm.keytab("tgs").newest["kvno"] == 2, 3, "the new version in the TGS's keytab")
    wait_until(lambda: time.time() > told["key_from"] + 1, 5, "its first second")
    after = Login(realm, user.name, user.password)
    assert from_b64url(after.tgt)[2:6] == b"\0\0\0\2"
    after.service("chat")
    before.service("chat")  # the old version opens what was issued under it


def test_drain_of_the_others_ends_them_in_order(new_realm):
    realm = new_realm(**FAST)
    user = realm.add_user()
    realm.kerbadm("admin", "grant", user.name)
    ticket = Login(realm, user.name, user.password).service("kerb/admin")
    assert ticket.call("/as/admin", {"op": "drain", "daemon": "chat"})["ok"]
    assert realm.daemons.pop("chat").wait() == 0
    assert ticket.call("/as/admin", {"op": "shutdown", "daemon": "tgs"})["ok"]
    assert realm.daemons.pop("tgs").wait() == 0


def test_every_admin_action_is_told_with_who_and_what(realm, root):
    user = realm.add_user()
    administer(Login(realm, root.name, root.password), "user_cut_off", name=user.name)
    line = realm.wait_audit("as", event="admin", what="user_cut_off", target=user.name)
    assert line["client"] == root.name and line["result"] == "OK" and line["op_id"]


def test_challenge_and_request_serve_once(realm, root):
    ticket = Login(realm, root.name, root.password).service("kerb/admin")
    challenge = ticket.challenge("/as/admin")
    assert ticket.call("/as/admin", {"op": "user_list"}, challenge)["ok"]
    refused("KDC_ERR_PREAUTH_REQUIRED", 401, ticket.call, "/as/admin", {"op": "user_list"}, challenge)


def test_as_keytab_is_read_again(new_realm):
    realm = new_realm(**{"policy": {**FAST["policy"], "keytab_delay": 0}})
    user = realm.add_user()
    realm.kerbadm("admin", "grant", user.name)
    login = Login(realm, user.name, user.password)
    assert administer(login, "user_list")["ok"]
    realm.kerbadm("service", "rotate", "kerb/admin")
    realm.daemons["as"].wait_log(event="keytab")
    assert administer(login, "user_list")["ok"]


def test_drain_of_the_as_ends_it_in_order(new_realm):
    realm = new_realm(**FAST)
    user = realm.add_user()
    realm.kerbadm("admin", "grant", user.name)
    assert administer(Login(realm, user.name, user.password), "drain", daemon="as")["ok"]
    assert realm.daemons.pop("as").wait() == 0


def test_realm_without_the_keytab_serves_logins(new_realm):
    import os
    realm = new_realm(start=False, **FAST)
    realm.kerbadm("check")
    os.unlink(realm.state + "/as/as.keytab")
    user = realm.add_user()
    realm.start()
    login = Login(realm, user.name, user.password)
    refused("KRB_ERR_GENERIC", 500, administer, login, "user_list")
