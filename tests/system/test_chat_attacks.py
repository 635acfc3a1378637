"""Attacks on the chat by people who know the protocol: tickets, authenticators, frames, shares, limits."""
import base64
import json
import os
import secrets
import time

import pytest

from kerbtest import classic
from kerbtest.chat import Chat
from kerbtest.envelope import b64url, from_b64url, with_times
from kerbtest.kdc import ServiceTicket
from kerbtest.rawws import RawSocket, frame
from kerbtest.realm import User, environment, wait_until


def rid():
    return "room-" + secrets.token_hex(6)


def attempt(realm, ticket, **fields):
    """A login that must be refused: a plain error, then close 4500."""
    c = Chat(realm, ticket, greet=False)
    c.send_plain({**ticket.login_frame(), **fields})
    assert c.closed() == 4500
    frames = c.take()
    assert [f["code"] for f in frames] == ["login_failed"] and frames[0]["_plain"], frames


@pytest.fixture
def ticket(realm, alice):
    return realm.ticket(alice)


@pytest.fixture
def pair(realm):
    return [realm.chat(u) for u in realm.add_users(2)]


# --- tickets ---

def test_attack_one_iv_bit_of_a_service_ticket_flipped(realm, ticket):
    raw = from_b64url(ticket.ticket)
    for at in range(6, 22):
        bad = bytearray(raw)
        bad[at] ^= 1 << (at % 8)
        attempt(realm, ticket, service_ticket=b64url(bad))
    realm.chat(ticket)


def test_attack_xdmin_to_admin(realm):
    """The original: the IV of a ticket without MAC turns user xdmin into admin."""
    xdmin = realm.add_user(name="xdmin-" + secrets.token_hex(4))
    admin = realm.add_user(name="a" + xdmin.name[1:])
    t = realm.ticket(xdmin)
    raw = from_b64url(t.ticket)
    for at in range(6, 22):
        bad = bytearray(raw)
        bad[at] ^= ord("x") ^ ord("a")
        attempt(realm, t, service_ticket=b64url(bad), authenticator=t.authenticator(user_name=admin.name))


@pytest.mark.parametrize("at", [0, 1, 2, 5, 22, 40, -17, -16, -1])
def test_attack_other_bits_of_a_service_ticket_flipped(realm, ticket, at):
    bad = bytearray(from_b64url(ticket.ticket))
    bad[at] ^= 1
    attempt(realm, ticket, service_ticket=b64url(bad))


def test_attack_ticket_of_another_user(realm, ticket, bob):
    theirs = realm.ticket(bob)
    attempt(realm, ticket, service_ticket=theirs.ticket)
    attempt(realm, ticket, authenticator=ticket.authenticator(user_name=bob.name))
    attempt(realm, ticket, authenticator=theirs.authenticator())


def test_attack_another_services_ticket(realm, alice):
    name = "svc-" + secrets.token_hex(4)
    realm.kerbadm("service", "add", name)
    other = realm.ticket(alice, service=name)
    attempt(realm, other)
    attempt(realm, other, service="chat")


def test_attack_tgt_as_service_ticket(realm, alice):
    tgt = realm.login(alice)
    t = ServiceTicket(realm, alice, {"service_ticket": tgt.ticket, "service": "chat",
                                     "client_service_sk": base64.b64encode(tgt.key).decode()})
    attempt(realm, t)


def test_attack_false_service_name_in_the_login(realm, ticket):
    attempt(realm, ticket, service="files")


@pytest.mark.parametrize("change", [
    {"server": "files"}, {"service": "files"}, {"realm": "OTHER"}, {"user_name": "other"},
    {"etype": "aes128-cbc-hs256"}, {"client_service_sk": "AAAA"}, {"client_id": ""},
])
def test_attack_minted_ticket_that_is_wrong_inside(realm, ticket, change):
    keytab = realm.keytab("chat")
    fields = keytab.read(ticket.ticket, realm.name)
    attempt(realm, ticket, service_ticket=keytab.mint({**fields, **change}, realm.name))
    ticket.ticket = keytab.mint(fields, realm.name)
    realm.chat(ticket)


@pytest.mark.parametrize("text", ["", "x", "A" * 5000, "=" * 100, "....", "AQEAAAAB"])
def test_attack_ticket_that_is_none(realm, ticket, text):
    attempt(realm, ticket, service_ticket=text)


@pytest.mark.parametrize("drop", ["authenticator", "service_ticket"])
def test_attack_login_without_a_part(realm, ticket, drop):
    c = Chat(realm, ticket, greet=False)
    f = ticket.login_frame()
    del f[drop]
    c.send_plain(f)
    assert c.expect("error")["code"] in ("malformed", "login_failed")
    assert c.closed() == 4500


# --- authenticators ---

def test_attack_same_authenticator_twice(realm, ticket):
    f = ticket.login_frame()
    c = Chat(realm, ticket, greet=False)
    c.send_plain(f)
    c.expect("handshake")
    attempt(realm, ticket, authenticator=f["authenticator"])
    c.close()
    attempt(realm, ticket, authenticator=f["authenticator"])


def test_attack_authenticator_re_spaced_through_the_iv(realm, ticket):
    a = ticket.authenticator()
    c = Chat(realm, ticket, greet=False)
    c.send_plain({**ticket.login_frame(), "authenticator": a})
    c.expect("handshake")
    again = classic.re_spaced(a, at=13)
    assert classic.open_box(ticket.key, again) == classic.open_box(ticket.key, a)
    attempt(realm, ticket, authenticator=again)


def test_attack_authenticator_without_its_padding_block(realm, ticket):
    text = json.dumps({"user_name": ticket.user.name, "timestamp": classic.stamp()})
    a = classic.seal(ticket.key, text[:-1] + " " * (-len(text) % 16) + "}")
    c = Chat(realm, ticket, greet=False)
    c.send_plain({**ticket.login_frame(), "authenticator": a})
    c.expect("handshake")
    attempt(realm, ticket, authenticator=classic.cut_block(a))


def test_attack_authenticator_stamps_in_the_past_and_in_the_future(realm, ticket):
    for s in (-610, 610, -86400, 86400):
        attempt(realm, ticket, authenticator=ticket.authenticator(offset_s=s))
    for s in (-590, 590):
        c = Chat(realm, ticket, greet=False)
        c.send_plain({**ticket.login_frame(), "authenticator": ticket.authenticator(offset_s=s)})
        c.expect("handshake")


def test_attack_tgs_authenticator_at_the_chat(realm, alice):
    tgt = realm.login(alice)
    t = tgt.service()
    attempt(realm, t, authenticator=tgt.authenticator())


def test_attack_authenticator_replayed_after_an_orderly_restart(new_realm):
    realm = new_realm()
    t = realm.ticket(realm.add_user())
    frames = [{**t.login_frame(), "authenticator": t.authenticator(offset_s=s)} for s in (0, 300)]
    for f in frames:
        c = Chat(realm, t, greet=False)
        c.send_plain(f)
        c.expect("handshake")
    realm.restart("chat")
    for f in frames:
        attempt(realm, t, authenticator=f["authenticator"])
    realm.chat(t)


def test_attack_authenticator_replayed_after_sigkill(new_realm):
    realm = new_realm()
    user = realm.add_user()
    t = realm.ticket(user)
    ahead = t.authenticator(offset_s=300)
    c = Chat(realm, t, greet=False)
    c.send_plain({**t.login_frame(), "authenticator": ahead})
    c.expect("handshake")
    realm.kill("chat")
    realm.start("chat")
    attempt(realm, t, authenticator=ahead)
    attempt(realm, t)
    realm.chat(user)


# --- frames ---

def online_frame(c, **more):
    return c.seal("online", **more)


def test_attack_frame_replayed_on_the_same_connection(realm, pair):
    a, b = pair
    room = rid()
    a.new_room(room, 0, [b.user])
    f = a.seal("new_message", room=room, message={"text": "once"})
    a.send_raw(f)
    b.heard(room, "once")
    a.send_raw(f)
    assert a.expect("error")["code"] == "replayed"
    b.refuses("new_message")
    a.fence()


def test_attack_frame_replayed_on_another_connection_under_the_same_ticket(realm, ticket):
    a, b = realm.chat(ticket), realm.chat(ticket)
    room = rid()
    a.new_room(room, 0, [])
    f = a.seal("new_message", room=room, message={"text": "once"})
    a.send_raw(f)
    b.heard(room, "once")
    b.send_raw(f)
    assert b.expect("error")["code"] == "replayed"
    a.close()
    c = realm.chat(ticket)
    c.send_raw(f)
    assert c.expect("error")["code"] == "replayed"
    assert [m["text"] for m in c.enter(room)["messages"]] == ["once"]


def test_attack_frame_re_spaced_through_the_iv(realm, alice):
    c = realm.chat(alice)
    f = c.seal("online")
    c.send_raw(f)
    c.expect("online")
    again = classic.re_spaced(f, at=8)
    assert classic.open_box(c.key, again) == classic.open_box(c.key, f)
    c.send_raw(again)
    assert c.expect("error")["code"] == "replayed"


def test_attack_frame_without_its_padding_block(realm, alice):
    c = realm.chat(alice)
    text = json.dumps({"type": "online", "timestamp": classic.stamp()})
    f = classic.seal(c.key, text[:-1] + " " * (-len(text) % 16) + "}")
    c.send_raw(f)
    c.expect("online")
    c.send_raw(classic.cut_block(f))
    assert c.expect("error")["code"] == "replayed"


def test_attack_old_frame_kept_back(realm, ticket):
    """More than 10 s behind the newest accepted under the ticket, on whichever connection."""
    a, b = realm.chat(ticket), realm.chat(ticket)
    a.send_raw(a.seal("get_data", offset_s=20, key="newest"))
    a.expect("data", key="newest")
    for c in (a, b):
        c.send_raw(c.seal("online", offset_s=8))
        assert c.expect("error")["code"] == "replayed"
    b.send_raw(b.seal("get_data", offset_s=12, key="within"))
    b.expect("data", key="within")


def test_attack_frame_stamps_outside_the_skew(realm, alice):
    c = realm.chat(alice)
    for s in (-610, 610, -86400, 86400):
        c.send_raw(c.seal("online", offset_s=s))
        assert c.expect("error")["code"] == "skew"
    for stamp in (None, 7, "", "yesterday"):
        c.send_raw(classic.seal(c.key, {"type": "online", "timestamp": stamp}))
        assert c.expect("error")["code"] == "malformed"
    c.send_raw(classic.seal(c.key, {"type": "online"}))
    assert c.expect("error")["code"] == "malformed"
    c.online()


def test_attack_frame_of_another_connections_key(realm, pair):
    a, b = pair
    a.send_raw(b.seal("online"))
    assert a.expect("error")["code"] == "malformed"
    b.send_raw(b.seal("online"))
    b.expect("online")


def test_attack_same_user_other_ticket(realm, alice):
    a, b = realm.chat(alice), realm.chat(alice)
    a.send_raw(b.seal("online"))
    assert a.expect("error")["code"] == "malformed"


def test_attack_pushes_sent_back(realm, pair):
    """What the server sealed for us is no request, whatever it holds."""
    a, b = pair
    room = rid()
    push = a.new_room(room, 2, [a.user, b.user])
    a.send_raw(classic.seal(a.key, push))
    assert a.expect("error")["code"] in ("malformed", "replayed", "exists")
    a.contribute(room)
    b.expect("new_room")
    b.contribute(room)
    a.expect("room_messages")
    m = a.say(room, "only once")
    a.send_raw(classic.seal(a.key, {"type": "new_message", "service": "chat", "timestamp": classic.stamp(),
                                    "room": room, "new_message": m}))
    assert a.expect("error")["code"] == "malformed"
    assert [x["text"] for x in a.enter(room)["messages"]] == ["only once"]


BAD_FRAMES = ["", " ", "x", "{}", "AAAA", "=" * 64, "A" * 44, "A" * 63, "\u00e4" * 44, "[1]",
              base64.b64encode(os.urandom(16)).decode(), base64.b64encode(os.urandom(33)).decode(),
              base64.b64encode(os.urandom(32)).decode(), base64.b64encode(os.urandom(64)).decode().rstrip("="),
              json.dumps({"type": "online", "timestamp": "2026-01-01 00:00:00"})]


@pytest.mark.parametrize("text", BAD_FRAMES, ids=range(len(BAD_FRAMES)))
def test_attack_frame_that_does_not_open(realm, alice, text):
    c = realm.chat(alice)
    c.send_raw(text)
    assert c.expect("error")["code"] == "malformed"
    c.online()


def test_attack_malformed_base64_within_a_box(realm, alice):
    c = realm.chat(alice)
    box = c.seal("online")
    for bad in (box[:-1], box + "=", box[:8] + "*" + box[9:], box[:8] + "=" + box[9:], "-" + box[1:], box + box):
        c.send_raw(bad)
        assert c.expect("error")["code"] == "malformed"
    c.online()


def test_attack_malformed_utf8_within_a_box(realm, alice):
    c = realm.chat(alice)
    for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"):
        text = b'{"type":"online","timestamp":"%s","x":"%s"}' % (classic.stamp().encode(), bad)
        c.send_raw(classic.seal(c.key, text))
        assert c.expect("error")["code"] == "malformed"
    c.send_raw(classic.seal(c.key, '{"type":"online","timestamp":"%s","x":"\\ud800"}' % classic.stamp()))
    assert c.expect("error")["code"] == "malformed"


def test_attack_more_than_100_errors_in_10_s(realm, alice):
    c = realm.chat(alice)
    for _ in range(100):
        c.send_raw("nonsense")
    c.fence()
    assert len(c.take("error")) == 100
    c.send_raw("nonsense")
    assert c.closed() == 4501


# --- shares ---

@pytest.fixture
def sealed(realm):
    """(room, [alice, bob, carol] as members with shares, dave as stranger), threshold 2."""
    members = [realm.chat(u) for u in realm.add_users(3)]
    room = rid()
    members[0].new_room(room, 2, [c.user for c in members])
    for c in members[1:]:
        c.expect("new_room", room=room)
    return room, members, realm.chat(realm.add_user())


def share_is_invalid(c, room, share):
    c.send("secret", room=room, secret=share)
    assert c.expect("error")["code"] == "share_invalid", share
    c.send("go_room", room=room, secret=share)
    assert c.expect("error")["code"] == "share_invalid", share
    c.refuses("room_messages")


def test_attack_wrong_shares(sealed):
    room, (a, b, _), _ = sealed
    own = a.shares[room]
    n, value = own.split("-")
    for bad in (f"{n}-{int(value, 16) ^ 1:x}", f"{n}-0", f"{n}-1", f"2-{value}", f"0-{value}", f"256-{value}",
                f"{n}-{2**255 - 19:x}", f"{n}-{int(value, 16) + 2**255 - 19:x}", f"{n}-{'f' * 64}", f"{n}-{'f' * 200}",
                "", "-", f"{n}-", f"-{value}", value, "1", "x-y", f"{n}-{value}-{value}"):
        share_is_invalid(a, room, bad)
    a.contribute(room)
    b.contribute(room)
    a.expect("room_messages", room=room)


def test_attack_re_spelled_shares(sealed):
    room, (a, *_), _ = sealed
    n, value = a.shares[room].split("-")
    upper = f"{n}-{value.upper()}"
    for bad in ([upper] if upper != a.shares[room] else []) + [
            f"0{n}-{value}", f"+{n}-{value}", f" {n}-{value}", f"{n}-{value} ", f"{n}-0{value}", f"{n}-0x{value}",
            f"{n}- {value}", f"{n}--{value}", f"{n}-+{value}", f"{n}_{value}", f"{n}\u2010{value}", f"\uff11-{value}",
            f"{n}-{value}\n", f"{int(n) + 2**32}-{value}", f"{int(n) + 256}-{value}"]:
        share_is_invalid(a, room, bad)


def test_attack_foreign_shares(sealed):
    """Another member's share, and one's own of another room."""
    room, (a, b, c), _ = sealed
    share_is_invalid(a, room, b.shares[room])
    share_is_invalid(a, room, c.shares[room])
    other = rid()
    a.new_room(other, 2, [a.user, b.user])
    share_is_invalid(a, room, a.shares[other])
    a.contribute(room)
    share_is_invalid(a, room, b.shares[room])


def test_attack_stolen_share_in_a_strangers_hand(sealed):
    room, (a, b, _), dave = sealed
    a.contribute(room)
    for t, f in (("secret", {"secret": b.shares[room]}), ("go_room", {"secret": b.shares[room]})):
        assert dave.error(t, room=room, **f) == "not_found"
    a.refuses("room_messages")


def test_attack_re_used_share(sealed):
    """One share counts once, however often and on however many connections it is presented."""
    room, (a, b, _), _ = sealed
    a2 = a.realm.chat(a.user)
    for c in (a, a, a2):
        c.send("secret", room=room, secret=a.shares[room])
        c.send("go_room", room=room, secret=a.shares[room])
        c.refuses("room_messages")
        assert not c.take("error")
    b.contribute(room)
    a.expect("room_messages", room=room)


def test_attack_wrong_share_keeps_the_progress_of_others(sealed):
    room, (a, b, c), _ = sealed
    a.contribute(room)
    share_is_invalid(b, room, "2-abc")
    b.contribute(room)
    c.expect("room_messages", room=room)


def test_attack_wrong_share_at_an_open_room_shows_no_history(sealed):
    room, (a, b, c), _ = sealed
    for x in (a, b):
        x.contribute(room)
    c.expect("room_messages", room=room)
    share_is_invalid(c, room, a.shares[room])
    share_is_invalid(c, room, "")


# --- strangers ---

def test_attack_a_stranger_cannot_tell_a_room_from_none(sealed):
    room, (a, *_), dave = sealed
    nothing = rid()
    requests = [("go_room", {}), ("go_room", {"secret": "1-a"}), ("secret", {"secret": "1-a"}), ("delete_chat", {}),
                ("new_message", {"message": {"text": "t"}})]
    for type_, f in requests:
        errors = []
        for r in (room, nothing):
            dave.send(type_, room=r, **f)
            e = dave.expect("error")
            errors.append({k: v for k, v in e.items() if k != "timestamp"})
        assert errors[0] == errors[1] and errors[0]["code"] == "not_found"
    assert room not in json.dumps(dave.online())
    assert not a.take("get_secret")


def test_attack_a_stranger_hears_nothing(sealed):
    room, (a, b, c), dave = sealed
    a.contribute(room)
    b.contribute(room)
    a.expect("room_messages")
    a.say(room, "among us")
    c.close()
    dave.fence()
    assert room not in json.dumps([f for f in dave.take() if f["type"] != "online"])
    assert room not in json.dumps(dave.take())


def test_attack_who_is_given_a_deleted_users_name_inherits_nothing(realm, pair):
    a, b = pair
    room, free = rid(), rid()
    a.new_room(room, 2, [a.user, b.user])
    a.new_room(free, 0, [b.user])
    b.expect("new_room", room=room)
    b.send("save_data", key="k", data="bob's own")
    b.fence().close()
    realm.kerbadm("user", "del", b.user.name)
    heir = realm.chat(realm.add_user(name=b.user.name))
    assert heir.hello["rooms"] == []
    assert heir.ask("get_data", "data", key="k")["data"] == ""
    for r in (room, free):
        assert heir.error("go_room", room=r) == "not_found"
    assert heir.error("secret", room=room, secret=b.shares[room]) == "not_found"
    heir.refuses("new_room")


# --- limits ---

def test_limit_ticket_end_closes_with_4002(realm, ticket):
    keytab = realm.keytab("chat")
    fields = keytab.read(ticket.ticket, realm.name)
    now = int(time.time())
    ticket.ticket = keytab.mint(with_times(fields, None, now + 3), realm.name)
    c = realm.chat(ticket)
    c.fence()
    assert c.closed(timeout=10) == 4002
    attempt(realm, ticket)


def test_limit_login_timeout_closes_with_4502(new_realm):
    realm = new_realm(chat={"login_timeout": 1})
    start = time.monotonic()
    with RawSocket(realm.chat_addr) as s:
        assert s.close_code() == 4502
    assert time.monotonic() - start < 6
    with RawSocket(realm.chat_addr) as s:
        s.send(frame(b'{"type":"online"}'))
        assert s.close_code() == 4502


def test_limit_no_pong_closes_with_4004(new_realm):
    realm = new_realm(chat={"ping_interval": 1, "pong_timeout": 1})
    t = realm.ticket(realm.add_user())
    answering = realm.chat(realm.add_user())
    with RawSocket(realm.chat_addr) as s:
        s.send(frame(json.dumps(t.login_frame()).encode()))
        assert s.close_code() == 4004
    time.sleep(2)
    answering.fence()


def test_limit_connections_of_one_user(new_realm):
    realm = new_realm(chat={"connections_per_user_max": 3})
    user, other = realm.add_users(2)
    t = realm.ticket(user)
    open_ones = [realm.chat(t) for _ in range(3)]
    c = Chat(realm, t, greet=False)
    c.send_plain(t.login_frame())
    assert c.closed() == 4504
    realm.chat(other)
    open_ones[0].close()
    realm.chat(t)


def closed_code_of_new_connection(realm, **headers):
    """The code with which the server turns a connection away; None when it stays open for a second."""
    try:
        with RawSocket(realm.chat_addr, timeout=1, **headers) as s:
            return s.close_code() or "cut"
    except TimeoutError:
        return None
    except AssertionError as e:  # refused before the websocket begins
        return "refused" if b" 101 " not in bytes(str(e), "utf-8") else None


def test_limit_connections_of_one_address(new_realm):
    realm = new_realm(chat={"connections_per_address_max": 3}, proxy={"trusted": "127.0.0.1"})
    here = {"X_Forwarded_For": "192.0.2.1"}
    held = [RawSocket(realm.chat_addr, **here) for _ in range(3)]
    assert closed_code_of_new_connection(realm, **here) in (4504, "refused", "cut")
    assert closed_code_of_new_connection(realm, X_Forwarded_For="192.0.2.2") is None
    held[0].sock.close()
    wait_until(lambda: closed_code_of_new_connection(realm, **here) is None, what="a free place")
    for s in held:
        s.sock.close()


def test_limit_connections_in_all(new_realm):
    realm = new_realm(chat={"connections_max": 8})
    user = realm.add_user()
    t = realm.ticket(user)
    held = [RawSocket(realm.chat_addr) for _ in range(8)]
    assert closed_code_of_new_connection(realm) in (1013, "refused", "cut")
    for s in held:
        s.sock.close()
    wait_until(lambda: closed_code_of_new_connection(realm) is None, what="a free place")
    realm.chat(t)


def test_limit_rooms(new_realm):
    realm = new_realm(chat={"rooms_per_user_max": 3, "rooms_max": 5, "room_members_max": 2})
    a, b, c = (realm.chat(u) for u in realm.add_users(3))
    for _ in range(3):
        a.new_room(rid(), 0, [])
    assert a.error("new_room", room=rid(), threshold=0, users=[]) == "limit"
    assert b.error("new_room", room=rid(), threshold=0, users=[a.user.name]) == "limit"
    assert b.error("new_room", room=rid(), threshold=0, users=[b.user.name, c.user.name, a.user.name]) == "limit"
    for _ in range(2):
        b.new_room(rid(), 0, [])
    assert c.error("new_room", room=rid(), threshold=0, users=[]) == "limit"
    a.send("delete_chat", room=a.online()["rooms"][0]["room"])
    a.expect("close_room")
    c.new_room(rid(), 0, [])


def test_limit_slow_reader_is_closed_and_eats_no_memory(new_realm):
    realm = new_realm(chat={"queue_max": 65536})
    a = realm.chat(realm.add_user())
    slow_user = realm.add_user()
    t = realm.ticket(slow_user)
    realm.chat(t).close()
    room = rid()
    a.new_room(room, 0, [slow_user])
    with RawSocket(realm.chat_addr, rcvbuf=4096) as slow:
        slow.send(frame(json.dumps(t.login_frame()).encode()))
        opcode, payload = slow.read()
        assert classic.open_box(t.key, payload.decode())["type"] == "handshake"
        a.expect("online", users_online=lambda u: slow_user.name in u)

        def gone():
            a.send("new_message", room=room, message={"text": "z" * 16000})
            a.expect("new_message", room=room)
            return slow_user.name not in a.online()["users_online"]
        wait_until(gone, timeout=60, what="the end of the slow reader")
        line = realm.daemons["chat"].wait_log(code=4003) if realm.daemons["chat"].find(code=4003) else None
        assert line or slow.close_code() in (4003, None)
    a.say(room, "still here")


def test_attack_one_user_fills_the_memory_of_frames(realm, pair):
    """Frames are remembered for 10 s, so many under one ticket; then rate_limited, and nobody else is hurt."""
    a, b = pair
    room = rid()
    a.new_room(room, 0, [])
    a.send_many([a.seal("secret", room=room, secret="") for _ in range(16384)])
    assert a.expect("error")["code"] == "rate_limited"
    b.online()
    realm.chat(a.user).online()


def test_limit_login_of_a_user_unknown_to_the_realm(realm):
    t = realm.ticket(realm.add_user())
    t.user = User("nobody", "x")
    attempt(realm, t)


def test_attack_many_addresses_of_one_ipv6_network(new_realm):
    realm = new_realm(chat={"connections_per_address_max": 3}, proxy={"trusted": "127.0.0.1"})
    ticket = realm.ticket(realm.add_user())

    def connect(address):
        return Chat(realm, ticket, greet=False, headers={"X-Forwarded-For": address})
    kept = [connect(f"2001:db8:1:2:{i}::{i}") for i in range(1, 4)]
    assert connect("2001:db8:1:2:ffff::1").closed() == 4504
    other = connect("2001:db8:1:3::1")
    other.send_plain(ticket.login_frame())
    other.expect("handshake")
    line = realm.daemons["chat"].wait_log(event="login")
    assert line["address"] == "2001:db8:1:3::1"
    assert len(kept) == 3


# --- what one client may make the server hold ---

def peak_rss(process):
    with open(f"/proc/{process.pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) * 1024


def test_attack_asking_for_everything_he_has_stored_a_thousand_times(new_realm):
    realm = new_realm(start=False)
    options = environment()["ASAN_OPTIONS"] + ":quarantine_size_mb=4"  # freed memory is to be given back, there too
    realm.start(env=environment(ASAN_OPTIONS=options))
    c = realm.chat(realm.add_user(), extensions=True)
    for i in range(20):
        c.send("save_data", key=f"k{i}", data="x" * 48000, id=f"s{i}")
        c.expect("ack", id=f"s{i}")
    before = peak_rss(realm.daemons["chat"])
    c.send_many([c.seal("get_data", id=str(i)) for i in range(1000)])
    c.expect(id="999", timeout=60)
    assert peak_rss(realm.daemons["chat"]) - before < 100 << 20
