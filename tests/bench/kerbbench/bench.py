"""One run: the realm, what is started in it, and the table."""
import functools
import json
import os
import statistics
import sys

from kerbtest import classic, realm as realms

from .clients import Mint
from .server import BUILD, Load, Server, tool

KDC_USERS = 20  # at most 4,096 requests of one client are remembered at a time
# What limits one client is not what is measured here: all of them come from one address, and few users make all the load.
CONFIG = {"log": {"level": "info"}, "chat": {"connections_per_address_max": 20000, "connections_per_user_max": 1000,
                                             "request_rate": 1000000, "request_burst": 1000000}}


def figure(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.2f}"


def verdict(is_reached, target):
    return "" if target is None else "reached" if is_reached else "FALLS SHORT"


class Bench:
    """What a case gets: args (rounds, threads), dir (its files), realm, users of the AS, and the functions below."""

    def __init__(self, args, directory):
        self.args, self.dir = args, directory
        self.running, self.rows, self.figures = [], [], {}
        self.config = {**CONFIG, "as": {"threads": args.threads}, "tgs": {"threads": args.threads}}
        self.realm = self.new_realm("realm")

    @functools.cached_property
    def users(self):
        """Users of the AS."""
        print("making users", file=sys.stderr, flush=True)
        return self.realm.add_users(KDC_USERS)

    def new_directory(self, name):
        path = os.path.join(self.dir, name)
        os.mkdir(path, 0o700)
        return path

    # --- servers ---

    def start(self, name, realm=None, program=None):
        """A daemon: as, tgs, chat. program: another one in its place; realm: another one than the run's."""
        realm = realm or self.realm
        argv = [program or os.path.join(BUILD, "bin", "kerb-" + name), "--config", realm.conf]
        log = os.path.join(realm.dir, f"kerb-{name}.log")
        server = realm.daemons[name] = self.add(Server(argv, log))
        return server

    def new_realm(self, name):
        return realms.Realm(os.path.join(self.dir, name), config=self.config, bin_dir=os.path.join(BUILD, "bin"))

    def reference(self, name, *words):
        """A program of build/bench/bench that prints its port."""
        return self.add(Server([tool(name), *words], os.path.join(self.dir, name + ".log"), prints_port=True))

    def add(self, server):
        """One that was started elsewhere: it is stopped with the others. Returns it."""
        self.running.append(server)
        return server

    def stop(self, server):
        server.stop()
        self.running.remove(server)

    def stop_all(self):
        for server in list(self.running):
            self.stop(server)

    # --- what is shown ---

    def row(self, what, ours, reference, target, note="", unit="us"):
        """ours, reference: the figure of each round; the ratio of the medians is to be at most target. None: only shown."""
        self._row(what, ours, reference, note, unit, target, "<=")

    def row_at_least(self, what, ours, reference, target, note="", unit="/s"):
        """The same for what is to be large: a rate."""
        self._row(what, ours, reference, note, unit, target, ">=")

    def _row(self, what, ours, reference, note, unit, target, sign):
        ours_is, reference_is = statistics.median(ours), statistics.median(reference)
        ratio = ours_is / reference_is
        self.figures[what] = {"unit": unit, "ours": ours, "reference": reference, "ratio": ratio, "asked": target}
        self.rows.append((what, f"{figure(ours_is)} {unit}", f"{figure(reference_is)} {unit}", f"{ratio:.2f}",
                          "" if target is None else f"{sign} {target:g}",
                          verdict(target is None or (ratio <= target if sign == "<=" else ratio >= target), target), note))

    def row_alone(self, what, ours, target, note="", unit="us"):
        """A figure without a reference: the median is to be at most target; None: it is only shown."""
        ours_is = statistics.median(ours)
        self.figures[what] = {"unit": unit, "ours": ours, "asked": target}
        self.rows.append((what, f"{figure(ours_is)} {unit}", "", "", "" if target is None else f"<= {target:g} {unit}",
                          verdict(target is None or ours_is <= target, target), note))

    def print_table(self):
        head = ("figure (medians of the rounds)", "ours", "reference", "ratio", "asked", "", "")
        rows = [head, *self.rows]
        width = [max(len(r[i]) for r in rows) for i in range(len(head))]
        for r in rows:
            print("  ".join(c.ljust(w) if i in (0, 5, 6) else c.rjust(w) for i, (c, w) in enumerate(zip(r, width))).rstrip())

    # --- clients of the chat ---

    def classic_connections(self, users, n):
        """n lines for load_chat: users (names, see clients.py) in turn."""
        return Mint(self.realm).classic_lines(users, n)

    def sealed_connections(self, users, n, realm=None):
        return Mint(realm or self.realm).sealed_lines(users, n)

    def load(self, server, lines, *options):
        return Load(server.port, lines, self.dir, *options)

    def new_room(self, load, room, users, **more):
        """An open room of these users (names), made by connection 0. Returns the answer."""
        made = load.do("ask", "new_room", json.dumps({
            "type": "new_room", "room": room, "threshold": 0, "users": users, "timestamp": classic.stamp(), **more}))
        if made["type"] != "new_room":
            raise SystemExit(f"no room: {made}")
        return made
