"""A client that keeps to the rules of docs/PROTOCOL.md, 5.1 and 5.3, so that it shows each message once and in order."""
import collections
import itertools
import threading
import time

import websockets

from .sealed import SealedChat

PAGE = 50
AT_ONCE = 8     # messages on their way that are not acknowledged
AGAIN_S = 0.2   # what could not be done is tried again


class Follower:
    """
    Runs in a thread of its own until stop(). rooms: those that it sends to, `sealed` those with a secret, whose share it
    presents whenever the room is closed. cut() ends its connection without a word.
    """

    def __init__(self, realm, ticket, rng, shares=None):
        self.realm, self.ticket, self.user, self.rng = realm, ticket, ticket.user, rng
        self.shares = dict(shares or {})
        self.shown, self.last = {}, {}
        self.asked, self.behind = set(), set()  # rooms whose next page is on its way; rooms of which something is missing
        self.outbox, self.sent = {}, {}         # cid -> (room, text), until the ack; cid -> when it may be sent again
        self.history_id = self.resume = self.conn = None
        self.processed = 0
        self.trace = collections.deque(maxlen=20)  # for who wants to know what went wrong
        self.resumed = {True: 0, False: 0}
        self.problem = None
        self.labels = itertools.count()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __str__(self):
        return f"{self.user}: shown up to {self.last}, behind in {self.behind}, asked for {self.asked}; " \
               f"closed: {self.conn and self.conn.close_code}, {self.processed} records processed"

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def cut(self):
        conn = self.conn
        if conn and conn.close_code is None:
            conn.cut()

    # --- what it shows ---

    def show(self, room, message):
        seq = message["seq"]
        assert seq == self.last.get(room, 0) + 1, f"{self.user}: {room}: {seq} is shown behind {self.last.get(room, 0)}"
        self.last[room] = seq
        self.shown.setdefault(room, []).append(message["text"])

    def take(self, room, message):
        """A message that has come: shown when it is the next one; when it is a later one, the history has it, too."""
        if message["seq"] == self.last.get(room, 0) + 1:
            self.show(room, message)
        elif message["seq"] > self.last.get(room, 0):
            self.ask(room)

    # --- what it asks for ---

    def send(self, type_, **fields):
        try:
            self.conn.send(type_, **fields)
        except (websockets.ConnectionClosed, OSError):  # the loop will see it
            pass

    def ask(self, room):
        self.behind.add(room)
        if room not in self.asked:
            self.asked.add(room)
            self.send("get_history", room=room, after=self.last.get(room, 0), limit=PAGE, id=f"h{room}")

    def present(self, room):
        if room in self.shares:
            self.send("secret", room=room, secret=self.shares[room], id=f"s{next(self.labels)}")

    def say(self, room, text, cid):
        self.outbox[cid] = (room, text)

    def send_some(self):
        now = time.monotonic()
        for cid, (room, text) in list(self.outbox.items())[:AT_ONCE]:
            if self.sent.get(cid, 0) <= now:
                self.sent[cid] = float("inf")
                self.send("new_message", room=room, message=text, cid=cid, id=f"m{cid}")

    # --- what the server says ---

    def on_handshake(self, f):
        assert self.history_id in (None, f["history_id"])
        self.history_id = f["history_id"]
        resumed = f.get("resumed", False)
        if self.resume:
            self.resumed[resumed] += 1
        for r in f["rooms"]:
            is_open = r["threshold"] == 0 or r["opened"]
            if is_open and r["head"] > self.last.get(r["room"], 0) and (not resumed or r["room"] in self.behind):
                self.ask(r["room"])
        self.resume = None
        self.send("online")  # which rooms wait for shares

    def on_online(self, f):
        for r in f["rooms"] + f["rooms_waiting"]:
            if r["threshold"] and not r["opened"]:
                self.present(r["room"])

    def on_new_room(self, f):
        if f["secret"]:
            self.shares[f["room"]["room"]] = f["secret"]

    def on_new_message(self, f):
        self.take(f["room"], f["new_message"])

    def on_room_messages(self, f):
        room, messages = f["room"]["room"], f["messages"]
        if "more_after" not in f:  # the room opens: its newest
            for m in messages[:1] if messages and messages[0]["seq"] > self.last.get(room, 0) + 1 else messages:
                self.take(room, m)
            return
        self.asked.discard(room)
        for m in messages:
            if m["seq"] > self.last.get(room, 0):
                self.show(room, m)
        self.behind.discard(room)
        if f["more_after"]:
            self.ask(room)

    def on_close_room(self, f):
        self.present(f["room"]["room"])

    def on_get_secret(self, f):
        self.present(f["room"]["room"])

    def on_lagged(self, f):
        self.ask(f["room"])

    def on_ack(self, f):
        if "cid" in f:
            self.outbox.pop(f["cid"], None)

    def on_error(self, f):
        label = f.get("id", "")
        if label.startswith("m"):
            assert f["code"] in ("room_closed", "rate_limited", "internal"), f
            self.sent[label[1:]] = time.monotonic() + AGAIN_S
        elif label.startswith("h"):  # the room closed meanwhile: when it opens, its messages come
            assert f["code"] == "room_closed", f
            self.asked.discard(label[1:])
        else:
            assert f["request"] == "secret", f

    # --- its life ---

    def _handle(self, frame):
        if "_plain" in frame:  # of the handshake of keys: no record
            return
        self.processed += 1
        self.trace.append((frame["type"], frame.get("room", {}), frame.get("new_message", {}).get("seq")))
        handler = getattr(self, "on_" + frame["type"], None)
        if handler:
            handler(frame)

    def _connect(self):
        self.asked.clear()
        self.sent.clear()
        self.processed = 0
        try:
            conn = SealedChat(self.realm, self.ticket, resume=self.resume)
        except Exception:  # the daemon is not there, or was killed in the middle of it
            return None
        self.conn = conn
        self._handle(conn.hello)
        return conn

    def _drop(self, conn):
        """Sometimes the last of what arrived was not processed."""
        rest = conn.take()
        for f in rest[:self.rng.randrange(len(rest) + 1)] if self.rng.random() < 0.5 else rest:
            self._handle(f)
        self.resume = {"token": conn.welcome["resume"], "last": self.processed - 1}

    def _talk(self, conn):
        while not self.stopping.is_set() and conn.close_code is None:
            with conn.changed:
                conn.changed.wait_for(lambda: conn.inbox or conn.close_code is not None, 0.05)
                frames, conn.inbox = conn.inbox, []
            for f in frames:
                self._handle(f)
            self.send_some()

    def _run(self):
        try:
            while not self.stopping.is_set():
                conn = self._connect()
                if not conn:
                    time.sleep(0.05 + 0.1 * self.rng.random())
                    continue
                self._talk(conn)
                if not self.stopping.is_set():
                    self._drop(conn)
        except BaseException as e:
            self.problem = e
            raise
        finally:
            self.cut()
