"""Envelopes and tickets, so that a test with a server's keytab can look into a ticket, or mint one."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import struct

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .classic import decrypt, encrypt

STAMP = "%Y-%m-%d %H:%M:%S"


def b64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_b64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def hkdf(ikm, info, salt=b"", n=32):
    return HKDF(hashes.SHA256(), n, salt, info).derive(ikm)


def _lp(x):
    return struct.pack(">H", len(x)) + x


def _aad(head, realm, client, server, context):
    return b"KERB1" + head + b"".join(_lp(x) for x in (realm.encode(), client.encode(), server.encode(), context))


def _tag(mac, aad, iv, ct):
    return hmac.new(mac, aad + iv + ct + struct.pack(">Q", 8 * len(aad)), hashlib.sha256).digest()[:16]


def seal(key, label, plain, realm, client="", server="", context=b"", kvno=0, etype=1):
    k = hkdf(key, b"kerb1 " + label.encode())
    head, iv = struct.pack(">BBI", 1, etype, kvno), os.urandom(16)
    p = padding.PKCS7(128).padder()
    ct = encrypt(k[16:], iv, p.update(plain) + p.finalize())
    return head + iv + ct + _tag(k[:16], _aad(head, realm, client, server, context), iv, ct)


def unseal(key, label, envelope, realm, client="", server="", context=b""):
    k = hkdf(key, b"kerb1 " + label.encode())
    head, iv, ct, tag = envelope[:6], envelope[6:22], envelope[22:-16], envelope[-16:]
    assert hmac.compare_digest(_tag(k[:16], _aad(head, realm, client, server, context), iv, ct), tag), "tag"
    p = padding.PKCS7(128).unpadder()
    return p.update(decrypt(k[16:], iv, ct)) + p.finalize()


def with_times(fields, start_s, end_s):
    """A ticket's fields with other times, all of them in agreement. start_s None: as it was."""
    if start_s is None:
        start = datetime.datetime.strptime(fields["timestamp"], STAMP).replace(tzinfo=datetime.timezone.utc)
        start_s = int(start.timestamp())
    start = datetime.datetime.fromtimestamp(start_s, datetime.timezone.utc).strftime(STAMP)
    lives = {k: end_s - start_s for k in fields if k.endswith("time_to_live")}
    return {**fields, **lives, "auth_time": start_s, "timestamp": start, "end_time": end_s}


class Keytab:
    """A server's keytab file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.keys = json.load(f)["keys"]
        self.newest = max(self.keys, key=lambda k: k["kvno"])
        self.principal = self.newest["principal"]
        self.key = from_b64url(self.newest["key"])

    def read(self, ticket, realm):
        return json.loads(unseal(self.key, "ticket", from_b64url(ticket), realm, server=self.principal))

    def mint(self, fields, realm, server=None):
        plain = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()  # as the daemons write it
        return b64url(seal(self.key, "ticket", plain, realm, server=server or self.principal,
                           kvno=self.newest["kvno"]))
