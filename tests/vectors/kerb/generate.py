#!/usr/bin/python3
"""
Makes the vectors in this directory from docs/PROTOCOL.md, with hashlib and the cryptography package, apart from the
programs and from the tests' client. Every secret, nonce and IV comes from a fixed word, so the files are always the same.

  generate.py           writes the files
  generate.py --check   compares them with what would be written; exits 1 when one differs
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import unicodedata
from datetime import datetime, timezone

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HERE = os.path.dirname(os.path.abspath(__file__))
REALM, USER, TGS, NOW, LIFE = "EXAMPLE.TEST", "zoë", "tgs", 1780000000, 36000
ADDRESS, ETYPE = "192.0.2.7", "aes128-cbc-hs256"
TGS_KVNO, CHAT_KVNO, ADMIN_KVNO = 7, 2, 4
TICKS = 1000  # of the AS's own clock, which cookies are dated by


# --- bytes -----------------------------------------------------------------------------------------------------------

def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def fixed(word, n):
    """n bytes that stand for random ones."""
    out = b""
    while len(out) < n:
        out += sha(b"kerb vectors", word.encode(), bytes([len(out) // 32]))
    return out[:n]


def u16(n):
    return n.to_bytes(2, "big")


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def lp(x):
    x = x.encode() if isinstance(x, str) else x
    return u16(len(x)) + x


def url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def compact(fields):
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


# --- RFC 2104, 5869, 8018 and AES-CBC with PKCS#7 --------------------------------------------------------------------

def mac(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha256")


def hkdf_expand(prk, info, n=32):
    out = block = b""
    i = 0
    while len(out) < n:
        i += 1
        block = mac(prk, block, info, bytes([i]))
        out += block
    return out[:n]


def hkdf(ikm, info, salt=b""):
    return hkdf_expand(mac(salt or bytes(32), ikm), info)


def cbc(key, iv, plain):
    pad = 16 - len(plain) % 16
    e = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return e.update(plain + bytes([pad]) * pad) + e.finalize()


# --- sealing ---------------------------------------------------------------------------------------------------------

def user_key(password, client, salt, iterations, realm=REALM):
    salt_in = b"A128CBC-HS256\0" + lp(realm) + lp(client) + salt
    return hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFC", password).encode(), salt_in, iterations, 32)


def tag_of(mac_key, aad, iv, ct):
    return mac(mac_key, aad, iv, ct, u64(8 * len(aad)))[:16]


class Envelope:
    """One envelope and all that went into it. bound: the texts whose hashes are its context, or the bytes of it."""

    def __init__(self, name, label, key, plain, client="", server="", bound=(), kvno=0):
        self.plain = plain.encode() if isinstance(plain, str) else plain
        derived, iv = hkdf(key, b"kerb1 " + label.encode()), fixed("iv of " + name, 16)
        head = bytes([1, 1]) + u32(kvno)
        texts = None if isinstance(bound, bytes) else list(bound)
        context = bound if texts is None else b"".join(sha(t.encode()) for t in texts)
        aad = b"KERB1" + head + lp(REALM) + lp(client) + lp(server) + lp(context)
        ct = cbc(derived[16:], iv, self.plain)
        self.raw = head + iv + ct + tag_of(derived[:16], aad, iv, ct)
        self.text = url(self.raw)
        self.shown = {"name": name, "label": label, "key_hex": key.hex(), "kvno": kvno, "derived_hex": derived.hex(),
                      "realm": REALM, "client": client, "server": server, "context_hex": context.hex(),
                      "aad_hex": aad.hex(), "iv_hex": iv.hex(), "plain_hex": self.plain.hex(), "envelope": self.text}
        if texts is not None:
            self.shown["context_of"] = texts


class Ticket:
    """A ticket and what the tests compare with it. parent: the TGT of a service ticket or of a renewed one."""

    def __init__(self, name, server, key, kvno, session, end, renew_till=0, parent=None, kind="tgt"):
        stamp = datetime.fromtimestamp(NOW, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        spelling = ("tgs_name", "session_key") if kind == "tgt" else ("service", "client_service_sk")
        self.id = fixed("id of " + name, 16)
        life = end - NOW
        lives = {"tgs_ticket_time_to_live": life, "session_key_time_to_live": life} if kind == "tgt" else {}
        fields = {"user_login": USER, "user_name": USER, "client_id": url(fixed("client id", 16)), "user_ip": ADDRESS,
                  "realm": REALM, "server": server, spelling[0]: server,
                  spelling[1]: base64.b64encode(session).decode(), "etype": ETYPE, "epoch": 5, "auth_time": NOW,
                  "timestamp": stamp, "time_to_live": life, **lives, "end_time": end, "renew_till": renew_till,
                  "flags": ["renewable"] if renew_till else [], "ticket_id": url(self.id),
                  "parent_id": url(parent.id if parent else bytes(16))}
        self.envelope = Envelope(name, "ticket", key, compact(fields), server=server, bound=b"", kvno=kvno)
        self.text = self.envelope.text
        self.shown = {"kind": kind, "server": server, "key_hex": key.hex(), "kvno": kvno, "text": self.text,
                      "plain_hex": self.envelope.plain.hex(), "client": USER, "session_hex": session.hex(), "start": NOW,
                      "end": end, "renew_till": renew_till, "epoch": 5}


# --- the files -------------------------------------------------------------------------------------------------------

KEY = {name: fixed(name, 32) for name in ("cookie key", "tgs key", "chat key", "admin key", "tgt session", "chat session",
                                         "admin session", "challenge key", "new chat session")}
PASSWORD, ITERATIONS, SALT = "Grüße, 4 everyone!", 200000, fixed("salt", 16)
USER_KEY = user_key(PASSWORD, USER, SALT, ITERATIONS)
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def code_text(code):
    n = int.from_bytes(code, "big") << 2
    text = "".join(LETTERS[n >> 5 * i & 31] for i in reversed(range(26)))
    return "-".join((text[:5], text[5:10], text[10:15], text[15:20], text[20:]))


def keys_file():
    users = []
    for password, client, iterations, note in (
            ("password", "alice", 1, "one iteration"), ("password", "bob", 1, "another name"),
            ("password", "alice", 1000, "more iterations"), (PASSWORD, USER, ITERATIONS, "the user of the other files"),
            (unicodedata.normalize("NFD", PASSWORD), USER, 1000, "typed decomposed"),
            (unicodedata.normalize("NFC", PASSWORD), USER, 1000, "typed composed: the same key"),
            ("p" * 1024, "n" * 64, 1, "longest"), (" \t ", "a b", 1, "blanks are not trimmed")):
        salt = fixed("salt", 16)
        users.append({"note": note, "password": password, "realm": REALM, "client": client, "salt_hex": salt.hex(),
                      "iterations": iterations, "key_hex": user_key(password, client, salt, iterations).hex()})
    codes = []
    for word in ("code one", "code two", None):
        code = fixed(word, 16) if word else bytes(16)
        codes.append({"code_hex": code.hex(), "text": code_text(code), "id_hex": sha(b"kerb1 code id", code)[:8].hex(),
                      "key_hex": hkdf(code, b"kerb1 code").hex()})
    return {"user_keys": users, "codes": codes}


def envelopes_file():
    key, uid, mid = fixed("any key", 32), fixed("room", 16), fixed("mid", 16)
    room = url(uid)
    cases = [
        ("as-cookie", USER, TGS, b"", 0), ("as-preauth", USER, TGS, sha(b"body") + sha(b"cookie"), 0),
        ("as-reply", USER, TGS, sha(b"request"), 0), ("ticket", "", "chat", b"", CHAT_KVNO),
        ("tgs-authenticator", USER, "chat", sha(b"tgt") + sha(b"body"), 0), ("tgs-reply", USER, "chat", sha(b"request"), 0),
        ("ap-authenticator", USER, "chat", sha(b"ticket") + fixed("nonce", 32), 0),
        ("ap-reply", USER, "chat", sha(b"frame"), 0), ("epochs", "", TGS, u64(2**40 + 1), TGS_KVNO),
        ("new-keys", USER, "kerb/changepw", sha(b"challenge"), 0), ("vault", USER, "share", b"", 0),
        ("audit", "", "as", u64(12), 1),
        ("message", USER, room, u32(3) + u64(77) + mid + u64(NOW), 0xFFFFFFFF),
        ("row", "principal_key", USER, lp(ETYPE) + u32(9), 1),
    ]
    sealed = [Envelope(label, label, key, "text of " + label, client, server, bound=context, kvno=kvno)
              for label, client, server, context, kvno in cases]
    for n in (0, 1, 15, 16, 17, 255, 4096):
        sealed.append(Envelope(f"length {n}", "ticket", key, fixed("long", n), "", "chat", bound=b"", kvno=1))
    one, refuse = sealed[1], []

    def spoil(why, raw):
        refuse.append({"of": one.shown["name"], "why": why, "envelope": url(raw)})
    for at, what in ((0, "version"), (1, "etype"), (5, "kvno"), (6, "IV"), (22, "ciphertext"), (-17, "last block"),
                     (-16, "tag"), (-1, "end of the tag")):
        raw = bytearray(one.raw)
        raw[at] ^= 1
        spoil(what + " changed", bytes(raw))
    spoil("cut by a byte", one.raw[:-1])
    spoil("cut by a block", one.raw[:22] + one.raw[38:])
    spoil("a block repeated", one.raw[:38] + one.raw[22:])
    spoil("tag alone missing", one.raw[:-16])
    spoil("a byte more", one.raw + b"\0")
    spoil("empty", b"")
    spoil("whole tag of 32 bytes", one.raw + bytes(16))
    return {"seal": [e.shown for e in sealed], "refuse": refuse}


def request(**members):
    return compact({"v": 1, **members})


def as_file():
    nonce = fixed("as nonce", 16)
    body = url(compact({"login": USER, "tgs_name": TGS, "nonce": url(nonce), "lifetime_s": LIFE,
                        "renewable": True}).encode())
    cookie = Envelope("cookie", "as-cookie", KEY["cookie key"], u64(TICKS + 120) + fixed("cookie id", 16), USER, TGS,
                      bound=b"")
    proof = Envelope("preauth", "as-preauth", USER_KEY,
                     compact({"nonce": url(nonce), "time": NOW - 86400, "etypes_seen": [ETYPE]}), USER, TGS,
                     bound=(body, cookie.text))
    second = request(body=body, cookie=cookie.text, preauth=proof.text)
    tgt = Ticket("tgt", TGS, KEY["tgs key"], TGS_KVNO, KEY["tgt session"], NOW + LIFE, NOW + 604800)
    told = {"session_key": url(KEY["tgt session"]), "tgt": tgt.text, "etype": ETYPE, "auth_time": NOW, "start_time": NOW,
            "end_time": NOW + LIFE, "renew_till": NOW + 604800, "nonce": url(nonce), "client": USER, "server": TGS,
            "realm": REALM, "etypes": [ETYPE], "salt": url(SALT), "iterations": ITERATIONS,
            "iterations_wanted": 600000}
    reply = Envelope("reply", "as-reply", USER_KEY, compact(told), USER, TGS, bound=(second,))
    return {"realm": REALM, "client": USER, "password": PASSWORD, "salt_hex": SALT.hex(), "iterations": ITERATIONS,
            "user_key_hex": USER_KEY.hex(), "now": NOW, "ticks": TICKS, "cookie_key_hex": KEY["cookie key"].hex(),
            "nonce": url(nonce), "first_request": request(body=body), "second_request": second,
            "answer": request(reply=reply.text), "ticket": tgt.shown,
            "envelopes": [cookie.shown, proof.shown, tgt.envelope.shown, reply.shown]}


def tgs_exchange(name, tgt, service, granted, options):
    nonce = fixed(name + " nonce", 16)
    body = url(compact({"service": service, "nonce": url(nonce), **options}).encode())
    a = Envelope(name + " authenticator", "tgs-authenticator", KEY["tgt session"],
                 compact({"client": USER, "time": NOW + 5, "nonce": url(nonce)}), USER, service, bound=(tgt.text, body))
    asked = request(tgt=tgt.text, authenticator=a.text, body=body)
    told = {"service": service, "session_key": granted.shown["session_hex"], "ticket": granted.text, "start_time": NOW,
            "end_time": granted.shown["end"], "renew_till": granted.shown["renew_till"], "nonce": url(nonce), "client": USER}
    told["session_key"] = url(bytes.fromhex(told["session_key"]))
    reply = Envelope(name + " reply", "tgs-reply", KEY["tgt session"], compact(told), USER, service, bound=(asked,))
    return {"name": name, "service": service, "nonce": url(nonce), "request": asked, "answer": request(reply=reply.text),
            "ticket": granted.shown, "envelopes": [a.shown, granted.envelope.shown, reply.shown]}


def tgs_file():
    tgt = Ticket("tgt", TGS, KEY["tgs key"], TGS_KVNO, KEY["tgt session"], NOW + LIFE, NOW + 604800)
    service = Ticket("chat ticket", "chat", KEY["chat key"], CHAT_KVNO, KEY["chat session"], NOW + 3600, parent=tgt,
                     kind="service")
    renewed = Ticket("renewed tgt", TGS, KEY["tgs key"], TGS_KVNO, fixed("renewed session", 32), NOW + LIFE, NOW + 604800,
                     parent=tgt)
    return {"realm": REALM, "client": USER, "now": NOW, "tgs_key_hex": KEY["tgs key"].hex(), "tgs_kvno": TGS_KVNO,
            "session_hex": KEY["tgt session"].hex(), "tgt": tgt.shown,
            "exchanges": [tgs_exchange("service ticket", tgt, "chat", service, {}),
                          tgs_exchange("renewal", tgt, TGS, renewed, {"options": ["renew"]})]}


def ap_file():
    """A service over HTTP, and new keys under the current one."""
    tgt = Ticket("tgt", TGS, KEY["tgs key"], TGS_KVNO, KEY["tgt session"], NOW + LIFE, NOW + 604800)
    service, path = "kerb/changepw", "/as/changepw"
    ticket = Ticket("changepw ticket", service, KEY["admin key"], ADMIN_KVNO, KEY["admin session"], NOW + 3600, parent=tgt,
                    kind="service")
    challenge = Envelope("challenge", "as-cookie", KEY["challenge key"], u64(TICKS + 120) + fixed("challenge id", 16), USER,
                         service, bound=b"").text
    salt = fixed("new salt", 16)
    new = {"salt": url(salt), "iterations": 600000, "key": url(fixed("new key", 32)), "classic": url(fixed("classic", 16))}
    keys = Envelope("new keys", "new-keys", USER_KEY, compact(new), USER, service, bound=(challenge,))
    body = url(compact({"op": "passwd", "keys": keys.text, "cut_off": True}).encode())
    a = Envelope("ap authenticator", "ap-authenticator", KEY["admin session"],
                 compact({"client": USER, "time": NOW, "nonce": url(fixed("ap nonce", 16))}), USER, service,
                 bound=(ticket.text, body, challenge))
    asked = request(ticket=ticket.text, authenticator=a.text, challenge=challenge, body=body)
    reply = Envelope("ap reply", "ap-reply", KEY["admin session"], compact({"ok": True, "profiles": ["sealed"]}), USER,
                     service, bound=(asked,))
    return {"path": path, "now": NOW, "challenge": challenge, "request": asked, "answer": request(reply=reply.text),
            "ticket": ticket.shown, "envelopes": [ticket.envelope.shown, keys.shown, a.shown, reply.shown]}


# RFC 5903, 8.1: both private values, and the x-coordinate that comes out
ECDH = {"client": 0xC88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433,
        "server": 0xC6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53}
ECDH_X = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"


def agree():
    pairs = {who: ec.derive_private_key(n, ec.SECP256R1()) for who, n in ECDH.items()}
    points = {who: p.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
              for who, p in pairs.items()}
    x = pairs["client"].exchange(ec.ECDH(), pairs["server"].public_key())
    assert x == pairs["server"].exchange(ec.ECDH(), pairs["client"].public_key())
    assert x.hex() == ECDH_X, "not RFC 5903's"
    return points, x


def record(word, key, session_id, sequence, plain):
    iv = fixed("iv of " + word, 16)
    aad = b"KERB1" + bytes([1, 1, 0, 0, 0, 0]) + lp(REALM) + lp(USER) + lp("chat") + lp(session_id + u64(sequence))
    ct = cbc(key[16:], iv, plain)
    return {"sequence": sequence, "plain_hex": plain.hex(), "aad_hex": aad.hex(),
            "record_hex": (iv + ct + tag_of(key[:16], aad, iv, ct)).hex()}


def bad_points(point):
    flipped = bytearray(point)
    flipped[64] ^= 1
    return [{"why": why, "point_hex": p.hex()} for why, p in (
        ("y changed: not on the curve", bytes(flipped)), ("compressed", bytes([2]) + point[1:33] + bytes(32)),
        ("hybrid", bytes([6]) + point[1:]), ("zero", bytes(65)), ("0, 0", b"\4" + bytes(64)),
        ("x is the prime", b"\4" + (2**256 - 2**224 + 2**192 + 2**96 - 1).to_bytes(32, "big") + point[33:]),
        ("all ones", b"\4" + b"\xff" * 64))]


def chat_file():
    points, x = agree()
    tgt = Ticket("tgt", TGS, KEY["tgs key"], TGS_KVNO, KEY["tgt session"], NOW + LIFE, NOW + 604800)
    ticket = Ticket("chat ticket", "chat", KEY["chat key"], CHAT_KVNO, KEY["chat session"], NOW + 3600, parent=tgt,
                    kind="service")
    nonce, session_id = fixed("websocket nonce", 32), fixed("session id", 16)
    challenge = compact({"type": "challenge", "nonce": url(nonce), "service": "chat", "realm": REALM, "server_time": NOW,
                         "versions": [1]})
    a = Envelope("chat authenticator", "ap-authenticator", KEY["chat session"],
                 compact({"client": USER, "nonce": url(nonce), "ecdh": url(points["client"]), "time": NOW,
                          "device": "vectors"}), USER, "chat", bound=sha(ticket.text.encode()) + nonce)
    login = compact({"type": "login", "v": 1, "ticket": ticket.text, "authenticator": a.text})
    reply = Envelope("welcome", "ap-reply", KEY["chat session"],
                     compact({"session_id": url(session_id), "ecdh": url(points["server"]), "expires": NOW + 3600,
                              "server_time": NOW}), USER, "chat", bound=(login,))
    welcome = compact({"type": "welcome", "reply": reply.text})
    salt = sha(*(sha(frame.encode()) for frame in (challenge, login, welcome)))
    prk = mac(salt, KEY["chat session"], x)
    keys = {way: hkdf_expand(prk, b"kerb1 " + way.encode()) for way in ("c2s", "s2c")}
    said = {"c2s": ['{"type":"online"}', "", '{"type":"new_message","room":"r","message":{"text":"Grüße"}}', "x" * 15,
                    "x" * 16, "x" * 17],
            "s2c": [compact({"type": "handshake", "timestamp": NOW, "service": "chat", "users_online": [USER], "rooms": []}),
                    '{"type":"online"}', "y" * 4096]}
    records = {way: [record(f"{way} {i}", keys[way], session_id, i, t.encode()) for i, t in enumerate(said[way])]
               for way in said}
    for way in records:
        records[way].append(record(way + " far", keys[way], session_id, 2**32 + 5, b"far on"))
    return {"realm": REALM, "client": USER, "server": "chat", "now": NOW, "ticket": ticket.shown,
            "session_hex": KEY["chat session"].hex(), "nonce_hex": nonce.hex(), "session_id_hex": session_id.hex(),
            "ecdh": {"client_private_hex": f"{ECDH['client']:064x}", "server_private_hex": f"{ECDH['server']:064x}",
                     "client_point_hex": points["client"].hex(), "server_point_hex": points["server"].hex(),
                     "x_hex": x.hex(), "refuse": bad_points(points["client"])},
            "frames": [challenge, login, welcome], "salt_hex": salt.hex(), "prk_hex": prk.hex(),
            "c2s_key_hex": keys["c2s"].hex(), "s2c_key_hex": keys["s2c"].hex(), "c2s": records["c2s"],
            "s2c": records["s2c"], "envelopes": [ticket.envelope.shown, a.shown, reply.shown]}


FILES = {"keys": keys_file, "envelopes": envelopes_file, "as": as_file, "tgs": tgs_file, "ap": ap_file, "chat": chat_file}


def main(words):
    if words not in ([], ["--check"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    differ = []
    for name, make in FILES.items():
        path = os.path.join(HERE, name + ".json")
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if not words:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            continue
        try:
            with open(path, encoding="utf-8") as f:
                same = f.read() == text
        except FileNotFoundError:
            same = False
        if not same:
            differ.append(name)
            print(f"{name}.json is not what generate.py makes", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
