"""What the kerb command makes of servers that are none: redirects, floods, silence, certificates."""
import http.server
import json
import ssl
import subprocess
import threading

import pytest
from test_kerb import Kerb, kerb_realm  # noqa: F401


class Liar(http.server.BaseHTTPRequestHandler):
    """Answers what the class says."""
    protocol_version = "HTTP/1.1"
    status, headers_out, body, seen = 200, {}, b"{}", []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append(self.path)
        self.send_response(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        try:
            self.wfile.write(self.body)
        except OSError:
            pass

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(tls=None, **what):
        handler = type("H", (Liar,), {"seen": [], **what})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.handle_error = lambda *_: None  # a client that goes away is what some tests want
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        server.handler = handler
        return server
    yield start
    for s in servers:
        s.shutdown()
        s.server_close()


@pytest.fixture
def kerb(kerb_realm, tmp_path):  # noqa: F811
    return Kerb(kerb_realm, tmp_path)


def login_at(kerb, url, *options, status=1):
    return kerb.run(*options, "--url", url, "login", "alice", stdin="a few words\n", status=status).stderr


def url(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_address[1]}"


def test_a_redirect_is_not_followed(kerb, serve):
    good = serve()
    bad = serve(status=307, headers_out={"Location": url(good) + "/as/login"})
    assert "answers 307, and not as a kerb server" in login_at(kerb, url(bad))
    assert bad.handler.seen == ["/as/login"] and good.handler.seen == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error": 1}', b'{"error": "\x1b[2J"}', b"\xff" * 100,
                                  b'{"a":' * 5000])
def test_answers_that_are_none(kerb, serve, body):
    text = login_at(kerb, url(serve(status=401, body=body)))
    assert "not as a kerb server: is this the realm's URL?" in text and "\x1b" not in text


def test_a_flood_is_cut(kerb, serve):
    assert "more than 65536 bytes" in login_at(kerb, url(serve(body=b" " * 1000000)))


@pytest.mark.parametrize("change, why", [
    ({"iterations": 1000}, "fewer than 200000"), ({"iterations": 100000000}, "more than 10000000"),
    ({"etypes": ["aes128-cbc"]}, "does not offer aes128-cbc-hs256"), ({"salt": "AAAA"}, "salt or its cookie"),
    ({"realm": "a\x1bb"}, "names no realm"), ({"iterations": "600000"}, "no iterations")])
def test_offers_that_are_refused_before_a_proof_is_made(kerb, serve, change, why):
    offer = {"error": "KDC_ERR_PREAUTH_REQUIRED", "realm": "R", "etypes": ["aes128-cbc-hs256"], "salt": "A" * 22,
             "iterations": 600000, "cookie": "AAAA", **change}
    server = serve(status=401, body=json.dumps(offer).encode())
    assert why in login_at(kerb, url(server))
    assert len(server.handler.seen) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path / "key.pem", "-out", path / "ca.pem"],
                   check=True, capture_output=True)
    (path / "both.pem").write_text((path / "key.pem").read_text() + (path / "ca.pem").read_text())
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused(kerb, serve, certificate):
    server = serve(tls=certificate / "both.pem", status=401)
    assert "certificate" in login_at(kerb, url(server, "https"))
    assert server.handler.seen == []
    text = login_at(kerb, url(server, "https"), "--ca-file", str(certificate / "ca.pem"))
    assert "not as a kerb server" in text and server.handler.seen == ["/as/login"]


def test_a_certificate_of_another_name_is_refused(kerb, serve, certificate):
    server = serve(tls=certificate / "both.pem", status=401)
    other = f"https://localhost:{server.server_address[1]}"
    assert "kerb: https://localhost" in login_at(kerb, other, "--ca-file", str(certificate / "ca.pem"))
    assert server.handler.seen == []
