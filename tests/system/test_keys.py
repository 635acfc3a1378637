"""Roll-over of master keys, under running daemons: nothing stops, nothing is lost, and old versions go."""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess

import pytest

from kerbtest.realm import environment, wait_until

DAEMONS = ("as", "tgs", "chat")


def admin(realm, *words):
    return json.loads(realm.kerbadm("--json", *words).stdout)


def rows(realm, daemon):
    return {v["kvno"]: v["rows"] for v in admin(realm, "mkey", "list", daemon)["versions"]}


def roll(realm, daemon):
    kvno = admin(realm, "mkey", "add", daemon)["kvno"]
    assert admin(realm, "mkey", "use", daemon)["kvno"] == kvno
    return kvno


def age(realm, daemon):
    """Lets the use of the newest version lie back, as if somebody had waited before the purge."""
    path = os.path.join(realm.state, daemon, "master.key")
    with open(path, encoding="utf-8") as f:
        keys = json.load(f)
    for k in keys["keys"]:
        k["valid_from"] = max(0, k["valid_from"] - 60)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(keys, f)


def purge(realm, daemon):
    """Not before the daemon has put the end of its audit log under the newest version, which it does once a second."""
    wait_until(lambda: realm.kerbadm("mkey", "purge", daemon, check=False).returncode == 0, 20, "the purge")


def refused(realm, *words, why):
    done = realm.kerbadm(*words, check=False)
    assert done.returncode == 1 and why in done.stderr, done
    return done


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_new_realm_has_one_version(new_realm, daemon):
    realm = new_realm()
    listed = admin(realm, "mkey", "list", daemon)
    assert listed["current"] == 1 and [v["kvno"] for v in listed["versions"]] == [1]
    refused(realm, "mkey", "use", daemon, why="no newer one")
    refused(realm, "mkey", "purge", daemon, why="no version older than 1")


def test_a_whole_roll_over_under_running_daemons(new_realm):
    realm = new_realm()
    alice, bob = realm.add_users(2)
    a, b = realm.chat(alice), realm.chat(bob)
    a.new_room("open", 0, [alice, bob])
    b.expect("new_room", room="open")
    a.new_room("vault", 2, [alice, bob])
    a.enter("open")
    a.say("open", "before")
    b.send("save_data", key="k", data={"x": 1})
    b.fence()
    for daemon in DAEMONS:
        assert roll(realm, daemon) == 2
        realm.daemons[daemon].wait_log(event="master", message="version 2 of the master key seals now")
    a.say("open", "between")
    before = {d: rows(realm, d) for d in DAEMONS}
    assert before["chat"][1] >= 2 and before["chat"][2] >= 1 and before["as"][1] > 0 and before["tgs"][1] > 0
    for daemon in DAEMONS:
        age(realm, daemon)
        refused(realm, "mkey", "purge", daemon, why="still lie under version 1")
        done = admin(realm, "mkey", "rewrap", daemon)
        assert done["rows"] == before[daemon][1] and done["bad"] == 0
        purge(realm, daemon)
        assert list(rows(realm, daemon)) == [2]
    assert admin(realm, "check")["problems"] == []
    # all that was sealed before still opens, without a restart and after one
    for _ in range(2):
        c = realm.chat(alice)
        texts = [m["text"] for m in c.enter("open")["messages"]]
        assert texts == ["before", "between"], texts
        d = realm.chat(bob)
        assert d.ask("get_data", "data", key="k")["data"] == {"x": 1}
        c.close()
        d.close()
        realm.restart()


def test_a_roll_over_takes_along_what_was_edited(new_realm):
    """Texts are bound to their revisions; revisions have no text of their own, and count for no version."""
    realm = new_realm()
    alice = realm.add_user()
    a = realm.chat(alice, extensions=True)
    a.new_room("open", 0, [alice])
    for text in ("one", "two", "three"):
        a.say("open", text)
    a.ask("edit_message", "ack", room="open", seq=1, text="uno")
    a.ask("delete_message", "ack", room="open", seq=2)
    assert roll(realm, "chat") == 2
    realm.daemons["chat"].wait_log(event="master", message="version 2 of the master key seals now")
    a.ask("edit_message", "ack", room="open", seq=3, text="tres")
    age(realm, "chat")
    before = rows(realm, "chat")
    done = admin(realm, "mkey", "rewrap", "chat")
    assert done["rows"] == before[1] and done["bad"] == 0
    purge(realm, "chat")
    a.ask("edit_message", "ack", room="open", seq=1, text="ein")
    realm.restart("chat")
    a = realm.chat(alice, extensions=True)
    got = a.ask("get_history", "room_messages", {"room": "open"}, room="open")["messages"]
    assert [(m["seq"], m.get("text")) for m in got[:3]] == [(1, "ein"), (2, None), (3, "tres")]
    assert got[1]["deleted"] == 5 and len(got) == 7


def test_a_version_that_is_not_used_yet_seals_nothing(new_realm):
    realm = new_realm()
    realm.kerbadm("mkey", "add", "as")
    refused(realm, "mkey", "add", "as", why="not used yet")
    realm.login(realm.add_user())
    assert rows(realm, "as")[2] == 0


def test_purge_waits_until_what_was_on_its_way_has_arrived(new_realm):
    realm = new_realm()
    roll(realm, "tgs")
    realm.kerbadm("mkey", "rewrap", "tgs")
    refused(realm, "mkey", "purge", "tgs", why="try again")
    assert set(rows(realm, "tgs")) == {1, 2}


def test_an_interrupted_rewrap_goes_on_where_it_was(new_realm):
    realm = new_realm()
    alice = realm.add_user()
    a = realm.chat(alice)
    a.new_room("open", 0, [alice])
    a.enter("open")
    a.say("open", "the first")
    realm.stop("chat")
    path = os.path.join(realm.state, "chat", "chat.db")
    with sqlite3.connect(path) as db:  # many rows; that copies do not open is what this test needs not
        db.execute("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
                   " INSERT INTO message(room, seq, time, mid, sender, epoch, box)"
                   " SELECT room, i, time, randomblob(16), sender, epoch, box FROM message, n WHERE seq = 1")
    db.close()
    roll(realm, "chat")
    p = subprocess.Popen([os.path.join(realm.bin, "kerbadm"), "--state", realm.state, "mkey", "rewrap", "chat"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    with contextlib.closing(sqlite3.connect(path)) as db:  # until it is at it
        wait_until(lambda: db.execute("SELECT 1 FROM message WHERE substr(box, 3, 4) = x'00000002' LIMIT 1").fetchone())
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1, (out, err)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM message WHERE seq > 1")
    db.close()
    left = rows(realm, "chat")
    assert left[2] >= 1
    realm.kerbadm("mkey", "rewrap", "chat")
    assert rows(realm, "chat") == {1: 0, 2: left[1] + left[2]}
    realm.start("chat")
    assert [m["text"] for m in realm.chat(alice).enter("open")["messages"]] == ["the first"]


def test_a_rewrap_while_people_talk_loses_nothing(new_realm):
    realm = new_realm()
    alice, bob = realm.add_users(2)
    a, b = realm.chat(alice), realm.chat(bob)
    a.new_room("open", 0, [alice, bob])
    b.expect("new_room", room="open")
    a.enter("open")
    texts = []
    for round_ in range(3):
        roll(realm, "chat")
        p = subprocess.Popen([os.path.join(realm.bin, "kerbadm"), "--state", realm.state, "mkey", "rewrap", "chat"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        for i in range(20):
            texts.append(f"{round_} {i}")
            a.say("open", texts[-1])
        assert p.wait(60) == 0, p.stderr.read()
        p.stdout.close()
        p.stderr.close()
    realm.kerbadm("mkey", "rewrap", "chat")
    age(realm, "chat")
    # the daemon puts the end of its audit log under the new version by itself, when it looks at the key file
    purge(realm, "chat")
    assert list(rows(realm, "chat")) == [4]
    assert [m["text"] for m in b.enter("open")["messages"]] == texts


def test_check_tells_the_versions_and_a_row_whose_version_is_gone(new_realm):
    realm = new_realm(start=False)
    realm.add_user()
    roll(realm, "as")
    told = realm.kerbadm("check").stdout
    assert "all is well" in told and "master key of as: version 2 seals" in told
    assert admin(realm, "check")["master"]["as"]["seals"] == 2
    path = os.path.join(realm.state, "as", "as.db")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE principal_key SET sealed = CAST(x'010100000009' || substr(sealed, 7) AS BLOB) WHERE principal > 0")
    db.close()
    done = realm.kerbadm("check", check=False)
    assert done.returncode == 1 and "lie under version 9" in done.stdout


def test_a_key_file_that_others_may_read_changes_nothing_and_is_told(new_realm):
    realm = new_realm()
    path = os.path.join(realm.state, "as", "master.key")
    os.chmod(path, 0o644)
    realm.daemons["as"].wait_log(event="master", level="error")
    user = realm.daemons["as"]
    assert user.is_alive()
    os.chmod(path, 0o600)
    realm.login(realm.add_user())


def test_unknown_daemon(new_realm):
    realm = new_realm(start=False)
    refused(realm, "mkey", "list", "nobody", why="as, tgs or chat")


def test_the_new_version_is_in_force_within_a_second(new_realm):
    realm = new_realm()
    roll(realm, "chat")
    alice = realm.add_user()
    a = realm.chat(alice)
    a.new_room("open", 0, [alice])
    a.enter("open")

    def is_in_force():
        a.say("open", "sealed anew")
        return rows(realm, "chat")[2] > 0

    assert wait_until(is_in_force, timeout=2)
