"""A chat client on the websockets library, driven from ordinary test code."""
import asyncio
import itertools
import json
import threading
import weakref

import websockets

from . import classic

WAIT_S = 15

_labels = itertools.count(1)
_open = weakref.WeakSet()
_loop = None


def loop():
    """One event loop in a thread of its own serves all clients of this process."""
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, daemon=True).start()
    return _loop


def run(coroutine, timeout=WAIT_S + 5):
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result(timeout)


class Chat:
    """
    One connection. Every frame that comes lies in `inbox` until a test takes it with expect().
    greet=False leaves the login to the test; extensions=True makes it send labels and get ack.
    """

    def __init__(self, realm, ticket, greet=True, extensions=False, path="/chat", origin=None, headers=None,
                 subprotocols=None, **login):
        self.realm, self.ticket, self.user, self.key = realm, ticket, ticket.user, ticket.key
        self.extensions = extensions
        self.inbox, self.changed = [], threading.Condition()
        self.close_code = self.close_reason = None
        self.shares = {}
        self.greeted = False
        host, port = realm.chat_addr

        async def connect():
            return await websockets.connect(f"ws://{host}:{port}{path}", origin=origin, extra_headers=headers,
                                            subprotocols=subprotocols,
                                            compression=None, ping_interval=None, max_size=2 << 20, max_queue=None,
                                            close_timeout=2)
        self.ws = run(connect())
        self.task = asyncio.run_coroutine_threadsafe(self._read(), loop())
        _open.add(self)
        if greet:
            if extensions:
                login["extensions"] = True
            self.send_plain(ticket.login_frame(**login))
            self.hello = self.expect("handshake")

    async def _read(self):
        try:
            async for raw in self.ws:
                try:
                    frame = self._decode(raw)
                except Exception as e:  # seen by the test as a frame of this type
                    frame = {"type": "UNREADABLE", "raw": raw, "why": repr(e)}
                with self.changed:
                    self.inbox.append(frame)
                    self.changed.notify_all()
        except websockets.ConnectionClosed:
            pass
        with self.changed:
            self.close_code, self.close_reason = self.ws.close_code, self.ws.close_reason
            self.changed.notify_all()

    def _decode(self, raw):
        assert isinstance(raw, str), "a binary frame in the classic profile"
        if raw.startswith("{"):
            assert not self.greeted, "a plain frame after login"
            return {**json.loads(raw), "_plain": True}
        frame = classic.open_box(self.key, raw)
        self.greeted = True
        if frame.get("type") == "new_room" and frame.get("secret"):
            self.shares[frame["room"]["room"]] = frame["secret"]
            self.realm.remember("share", frame["secret"])
            self.realm.remember("share value", frame["secret"].split("-")[1])
        return frame

    # --- sending ---

    def send_raw(self, data):
        run(self.ws.send(data))

    def send_many(self, many):
        self.push(many).result(120)

    def push(self, many):
        """Sends without waiting; a future."""
        async def go():
            for data in many:
                await self.ws.send(data)
        return asyncio.run_coroutine_threadsafe(go(), loop())

    def send_plain(self, frame):
        self.send_raw(json.dumps(frame))

    def seal(self, type_, offset_s=0, **fields):
        """The box of one request, not sent yet."""
        return classic.seal(self.key, {"type": type_, "timestamp": classic.stamp(offset_s), **fields})

    def send(self, type_, **fields):
        self.send_raw(self.seal(type_, **fields))
        return self

    # --- waiting ---

    def _fits(self, frame, type_, fields):
        if type_ is not None and frame.get("type") != type_:
            return False
        for name, want in fields.items():
            have = frame.get(name)
            if name == "room" and isinstance(have, dict) and isinstance(want, str):
                have = have.get("room")
            if not (want(have) if callable(want) else have == want):
                return False
        return True

    def take(self, type_=None, **fields):
        """Takes the frames that are here and fit; waits for nothing."""
        with self.changed:
            fit = [f for f in self.inbox if self._fits(f, type_, fields)]
            self.inbox = [f for f in self.inbox if not any(f is x for x in fit)]
            return fit

    def expect(self, type_=None, timeout=WAIT_S, **fields):
        """Takes the first frame that fits, waiting for it."""
        with self.changed:
            def first():
                return next((f for f in self.inbox if self._fits(f, type_, fields)), None)
            self.changed.wait_for(lambda: first() is not None or self.close_code is not None, timeout)
            frame = first()
            if frame is None:
                raise AssertionError(f"{self.user}: no {type_} {fields}; closed: {self.close_code}; inbox: "
                                     f"{json.dumps(self.inbox, default=repr)[:2000]}")
            self.inbox = [f for f in self.inbox if f is not frame]
            return frame

    def ask(self, type_, answer, match=None, **fields):
        """Sends a request and takes its answer. With extensions, the answer must carry the request's label."""
        if self.extensions:
            fields["id"] = f"label-{next(_labels)}"
            match = {**(match or {}), "id": fields["id"]}
        self.send(type_, **fields)
        return self.expect(answer, **(match or {}))

    def error(self, type_, **fields):
        """Sends a request that must be refused; returns the code. The connection must stay."""
        e = self.ask(type_, "error", {"request": type_}, **fields)
        assert isinstance(e["error"], str) and e["error"], e
        return e["code"]

    def fence(self):
        """Waits until everything sent to this connection because of earlier requests has arrived."""
        key = f"fence-{next(_labels)}"
        self.send("get_data", key=key)
        self.expect("data", key=key)
        return self

    def online(self):
        """The lists as of now: an unasked `online` may come before or behind the answer, the last one counts."""
        self.take("online")
        self.send("online")
        self.fence()
        return self.take("online")[-1]

    def refuses(self, type_=None, **fields):
        """No frame that fits has come; everything that earlier requests of this connection caused is here."""
        self.fence()
        got = self.take(type_, **fields)
        assert not got, got

    def closed(self, timeout=WAIT_S):
        """The close code that the server gave (1006: none)."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.close_code is not None, timeout), "the connection stays open"
            return self.close_code

    # --- leaving ---

    def close(self):
        if self.close_code is None:
            run(self.ws.close())
        self.closed()

    def cut(self):
        """Ends the connection without a word."""
        loop().call_soon_threadsafe(self.ws.transport.abort)
        self.closed()

    # --- rooms, in short ---

    def new_room(self, room, threshold, users, **more):
        """Makes a room; returns what new_room pushed to the maker."""
        self.send("new_room", room=room, threshold=threshold, users=[getattr(u, "name", u) for u in users], **more)
        return self.expect("new_room", room=room)

    def leave(self, room):
        """delete_chat of a room that others stay in: no push tells the one who leaves, but it is stored then."""
        self.send("delete_chat", room=room)
        self.fence()

    def delete(self, room):
        """delete_chat that takes the room along."""
        self.send("delete_chat", room=room)
        assert self.expect("close_room", room=room)["reason"] == "deleted"

    def contribute(self, room):
        self.send("secret", room=room, secret=self.shares[room])

    def enter(self, room, **more):
        self.send("go_room", room=room, **more)
        return self.expect("room_messages", room=room)

    def say(self, room, text):
        """Sends a message and waits until it has come back: it is stored then."""
        self.realm.remember("text", text)
        self.send("new_message", room=room, message={"text": text})
        return self.expect("new_message", room=room, new_message=lambda m: m and m["text"] == text)["new_message"]

    def heard(self, room, text):
        return self.expect("new_message", room=room, new_message=lambda m: m and m["text"] == text)["new_message"]


def close_all(realm=None):
    """Cuts what tests have left open."""
    for c in [c for c in _open if realm in (None, c.realm)]:
        if c.close_code is None:
            loop().call_soon_threadsafe(c.ws.transport.abort)
        _open.discard(c)
