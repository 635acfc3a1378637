"""Requests over HTTP: well-formed ones, and bytes as they come."""
import http.client
import json
import socket
import urllib.parse


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The error code of the protocol, after a check that the error has its whole shape."""
        e = self.json
        assert self.status >= 400 and set(e) >= {"error", "message", "op_id", "server_time"}, self
        assert isinstance(e["server_time"], int) and e["op_id"], self
        return e["error"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def request(addr, method, path, body=b"", headers=None, connection=None, timeout=20, source=None):
    """source: another loopback address to come from."""
    c = connection or http.client.HTTPConnection(*addr, timeout=timeout, source_address=source and (source, 0))
    try:
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        return Reply(r.status, r.headers, r.read())
    finally:
        if connection is None:
            c.close()


def post_chunked(addr, path, pieces):
    c = http.client.HTTPConnection(*addr, timeout=20)
    c.request("POST", path, iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    r = c.getresponse()
    return Reply(r.status, r.headers, r.read())


def form(fields):
    return urllib.parse.urlencode(fields).encode()


def post_form(addr, path, fields, **more):
    headers = {"Content-Type": "application/x-www-form-urlencoded", **more.pop("headers", {})}
    return request(addr, "POST", path, form(fields), headers, **more)


def post_json(addr, path, fields, content_type="application/json", **more):
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return request(addr, "POST", path, body, {"Content-Type": content_type, **more.pop("headers", {})}, **more)


def get(addr, path, **more):
    return request(addr, "GET", path, **more)


def connect(addr, timeout=20):
    return socket.create_connection(addr, timeout=timeout)


def read_all(sock, limit=1 << 20):
    """Everything until the peer closes; a reset ends it, too. TimeoutError when it stays open."""
    data = b""
    try:
        while len(data) < limit and (piece := sock.recv(65536)):
            data += piece
    except ConnectionError:
        pass
    return data


def read_head(sock):
    """The head of an HTTP answer, with its end, or what came before the peer closed."""
    data = b""
    try:
        while b"\r\n\r\n" not in data and (piece := sock.recv(1)):
            data += piece
    except ConnectionError:
        pass
    return data


def exchange(addr, raw, timeout=20):
    """Sends bytes, closes nothing, returns everything that is answered until the server closes or is quiet."""
    with connect(addr, timeout) as s:
        try:
            s.sendall(raw)
        except ConnectionError:
            pass
        return read_all(s)


def status_of(raw):
    """The status of an answer given as bytes; 0 when the server closed without one."""
    return int(raw.split(b" ", 2)[1]) if raw.startswith(b"HTTP/1.") else 0
