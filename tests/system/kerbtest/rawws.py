"""A websocket client of bytes, for frames that no library would send."""
import base64
import os
import socket
import struct

from . import web


def upgrade_request(path="/chat", host="127.0.0.1", method="GET", version="13", http="HTTP/1.1", **headers):
    lines = [f"{method} {path} {http}", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"]
    if version is not None:
        lines.append(f"Sec-WebSocket-Version: {version}")
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(payload=b"", opcode=1, fin=True, rsv=0, mask=True, length=None, wide=None):
    """length: what the header claims; wide: 2 or 8 bytes of length where fewer would do."""
    n = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if wide == 8 or (wide is None and n > 65535):
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    elif wide == 2 or n > 125:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | n])
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


class RawSocket:
    def __init__(self, addr, handshake=True, timeout=20, rcvbuf=None, **request):
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(addr)
        self.head = b""
        if handshake:
            self.sock.sendall(upgrade_request(**request))
            self.head = web.read_head(self.sock)
            assert web.status_of(self.head) == 101, self.head

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """Sends, also when the peer has gone already."""
        try:
            self.sock.sendall(data)
        except ConnectionError:
            pass
        return self

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def read(self):
        """(opcode, payload) of the next frame; EOFError at the end of the connection."""
        try:
            a, b = self._exactly(2)
            n = b & 0x7F
            if n == 126:
                n = struct.unpack(">H", self._exactly(2))[0]
            elif n == 127:
                n = struct.unpack(">Q", self._exactly(8))[0]
            assert not b & 0x80, "a server's frame is masked"
            assert not a & 0x70, "reserved bits in a server's frame"
            return a & 15, self._exactly(n)
        except ConnectionError:
            raise EOFError from None

    def close_code(self):
        """The code of the server's close frame; None when it ended without one."""
        try:
            while True:
                opcode, payload = self.read()
                if opcode == 8:
                    return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
        except EOFError:
            return None
