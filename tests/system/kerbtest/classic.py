"""The classic box and its times, written from docs/PROTOCOL.md with another library than the daemons use."""
import base64
import datetime
import hashlib
import json
import os

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def password_key(password):
    return hashlib.sha256(password.encode()).digest()[:16]


def stamp(offset_s=0):
    """The time now plus offset_s, as classic text."""
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return now.strftime("%Y-%m-%d %H:%M:%S")


def encrypt(key, iv, padded):
    c = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return c.update(padded) + c.finalize()


def decrypt(key, iv, ct):
    c = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return c.update(ct) + c.finalize()


def seal_bytes(key, plain, iv=None, pad="pkcs7"):
    """IV and ciphertext, raw. pad: "pkcs7", "space" (the original's: none when aligned) or "none"."""
    iv = iv or os.urandom(16)
    if pad == "pkcs7":
        p = padding.PKCS7(128).padder()
        plain = p.update(plain) + p.finalize()
    elif pad == "space":
        plain += b" " * (-len(plain) % 16)
    return iv + encrypt(key, iv, plain)


def seal(key, what, **how):
    """A box around bytes, text, or anything that JSON can write."""
    if not isinstance(what, (bytes, str)):
        what = json.dumps(what)
    if isinstance(what, str):
        what = what.encode()
    return base64.b64encode(seal_bytes(key, what, **how)).decode()


def open_bytes(key, box):
    """The text of a box that our daemons made: strict about everything."""
    raw = base64.b64decode(box, validate=True)
    assert base64.b64encode(raw).decode() == box, "base64 is not canonical"
    assert len(raw) >= 32 and len(raw) % 16 == 0, "not IV and whole blocks"
    p = padding.PKCS7(128).unpadder()
    return p.update(decrypt(key, raw[:16], raw[16:])) + p.finalize()


def open_box(key, box):
    return json.loads(open_bytes(key, box))


def re_spaced(box, at=12):
    """The box with its IV changed so that the blank at `at` becomes a tab: other bytes, the same meaning in JSON."""
    raw = bytearray(base64.b64decode(box))
    raw[at] ^= ord(" ") ^ ord("\t")
    return base64.b64encode(raw).decode()


def cut_block(box):
    """The box without its last block."""
    return base64.b64encode(base64.b64decode(box)[:-16]).decode()
