"""Attacks on the HTTP of AS and TGS: sizes, slowness, many connections, smuggling, malformed bodies."""
import json
import re
import socket
import time

import pytest

from kerbtest import web
from kerbtest.kdc import as_fields, post_as, post_tgs

PATHS = {"as": "/as/login", "tgs": "/tgs"}


@pytest.fixture(params=["as", "tgs"])
def target(request, realm):
    """(address, path) of one daemon; afterwards it must still serve."""
    name = request.param
    yield ("127.0.0.1", realm.daemons[name].port), PATHS[name]
    assert realm.daemons[name].is_alive()
    assert realm.ticket(realm.add_user()).ticket


def head(path, *lines, method="POST"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def statuses(addr, raw, timeout=20):
    """The status of every answer until the server closes; a client that expects no more says Connection: close."""
    data = web.exchange(addr, raw, timeout)
    return [int(n) for n in re.findall(rb"HTTP/1\.[01] (\d{3})", data)]


# --- sizes ---

def test_attack_4_mb_body_with_its_length(target):
    addr, path = target
    raw = head(path, "Content-Length: 4194304", "Connection: close") + b"x" * 4194304
    got = statuses(addr, raw)
    assert got in ([413], []), got  # [] when the answer was lost because we were still sending


def test_attack_4_mb_body_is_refused_before_it_is_sent(target):
    addr, path = target
    with web.connect(addr) as s:
        s.sendall(head(path, "Content-Length: 4194304"))
        assert web.status_of(web.read_head(s)) == 413


def test_attack_4_mb_body_in_chunks(target):
    addr, path = target
    raw = head(path, "Transfer-Encoding: chunked", "Connection: close")
    raw += (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 64 + b"0\r\n\r\n"
    assert statuses(addr, raw) in ([413], [])


@pytest.mark.parametrize("n, status", [(16384, 400), (16385, 413)])
def test_attack_body_at_the_limit(target, n, status):
    addr, path = target
    assert web.request(addr, "POST", path, b"x" * n).status == status
    assert web.post_chunked(addr, path, [b"x" * 100, b"x" * (n - 100)]).status == status


@pytest.mark.parametrize("length", ["4194304000000000000000", "99999999999", "18446744073709551616", "-1", "+5", "0x10",
                                    "5 5", "", "five", "5,5"])
def test_attack_strange_content_lengths(target, length):
    addr, path = target
    with web.connect(addr) as s:
        s.sendall(head(path, f"Content-Length: {length}", "Connection: close") + b"hello")
        got = web.status_of(web.read_head(s))
        assert got in (400, 413, 0), got


def test_attack_long_urls_and_headers(target):
    addr, path = target
    for raw in (head(path + "?" + "a" * 70000), head(path, "X: " + "a" * 70000),
                head(path, *[f"X{i}: {i}" for i in range(5000)])):
        assert all(s >= 400 for s in statuses(addr, raw))


# --- smuggling ---

@pytest.mark.parametrize("lines", [
    ("Content-Length: 5", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 5"),
    ("Content-Length: 5", "Content-Length: 6"), ("Content-Length: 5", "Content-Length: 5"),
    ("Transfer-Encoding: gzip",), ("Transfer-Encoding: chunked, gzip",), ("Transfer-Encoding: identity",),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), ("Transfer-Encoding: xchunked",),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), ("content-length: 5", "CONTENT-LENGTH: 7"),
])
def test_attack_conflicting_lengths(target, lines):
    addr, path = target
    raw = head(path, *lines) + b"5\r\nhello\r\n0\r\n\r\n" + head("/healthz", "Connection: close", method="GET")
    got = statuses(addr, raw)
    assert got and got[0] >= 400 and 200 not in got, got


def test_attack_request_within_a_body_is_not_served(target):
    addr, path = target
    inner = head("/healthz", method="GET")
    raw = head(path, f"Content-Length: {len(inner)}", "Connection: close") + inner
    assert statuses(addr, raw) == [400]


def test_pipelined_requests_are_answered_each(target):
    addr, _ = target
    raw = head("/healthz", method="GET") * 3 + head("/healthz", "Connection: close", method="GET")
    assert statuses(addr, raw) == [200] * 4


# --- methods, paths ---

@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO", "HEAD"])
def test_attack_other_methods(target, method):
    addr, path = target
    r = web.request(addr, method, path)
    assert r.status == 405 and "POST" in r.headers["Allow"]


def test_attack_connect(target):
    addr, path = target
    got = statuses(addr, b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert all(s >= 400 for s in got)


@pytest.mark.parametrize("other", [
    "/", "/x", "//", "/as", "/as/", "/as/login/x", "/as/login//", "/as//login", "/AS/LOGIN", "/tgs/x", "/tgs//",
    "/as/../tgs", "/%2e%2e/etc/passwd", "/as/login;x", "/as/login%01", "/healthz/x", "/chat"])
def test_attack_other_paths(target, other):
    addr, path = target
    r = web.request(addr, "POST", other, b"x")
    assert r.status == 404, r
    assert not 300 <= web.get(addr, other).status < 400


@pytest.mark.parametrize("raw", [
    b"\r\n\r\n\r\n", b"POST\r\n\r\n", b"\0" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"POST /as/login HTTP/1.1\r\n\r\n", b"POST /as/login HTTP/7.3\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"POST /as/login HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\nContent-Length: 0\r\n\r\n",
], ids=range(8))
def test_attack_malformed_requests(target, raw):
    addr, _ = target
    with web.connect(addr, 25) as s:
        s.sendall(raw)
        s.shutdown(socket.SHUT_WR)
        data = web.read_all(s)
        assert not data or web.status_of(data) >= 400, data


# --- slowness ---

@pytest.fixture(scope="module")
def slow_realm(many_files, tmp_path_factory):
    from kerbtest.realm import realm_in
    with realm_in(tmp_path_factory.mktemp("slow"), config={n: {"request_timeout": 2} for n in PATHS}) as r:
        yield r


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("part", ["head", "body"])
def test_attack_client_of_few_bytes_a_second(slow_realm, name, part):
    """Each byte is activity; the deadline is for the whole request."""
    addr = ("127.0.0.1", slow_realm.daemons[name].port)
    whole = head(PATHS[name], "Content-Length: 1000") if part == "body" else b""
    start = time.monotonic()
    with web.connect(addr) as s:
        s.sendall(whole)
        s.settimeout(0.4)
        ended = False
        drip = iter(b"POST /as/login HTTP/1.1\r\nX-Slow: " + b"x" * 100 if part == "head" else b"x" * 100)
        while not ended and time.monotonic() - start < 15:
            try:
                s.sendall(bytes([next(drip)]))
                ended = not s.recv(4096)
            except TimeoutError:
                pass
            except ConnectionError:
                ended = True
    assert ended and time.monotonic() - start < 8
    assert slow_realm.ticket(slow_realm.add_user()).ticket


@pytest.mark.parametrize("name", PATHS)
def test_attack_body_that_never_comes(slow_realm, name):
    addr = ("127.0.0.1", slow_realm.daemons[name].port)
    start = time.monotonic()
    got = web.exchange(addr, head(PATHS[name], "Content-Length: 100") + b"login=")
    assert not got or web.status_of(got) >= 400
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("name", ["as", "tgs", "chat"])
def test_attack_2000_connections_that_say_nothing(new_realm, name):
    realm = new_realm(chat={"login_timeout": 5, "connections_per_address_max": 4096})
    user = realm.add_user()
    addr = ("127.0.0.1", realm.daemons[name].port)
    silent = []
    try:
        for _ in range(2000):
            silent.append(socket.create_connection(addr, timeout=10))
        start = time.monotonic()
        c = realm.chat(user)
        c.online()
        assert time.monotonic() - start < 5
    finally:
        for s in silent:
            s.close()
    realm.chat(user).online()


def test_attack_2000_websockets_that_never_log_in(new_realm):
    from kerbtest.rawws import upgrade_request
    realm = new_realm(chat={"login_timeout": 5})
    user = realm.add_user()
    silent = []
    try:
        for _ in range(2000):
            s = socket.create_connection(realm.chat_addr, timeout=20)
            s.sendall(upgrade_request())
            silent.append(s)
        start = time.monotonic()
        realm.chat(user).online()
        assert time.monotonic() - start < 5
        for s in silent:
            data = b""
            while b"\x11\x96" not in data[data.find(b"\r\n\r\n"):]:  # 4502
                piece = s.recv(4096)
                assert piece, data
                data += piece
    finally:
        for s in silent:
            s.close()


# --- bodies ---

BODIES = [b"", b" ", b"{", b"{}", b"[]", b"null", b"1", b"\"x\"", b"{\"login\":}", b"{\"login\":\"a\",}", b"&&&", b"=",
          b"login", b"login=", b"=x&login=y", b"login=%zz", b"login=%", b"login=%4", b"login=a%00b", b"login=a\0b",
          b"login=a&login=b", b"{\"login\":\"a\",\"login\":\"b\"}", b"{\"login\":1,\"encrypted\":2}",
          b"{\"login\":null,\"encrypted\":null}", b"{\"login\":\"a\\u0000b\",\"encrypted\":\"x\"}",
          b"{\"login\":\"\xff\xfe\",\"encrypted\":\"x\"}", b"login=%ff%fe&encrypted=x", b"login=\xc0\xaf&encrypted=x",
          b"{\"login\":\"\xed\xa0\x80\",\"encrypted\":\"x\"}", b"{\"login\":\"\\ud800\",\"encrypted\":\"x\"}",
          b"{\"a\":" * 9 + b"1" + b"}" * 9, b"[" * 8000, b"{\"a\":[[[[[[[[[]]]]]]]]]}",
          b"&".join(b"p%d=1" % i for i in range(40)),
          b"\xef\xbb\xbf{}", b"{} {}", b"{}x",
          b"--boundary\r\nContent-Disposition: form-data; name=\"login\"\r\n\r\na\r\n",
          b"{\"login\":9" + b"9" * 400 + b"}", b"<xml/>", b"\0", b"\xff" * 100]


@pytest.mark.parametrize("body", BODIES, ids=[f"{i}" for i in range(len(BODIES))])
def test_attack_malformed_bodies(target, body):
    addr, path = target
    for content_type in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        r = web.request(addr, "POST", path, body, {"Content-Type": content_type})
        assert (r.status, r.code) == (400, "KRB_ERR_MALFORMED"), r
        assert r.headers["Content-Type"].startswith("application/json")


def test_attack_error_tells_nothing_of_the_inside(target):
    addr, path = target
    r = web.post_json(addr, path, {"login": "<script>", "encrypted": "\"><script>"})
    assert b"script" not in r.body
    assert set(json.loads(r.body)) == {"error", "message", "op_id", "server_time"}


def test_expect_100_continue(realm, alice):
    body = web.form(as_fields(alice))
    with web.connect(realm.as_addr) as s:
        s.sendall(head("/as/login", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert web.status_of(web.read_head(s)) == 100
        s.sendall(body)
        assert web.status_of(web.read_head(s)) == 200


def test_chunked_bodies_are_read(realm, alice):
    body = web.form(as_fields(alice))
    assert web.post_chunked(realm.as_addr, "/as/login", [body[:7], body[7:]]).status == 200


def test_one_connection_for_many_requests(realm, alice):
    c = web.http.client.HTTPConnection(*realm.as_addr, timeout=20)
    for _ in range(20):
        assert web.post_form(realm.as_addr, "/as/login", as_fields(alice), connection=c).status == 200


# --- addresses ---

def test_attack_forwarded_address_from_an_untrusted_peer_is_not_believed(realm, alice):
    post_as(realm, as_fields(alice), headers={"X-Forwarded-For": "192.0.2.66"})
    tgt = realm.login(alice, headers={"X-Forwarded-For": "192.0.2.66"})
    assert realm.keytab("tgs").read(tgt.ticket, realm.name)["user_ip"] == "127.0.0.1"
    assert post_tgs(realm, tgt.fields(), headers={"X-Forwarded-For": "192.0.2.66"}).status == 200


def test_forwarded_address_from_a_trusted_proxy(new_realm):
    realm = new_realm(proxy={"trusted": "127.0.0.1 10.0.0.0/8"})
    user = realm.add_user()
    keytab = realm.keytab("tgs")
    for value, address in (("192.0.2.7", "192.0.2.7"), ("6.6.6.6, 192.0.2.7", "192.0.2.7"),
                           ("6.6.6.6, 192.0.2.7, 10.1.2.3", "192.0.2.7"), ("2001:db8::1", "2001:db8::1")):
        tgt = realm.login(user, headers={"X-Forwarded-For": value})
        assert keytab.read(tgt.ticket, realm.name)["user_ip"] == address
    for value in ("nonsense", "", ",,,", "192.0.2.7, nonsense"):
        tgt = realm.login(user, headers={"X-Forwarded-For": value})
        assert keytab.read(tgt.ticket, realm.name)["user_ip"] in ("127.0.0.1", "192.0.2.7")
