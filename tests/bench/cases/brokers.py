"""One room of 500 connections against Mosquitto and nats-server over TLS: what a delivery costs, and how late it is."""
from kerbbench import brokers
from kerbbench.clients import names

from .chat import CONNECTIONS, TEXT, USERS, blast

SHORT = ((1, 60), (16, 1000))   # messages in flight, messages of a round
PACE, PACED = 20, 60            # messages a second, messages of a round
OURS, FRONTED, MOSQUITTO, NATS = "kerb-chat", "kerb-chat behind nginx with TLS", "Mosquitto", "NATS"
ASKED = {(OURS, MOSQUITTO, 1): 1, (OURS, NATS, 1): 1, (OURS, NATS, 16): 1}  # the ratio is to be at most that


class Subject:
    """A room with its connections, and the servers whose CPU time its deliveries cost."""

    def __init__(self, bench, servers, room, lines, *options):
        self.servers, self.room = servers, room
        self.load = bench.load(servers[-1], lines, *options)

    def cpu_us(self):
        return sum(s.cpu_us() for s in self.servers)

    def cost(self, window, messages):
        return blast(self, self.load, messages, window, room=self.room)["us"]

    def p99_ms(self):
        return self.load.blast(count=PACED, window=PACED, senders=USERS, room=self.room, text=TEXT,
                               rate=PACE)["p99_us"] / 1000


def chat_subject(bench, servers, room, *options):
    users = names(USERS, room)
    subject = Subject(bench, servers, room, bench.sealed_connections(users, CONNECTIONS), *options)
    bench.new_room(subject.load, room, users)
    return subject


def start_all(bench):
    chat = bench.start("chat")
    mosquitto, nats = bench.add(brokers.mosquitto(bench.dir)), bench.add(brokers.nats(bench.dir))
    subjects = {
        OURS: chat_subject(bench, [chat], "direct"),
        FRONTED: chat_subject(bench, [chat, bench.add(brokers.nginx(bench.dir, chat.port))], "fronted", "tls"),
        MOSQUITTO: Subject(bench, [mosquitto], "room", ["mqtt room"] * CONNECTIONS, "tls"),
        NATS: Subject(bench, [nats], "room", ["nats room"] * CONNECTIONS, "tls"),
    }
    for name in (OURS, FRONTED):
        subjects[name].load.do("quiet", 7000)
    return subjects


def show(bench, costs, late):
    for window, _ in SHORT:
        for ours in (OURS, FRONTED):
            for theirs in (MOSQUITTO, NATS):
                bench.row(f"sealed, {ours}, delivered frame, {window} in flight; {theirs} over TLS", costs[ours, window],
                          costs[theirs, window], ASKED.get((ours, theirs, window)))
    for ours, target in ((OURS, 1), (FRONTED, None)):
        bench.row(f"sealed, {ours}, p99 of delivery at {PACE} messages/s; {MOSQUITTO} over TLS", late[ours],
                  late[MOSQUITTO], target, unit="ms")


def run(bench):
    brokers.need_packages()
    subjects = start_all(bench)
    costs = {(name, window): [] for name in subjects for window, _ in SHORT}
    late = {name: [] for name in subjects}
    for is_warm in [False] + [True] * bench.args.rounds:
        for name, subject in subjects.items():
            for window, messages in SHORT:
                cost = subject.cost(window, messages)
                if is_warm:
                    costs[name, window].append(cost)
            if is_warm:
                late[name].append(subject.p99_ms())
    show(bench, costs, late)
    for subject in subjects.values():
        subject.load.stop()
    for server in {s for subject in subjects.values() for s in subject.servers}:
        bench.stop(server)


CASES = {"brokers": run}
