"""Behind nginx, on one port: what a proxy adds, and what it must not be able to break."""
import secrets
import time

import pytest

from kerbtest import web
from kerbtest.kdc import as_fields, post_as
from kerbtest.rawws import RawSocket, frame, upgrade_request


@pytest.fixture
def realm(front_realm):
    return front_realm


def test_the_whole_flow_on_one_port(realm):
    users = realm.add_users(3)
    conns = [realm.chat(u) for u in users]
    room = "room-" + secrets.token_hex(6)
    conns[0].new_room(room, 2, users)
    for c in conns[1:]:
        c.expect("new_room", room=room)
        c.contribute(room)
    for c in conns:
        c.expect("room_messages", room=room)
    conns[0].say(room, "through the proxy")
    for c in conns[1:]:
        c.heard(room, "through the proxy")
    assert realm.as_addr == realm.tgs_addr == realm.chat_addr


def test_attack_forwarded_address_written_by_the_client(realm):
    """nginx writes whom it saw to the right of what the client wrote, and the right-most stranger counts."""
    user = realm.add_user()
    for forged in ("6.6.6.6", "6.6.6.6, 127.0.0.1", "127.0.0.1", "x, ,"):
        tgt = realm.login(user, headers={"X-Forwarded-For": forged}, source="127.0.0.2")
        assert realm.keytab("tgs").read(tgt.ticket, realm.name)["user_ip"] == "127.0.0.2"


def test_large_and_malformed_bodies(realm):
    for n in (20000, 4 << 20):
        assert web.request(realm.as_addr, "POST", "/as/login", b"x" * n).status == 413
        assert web.request(realm.tgs_addr, "POST", "/tgs", b"x" * n).status == 413
    assert web.request(realm.as_addr, "POST", "/as/login", b"{").status == 400
    assert web.get(realm.as_addr, "/as/login").status == 405


def test_no_redirects(realm):
    user = realm.add_user()
    for path in ("/as/login", "/as/login/", "/tgs", "/tgs/", "/chat", "/chat/"):
        for method in ("GET", "POST"):
            assert not 300 <= web.request(realm.as_addr, method, path).status < 400, path
    assert post_as(realm, as_fields(user)).status == 200


def test_a_large_message_and_many_small_ones(realm):
    c = realm.chat(realm.add_user())
    room = "room-" + secrets.token_hex(6)
    c.new_room(room, 0, [])
    c.say(room, "x" * 16384)
    for i in range(300):
        c.send("new_message", room=room, message={"text": f"m{i}"})
    for i in range(300):
        assert c.expect("new_message", room=room)["new_message"]["text"] == f"m{i}"


def test_a_connection_that_is_quiet_for_a_while_stays(realm):
    c = realm.chat(realm.add_user())
    time.sleep(3)
    c.fence()


def test_close_codes_pass(realm):
    with RawSocket(realm.chat_addr) as s:
        s.send(frame(b'{"type":"login","service":"chat","authenticator":"x","service_ticket":"x"}'))
        assert s.close_code() == 4500


def test_a_client_that_is_cut_is_seen_to_leave(realm):
    a, b = (realm.chat(u) for u in realm.add_users(2))
    b.cut()
    a.expect("online", timeout=6, users_online=lambda u: b.user.name not in u)


@pytest.mark.parametrize("change", [
    {"method": "POST"}, {"version": "12"}, {"version": None}, {"path": "/"}, {"path": "/as/login"},
    {"path": "/chat/x"}, {"Origin": "http://evil.example"},
], ids=str)
def test_attack_upgrades_that_are_none(realm, change):
    with web.connect(realm.chat_addr, 15) as s:
        s.sendall(upgrade_request(**change))
        head = web.read_head(s)
        if web.status_of(head) == 101:  # turned away behind the handshake
            data = s.recv(100)
            assert data[:1] == b"\x88" and data[2:4] == (4506).to_bytes(2, "big"), data


@pytest.mark.parametrize("upgrade", ["h2c", "xyz", "websocket2"])
def test_attack_upgrades_to_something_else(realm, upgrade):
    raw = upgrade_request().replace(b"Upgrade: websocket", b"Upgrade: " + upgrade.encode())
    with web.connect(realm.chat_addr, 15) as s:
        s.sendall(raw)
        assert web.status_of(web.read_head(s)) not in (101, 200)


def test_attack_connect(realm):
    with web.connect(realm.chat_addr, 15) as s:
        s.sendall(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert web.status_of(web.read_head(s)) not in (101, 200)


def test_attack_two_ways_to_read_a_length(realm):
    for lines in ("Content-Length: 5\r\nTransfer-Encoding: chunked", "Content-Length: 5\r\nContent-Length: 6"):
        raw = f"POST /as/login HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n0\r\n\r\n".encode()
        with web.connect(realm.as_addr, 15) as s:
            s.sendall(raw)
            assert web.status_of(web.read_head(s)) == 400
