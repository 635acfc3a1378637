"""The sealed profile, written from docs/PROTOCOL.md with another library than the daemons use."""
import hashlib
import json
import os
import struct
import time
import unicodedata

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives import hmac as hazmat_hmac
from cryptography.hazmat.primitives import padding

from . import web
from .chat import Chat, run
from .classic import decrypt, encrypt
from .envelope import _aad, _lp, _tag, b64url, from_b64url, seal, unseal

ETYPE = "aes128-cbc-hs256"
SUBPROTOCOL = "kerb.v1"


def user_key(password, realm, name, salt, iterations):
    salt_in = b"A128CBC-HS256\0" + _lp(realm.encode()) + _lp(name.encode()) + salt
    return hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFC", password).encode(), salt_in, iterations, 32)


def sha(text):
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).digest()


def pack(fields):
    return b64url(json.dumps(fields).encode())


def dump(fields):
    return json.dumps(fields).encode()


class Preauth:
    """What the AS asked for: parameters of the key, and a cookie."""

    def __init__(self, realm, name, lifetime_s=None, renewable=None):
        self.realm, self.name, self.nonce = realm, name, os.urandom(16)
        body = {"login": name, "tgs_name": "tgs", "nonce": b64url(self.nonce)}
        if lifetime_s is not None:
            body["lifetime_s"] = lifetime_s
        if renewable is not None:
            body["renewable"] = renewable
        self.body = pack(body)
        self.reply = web.post_json(realm.as_addr, "/as/login", {"v": 1, "body": self.body})
        assert self.reply.status == 401 and self.reply.code == "KDC_ERR_PREAUTH_REQUIRED", self.reply
        self.asked = self.reply.json

    def key(self, password):
        return user_key(password, self.realm.name, self.name, from_b64url(self.asked["salt"]),
                        self.asked["iterations"])

    def request(self, key, cookie=None, label="as-preauth", **change):
        """The bytes of the second request."""
        cookie = cookie or self.asked["cookie"]
        proof = {"nonce": b64url(self.nonce), "time": int(time.time()), "etypes_seen": self.asked["etypes"], **change}
        sealed = seal(key, label, dump(proof), self.realm.name, self.name, "tgs", sha(self.body) + sha(cookie))
        return dump({"v": 1, "body": self.body, "cookie": cookie, "preauth": b64url(sealed)})


def first_request(name):
    """The bytes of an AS request without a proof."""
    return dump({"v": 1, "body": pack({"login": name, "tgs_name": "tgs", "nonce": b64url(os.urandom(16))})})


def proof(realm, name, key, first, asked):
    """The bytes of the second request, for the first one and its answer."""
    body = json.loads(first)["body"]
    nonce = json.loads(from_b64url(body))["nonce"]
    plain = {"nonce": nonce, "time": int(time.time()), "etypes_seen": asked["etypes"]}
    sealed = seal(key, "as-preauth", dump(plain), realm.name, name, "tgs", sha(body) + sha(asked["cookie"]))
    return dump({"v": 1, "body": body, "cookie": asked["cookie"], "preauth": b64url(sealed)})


class Tgt:
    def __init__(self, realm, user, fields):
        self.realm, self.user, self.fields = realm, user, fields
        self.ticket, self.key = fields["tgt"], from_b64url(fields["session_key"])
        realm.remember("TGT session key", self.key)

    def request(self, service="chat", authenticator_for=None, **body):
        nonce = os.urandom(16)
        text = pack({"service": service, "nonce": b64url(nonce), **body})
        bound = authenticator_for or text
        a = seal(self.key, "tgs-authenticator",
                 dump({"client": self.user.name, "time": int(time.time()), "nonce": b64url(nonce)}), self.realm.name,
                 self.user.name, service, sha(self.ticket) + sha(bound))
        return dump({"v": 1, "tgt": self.ticket, "authenticator": b64url(a), "body": text}), nonce

    def open(self, reply, request, nonce, service):
        plain = unseal(self.key, "tgs-reply", from_b64url(reply.json["reply"]), self.realm.name, self.user.name,
                       service, sha(request))
        fields = json.loads(plain)
        assert fields["nonce"] == b64url(nonce) and fields["service"] == service and fields["client"] == self.user.name
        return fields

    def service(self, service="chat", **body):
        request, nonce = self.request(service, **body)
        r = web.post_json(self.realm.tgs_addr, "/tgs", request)
        assert r.status == 200, r
        return ServiceTicket(self.realm, self.user, self.open(r, request, nonce, service))


class ServiceTicket:
    def __init__(self, realm, user, fields):
        self.realm, self.user, self.fields = realm, user, fields
        self.ticket, self.service = fields["ticket"], fields["service"]
        self.key = from_b64url(fields["session_key"])
        realm.remember("service session key", self.key)

    def authenticator(self, nonce, label="ap-authenticator", **fields):
        plain = {"client": self.user.name, "nonce": b64url(nonce), "time": int(time.time()), "device": "tests", **fields}
        return b64url(seal(self.key, label, dump(plain), self.realm.name, self.user.name, self.service,
                           sha(self.ticket) + nonce))


def login(realm, user, password=None, **how):
    asked = Preauth(realm, user.name, **how)
    key = asked.key(password or user.password)
    realm.remember("sealed user key", key)
    request = asked.request(key)
    r = web.post_json(realm.as_addr, "/as/login", request)
    assert r.status == 200, r
    plain = unseal(key, "as-reply", from_b64url(r.json["reply"]), realm.name, user.name, "tgs", sha(request))
    fields = json.loads(plain)
    assert fields["nonce"] == b64url(asked.nonce) and fields["client"] == user.name and fields["realm"] == realm.name
    for name in ("salt", "iterations", "etypes"):
        assert fields[name] == asked.asked[name], name
    return Tgt(realm, user, fields)


class Stream:
    """One direction of records."""

    def __init__(self, key, realm, client, server, session_id):
        self.key, self.names, self.session_id, self.n = key, (realm, client, server), session_id, 0

    def _bound(self):
        head = struct.pack(">BBI", 1, 1, 0)
        return _aad(head, *self.names, self.session_id + struct.pack(">Q", self.n))

    def seal(self, plain):
        iv = os.urandom(16)
        p = padding.PKCS7(128).padder()
        ct = encrypt(self.key[16:], iv, p.update(plain) + p.finalize())
        record = iv + ct + _tag(self.key[:16], self._bound(), iv, ct)
        self.n += 1
        return record

    def open(self, record):
        iv, ct, tag = record[:16], record[16:-16], record[-16:]
        assert _tag(self.key[:16], self._bound(), iv, ct) == tag, "record"
        self.n += 1
        p = padding.PKCS7(128).unpadder()
        return p.update(decrypt(self.key[16:], iv, ct)) + p.finalize()


class SealedChat(Chat):
    """
    A sealed connection. greet=False leaves the login to the test. resume: {"token", "last"} of an earlier one, as its
    resumable() tells.
    """

    def __init__(self, realm, ticket, greet=True, resume=None, **how):
        self.streams, self.resume = None, resume
        self.pair = ec.generate_private_key(ec.SECP256R1())
        super().__init__(realm, ticket, greet=False, subprotocols=[SUBPROTOCOL], **how)
        assert self.ws.subprotocol == SUBPROTOCOL
        self.extensions = True
        self.challenge = self.expect("challenge")
        if greet:
            self.login_sealed()

    def point(self):
        return self.pair.public_key().public_bytes(serialization.Encoding.X962,
                                                   serialization.PublicFormat.UncompressedPoint)

    def login_frame(self, **change):
        nonce = from_b64url(self.challenge["nonce"])
        more = {"resume": self.resume} if self.resume else {}
        a = self.ticket.authenticator(nonce, ecdh=b64url(self.point()), **more)
        return json.dumps({"type": "login", "v": 1, "ticket": self.ticket.ticket, "authenticator": a, **change})

    def login_sealed(self):
        self.frame = self.login_frame()
        self.send_raw(self.frame)
        self.hello = self.expect("handshake")

    def _keys(self, welcome):
        t, r = self.ticket, self.realm
        reply = json.loads(unseal(t.key, "ap-reply", from_b64url(json.loads(welcome)["reply"]), r.name,
                                  t.user.name, t.service, sha(self.frame)))
        self.welcome = reply
        r.remember("resume token", from_b64url(reply["resume"]))
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_b64url(reply["ecdh"]))
        shared = self.pair.exchange(ec.ECDH(), peer)
        salt = sha(sha(self.challenge_text) + sha(self.frame) + sha(welcome))
        h = hazmat_hmac.HMAC(salt, hashes.SHA256())
        h.update(t.key + shared)
        prk, sid = h.finalize(), from_b64url(reply["session_id"])
        keys = [HKDFExpand(hashes.SHA256(), 32, info).derive(prk) for info in (b"kerb1 c2s", b"kerb1 s2c")]
        for k in keys:
            r.remember("connection key", k)
        return [Stream(k, r.name, t.user.name, t.service, sid) for k in keys]

    def _decode(self, raw):
        if isinstance(raw, str):
            frame = {**json.loads(raw), "_plain": True}
            if frame["type"] == "challenge":
                self.challenge_text = raw
            elif frame["type"] == "welcome":
                self.streams = self._keys(raw)
            return frame
        frame = json.loads(self.streams[1].open(raw))
        self.greeted = True
        if frame.get("type") == "new_room" and frame.get("secret"):
            self.shares[frame["room"]["room"]] = frame["secret"]
            self.realm.remember("share", frame["secret"])
        return frame

    def resumable(self, last=None):
        """What the next connection says to go on from here, when no more is read from this one."""
        return {"token": self.welcome["resume"], "last": self.streams[1].n - 1 if last is None else last}

    def seal(self, type_, **fields):
        return self.streams[0].seal(dump({"type": type_, **fields}))

    def reauth(self, ticket):
        """Answers reauth_required with a newer ticket."""
        asked = self.expect("reauth_required", timeout=90)
        a = ticket.authenticator(from_b64url(asked["nonce"]))
        self.send("reauth", ticket=ticket.ticket, authenticator=a)
        return self.expect("reauth_ok")


def chat(realm, user, **how):
    ticket = user if isinstance(user, ServiceTicket) else login(realm, user).service()
    return SealedChat(realm, ticket, **how)


__all__ = ["ETYPE", "Preauth", "SealedChat", "ServiceTicket", "Stream", "Tgt", "chat", "dump", "first_request", "login", "pack", "proof", "run", "sha",
           "user_key"]
