"""The audit logs: one line per decision, chained; kerbadm reads them."""
import json
import os

import pytest

from kerbtest import kdc
from kerbtest.realm import User, wait_until


def explain(realm, op_id):
    return realm.kerbadm("audit", "explain", op_id).stdout


def test_every_decision_has_one_line_with_all_it_is_of(realm, alice):
    login = realm.login(alice)
    ticket = login.service()
    chat = realm.chat(ticket)
    as_line = realm.wait_audit("as", client=alice.name, result="OK")
    tgs_line = realm.wait_audit("tgs", client=alice.name, result="OK")
    chat_line = realm.wait_audit("chat", event="login", client=alice.name, result="OK")
    chat.close()
    assert as_line["profile"] == tgs_line["profile"] == chat_line["profile"] == "classic"
    assert as_line["ticket_out"] == tgs_line["ticket_in"] and tgs_line["ticket_out"] == chat_line["ticket_in"]
    for line in (as_line, tgs_line, chat_line):
        assert line["address"] == "127.0.0.1" and line["duration_us"] > 0 and len(line["op_id"]) == 16, line
        assert line["time"].endswith("Z") and line["n"] > 0 and abs(line["skew_s"]) < 60
    assert tgs_line["service"] == chat_line["service"] == "chat"


def test_lines_hold_no_secret(realm, alice):
    realm.chat(alice).close()
    realm.wait_audit("chat", client=alice.name)
    for name in ("as", "tgs", "chat"):
        with open(os.path.join(realm.state, name, "audit.log"), "rb") as f:
            text = f.read()
        assert alice.password.encode() not in text and alice.key not in text
        assert oct(os.stat(os.path.join(realm.state, name, "audit.log")).st_mode & 0o777) == "0o600"


def test_explain_follows_a_ticket_from_as_to_chat(realm, alice):
    realm.chat(alice).close()
    op_id = realm.wait_audit("tgs", client=alice.name)["op_id"]
    realm.wait_audit("chat", client=alice.name)
    text = explain(realm, op_id)
    for part in ("asked for a ticket-granting ticket", "asked for a ticket for chat", "logged in to chat"):
        assert part in text, text
    assert text.index("kerb-as") < text.index("kerb-tgs") < text.index("kerb-chat")
    assert [x for x in text.splitlines() if x.startswith("> ")][0].count("kerb-tgs") == 1
    lines = [json.loads(x) for x in realm.kerbadm("--json", "audit", "explain", op_id).stdout.splitlines()]
    assert [x["event"] for x in lines] == ["as", "tgs", "login"]


def test_explain_tells_why_a_login_was_refused(realm, alice, bob):
    realm.kerbadm("user", "disable", bob.name)
    for user, sentence in ((User(alice.name, "wrong"), "The password was wrong"),
                           (User("nobody-" + alice.name, "x"), "There is no user of this name"),
                           (bob, "The user is disabled")):
        with pytest.raises(kdc.Refused) as e:
            realm.login(user)
        op_id = e.value.reply.json["op_id"]
        realm.wait_audit("as", op_id=op_id)
        assert sentence in explain(realm, op_id)
    assert realm.kerbadm("audit", "explain", "no-such-op-id-xx", check=False).returncode == 1


def test_show_filters(realm, alice):
    with pytest.raises(kdc.Refused):
        realm.login(User(alice.name, "wrong"))
    realm.login(alice)
    realm.wait_audit("as", client=alice.name, result="OK")

    def shown(*words):
        return [json.loads(x) for x in realm.kerbadm("audit", "show", *words).stdout.splitlines()]
    mine = shown("as", "--client", alice.name)
    assert {x["result"] for x in mine if x["daemon"] == "kerb-as"} == {"OK", "BAD_PREAUTH"}
    assert all(alice.name in (x.get("client"), x.get("target")) for x in mine)
    assert {x["result"] for x in shown("as", "--client", alice.name, "--result", "BAD_PREAUTH")} == {"BAD_PREAUTH"}
    unknown = "nobody-" + alice.name
    with pytest.raises(kdc.Refused) as e:
        realm.login(User(unknown, "wrong"))
    told = e.value.code  # the wire tells neither of the two
    realm.wait_audit("as", client=unknown)
    assert {x["result"] for x in shown("as", "--result", told)} >= {"BAD_PREAUTH", "NO_CLIENT"}
    assert {x["result"] for x in shown("as", "--client", unknown, "--result", told)} == {"NO_CLIENT"}
    assert shown("as", "--client", unknown, "--result", "KRB_AP_ERR_SKEW") == []
    words = [x.split()[0] for x in realm.kerbadm("audit", "show", "--result", "help").stdout.splitlines()]
    assert {"OK", "BAD_PREAUTH", "NO_CLIENT", "LIMIT"} < set(words)
    assert realm.kerbadm("audit", "show", "--result", "", check=False).returncode == 1
    assert shown("--since", "2999-01-01") == [] and len(shown("--since", mine[-1]["time"])) >= 1
    assert realm.kerbadm("audit", "show", "--result", "NONSENSE", check=False).returncode == 1
    assert realm.kerbadm("audit", "show", "nobody", check=False).returncode == 1


def test_a_name_that_a_terminal_would_obey_is_shown_harmless(realm):
    with pytest.raises(kdc.Refused):
        realm.login(User("x\x9b31m\x7f" + os.urandom(4).hex(), "x"))
    shown = realm.kerbadm("audit", "show", "as").stdout
    assert "\x9b" not in shown and "\x7f" not in shown and "\x1b" not in shown


def test_kerbadm_records_what_it_changes_and_who_did_it(realm, alice):
    realm.kerbadm("user", "disable", alice.name)
    assert realm.kerbadm("user", "enable", "nobody-" + alice.name, check=False).returncode == 1
    with open(os.path.join(realm.state, "as", "kerbadm.log"), encoding="utf-8") as f:
        lines = [json.loads(x) for x in f]
    done = [x for x in lines if x.get("target") == alice.name and x["what"] == "user disable"]
    assert len(done) == 1 and done[0]["uid"] == os.getuid() and done[0]["client"] and done[0]["result"] == "OK"
    assert [x["result"] for x in lines if x.get("target") == "nobody-" + alice.name] == ["NO_CLIENT"]
    assert "ran kerbadm user disable " + alice.name in explain(realm, done[0]["op_id"])


def verified(realm, *words):
    r = realm.kerbadm("audit", "verify", *words, check=False)
    return r.returncode, r.stdout


def test_verify_finds_a_changed_line_and_a_cut_tail_also_after_a_restart(new_realm):
    realm = new_realm()
    alice = realm.add_user()
    for _ in range(5):
        realm.login(alice).service()
    wait_until(lambda: len(realm.audit("tgs", result="OK")) == 5)
    code, text = verified(realm)
    assert code == 0 and text.count("as they were written") == 4, text
    realm.stop()
    path = os.path.join(realm.state, "as", "audit.log")
    with open(path, "rb") as f:
        content = f.read()

    def write(data):
        with open(path, "wb") as f:
            f.write(data)
    write(content.replace(b'"result":"OK"', b'"result":"KO"', 1))
    code, text = verified(realm, "as")
    assert code == 1 and "hash is wrong" in text, text
    write(b"".join(content.splitlines(True)[:-2]))
    code, text = verified(realm, "as")
    assert code == 1 and "cut off" in text, text
    assert verified(realm, "tgs")[0] == 0
    realm.start()
    realm.daemons["as"].wait_log(event="audit_broken")
    realm.login(alice)
    wait_until(lambda: realm.audit("as", event="audit_broken"))
    code, text = verified(realm, "as")
    assert code == 1 and "had been cut off or replaced" in text, text


def test_a_kill_costs_no_more_than_the_last_moment(new_realm):
    realm = new_realm()
    alice = realm.add_user()
    realm.login(alice)
    op_id = realm.wait_audit("as", client=alice.name)["op_id"]
    realm.kill("as")
    realm.start("as")
    realm.login(alice)
    wait_until(lambda: len(realm.audit("as", client=alice.name, result="OK")) == 2)
    assert realm.audit("as", op_id=op_id) and verified(realm, "as")[0] == 0


def test_head_follows_a_rollover_of_the_master_key(new_realm):
    realm = new_realm()
    alice = realm.add_user()
    realm.login(alice)
    realm.wait_audit("as", client=alice.name)
    realm.kerbadm("mkey", "add", "as")
    realm.kerbadm("mkey", "use", "as")
    realm.kerbadm("mkey", "rewrap", "as")
    path = os.path.join(realm.state, "as", "audit.log.head")

    def kvno():
        with open(path, "rb") as f:
            return int.from_bytes(f.read()[2:6], "big")
    wait_until(lambda: kvno() == 2)
    assert verified(realm, "as")[0] == 0
