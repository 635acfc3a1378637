"""The AS exchange of the classic profile: what it answers, and the attacks on it."""
import base64
import json
import os

import pytest

from kerbtest import classic, web
from kerbtest.classic import stamp
from kerbtest.kdc import as_fields, as_request, post_as
from kerbtest.realm import NAMES, User

REPLY = {"tgs_ticket", "tgs_name", "session_key", "time_to_live", "tgs_ticket_time_to_live",
         "session_key_time_to_live", "timestamp"}


def opened(user, reply):
    assert reply.status == 200, reply
    return classic.open_box(user.key, reply.body.decode())


def refused(reply, code, status=401):
    assert (reply.status, reply.code) == (status, code), reply


def sealed_text(realm, user, text, **how):
    return post_as(realm, {"login": user.name, "encrypted": classic.seal(user.key, text, **how)})


@pytest.fixture
def realm(any_realm):
    """Every test here runs direct and through nginx."""
    return any_realm


# --- the exchange ---

def test_reply_has_exactly_the_fields_of_the_protocol(any_realm):
    user = any_realm.add_user()
    r = post_as(any_realm, as_fields(user))
    reply = opened(user, r)
    assert set(reply) == REPLY
    assert reply["tgs_name"] == "tgs"
    assert len(base64.b64decode(reply["session_key"], validate=True)) == 16
    assert reply["time_to_live"] == 3600
    assert abs(classic.datetime.datetime.strptime(reply["timestamp"], "%Y-%m-%d %H:%M:%S")
               - classic.datetime.datetime.utcnow()).total_seconds() < 10
    assert not r.body.endswith(b"\n")


def test_reply_and_ticket_agree(realm, alice):
    reply = opened(alice, post_as(realm, as_fields(alice)))
    ticket = realm.keytab("tgs").read(reply["tgs_ticket"], realm.name)
    assert ticket["user_login"] == ticket["user_name"] == alice.name
    assert ticket["server"] == ticket["tgs_name"] == "tgs"
    assert ticket["realm"] == realm.name
    assert ticket["user_ip"] == "127.0.0.1"
    for field in REPLY & set(ticket):
        assert reply[field] == ticket[field], field
    assert ticket["session_key"] == reply["session_key"]


def test_two_logins_in_a_second_get_different_keys_and_tickets(realm, alice):
    text = as_request(alice)
    a, b = (opened(alice, post_as(realm, as_fields(alice, text))) for _ in range(2))
    assert a["session_key"] != b["session_key"] and a["tgs_ticket"] != b["tgs_ticket"]


@pytest.mark.parametrize("path", ["/as/login", "/as/login/"])
def test_path_with_and_without_slash(any_realm, path):
    user = any_realm.add_user()
    opened(user, post_as(any_realm, as_fields(user), path=path))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded",
                                          "application/json; charset=utf-8", "nonsense"])
def test_json_body_under_any_content_type(realm, alice, content_type):
    opened(alice, web.post_json(realm.as_addr, "/as/login", as_fields(alice), content_type))


def test_form_under_a_foreign_content_type(realm, alice):
    opened(alice, post_as(realm, as_fields(alice), headers={"Content-Type": "text/plain"}))


def test_unknown_fields_are_ignored(realm, alice):
    opened(alice, post_as(realm, {**as_fields(alice), "extra": "1", "type": "login"}))
    opened(alice, web.post_json(realm.as_addr, "/as/login", {**as_fields(alice), "extra": {"deep": [1]}}))


def box_with(user, letter, at=None):
    """A request whose base64 holds the letter (at that place)."""
    while True:
        box = classic.seal(user.key, as_request(user))
        if letter in box if at is None else box[at] == letter:
            return box


def test_plus_that_was_not_escaped(realm, alice):
    for box in (box_with(alice, "+"), box_with(alice, "+", at=0)):
        body = f"login={alice.name}&encrypted={box}".encode()
        r = web.request(realm.as_addr, "POST", "/as/login", body,
                        {"Content-Type": "application/x-www-form-urlencoded"})
        opened(alice, r)


def test_unescaped_equals_signs_and_slashes(realm, alice):
    box = next(b for b in (classic.seal(alice.key, as_request(alice, more="x" * n)) for n in range(200))
               if b.endswith("=") and "/" in b)
    opened(alice, web.request(realm.as_addr, "POST", "/as/login", f"encrypted={box}&login={alice.name}".encode()))


def test_base64_with_line_breaks(realm, alice):
    box = classic.seal(alice.key, as_request(alice))
    folded = "\r\n".join(box[i:i + 64] for i in range(0, len(box), 64)) + "\n"
    opened(alice, web.post_json(realm.as_addr, "/as/login", {"login": alice.name, "encrypted": folded}))


def test_name_in_raw_8_bit_letters(realm):
    user = realm.add_user(name="jörg-" + os.urandom(4).hex())
    box = web.urllib.parse.quote(classic.seal(user.key, as_request(user)))
    opened(user, web.request(realm.as_addr, "POST", "/as/login", f"login={user.name}&encrypted={box}".encode()))
    opened(user, post_as(realm, as_fields(user)))


def test_name_in_other_normal_form_is_the_same(realm):
    tail = os.urandom(4).hex()
    user = realm.add_user(name="zo\u00eb" + tail)
    opened(user, post_as(realm, {**as_fields(user), "login": "zoe\u0308" + tail}))


def test_password_is_taken_as_typed(realm):
    user = realm.add_user(password=" pass wörd mit Ä\u0308 und blanks ")
    opened(user, post_as(realm, as_fields(user)))


@pytest.mark.parametrize("text", [
    lambda: json.dumps(as_request(None), indent=4),
    lambda: json.dumps(dict(reversed(as_request(None).items()))),
    lambda: "\r\n  " + json.dumps(as_request(None)) + "  \n",
    lambda: json.dumps(as_request(None)).replace("tgs\"", "t\\u0067s\""),
    lambda: json.dumps(as_request(None, note="ü/ß"), ensure_ascii=False).replace("/", "\\/"),
], ids=["pretty", "other order", "white space around", "escapes", "raw letters"])
def test_known_ways_to_write_the_json(realm, alice, text):
    opened(alice, sealed_text(realm, alice, text()))


@pytest.mark.parametrize("pad", ["space", "none"])
def test_padding_of_the_original(realm, alice, pad):
    text = json.dumps(as_request(alice)).encode()
    if pad == "none":
        text += b" " * (-len(text) % 16)
    opened(alice, sealed_text(realm, alice, text, pad=pad))


@pytest.mark.parametrize("offset_s", [-590, 590])
def test_stamp_within_the_skew(realm, alice, offset_s):
    opened(alice, post_as(realm, as_fields(alice, as_request(alice, offset_s))))


def test_clock_skew_ahead_may_be_raised(new_realm):
    realm = new_realm(realm={"clock_skew_ahead": 50400})
    user = realm.add_user()
    opened(user, post_as(realm, as_fields(user, as_request(user, 50000))))
    refused(post_as(realm, as_fields(user, as_request(user, 50600))), "KRB_AP_ERR_SKEW")
    refused(post_as(realm, as_fields(user, as_request(user, -700))), "KRB_AP_ERR_SKEW")


def test_health_and_readiness(realm):
    for name in NAMES:
        addr = ("127.0.0.1", realm.daemons[name].port)
        assert web.get(addr, "/healthz").status == 200
        assert web.get(addr, "/readyz").status == 200


# --- refusals ---

@pytest.mark.parametrize("offset_s", [-610, 610, -86400 * 365, 86400 * 365])
def test_stamp_outside_the_skew(realm, alice, offset_s):
    refused(post_as(realm, as_fields(alice, as_request(alice, offset_s))), "KRB_AP_ERR_SKEW")


@pytest.mark.parametrize("timestamp", ["", "now", "2026-13-01 00:00:00", "2026-02-30 00:00:00", "2026-01-01T00:00:00",
                                       "2026-01-01 24:00:00", 1780000000, None, "2026-01-01 00:00:00Z"])
def test_stamp_that_is_none(realm, alice, timestamp):
    r = sealed_text(realm, alice, {"tgs_name": "tgs", "timestamp": timestamp})
    assert r.status == 401 and r.code in ("KDC_ERR_PREAUTH_FAILED", "KRB_AP_ERR_SKEW")


def shape(reply):
    e = reply.json
    return (reply.status, e["error"], e["message"], sorted(e),
            sorted(k for k in reply.headers if k.lower() != "date"))


def test_unknown_wrong_and_disabled_look_the_same(realm, alice, bob):
    realm.kerbadm("user", "disable", bob.name)
    nobody = User("nobody-" + alice.name, "x")
    wrong = User(alice.name, "not the password")
    bob_wrong = User(bob.name, "not the password")
    shapes = [shape(post_as(realm, as_fields(u))) for u in (nobody, wrong, bob, bob_wrong)]
    assert all(s == shapes[0] for s in shapes), shapes
    assert shapes[0][:2] == (401, "KDC_ERR_PREAUTH_FAILED")


def test_wrong_key_does_not_tell_the_skew(realm, alice):
    refused(post_as(realm, as_fields(User(alice.name, "wrong"), as_request(alice, -7200))), "KDC_ERR_PREAUTH_FAILED")


def test_the_audit_has_the_true_reason_under_the_op_id(realm):
    nobody = User("nobody-" + os.urandom(4).hex(), "x")
    r = post_as(realm, as_fields(nobody))
    line = realm.wait_audit("as", op_id=r.json["op_id"])
    assert line["result"] == "NO_CLIENT" and line["client"] == nobody.name, line


def test_other_tgs_is_unknown(realm, alice):
    refused(sealed_text(realm, alice, {"tgs_name": "other", "timestamp": stamp()}), "KDC_ERR_S_PRINCIPAL_UNKNOWN", 400)


def test_missing_tgs_name_or_stamp(realm, alice):
    for text in ({"timestamp": stamp()}, {"tgs_name": "tgs"}, {"tgs_name": 1, "timestamp": stamp()}, [], "x", 1):
        assert sealed_text(realm, alice, json.dumps(text)).status in (400, 401)


@pytest.mark.parametrize("drop", ["login", "encrypted"])
def test_missing_parameter(realm, alice, drop):
    fields = as_fields(alice)
    del fields[drop]
    refused(post_as(realm, fields), "KRB_ERR_MALFORMED", 400)
    refused(web.post_json(realm.as_addr, "/as/login", fields), "KRB_ERR_MALFORMED", 400)


def test_parameters_in_the_url_are_not_read(realm, alice):
    path = "/as/login?" + web.form(as_fields(alice)).decode()
    refused(web.request(realm.as_addr, "POST", path, b"", {}), "KRB_ERR_MALFORMED", 400)
    refused(web.request(realm.as_addr, "POST", path, web.form({"login": alice.name}), {}), "KRB_ERR_MALFORMED", 400)


def test_password_change_ends_the_old_password(realm, alice):
    new = User(alice.name, "a new one " + os.urandom(6).hex())
    path = os.path.join(realm.dir, "new-" + os.urandom(4).hex())
    with open(path, "w", encoding="utf-8") as f:
        f.write(new.password + "\n")
    realm.kerbadm("user", "passwd", alice.name, "--password-file", path)
    os.unlink(path)
    refused(post_as(realm, as_fields(alice)), "KDC_ERR_PREAUTH_FAILED")
    opened(new, post_as(realm, as_fields(new)))


def test_deleted_user(realm, alice):
    opened(alice, post_as(realm, as_fields(alice)))
    realm.kerbadm("user", "del", alice.name)
    refused(post_as(realm, as_fields(alice)), "KDC_ERR_PREAUTH_FAILED")


# --- attacks ---

def test_attack_reply_posted_back_as_request(realm, alice):
    reply = post_as(realm, as_fields(alice)).body.decode()
    refused(post_as(realm, {"login": alice.name, "encrypted": reply}), "KDC_ERR_PREAUTH_FAILED")


@pytest.mark.parametrize("field", ["session_key", "tgs_ticket"])
def test_attack_text_that_looks_like_a_reply(realm, alice, field):
    text = as_request(alice, **{field: "x"})
    refused(post_as(realm, as_fields(alice, text)), "KDC_ERR_PREAUTH_FAILED")


def test_attack_same_request_twice(realm, alice):
    fields = as_fields(alice)
    opened(alice, post_as(realm, fields))
    refused(post_as(realm, fields), "KRB_AP_ERR_REPEAT")
    refused(web.post_json(realm.as_addr, "/as/login", fields), "KRB_AP_ERR_REPEAT")


def test_attack_same_request_under_another_spelling_of_its_base64(realm, alice):
    fields = as_fields(alice)
    opened(alice, post_as(realm, fields))
    folded = fields["encrypted"][:20] + "\n" + fields["encrypted"][20:]
    refused(web.post_json(realm.as_addr, "/as/login", {**fields, "encrypted": folded}), "KRB_AP_ERR_REPEAT")


def test_attack_replay_re_spaced_through_the_iv(realm, alice):
    fields = as_fields(alice)
    again = {**fields, "encrypted": classic.re_spaced(fields["encrypted"])}
    assert classic.open_box(alice.key, again["encrypted"]) == classic.open_box(alice.key, fields["encrypted"])
    opened(alice, post_as(realm, fields))
    refused(post_as(realm, again), "KRB_AP_ERR_REPEAT")


def aligned(user, **more):
    """A request whose text fills whole blocks, so that PKCS#7 adds one of padding alone."""
    text = json.dumps(as_request(user, **more))
    return text[:-1] + " " * (-len(text) % 16) + "}"


def test_attack_replay_without_its_padding_block(realm, alice):
    fields = as_fields(alice, aligned(alice))
    opened(alice, post_as(realm, fields))
    refused(post_as(realm, {**fields, "encrypted": classic.cut_block(fields["encrypted"])}), "KRB_AP_ERR_REPEAT")


def test_attack_replay_with_padding_cut_first(realm, alice):
    fields = as_fields(alice, aligned(alice))
    opened(alice, post_as(realm, {**fields, "encrypted": classic.cut_block(fields["encrypted"])}))
    refused(post_as(realm, fields), "KRB_AP_ERR_REPEAT")
    refused(post_as(realm, {**fields, "encrypted": classic.re_spaced(fields["encrypted"])}), "KRB_AP_ERR_REPEAT")


def test_attack_replay_without_its_blank_blocks(realm, alice):
    text = aligned(alice) + " " * 48
    fields = as_fields(alice, text)
    opened(alice, post_as(realm, fields))
    box = fields["encrypted"]
    for _ in range(4):
        box = classic.cut_block(box)
        refused(post_as(realm, {**fields, "encrypted": box}), "KRB_AP_ERR_REPEAT")


def test_attack_replay_with_blocks_added(realm, alice):
    fields = as_fields(alice)
    opened(alice, post_as(realm, fields))
    raw = base64.b64decode(fields["encrypted"])
    for extra in (raw[-16:], raw[:16], os.urandom(16), raw[-32:]):
        r = post_as(realm, {**fields, "encrypted": base64.b64encode(raw + extra).decode()})
        assert r.status == 401, r


def test_attack_replay_after_an_orderly_restart(new_realm):
    realm = new_realm()
    user = realm.add_user()
    fields, ahead = as_fields(user), as_fields(user, as_request(user, 300))
    opened(user, post_as(realm, fields))
    opened(user, post_as(realm, ahead))
    realm.restart("as")
    refused(post_as(realm, fields), "KRB_AP_ERR_REPEAT")
    refused(post_as(realm, ahead), "KRB_AP_ERR_REPEAT")


def test_attack_replay_after_sigkill_also_with_a_stamp_that_lay_ahead(new_realm):
    realm = new_realm()
    user = realm.add_user()
    requests = [as_fields(user, as_request(user, s)) for s in (-300, 0, 2, 300, 590)]
    for fields in requests:
        opened(user, post_as(realm, fields))
    realm.kill("as")
    realm.start("as")
    for fields in requests:
        refused(post_as(realm, fields), "KRB_AP_ERR_REPEAT")
        refused(post_as(realm, {**fields, "encrypted": classic.re_spaced(fields["encrypted"])}), "KRB_AP_ERR_REPEAT")
    opened(user, post_as(realm, as_fields(user)))


def test_attack_the_port_opens_when_the_second_of_the_start_is_over(new_realm):
    realm = new_realm(start=False)
    before = classic.datetime.datetime.utcnow().replace(microsecond=0)
    realm.start("as")
    line = realm.daemons["as"].wait_log(event="listening")
    listening = classic.datetime.datetime.strptime(line["time"][:19], "%Y-%m-%dT%H:%M:%S")
    assert listening > before


def test_attack_one_user_fills_the_replay_cache(new_realm):
    realm = new_realm()
    mallory, alice = realm.add_users(2)
    c = web.http.client.HTTPConnection(*realm.as_addr, timeout=20)
    statuses = []
    for _ in range(4097):
        statuses.append(web.post_form(realm.as_addr, "/as/login", as_fields(mallory), connection=c).status)
    assert statuses[:4096] == [200] * 4096
    r = post_as(realm, as_fields(mallory))
    refused(r, "KERB_ERR_RATE_LIMITED", 429)
    assert int(r.headers["Retry-After"]) > 0
    opened(alice, post_as(realm, as_fields(alice)))


def test_attack_flipped_bits_of_a_request(realm, alice):
    raw = base64.b64decode(as_fields(alice)["encrypted"])
    for at in range(16, len(raw)):
        bad = bytearray(raw)
        bad[at] ^= 0x80
        r = post_as(realm, {"login": alice.name, "encrypted": base64.b64encode(bad).decode()})
        assert r.status in (400, 401), (at, r)


def test_attack_request_of_another_user(realm, alice, bob):
    refused(post_as(realm, {**as_fields(alice), "login": bob.name}), "KDC_ERR_PREAUTH_FAILED")


def test_attack_name_that_folds_to_an_existing_one(realm):
    user = realm.add_user(name="Straße" + os.urandom(4).hex())
    path = os.path.join(realm.dir, "pw-" + os.urandom(4).hex())
    with open(path, "w", encoding="utf-8") as f:
        f.write("some password\n")
    r = realm.kerbadm("user", "add", user.name.upper(), "--password-file", path, check=False)
    os.unlink(path)
    assert r.returncode != 0


BAD_BOX = ["", " ", "=", "A", "AAAA", "AAAA" * 5, "%", "A" * 63, "=" * 64, "\u00e4" * 44, "!" * 44,
           base64.b64encode(os.urandom(33)).decode(), base64.b64encode(os.urandom(16)).decode(),
           base64.b64encode(os.urandom(48)).decode(), "AAAA=AAA" + "A" * 40, "A" * 43 + "\x00"]


@pytest.mark.parametrize("box", BAD_BOX, ids=range(len(BAD_BOX)))
def test_attack_malformed_boxes(realm, alice, box):
    assert web.post_json(realm.as_addr, "/as/login", {"login": alice.name, "encrypted": box}).status in (400, 401)
    assert post_as(realm, {"login": alice.name, "encrypted": box}).status in (400, 401)


def test_attack_names(realm, alice):
    box = as_fields(alice)["encrypted"]
    for name in ("", " ", "a" * 65, "a" * 5000, " " + alice.name, alice.name + " ", alice.name + "\n", "a\x00b",
                 "a\u0085b", "\u202e", "../../etc/passwd", "' OR 1=1 --", "\U0001f600" * 64, "tgs", "chat"):
        r = web.post_json(realm.as_addr, "/as/login", {"login": name, "encrypted": box})
        assert r.status in (400, 401), (name, r)
