"""The sealed exchanges with AS and TGS, and the AS's own services, written from docs/PROTOCOL.md 4.2, 4.3 and 4.5."""
import hashlib
import json
import os
import struct
import time
import unicodedata

from . import classic, web
from .envelope import b64url, from_b64url, hkdf, seal, unseal

ETYPES = ["aes128-cbc-hs256"]


def sha(*texts):
    return b"".join(hashlib.sha256(t if isinstance(t, bytes) else t.encode()).digest() for t in texts)


def lp(text):
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def user_key(password, realm, client, salt, iterations):
    salt_in = b"A128CBC-HS256\0" + lp(realm) + lp(client) + salt
    return hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFC", password).encode(), salt_in, iterations, 32)


def pack(fields):
    return b64url(json.dumps(fields).encode())


def new_keys(realm, client, password, iterations=200000, with_classic=True):
    """The keys of a password as they are posted."""
    salt = os.urandom(16)
    keys = {"salt": b64url(salt), "iterations": iterations,
            "key": b64url(user_key(password, realm, client, salt, iterations))}
    if with_classic:
        keys["classic"] = b64url(classic.password_key(password))
    return keys


def post(realm, path, fields, tgs=False):
    """The reply and the bytes that were sent."""
    raw = json.dumps(fields).encode()
    return web.post_json(realm.tgs_addr if tgs else realm.as_addr, path, raw), raw


class Refused(Exception):
    def __init__(self, reply):
        super().__init__(repr(reply))
        self.reply, self.status, self.code = reply, reply.status, reply.code


class Login:
    """Both steps of the AS exchange. password: text; change: what an attacker does to the second request."""

    def __init__(self, realm, name, password, change=None, key=None, **wishes):
        self.realm, self.name = realm, name
        self.nonce = b64url(os.urandom(16))
        body = pack({"login": name, "tgs_name": "tgs", "nonce": self.nonce, **wishes})
        reply, _ = post(realm, "/as/login", {"v": 1, "body": body})
        assert (reply.status, reply.code) == (401, "KDC_ERR_PREAUTH_REQUIRED"), reply
        self.offer = reply.json
        self.key = key or user_key(password, realm.name, name, from_b64url(self.offer["salt"]), self.offer["iterations"])
        proof = json.dumps({"nonce": self.nonce, "time": int(time.time()), "etypes_seen": self.offer["etypes"]}).encode()
        preauth = seal(self.key, "as-preauth", proof, realm.name, name, "tgs", sha(body, self.offer["cookie"]))
        self.request = {"v": 1, "body": body, "cookie": self.offer["cookie"], "preauth": b64url(preauth)}
        if change:
            change(self.request)
        self.reply, raw = post(realm, "/as/login", self.request)
        if self.reply.status != 200:
            raise Refused(self.reply)
        self.told = json.loads(unseal(self.key, "as-reply", from_b64url(self.reply.json["reply"]), realm.name, name, "tgs",
                                      sha(raw)))
        for field in ("realm", "etypes", "salt", "iterations"):
            assert self.told[field] == self.offer[field]
        assert (self.told["nonce"], self.told["client"], self.told["server"]) == (self.nonce, name, "tgs")
        self.tgt, self.session = self.told["tgt"], from_b64url(self.told["session_key"])

    def service(self, service):
        return Service(self, service)


class Service:
    """A sealed service ticket; `call` does what a body says, over HTTP."""

    def __init__(self, login, service):
        self.realm, self.login, self.service = login.realm, login, service
        nonce = b64url(os.urandom(16))
        body = pack({"service": service, "nonce": nonce})
        plain = json.dumps({"client": login.name, "time": 0, "nonce": nonce}).encode()
        a = seal(login.session, "tgs-authenticator", plain, self.realm.name, login.name, service, sha(login.tgt, body))
        reply, raw = post(self.realm, "/tgs", {"v": 1, "tgt": login.tgt, "authenticator": b64url(a), "body": body}, tgs=True)
        if reply.status != 200:
            raise Refused(reply)
        told = json.loads(unseal(login.session, "tgs-reply", from_b64url(reply.json["reply"]), self.realm.name, login.name,
                                 service, sha(raw)))
        assert told["nonce"] == nonce and told["service"] == service
        self.ticket, self.session = told["ticket"], from_b64url(told["session_key"])

    def challenge(self, path):
        reply, _ = post(self.realm, path, {"v": 1, "ticket": self.ticket})
        if reply.status != 401 or reply.code != "KDC_ERR_PREAUTH_REQUIRED":
            raise Refused(reply)
        return reply.json["challenge"]

    def call(self, path, fields, challenge=None):
        """fields: the body, or a function of the challenge that makes it."""
        challenge = challenge or self.challenge(path)
        body = pack(fields(challenge) if callable(fields) else fields)
        plain = json.dumps({"client": self.login.name, "time": 0, "nonce": b64url(os.urandom(16))}).encode()
        a = seal(self.session, "ap-authenticator", plain, self.realm.name, self.login.name, self.service,
                 sha(self.ticket, body, challenge))
        reply, raw = post(self.realm, path, {"v": 1, "ticket": self.ticket, "authenticator": b64url(a),
                                             "challenge": challenge, "body": body})
        if reply.status != 200:
            raise Refused(reply)
        return json.loads(unseal(self.session, "ap-reply", from_b64url(reply.json["reply"]), self.realm.name,
                                 self.login.name, self.service, sha(raw)))


def change_password(login, password, op="passwd", under=None, iterations=200000, **more):
    """kerb/changepw, new keys sealed under the current one (or another, `under`)."""
    realm, name = login.realm, login.name

    def body(challenge):
        plain = json.dumps(new_keys(realm.name, name, password, iterations)).encode()
        e = seal(under or login.key, "new-keys", plain, realm.name, name, "kerb/changepw", sha(challenge))
        return {"op": op, "keys": b64url(e), **more}
    return login.service("kerb/changepw").call("/as/changepw", body)


def administer(login, op, **fields):
    return login.service("kerb/admin").call("/as/admin", {"op": op, **fields})


LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def code_bytes(text):
    n = 0
    for letter in text.replace("-", ""):
        n = n << 5 | LETTERS.index(letter)
    assert n & 3 == 0
    return (n >> 2).to_bytes(16, "big")


def register(realm, name, password, code=None, **how):
    """Makes an account, or redeems a code; the reply."""
    fields = {"name": name, "nonce": b64url(os.urandom(16))}
    if code:
        raw = code_bytes(code)
        fields["code_id"] = b64url(hashlib.sha256(b"kerb1 code id" + raw).digest()[:8])
    body = pack(fields)
    keys = json.dumps(new_keys(realm.name, name, password, **how)).encode()
    if code:
        keys = seal(hkdf(raw, b"kerb1 code"), "new-keys", keys, realm.name, name, "kerb/register", sha(body))
    return post(realm, "/as/register", {"v": 1, "body": body, "keys": b64url(keys)})[0]
