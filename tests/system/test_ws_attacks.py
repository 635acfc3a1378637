"""Attacks on the websocket below the protocol: frames, upgrades, origins."""
import json
import os
import struct

import pytest

from kerbtest import classic, web
from kerbtest.rawws import RawSocket, frame, upgrade_request
from kerbtest.realm import wait_until


@pytest.fixture
def addr(realm):
    """The chat's address; afterwards the chat must still serve."""
    yield ("127.0.0.1", realm.daemons["chat"].port)
    assert realm.daemons["chat"].is_alive()
    realm.chat(realm.add_user()).fence()


class LoggedIn(RawSocket):
    def __init__(self, realm, **how):
        super().__init__(("127.0.0.1", realm.daemons["chat"].port), **how)
        self.ticket = realm.ticket(realm.add_user())
        self.send(frame(json.dumps(self.ticket.login_frame()).encode()))
        while self.next_text()["type"] != "handshake":
            pass

    def next_text(self):
        while True:
            opcode, payload = self.read()
            if opcode == 1:
                return classic.open_box(self.ticket.key, payload.decode())

    def request(self, type_, **fields):
        return classic.seal(self.ticket.key, {"type": type_, "timestamp": classic.stamp(), **fields}).encode()

    def answers(self):
        self.send(frame(self.request("get_data", key="alive")))
        while self.next_text()["type"] != "data":
            pass


def ways(realm):
    return (lambda: RawSocket(("127.0.0.1", realm.daemons["chat"].port))), (lambda: LoggedIn(realm))


def refused_frames(realm, data, codes):
    """Before and after login: the connection ends, with one of these close codes."""
    for connect in ways(realm):
        with connect() as s:
            s.send(data)
            code = s.close_code()
            assert code in codes, code


# --- frames ---

@pytest.mark.parametrize("rsv", range(1, 8))
def test_attack_reserved_bits(realm, addr, rsv):
    refused_frames(realm, frame(b"x", rsv=rsv), (1002,))


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_attack_reserved_opcodes(realm, addr, opcode):
    refused_frames(realm, frame(b"x", opcode=opcode), (1002,))


@pytest.mark.parametrize("length", [65537, 1 << 20, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1])
def test_attack_oversized_length(realm, addr, length):
    refused_frames(realm, frame(b"x" * 100, length=length, wide=8), (1009,))


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1])
def test_attack_length_with_the_top_bit(realm, addr, length):
    refused_frames(realm, frame(b"x" * 100, length=length, wide=8), (1002, 1009, None))


def test_attack_message_of_many_fragments_grows_too_large(realm, addr):
    refused_frames(realm, frame(b"x" * 30000, fin=False) + frame(b"x" * 30000, opcode=0, fin=False) * 3, (1009,))


def test_a_message_of_the_largest_size_passes(realm, addr):
    with LoggedIn(realm) as s:
        box = s.request("get_data", key="big", pad="p" * 48000)
        assert 64000 < len(box) <= 65536
        s.send(frame(box))
        while s.next_text()["type"] != "data":
            pass


def test_attack_continuation_without_a_beginning(realm, addr):
    refused_frames(realm, frame(b"x", opcode=0), (1002,))
    refused_frames(realm, frame(b"x", opcode=0, fin=False), (1002,))


def test_attack_new_message_within_a_fragmented_one(realm, addr):
    refused_frames(realm, frame(b"x", fin=False) + frame(b"y"), (1002,))
    refused_frames(realm, frame(b"x", fin=False) + frame(b"y", opcode=2), (1002,))


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_attack_control_frames_too_long(realm, addr, opcode):
    refused_frames(realm, frame(b"\x03\xe8" + b"x" * 124, opcode=opcode), (1002, None))


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_attack_fragmented_control_frames(realm, addr, opcode):
    refused_frames(realm, frame(b"", opcode=opcode, fin=False), (1002, None))


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82",
                                  b"\x80", b"{\"type\":\"\xfe\"}"])
def test_attack_malformed_utf8(realm, addr, text):
    refused_frames(realm, frame(text), (1007,))


def test_attack_malformed_utf8_over_fragments(realm, addr):
    refused_frames(realm, frame(b"\xe2\x82", fin=False) + frame(b"\x28", opcode=0), (1007,))


def test_attack_binary_frames_are_no_requests(realm, addr):
    with LoggedIn(realm) as s:
        s.send(frame(s.request("online"), opcode=2))
        try:
            while True:
                f = s.next_text()
                if f["type"] == "error":
                    break
        except EOFError:
            pass


def test_fragments_pings_and_pipelines_are_fine(realm, addr):
    with LoggedIn(realm) as s:
        box = s.request("get_data", key="fragments")
        s.send(frame(box[:7], fin=False) + frame(b"ping", opcode=9) + frame(box[7:20], opcode=0, fin=False)
               + frame(b"", opcode=0, fin=False) + frame(box[20:], opcode=0))
        seen = set()
        while len(seen) < 2:
            opcode, payload = s.read()
            if opcode == 10:
                assert payload == b"ping"
                seen.add("pong")
            elif opcode == 1 and classic.open_box(s.ticket.key, payload.decode())["type"] == "data":
                seen.add("data")
        s.send(b"".join(frame(s.request("get_data", key=f"k{i}")) for i in range(200)))
        keys = []
        while len(keys) < 200:
            f = s.next_text()
            if f["type"] == "data":
                keys.append(f["key"])
        assert keys == [f"k{i}" for i in range(200)]


def test_one_byte_at_a_time_is_fine(realm, addr):
    with LoggedIn(realm) as s:
        for b in frame(s.request("get_data", key="slow")):
            s.send(bytes([b]))
        while s.next_text()["type"] != "data":
            pass


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x00\x00", b"\xff\xff",
                                     b"\x03\xe8\xff\xfe", b"\x03\xed", b"\x0f\xa0"])
def test_close_frames_of_all_kinds(realm, addr, payload):
    for connect in ways(realm):
        with connect() as s:
            s.send(frame(payload, opcode=8))
            s.close_code()


def test_attack_nothing_is_served_after_a_close_frame(realm, addr):
    watcher = realm.chat(realm.add_user())
    with LoggedIn(realm) as s:
        room = "late-" + os.urandom(4).hex()
        s.send(frame(struct.pack(">H", 1000), opcode=8) + frame(s.request("new_room", room=room, threshold=0,
                                                                           users=[watcher.user.name])))
        s.close_code()
    watcher.refuses("new_room")


def test_attack_noise(realm, addr):
    for n in (1, 2, 5, 100, 5000):
        for connect in ways(realm):
            with connect() as s:
                s.send(os.urandom(n))
                s.send(b"\x88\x80\0\0\0\0")


# --- upgrades ---

def answer(addr, raw):
    """Status of the answer; 0: closed without one. The connection must end or answer."""
    with web.connect(addr, 15) as s:
        s.sendall(raw)
        return web.status_of(web.read_head(s))


@pytest.mark.parametrize("version", ["12", "0", "8", "14", "13, 12", "x", "", None])
def test_attack_other_websocket_versions(realm, addr, version):
    raw = upgrade_request(version=version)
    with web.connect(addr, 15) as s:
        s.sendall(raw)
        head = web.read_head(s)
    assert web.status_of(head) in (400, 426), head
    if web.status_of(head) == 426:
        assert b"sec-websocket-version: 13" in head.lower()


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"])
def test_attack_upgrade_by_another_method(realm, addr, method):
    assert answer(addr, upgrade_request(method=method, Content_Length="0")) not in (101, 200)


def test_attack_upgrade_by_http_1_0(realm, addr):
    assert answer(addr, upgrade_request(http="HTTP/1.0")) != 101


@pytest.mark.parametrize("target", ["/chat", "127.0.0.1:22", "example.org:443", "*"])
def test_attack_connect(realm, addr, target):
    """libwebsockets makes a raw connection of it, without any time limit; ours must be gone."""
    before = connections(realm)
    with web.connect(addr, 15) as s:
        s.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = web.read_head(s)
        assert not head or web.status_of(head) >= 400, head
        wait_until(lambda: connections(realm) <= before, timeout=15, what="the end of the raw connection")


def connections(realm):
    """Sockets that the chat holds."""
    directory = f"/proc/{realm.daemons['chat'].pid}/fd"
    n = 0
    for fd in os.listdir(directory):
        try:
            n += os.readlink(f"{directory}/{fd}").startswith("socket:")
        except OSError:
            pass
    return n


H2_SETTINGS = "AAMAAABkAARAAAAAAAIAAAAA"


@pytest.mark.parametrize("path", ["/", "/healthz", "/chat"])
def test_attack_h2c(realm, addr, path):
    raw = (f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           f"HTTP2-Settings: {H2_SETTINGS}\r\n\r\n").encode()
    assert answer(addr, raw) != 101


def test_attack_h2_preface(realm, addr):
    raw = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    with web.connect(addr, 15) as s:
        s.sendall(raw)
        head = web.read_head(s)
    assert not head or web.status_of(head) >= 400, head


@pytest.mark.parametrize("upgrade", ["xyz", "websocket", "h2c", "", "websocket" * 100])
def test_attack_second_upgrade_on_a_kept_alive_connection(realm, addr, upgrade):
    """CVE-2025-11677 of libwebsockets: the second request of a connection asks for an upgrade."""
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"
    second = (f"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode()
    for together in (True, False):
        with web.connect(addr, 15) as s:
            s.sendall(first + second if together else first)
            head = web.read_head(s)
            assert web.status_of(head) == 200, head
            if not together:
                n = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                          if line.startswith(b"content-length")), 0)
                while n > 0 and (piece := s.recv(n)):
                    n -= len(piece)
                try:
                    s.sendall(second)
                except ConnectionError:
                    continue
            s.settimeout(3)
            try:
                rest = web.read_head(s)
            except TimeoutError:
                rest = b""
            assert upgrade == "websocket" or b" 101 " not in rest, rest
        assert realm.daemons["chat"].is_alive()


@pytest.mark.parametrize("upgrade", ["xyz", "h2c", "WebSocket2", "websocket, h2c"])
def test_attack_upgrade_to_something_else(realm, addr, upgrade):
    raw = upgrade_request().replace(b"Upgrade: websocket", f"Upgrade: {upgrade}".encode())
    assert answer(addr, raw) != 101


@pytest.mark.parametrize("path", ["/", "/chat/x", "/chatter", "/as/login", "/tgs", "/chat/..", "/%63hat/..",
                                  "/chat/chat"])
def test_attack_upgrade_at_another_path(realm, addr, path):
    assert answer(addr, upgrade_request(path=path)) != 101


def test_attack_subprotocols_of_all_kinds(realm, addr):
    for protocol in ("x", "chat, superchat", "a" * 130, "kerb.v9", ","):
        assert answer(addr, upgrade_request(Sec_WebSocket_Protocol=protocol)) in (0, 101, 400, 403)


def test_attack_extensions_are_not_agreed(realm, addr):
    with web.connect(addr, 15) as s:
        s.sendall(upgrade_request(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"))
        head = web.read_head(s)
    assert web.status_of(head) == 101 and b"permessage-deflate" not in head.lower()


@pytest.mark.parametrize("raw", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET /chat\r\n\r\n", b"\0" * 100, b"GET /chat HTTP/9.9\r\n\r\n",
    b"GET /chat HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 20000 + b"\r\n\r\n",
    b"GET /" + b"c" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /chat HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    b"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n" + b"x" * 4194304,
], ids=range(11))
def test_attack_malformed_requests(realm, addr, raw):
    with web.connect(addr, 25) as s:
        try:
            s.sendall(raw)
        except ConnectionError:
            pass
        head = web.read_head(s)
        assert not head or web.status_of(head) >= 400, head


# --- origins ---

@pytest.fixture(scope="module")
def origin_realm(many_files, tmp_path_factory):
    from kerbtest.realm import realm_in
    with realm_in(tmp_path_factory.mktemp("origin"), config={
            "chat": {"origins": "http://127.0.0.1:8080 https://chat.example/ https://b.example:444"}}) as r:
        yield r


def origin_code(realm, origin):
    """None: let in. Else the HTTP status, or the close code."""
    raw = upgrade_request(**({} if origin is None else {"Origin": origin}))
    with web.connect(realm.chat_addr, 15) as s:
        s.sendall(raw)
        head = web.read_head(s)
        if web.status_of(head) != 101:
            return web.status_of(head)
        s.settimeout(0.7)
        try:
            data = s.recv(100)
        except TimeoutError:
            return None
        return struct.unpack(">H", data[2:4])[0] if len(data) >= 4 else 0


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:8080", "http://127.0.0.1:8080/", "https://chat.example",
                                    "https://chat.example/", "https://b.example:444"])
def test_origin_that_is_allowed(origin_realm, origin):
    assert origin_code(origin_realm, origin) is None


@pytest.mark.parametrize("origin", [
    "http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1", "http://127.0.0.1:8081",
    "http://127.0.0.1:80801", "http://127.0.0.1:8080.evil.example", "https://chat.example.evil.example",
    "https://evilchat.example", "http://chat.example", "https://chat.example:8443", "https://chat.example//",
    "https://chat.example/x", "null", "chat.example", "https://b.example",
    "https://chat.example https://b.example:444",
])
def test_attack_foreign_origin(origin_realm, origin):
    assert origin_code(origin_realm, origin) in (4506, 403)


def test_attack_foreign_origin_when_none_is_allowed(realm, addr):
    assert origin_code(realm, "http://evil.example") in (4506, 403)


@pytest.mark.parametrize("payload", [b"\xff\xfe\xfd\xfc", b"\x80" * 125, b"\xe2\x82", b""])
def test_pings_of_any_bytes_are_answered(realm, addr, payload):
    """Control frames are no text; libraries ping with random bytes."""
    for connect in ways(realm):
        with connect() as s:
            for _ in range(3):
                s.send(frame(payload, opcode=9))
                while True:
                    opcode, answer = s.read()
                    if opcode == 10:
                        break
                    assert opcode == 1
                assert answer == payload


def test_attack_pongs_that_nobody_asked_for(realm, addr):
    """Numbers are what ours carry. (Of a pong that is no text, libwebsockets 4.1.6 makes a 1007.)"""
    with LoggedIn(realm) as s:
        for payload in (b"", b"x", b"p" * 125, b"0", b"1", b"-1", b"18446744073709551615", b"99999999999999999999"):
            s.send(frame(payload, opcode=10))
            s.answers()
