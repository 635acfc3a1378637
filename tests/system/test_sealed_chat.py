"""The sealed connection of the chat, and what an attacker may try with it."""
import json
import os

import pytest
import websockets

from kerbtest import kdc, sealed
from kerbtest.chat import Chat, run
from kerbtest.envelope import b64url, from_b64url


@pytest.fixture
def alice(realm):
    return realm.add_user()


@pytest.fixture
def bob(realm):
    return realm.add_user()


def test_login_room_message(realm, alice, bob):
    a, b = sealed.chat(realm, alice), sealed.chat(realm, bob)
    assert isinstance(a.hello["timestamp"], int) and "authenticator_timestamp" not in a.hello
    room = f"r-{os.urandom(4).hex()}"
    a.ask("new_room", "new_room", room=room, threshold=2, users=[bob.name])
    b.expect("new_room", room=room)
    a.send("go_room", room=room, secret=a.shares[room])
    assert b.expect("get_secret", room=room)["asked_by"] == alice.name
    b.contribute(room)
    a.expect("room_messages", room=room)
    text = "sealed " + os.urandom(8).hex()
    realm.remember("text", text)
    ack = a.ask("new_message", "ack", room=room, message={"text": text})
    assert isinstance(ack["time"], int) and ack["seq"] == 1
    message = b.heard(room, text)
    assert "message" not in message and isinstance(message["time"], int) and message["mid"] == ack["mid"]


def test_classic_and_sealed_in_one_room(realm, alice, bob):
    a, b = sealed.chat(realm, alice), realm.chat(bob)
    room = f"r-{os.urandom(4).hex()}"
    a.new_room(room, 0, [bob])
    b.expect("new_room", room=room)
    b.say(room, "from classic")
    assert isinstance(a.heard(room, "from classic")["time"], int)
    a.send("new_message", room=room, message="from sealed")
    assert isinstance(b.heard(room, "from sealed")["time"], str)


def test_login_frame_replayed_on_another_connection(realm, alice):
    a = sealed.chat(realm, alice)
    other = sealed.SealedChat(realm, a.ticket, greet=False)
    other.send_raw(a.frame)
    assert other.expect("error")["code"] == "login_failed"
    assert other.closed() == 4500


def test_a_ticket_without_its_key(realm, alice, bob):
    t = sealed.login(realm, alice).service()
    t.key = os.urandom(32)
    c = sealed.SealedChat(realm, t, greet=False)
    c.send_raw(c.login_frame())
    assert c.expect("error")["code"] == "login_failed" and c.closed() == 4500


@pytest.mark.parametrize("how", ["replayed", "reordered", "dropped", "reflected", "changed", "text"])
def test_records_out_of_place(realm, alice, how):
    a = sealed.chat(realm, alice)
    first, second = a.seal("online"), a.seal("online")
    if how == "replayed":
        a.send_raw(first)
        a.expect("online")
        a.send_raw(first)
    elif how == "reordered" or how == "dropped":
        a.send_raw(second)
    elif how == "reflected":
        a.streams[1].n = 0
        a.send_raw(a.streams[1].seal(b'{"type":"online"}'))
    elif how == "changed":
        a.send_raw(first[:20] + bytes([first[20] ^ 1]) + first[21:])
    else:
        a.send_raw('{"type":"online"}')
    assert a.closed() == 4501


def test_points_off_the_curve(realm, alice):
    t = sealed.login(realm, alice).service()
    for point in (b"\x04" + bytes(64), b"\x02" + bytes(32), b"\x04" + b"\xff" * 64, b"", b"\x00"):
        c = sealed.SealedChat(realm, t, greet=False)
        c.point = lambda p=point: p
        c.send_raw(c.login_frame())
        assert c.expect("error")["code"] == "login_failed" and c.closed() == 4500


def test_versions(realm, alice):
    t = sealed.login(realm, alice).service()
    c = sealed.SealedChat(realm, t, greet=False)
    c.send_raw(c.login_frame(v=2))
    assert c.expect("error")["code"] == "version" and c.closed() == 4505


def test_profiles_do_not_mix(realm, alice):
    """A ticket of one profile on a connection of the other, and messages of the other profile after the login."""
    classic, t = realm.ticket(alice), sealed.login(realm, alice).service()
    c = Chat(realm, classic, greet=False)
    c.send_plain({"type": "login", "service": "chat", "service_ticket": t.ticket,
                  "authenticator": classic.authenticator()})
    assert c.expect("error")["code"] == "login_failed" and c.closed() == 4500
    c = sealed.SealedChat(realm, t, greet=False)
    c.send_raw(json.dumps({"type": "login", "v": 1, "ticket": classic.ticket, "authenticator": b64url(os.urandom(80))}))
    assert c.expect("error")["code"] == "login_failed" and c.closed() == 4500
    c = sealed.SealedChat(realm, t, greet=False)
    c.send_plain(classic.login_frame())
    assert c.closed() in (4500, 4505)
    c = realm.chat(classic)
    c.send_raw(b"\0" * 64)
    assert c.expect("error")["code"] == "malformed"


def test_unknown_subprotocol(realm, alice):
    host, port = realm.chat_addr

    async def connect(names):
        return await websockets.connect(f"ws://{host}:{port}/chat", subprotocols=names)
    for names in (["kerb.v2"], ["chat"], ["kerb.v1x"]):
        with pytest.raises(websockets.InvalidStatusCode) as e:
            run(connect(names))
        assert e.value.status_code == 400


def test_reauth(new_realm):
    realm = new_realm(policy={"sealed_service_lifetime": 62, "pbkdf2_iterations": 200000})
    alice = realm.add_user()
    tgt = sealed.login(realm, alice)
    a = sealed.SealedChat(realm, tgt.service())
    ok = a.reauth(tgt.service())
    assert ok["expires"] >= a.welcome["expires"]
    a.ask("online", "online")


def test_reauth_of_somebody_else(new_realm):
    realm = new_realm(policy={"sealed_service_lifetime": 62, "pbkdf2_iterations": 200000})
    alice, bob = realm.add_user(), realm.add_user()
    a = sealed.chat(realm, alice)
    theirs = sealed.login(realm, bob).service()
    asked = a.expect("reauth_required", timeout=90)
    a.send("reauth", ticket=theirs.ticket, authenticator=theirs.authenticator(from_b64url(asked["nonce"])))
    assert a.expect("error")["code"] == "login_failed" and a.closed() == 4500


def test_forward_secrecy(realm, alice):
    """Two connections under one ticket have different keys, and the ticket's key alone opens no record."""
    t = sealed.login(realm, alice).service()
    a, b = sealed.SealedChat(realm, t), sealed.SealedChat(realm, t)
    assert a.streams[0].key != b.streams[0].key and a.welcome["session_id"] != b.welcome["session_id"]
    record = a.seal("online")
    sid = from_b64url(a.welcome["session_id"])
    stolen = sealed.Stream(t.key, realm.name, alice.name, "chat", sid)
    with pytest.raises(AssertionError):
        stolen.open(record)


def test_cut_off_reaches_sealed_and_classic_connections(realm):
    alice = realm.add_user()
    a, c = sealed.chat(realm, alice), realm.chat(alice)
    old = sealed.login(realm, alice).service()
    realm.kerbadm("user", "disable", alice.name)
    assert a.closed(timeout=5) == 4503 and c.closed(timeout=5) == 4503
    late = sealed.SealedChat(realm, old, greet=False)
    late.send_raw(late.login_frame())
    assert late.closed(timeout=5) == 4503
    with pytest.raises(kdc.Refused):
        realm.login(alice)
    realm.restart("chat")
    late = sealed.SealedChat(realm, old, greet=False)
    late.send_raw(late.login_frame())
    assert late.closed(timeout=5) == 4503


def test_records_are_numbered_from_zero_in_each_direction(realm, alice):
    a = sealed.chat(realm, alice)
    assert a.streams[0].n == 0 and a.streams[1].n >= 1
    a.ask("online", "online")
    assert a.streams[0].n == 1
