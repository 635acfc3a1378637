"""GET /metrics on each daemon's inner listener: what there is, that it counts, and that deploy/ asks for nothing else."""
import json
import os
import re
import socket

import pytest

from kerbtest import account, kdc
from kerbtest.realm import NAMES, User, wait_until

DEPLOY = os.path.join(os.path.dirname(__file__), "../../deploy/monitoring")
ALERTS, DASHBOARD = (os.path.join(DEPLOY, f) for f in ("alerts.yml", "kerb-dashboard.json"))


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def total(metrics, name, **labels):
    return sum(v for k, v in metrics.items()
               if k.partition("{")[0] == name and all(f'{n}="{x}"' in k for n, x in labels.items()))


def families(metrics):
    return {k.partition("{")[0] for k in metrics}


@pytest.fixture
def used(realm, alice):
    """A realm in which everything has happened once."""
    chat = realm.chat(alice)
    chat.send("new_room", room="r" + alice.name, users=[alice.name], threshold=0)
    chat.expect("new_room")
    chat.send("new_message", room="r" + alice.name, message={"text": "hello"})
    chat.expect("new_message")
    wait_until(lambda: realm.metrics("chat")["kerb_messages_total"] >= 1)
    yield realm
    chat.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_daemon_shows_who_it_is(realm, name):
    m = realm.metrics(name)
    assert [k for k in m if k.startswith("kerb_build_info{")][0].startswith(f'kerb_build_info{{daemon="kerb-{name}",')
    wait_until(lambda: realm.metrics(name)["kerb_audit_healthy"] == 1)
    assert m["kerb_start_time_seconds"] > 1.7e9
    assert realm.metrics(name)["kerb_key_age_seconds"] >= 0


def test_decisions_are_counted_by_event_profile_and_result(realm, alice):
    before = realm.metrics("as")
    realm.login(alice)
    with pytest.raises(kdc.Refused):
        realm.login(User(alice.name, "wrong"))
    after = realm.metrics("as")
    for result in ("OK", "BAD_PREAUTH"):
        how = {"event": "as", "profile": "classic", "result": result}
        assert total(after, "kerb_requests_total", **how) == total(before, "kerb_requests_total", **how) + 1
    assert after["kerb_request_seconds_count"] == before["kerb_request_seconds_count"] + 2
    assert after["kerb_client_skew_seconds_count"] >= before["kerb_client_skew_seconds_count"] + 1


def test_replays_are_counted(realm, alice):
    fields = kdc.as_fields(alice)
    before = realm.metrics("as")["kerb_replays_total"]
    assert [kdc.post_as(realm, fields).status for _ in range(3)] == [200, 401, 401]
    assert realm.metrics("as")["kerb_replays_total"] == before + 2


def test_the_chat_counts_what_it_does(used):
    m = used.metrics("chat")
    assert m["kerb_messages_total"] >= 1 and m["kerb_deliveries_total"] >= 3 and m["kerb_commit_seconds_count"] >= 1
    wait_until(lambda: used.metrics("chat")["kerb_connections_authed"] >= 1)
    wait_until(lambda: used.metrics("chat")["kerb_rooms_open"] >= 1)
    assert total(m, "kerb_requests_total", event="login", result="OK") >= 1


def test_as_and_tgs_count_connections_and_commits(new_realm):
    realm = new_realm()
    for name in ("as", "tgs"):
        assert realm.metrics(name)["kerb_connections"] == 0
        idle = [socket.create_connection(realm.address(name)) for _ in range(5)]
        wait_until(lambda: realm.metrics(name)["kerb_connections"] == 5)
        for s in idle:
            s.close()
        wait_until(lambda: realm.metrics(name)["kerb_connections"] == 0)
    user = realm.add_user()
    before = {n: realm.metrics(n)["kerb_commit_seconds_count"] for n in ("as", "tgs")}
    assert account.change_password(account.Login(realm, user.name, user.password), "another password", cut_off=True)["ok"]
    for name in ("as", "tgs"):  # the TGS stores what the feed tells
        wait_until(lambda: realm.metrics(name)["kerb_commit_seconds_count"] > before[name])


def test_ages_of_keys(new_realm):
    realm = new_realm()
    for name in NAMES:
        wait_until(lambda: realm.metrics(name)["kerb_key_age_seconds"] >= 0)
        wait_until(lambda: 0 < realm.metrics(name)["kerb_master_key_age_seconds"] < 600)
    wait_until(lambda: 0 < realm.metrics("as")["kerb_own_key_age_seconds"] < 600)


def test_no_label_names_a_user_a_room_or_an_address(used, alice):
    allowed = {"daemon", "version", "event", "profile", "result", "le"}
    for name in NAMES:
        m = used.metrics(name)
        labels = {label for k in m for label in re.findall(r'[{,]([a-z_]+)="', k)}
        assert labels <= allowed, labels
        assert not [k for k in m if alice.name in k or "127.0.0.1" in k]


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD])
def test_every_metric_that_deploy_names_exists(used, path):
    there = set().union(*(families(used.metrics(n)) for n in NAMES))
    named = set(re.findall(r"\bkerb_[a-z_]+", text_of(path)))
    assert len(named) > 5 and named <= there, named - there


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD])
def test_every_result_that_deploy_names_exists(path):
    table = text_of(os.path.join(DEPLOY, "../../shared/base/rc.h"))
    results = set(re.findall(r"X\(([A-Z_]+),", table))
    named = {w for words in re.findall(r'result=~\\?"([A-Z_|]+)', text_of(path)) for w in words.split("|")}
    assert named and named <= results, named - results


def test_dashboard_is_json_with_panels_that_ask_for_something():
    dashboard = json.loads(text_of(DASHBOARD))
    assert len(dashboard["panels"]) > 10
    assert all(t["expr"] for p in dashboard["panels"] for t in p["targets"])
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])


def test_alerts_are_rules():
    """The form is checked without a YAML library: each alert has an expression, a severity and a summary."""
    rules = text_of(ALERTS).split("- alert: ")[1:]
    assert len(rules) > 8
    for rule in rules:
        assert re.search(r"^\s+expr: .+", rule, re.M) and "severity: " in rule and "summary: " in rule, rule
