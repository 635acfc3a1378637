"""1,000 rooms of 20 connections against one room of 500, with the same connections: what a delivered frame costs."""
import json

from kerbbench.clients import names

from .chat import CONNECTIONS, USERS, blast

ROOMS = 1000
MEMBERS = 4                     # with five connections each
EACH = MEMBERS * CONNECTIONS // USERS
STEPS = ((1, 300), (16, 3000))  # messages in flight in the one room, messages of a round there
TARGET = 1.5


def members(users, room):
    """Four users in turn: in 25 rooms that follow on each other nobody is twice."""
    return [users[(room * MEMBERS + i) % USERS] for i in range(MEMBERS)]


def make_rooms(load, users):
    """By the first member of each; connection i belongs to user i."""
    for lap in range(ROOMS * MEMBERS // USERS):
        first = lap * USERS // MEMBERS
        for room in range(first, first + USERS // MEMBERS):
            load.do("ask_on", (room * MEMBERS) % USERS, "new_room", json.dumps({
                "type": "new_room", "room": f"many{room}", "threshold": 0, "users": members(users, room)}))


def run(bench):
    users = names(USERS, "roomer")
    server = bench.start("chat")
    load = bench.load(server, bench.sealed_connections(users, CONNECTIONS))
    bench.new_room(load, "single", users)
    make_rooms(load, users)
    load.do("quiet", 7000)
    for window, messages in STEPS:
        spread = {"room": "many", "rooms": ROOMS, "each": EACH, "stride": MEMBERS}
        more = CONNECTIONS // EACH  # as many frames in flight, and delivered, as in the one room
        blast(server, load, messages * more // 4, window * more, **spread)
        many, single = [], []
        for _ in range(bench.args.rounds):
            many.append(blast(server, load, messages * more, window * more, **spread)["us"])
            single.append(blast(server, load, messages, window, room="single")["us"])
        bench.row(f"sealed, delivered frame, {ROOMS} rooms of {EACH}, {window * more} in flight; one room of {CONNECTIONS}, "
                  f"{window} in flight", many, single, TARGET)
    load.stop()
    bench.stop(server)


CASES = {"rooms": run}
