"""What outlives a daemon: an orderly stop, a crash, a crash under load, a crash in the worst moment."""
import os
import secrets
import subprocess
import threading
import time

import pytest
import websockets

from kerbtest import web
from kerbtest.kdc import Refused, as_fields, post_as
from kerbtest.realm import environment, wait_until


def rid():
    return "room-" + secrets.token_hex(6)


@pytest.fixture(params=["SIGTERM", "SIGKILL"])
def end(request):
    """A way to end daemons."""
    return lambda realm, *names: (realm.stop if request.param == "SIGTERM" else realm.kill)(*names)


def combine_opens(realm, users, room, shares, texts):
    """The members come back, present their shares and read the history."""
    conns = [realm.chat(u) for u in users]
    for c, s in zip(conns, shares):
        c.send("secret", room=room, secret=s)
    for c in conns:
        assert [m["text"] for m in c.expect("room_messages", room=room)["messages"]] == texts
    return conns


# --- the promise of the project: two of three unlock the history again ---

def test_sealed_history_outlives_all_daemons(new_realm, end):
    realm = new_realm()
    users = realm.add_users(3)
    conns = [realm.chat(u) for u in users]
    room = rid()
    conns[0].new_room(room, 2, users)
    for c in conns[1:]:
        c.expect("new_room", room=room)
    shares = [c.shares[room] for c in conns]
    for c in conns[:2]:
        c.contribute(room)
    for c in conns:
        c.expect("room_messages", room=room)
    texts = [f"secret text {i} {secrets.token_hex(4)}" for i in range(4)]
    for i, t in enumerate(texts):
        conns[i % 3].say(room, t)
    end(realm)
    realm.start()
    a, c = combine_opens(realm, [users[0], users[2]], room, [shares[0], shares[2]], texts)
    a.say(room, "and on it goes")
    end(realm, "chat")
    realm.start("chat")
    combine_opens(realm, users[1:], room, shares[1:], texts + ["and on it goes"])


def test_a_closed_room_is_closed_after_a_restart(new_realm, end):
    realm = new_realm()
    user = realm.add_user()
    c = realm.chat(user)
    room = rid()
    c.new_room(room, 1, [user])
    share = c.shares[room]
    c.contribute(room)
    c.expect("room_messages", room=room)
    c.say(room, "sealed")
    end(realm, "chat")
    realm.start("chat")
    c = realm.chat(user)
    assert c.error("new_message", room=room, message={"text": "x"}) == "room_closed"
    c.send("secret", room=room, secret="1-abc")
    assert c.expect("error")["code"] == "share_invalid"
    c.send("go_room", room=room, secret=share)
    assert [m["text"] for m in c.expect("room_messages")["messages"]] == ["sealed"]


def test_open_rooms_saved_data_and_membership_outlive(new_realm, end):
    realm = new_realm()
    users = realm.add_users(3)
    a, b, c = (realm.chat(u) for u in users)
    room, left, gone = rid(), rid(), rid()
    a.new_room(room, 0, users)
    a.new_room(left, 0, users)
    a.new_room(gone, 1, [users[0]])
    a.say(room, "open text")
    a.send("save_data", key="k", data={"ü": [1, 2, {"x": None}]})
    a.delete(gone)
    b.leave(left)
    a.fence()
    end(realm)
    realm.start()
    a, b, c = (realm.chat(u) for u in users)
    assert [m["text"] for m in b.enter(room)["messages"]] == ["open text"]
    assert a.ask("get_data", "data", key="k")["data"] == {"ü": [1, 2, {"x": None}]}
    assert a.error("go_room", room=gone) == "not_found"
    assert b.error("go_room", room=left) == "not_found"
    assert c.enter(left)["room"]["users"] == [users[0].name, users[2].name]
    assert a.error("new_room", room=room, threshold=0, users=[]) == "exists"
    a = realm.chat(users[0], extensions=True)
    assert a.say(room, "next")["seq"] == 2


def test_pending_shares_outlive(new_realm, end):
    realm = new_realm()
    a, b = realm.add_users(2)
    realm.chat(b).close()
    c = realm.chat(a)
    room = rid()
    c.new_room(room, 2, [a, b])
    c.fence()
    end(realm, "chat")
    realm.start("chat")
    cb = realm.chat(b)
    share = cb.expect("new_room", room=room)["secret"]
    ca = realm.chat(a)
    ca.send("secret", room=room, secret=c.shares[room])
    cb.send("secret", room=room, secret=share)
    ca.expect("room_messages", room=room)


def test_sigterm_closes_with_4000(new_realm):
    realm = new_realm()
    c = realm.chat(realm.add_user())
    realm.stop("chat")
    assert c.closed() == 4000


def test_sigint_is_orderly_too(new_realm):
    realm = new_realm()
    for name in ("as", "tgs", "chat"):
        d = realm.daemons.pop(name)
        d.signal(2)
        assert d.wait() == 0
        d.check_clean()


def test_tickets_outlive_an_orderly_restart_and_not_a_crash(new_realm):
    realm = new_realm()
    user = realm.add_user()
    tgt = realm.login(user)
    t = tgt.service()
    realm.restart()
    realm.chat(t)
    assert tgt.service().ticket
    realm.kill()
    realm.start()
    with pytest.raises(Refused) as e:
        tgt.service()
    assert e.value.code == "KRB_AP_ERR_TKT_EXPIRED"
    realm.chat(user)


def test_check_finds_nothing_wrong_after_crashes(new_realm):
    realm = new_realm()
    c = realm.chat(realm.add_user())
    c.new_room(rid(), 1, [c.user])
    for _ in range(2):
        realm.kill()
        realm.start()
    realm.kerbadm("check")
    realm.kill()
    realm.kerbadm("check")


def test_a_second_daemon_on_the_same_port_says_so(new_realm):
    realm = new_realm()
    with open(realm.conf, encoding="utf-8") as f:
        text = f.read()
    path = os.path.join(realm.state, "second.conf")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
        f.write(text.replace("127.0.0.1:0", f"127.0.0.1:{realm.daemons['as'].port}"))
    r = subprocess.run([os.path.join(realm.bin, "kerb-as"), "--config", path], capture_output=True, timeout=30,
                       env=environment())
    assert r.returncode not in (0, 99) and r.stderr
    assert post_as(realm, as_fields(realm.add_user())).status == 200


# --- under load ---

class Load:
    """Calls `work` again and again in threads, until told to stop or until it raises."""

    def __init__(self, work, n=4):
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(work, i), daemon=True) for i in range(n)]
        for t in self.threads:
            t.start()

    def _run(self, work, i):
        try:
            while not self.stopped.is_set():
                work(i)
        except (OSError, KeyError, AssertionError, web.http.client.HTTPException, websockets.WebSocketException):
            pass  # the daemon is gone

    def stop(self):
        self.stopped.set()
        for t in self.threads:
            t.join(30)


def test_attack_sigkill_of_the_as_under_load(new_realm):
    """What was answered stays used: no request is accepted a second time."""
    realm = new_realm(policy={"throttle": "no"})
    users = realm.add_users(4)
    answered = []

    def work(i):
        fields = as_fields(users[i])
        if post_as(realm, fields).status == 200:
            answered.append(fields)
    load = Load(work)
    wait_until(lambda: len(answered) > 200, timeout=60, what="load")
    realm.daemons["as"].kill()
    load.stop()
    realm.daemons.pop("as")
    realm.start("as")
    assert len(answered) > 200
    for fields in answered:
        assert post_as(realm, fields).code == "KRB_AP_ERR_REPEAT"
    for u in users:
        assert post_as(realm, as_fields(u)).status == 200


def test_attack_sigkill_of_the_tgs_under_load(new_realm):
    realm = new_realm()
    tgts = [realm.login(u) for u in realm.add_users(4)]
    answered = []

    def work(i):
        answered.append(tgts[i].service())
    load = Load(work)
    wait_until(lambda: len(answered) > 200, timeout=60, what="load")
    realm.daemons["tgs"].kill()
    load.stop()
    realm.daemons.pop("tgs")
    realm.start("tgs")
    for t in (answered[0], answered[-1]):
        realm.chat(t)
    for tgt in tgts:
        with pytest.raises(Refused):
            tgt.service()
        assert realm.login(tgt.user).service().ticket


def test_attack_sigkill_of_the_chat_under_load(new_realm):
    """Nothing is lost that a client had been told is stored."""
    realm = new_realm()
    users = realm.add_users(4)
    conns = [realm.chat(u) for u in users]
    room = rid()
    conns[0].new_room(room, 0, users)
    for c in conns[1:]:
        c.expect("new_room", room=room)
    told, values = [], {}

    def work(i):
        text = f"{i} {len(told)} {secrets.token_hex(4)}"
        conns[i].send("new_message", room=room, message={"text": text})
        conns[i].heard(room, text)
        told.append(text)
        conns[i].send("save_data", key=f"key of {i}", data=text)
        conns[i].fence()
        values[i] = text
    load = Load(work)
    wait_until(lambda: len(told) > 150, timeout=60, what="load")
    realm.daemons["chat"].kill()
    load.stop()
    realm.daemons.pop("chat")
    realm.start("chat")
    conns = [realm.chat(u) for u in users]
    stored = [m["text"] for m in conns[0].enter(room)["messages"]]
    assert len(told) > 150 and set(told) <= set(stored)
    for i, text in values.items():
        have = conns[i].ask("get_data", "data", key=f"key of {i}")["data"]
        assert have == text or have in stored


def test_sigterm_under_load_finishes_what_was_begun(new_realm):
    realm = new_realm()
    users = realm.add_users(4)
    statuses = []

    def work(i):
        statuses.append(post_as(realm, as_fields(users[i])).status)
    load = Load(work)
    wait_until(lambda: len(statuses) > 100, timeout=60, what="load")
    realm.stop("as")
    load.stop()
    assert set(statuses) == {200}


# --- in the worst moment ---

def test_attack_sigkill_between_the_commit_of_a_room_and_its_push(new_realm, shim, tmp_path):
    """Whichever sync was the last: either there is no room, or every member gets his share."""
    realm = new_realm(start=False)
    realm.start("as", "tgs")
    users = realm.add_users(3)
    trigger = tmp_path / "kill"
    outcomes = []
    realm.start("chat", env=environment(LD_PRELOAD=shim, KERB_TEST_KILL=str(trigger)))
    for u in users:
        realm.chat(u).close()
    for syncs in (0, 1, 2, 0):
        conns = [realm.chat(u) for u in users[:2]]
        for c in conns:
            c.fence()
        room = rid()
        time.sleep(0.3)  # lets what the logins have stored be stored before the count begins
        trigger.write_text(f"{syncs}\n")
        conns[0].send("new_room", room=room, threshold=2, users=[u.name for u in users])
        try:
            realm.daemons["chat"].popen.wait(3)
        except subprocess.TimeoutExpired:
            trigger.unlink(missing_ok=True)
            realm.daemons["chat"].signal(9)
        realm.kill("chat")
        told = {c.user.name: c.shares.get(room) for c in conns}
        realm.start("chat", env=environment(LD_PRELOAD=shim, KERB_TEST_KILL=str(trigger)))
        conns = [realm.chat(u, extensions=True) for u in users]
        conns[0].send("go_room", room=room, id="is it there")
        answer = conns[0].expect(id="is it there")
        exists = answer.get("code") != "not_found"
        outcomes.append((exists, any(told.values())))
        if not exists:
            assert not any(told.values()), "a room was announced and is gone"
            conns[0].new_room(room, 0, [])
            continue
        for n, c in enumerate(conns):
            c.fence()
            share = c.shares.get(room) or told[c.user.name]
            assert share.startswith(f"{n + 1}-")
            if n:
                c.send("secret", room=room, secret=share)
        conns[0].expect("room_messages", room=room)
        for c in conns:
            c.close()
    assert (True, False) in outcomes, f"the moment between commit and push was never met: {outcomes}"


def test_attack_sigkill_right_behind_new_room(new_realm):
    """The same from outside, at moments as they come."""
    realm = new_realm()
    users = realm.add_users(2)
    for u in users:
        realm.chat(u).close()
    for delay_ms in (0, 1, 3, 8):
        conns = [realm.chat(u) for u in users]
        room = rid()
        conns[0].send("new_room", room=room, threshold=2, users=[u.name for u in users])
        time.sleep(delay_ms / 1000)
        realm.kill("chat")
        told = {c.user.name: c.shares.get(room) for c in conns}
        realm.start("chat")
        conns = [realm.chat(u) for u in users]
        for c in conns:
            c.fence()
        if conns[0].user.name and not any(told.values()) and not any(c.shares.get(room) for c in conns):
            assert conns[0].error("go_room", room=room) == "not_found"
            continue
        for c in conns:
            c.send("secret", room=room, secret=c.shares.get(room) or told[c.user.name])
        conns[0].expect("room_messages", room=room)
