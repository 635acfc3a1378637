"""Acknowledged messages: the rate against the same loop without a store, the store's cost against a bare writer."""
import json
import statistics
import subprocess

from kerbbench.clients import names
from kerbbench.server import tool

SENDERS = 50
WINDOW = 4        # messages of a sender that are not acknowledged yet
MESSAGES = 20000  # a round
TEXT = "kerb" * 32
BOX = 6 + 16 + 144 + 16  # an envelope of such a text
P99_MS = 10


class Subject:
    def __init__(self, bench, server, realm):
        self.server, self.realm = server, realm
        self.load = bench.load(server, bench.sealed_connections(names(SENDERS, "sender"), SENDERS, realm))
        self.load.do("each", "new_room", '{"type":"new_room","room":"acks#","threshold":0,"users":[]}')
        self.load.do("quiet", 3000)
        self.acks(MESSAGES // 10)

    def acks(self, count):
        result = self.load.do("acks", json.dumps({"count": count, "window": WINDOW, "room": "acks", "text": TEXT}))
        result["rate"] = result["acks"] / result["seconds"]
        return result

    def commits(self):
        return self.realm.metrics("chat")["kerb_commit_seconds_count"]


def store_round(subject):
    """A round with a store, and what its thread took."""
    cpu, commits = subject.server.thread_cpu_us("store"), subject.commits()
    result = subject.acks(MESSAGES)
    result["store_us"] = (subject.server.thread_cpu_us("store") - cpu) / MESSAGES
    result["batch"] = MESSAGES / (subject.commits() - commits)
    return result


def writer_round(bench, i, batch):
    directory = bench.new_directory(f"writer{i}")
    out = subprocess.run([tool("ref_commit"), directory, str(MESSAGES), str(batch), str(BOX)], stdout=subprocess.PIPE,
                         check=True).stdout
    return json.loads(out)["us"]


def run(bench):
    other = bench.new_realm("nostore")
    ours = Subject(bench, bench.start("chat"), bench.realm)
    bare = Subject(bench, bench.start("chat", other, tool("ref_nostore")), other)
    stored, unstored, writer = [], [], []
    for i in range(bench.args.rounds):
        stored.append(store_round(ours))
        unstored.append(bare.acks(MESSAGES))
        writer.append(writer_round(bench, i, round(stored[-1]["batch"])))
    for subject in (ours, bare):
        subject.load.stop()
        bench.stop(subject.server)
    batch = statistics.median(r["batch"] for r in stored)
    bench.row_at_least(f"acknowledged messages, {SENDERS} senders with {WINDOW} in flight each; without a store",
                       [r["rate"] for r in stored], [r["rate"] for r in unstored], 0.6)
    bench.row("store thread, per row; bare group-commit writer", [r["store_us"] for r in stored], writer, 2,
              f"{batch:.0f} rows in a transaction")
    bench.row_alone(f"p99 of the ack, {SENDERS} senders", [r["p99_us"] / 1000 for r in stored], P99_MS, unit="ms",
                    note=f"without a store {statistics.median(r['p99_us'] for r in unstored) / 1000:.2f} ms")


CASES = {"acks": run}
