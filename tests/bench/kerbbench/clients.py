"""Clients of the chat without AS and TGS: tickets as the TGS makes them, minted with the chat's key."""
import base64
import hashlib
import json
import os
import time
from collections import namedtuple

from kerbtest import classic
from kerbtest.envelope import b64url

LIFETIME_S = 3600
Ticket = namedtuple("Ticket", "name key text")


class Mint:
    def __init__(self, realm):
        self.realm, self.keytab = realm, realm.keytab("chat")

    def ticket(self, name, etype, key_len):
        key, now = os.urandom(key_len), int(time.time())
        fields = {  # in the order in which a ticket has them
            "user_login": name, "user_name": name, "client_id": b64url(hashlib.sha256(name.encode()).digest()[:16]),
            "user_ip": "127.0.0.1", "realm": self.realm.name, "server": "chat", "service": "chat",
            "client_service_sk": base64.b64encode(key).decode(), "etype": etype, "epoch": 0, "auth_time": now,
            "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now)), "time_to_live": LIFETIME_S,
            "end_time": now + LIFETIME_S, "renew_till": 0, "flags": [], "ticket_id": b64url(os.urandom(16)),
            "parent_id": b64url(os.urandom(16))}
        return Ticket(name, key, self.keytab.mint(fields, self.realm.name))

    def sealed_lines(self, names, n):
        """n lines for load_chat: the users in turn, one ticket each."""
        tickets = [self.ticket(name, "aes128-cbc-hs256", 32) for name in names]
        lines = [f"sealed {self.realm.name} {t.name} chat {t.key.hex()} {t.text}" for t in tickets]
        return [lines[i % len(lines)] for i in range(n)]

    def classic_lines(self, names, n):
        """The same, with an authenticator for each connection."""
        tickets = [self.ticket(name, "aes128-cbc", 16) for name in names]
        return [self.classic_line(tickets[i % len(tickets)]) for i in range(n)]

    @staticmethod
    def classic_line(t):
        authenticator = classic.seal(t.key, {"user_name": t.name, "timestamp": classic.stamp()})
        login = {"type": "login", "service": "chat", "authenticator": authenticator, "service_ticket": t.text}
        return f"classic {t.key.hex()} {json.dumps(login)}"


def names(n, prefix="u"):
    """Users who need no account, since only the chat sees them."""
    return [f"{prefix}{i}" for i in range(n)]
