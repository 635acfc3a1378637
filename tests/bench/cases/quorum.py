"""A quorum room with 100,000 stored messages: how long the first page of its history takes, and pages far back."""
import json

from kerbbench.clients import names

MEMBERS, THRESHOLD = 3, 2
MESSAGES, WINDOW = 100000, 256
ROOM = "archive"
TEXT = "kerb" * 32
PAGES = 20  # of a round
OPEN_MS = 20
QUIET_MS = 7000  # until the last unasked `online` is over


def secret(share):
    return json.dumps({"type": "secret", "id": "s", "room": ROOM, "secret": share})


def history(before):
    return json.dumps({"type": "get_history", "room": ROOM, "before": before, "limit": 200})


def fill(bench, load, users):
    """Makes the room, opens it, and writes. Returns the shares."""
    bench.new_room(load, ROOM, users, threshold=THRESHOLD)
    load.do("quiet", 1000)
    shares = [load.do("share", i)["share"] for i in range(MEMBERS)]
    for i in range(THRESHOLD):
        load.do("ask_on", i, "ack", secret(shares[i]))
    load.do("quiet", QUIET_MS)
    load.blast(count=MESSAGES, window=WINDOW, senders=MEMBERS, room=ROOM, text=TEXT)
    return shares


def open_room(load, shares):
    """Presents the shares. Returns the time from the last one to the page, and its size."""
    for i in range(THRESHOLD - 1):
        load.do("ask_on", i, "ack", secret(shares[i]))
    return load.do("time_on", THRESHOLD - 1, "room_messages", secret(shares[THRESHOLD - 1]))


def page_ms(load, before):
    return min(load.do("time_on", 0, "room_messages", history(before))["us"] for _ in range(PAGES)) / 1000


def run(bench):
    users = names(MEMBERS, "keeper")
    server = bench.start("chat")
    lines = bench.sealed_connections(users, MEMBERS)
    load = bench.load(server, lines)
    shares = fill(bench, load, users)
    opened, newest, oldest = [], [], []
    for _ in range(bench.args.rounds):
        load.stop()  # nobody is there: it closes
        load = bench.load(server, lines)
        load.do("quiet", 1000)
        page = open_room(load, shares)
        opened.append(page["us"] / 1000)
        newest.append(page_ms(load, MESSAGES))
        oldest.append(page_ms(load, 300))
    load.stop()
    bench.stop(server)
    bench.row_alone(f"opening a quorum room of {MESSAGES} messages: from the last share to the first page", opened, OPEN_MS,
                    unit="ms", note=f"a page of {page['bytes']} bytes")
    bench.row("a page of 200 messages from the begin of the room; from its end", oldest, newest, None, unit="ms")


CASES = {"quorum": run}
