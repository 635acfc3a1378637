#!/usr/bin/python3
"""A small chat client for the classic profile (docs/PROTOCOL.md, 4.1 and 5.3): AS, then TGS, then the chat.

    deploy/examples/chat.py [--url http://127.0.0.1:8080] alice

Without --url it is $KERB_URL, else http://127.0.0.1:8080.
The password is asked for, or is the first line of standard input. A line that is typed is sent to the room one is in;
a line that starts with a slash is a command: /help lists them. A room of which T of N members must agree is opened by
T of them typing /go. Shares (what a member agrees with) are kept in a file of this user, 0600: who loses them, loses the
room, and who reads them can agree in his name. Debian: python3-websockets, python3-cryptography.
"""
import argparse
import asyncio
import base64
import contextlib
import getpass
import hashlib
import json
import os
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import websockets
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SERVICE = "chat"
HELP = """/new ROOM THRESHOLD USER...  make a room; with THRESHOLD 0 it is open, else so many members must agree
/go ROOM                     enter a room, contributing our share
/online                      who is here; which rooms can be entered, which wait for members
/save KEY TEXT  /get KEY     a text of our own, kept by the server
/delete ROOM                 leave a room, or delete it when all its members are needed
/quit"""


# --- the classic box: base64( IV[16] || AES-128-CBC(key, IV, PKCS#7(text)) ) ---

def seal(key, message):
    iv, pad = os.urandom(16), padding.PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    text = pad.update(json.dumps(message).encode()) + pad.finalize()
    return base64.b64encode(iv + cipher.update(text) + cipher.finalize()).decode()


def unseal(key, box):
    raw, pad = base64.b64decode(box, validate=True), padding.PKCS7(128).unpadder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(raw[:16])).decryptor()
    text = cipher.update(raw[16:]) + cipher.finalize()
    return json.loads(pad.update(text) + pad.finalize())


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


# --- AS and TGS ---

def post(url, **fields):
    try:
        with urllib.request.urlopen(url, urllib.parse.urlencode(fields).encode(), timeout=20) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{url} says {error.code}: {error.read().decode(errors='replace')}") from None
    except (OSError, ValueError) as error:
        raise SystemExit(f"no answer from {url}: {getattr(error, 'reason', error)}; --url or KERB_URL names another place") from None


def get_ticket(url, user, password, service):
    """Returns the service ticket and the key that is shared with the service."""
    key = hashlib.sha256(password.encode()).digest()[:16]
    request = {"tgs_name": "tgs", "timestamp": now()}
    reply = unseal(key, post(f"{url}/as/login", login=user, encrypted=seal(key, request)))
    key = base64.b64decode(reply["session_key"])
    authenticator = seal(key, {"user_name": user, "timestamp": now()})
    reply = unseal(key, post(f"{url}/tgs", authenticator=authenticator, tgs_ticket=reply["tgs_ticket"], service=service))
    return reply["service_ticket"], base64.b64decode(reply["client_service_sk"])


# --- the chat ---

def tell(text):
    """Prints one line. What others wrote must not steer our terminal."""
    print("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text), flush=True)


class Chat:
    def __init__(self, socket, user, key, shares_file):
        self.socket, self.user, self.key, self.room = socket, user, key, None
        self.shares_file = shares_file
        self.shares = json.loads(shares_file.read_text()) if shares_file.exists() else {}  # room -> share

    async def login(self, ticket):
        authenticator = seal(self.key, {"user_name": self.user, "timestamp": now()})
        login = {"type": "login", "service": SERVICE, "authenticator": authenticator, "service_ticket": ticket}
        await self.socket.send(json.dumps(login))

    async def send(self, kind, **fields):
        await self.socket.send(seal(self.key, {"type": kind, "from": self.user, "timestamp": now(), **fields}))

    async def go(self, room):
        self.room = room
        share = self.shares.get(room)
        await self.send("go_room", room=room, **({"secret": share} if share else {}))

    def keep_share(self, room, share):
        self.shares[room] = share
        self.shares_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self.shares_file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.shares, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.shares_file)

    async def command(self, line):
        word, *rest = line.split()
        if not line.startswith("/") and not self.room:
            tell("no room yet: /go ROOM enters one, /help lists all commands")
        elif not line.startswith("/"):
            await self.send("new_message", room=self.room, message={"text": line})
        elif word == "/new" and len(rest) >= 2:
            await self.send("new_room", room=rest[0], threshold=rest[1], users=[self.user, *rest[2:]])
        elif word == "/go" and len(rest) == 1:
            await self.go(rest[0])
        elif word == "/online" and not rest:
            await self.send("online")
        elif word == "/save" and len(rest) >= 2:
            await self.send("save_data", key=rest[0], data=" ".join(rest[1:]))
        elif word == "/get" and len(rest) == 1:
            await self.send("get_data", key=rest[0])
        elif word == "/delete" and len(rest) == 1:
            await self.send("delete_chat", room=rest[0])
        else:
            print(HELP, flush=True)

    def show(self, push):
        """What the server says, one way or another, whenever it likes."""
        kind, room = push.get("type"), push.get("room")
        name = room["room"] if isinstance(room, dict) else room
        if kind == "handshake":
            tell(f"logged in to {push['service']}; /help lists the commands")
        elif kind == "online":
            here, rooms, waiting = ([r["room"] if isinstance(r, dict) else r for r in push.get(k, [])]
                                    for k in ("users_online", "rooms", "rooms_waiting"))
            tell(f"online: {', '.join(here)}; rooms: {', '.join(rooms) or '-'}; waiting: {', '.join(waiting) or '-'}")
        elif kind == "new_message":
            message = push["new_message"]
            tell(f"[{message['room']}] {message['from']}: {message['text']}")
        elif kind == "new_room":
            if push["secret"]:
                self.keep_share(name, push["secret"])
            tell(f"room {name} of {', '.join(room['users'])}; {room['threshold']} must agree to open it")
        elif kind == "get_secret":
            tell(f"{push['asked_by']} asks to open {name}: /go {name} agrees")
        elif kind == "room_messages":
            tell(f"room {name} is open; {len(push['messages'])} messages so far")
            for message in push["messages"]:
                tell(f"[{name}] {message['from']}: {message['text']}")
        elif kind == "close_room":
            tell(f"room {name} is closed: {push['reason']}")
        elif kind == "data":
            tell(f"{push['key']} = {push['data']}")
        elif kind == "error":
            tell(f"error: {push['error']} ({push['code']})")

    async def listen(self):
        with contextlib.suppress(websockets.ConnectionClosedError):
            async for frame in self.socket:
                # Errors before the login has worked are plain JSON.
                self.show(json.loads(frame) if frame.startswith("{") else unseal(self.key, frame))
        tell(f"the server has closed the connection: {self.socket.close_code} {self.socket.close_reason}")


async def typed_lines(loop):
    """Standard input, line by line, read in a thread of its own: it may be a terminal, a pipe or a file."""
    queue = asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(queue.put_nowait, line.strip())
        loop.call_soon_threadsafe(queue.put_nowait, "/quit")

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) != "/quit":
        if line:
            yield line


async def talk(url, user, ticket, key, shares_file):
    address = "ws" + url.removeprefix("http") + "/chat"
    async with websockets.connect(address, max_size=1 << 20, compression=None) as socket:
        chat = Chat(socket, user, key, shares_file)
        await chat.login(ticket)
        listener = asyncio.create_task(chat.listen())

        async def type_lines():
            async for line in typed_lines(asyncio.get_running_loop()):
                await chat.command(line)

        typist = asyncio.create_task(type_lines())
        await asyncio.wait({listener, typist}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({listener}, timeout=1)  # the last answers
        listener.cancel()
        typist.cancel()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=os.environ.get("KERB_URL") or "http://127.0.0.1:8080", help="where the realm is")
    parser.add_argument("--shares", type=Path, help="file of our shares (default: ~/.local/state/kerb-example/USER.json)")
    parser.add_argument("user")
    args = parser.parse_args()
    url = args.url.rstrip("/")
    password = getpass.getpass(f"Password of {args.user}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise SystemExit("no password was given: type it, or put it on the first line of standard input")
    shares = args.shares or Path.home() / ".local/state/kerb-example" / f"{urllib.parse.quote(args.user, '')}.json"
    ticket, key = get_ticket(url, args.user, password, SERVICE)
    try:
        asyncio.run(talk(url, args.user, ticket, key, shares))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
