"""Who is online: what somebody's coming or going costs, by how many others are there; by subscription, and by the lists."""
import resource
import time

from kerbbench.clients import names

SIZES = 1000, 5000, 10000  # connections, each of a user of his own
EVENTS = 40                # so many come, and go at once
EACH_S = 0.25
HOLD_S, ROUND_S = 20, 2.5  # until all subscribers were told that the last one has gone
LIST_PAUSE_PER_CONN_S, LIST_AGAIN_S = 1 / 500, 5
GROWTH = 1.5               # of the cost for each connection, from the smallest size to the largest
SUBSCRIBE = '{"type":"subscribe","presence":true,"id":"s#"}'


def raise_limits():
    """A connection is a file, of the daemon and of the load generator."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def churn(bench, server, guests, wait_s):
    """Guests come and go, one after the other. CPU of the daemon until the last of it was told, in us."""
    before = server.cpu_us()
    for line in guests:
        began = time.monotonic()
        bench.load(server, [line]).stop()
        time.sleep(max(0, EACH_S - (time.monotonic() - began)))
    time.sleep(wait_s)
    return server.cpu_us() - before


def each_event(cost, without):
    """A coming and a going are two."""
    return (cost - without) / (2 * EVENTS)


def by_subscription(bench, server, n, guests):
    """Beside the same without subscribers: what the logins themselves cost, and the pings."""
    wait_s = HOLD_S + 2 * ROUND_S
    load = bench.load(server, bench.sealed_connections(names(n, "member"), n))
    time.sleep(wait_s)
    without = churn(bench, server, guests, wait_s)
    load.do("each", "presence", SUBSCRIBE)
    time.sleep(ROUND_S)
    costs = [each_event(churn(bench, server, guests, wait_s), without) for _ in range(bench.args.rounds)]
    load.stop()
    return costs, without


def by_lists(bench, server, n, guests, without):
    """The lists of connections without extensions come later the more there are."""
    wait_s = LIST_AGAIN_S + 2 * n * LIST_PAUSE_PER_CONN_S + ROUND_S
    load = bench.load(server, bench.classic_connections(names(n, "member"), n))
    time.sleep(wait_s)
    cost = each_event(churn(bench, server, guests, wait_s), without)
    load.stop()
    return [cost]


def run(bench):
    raise_limits()
    server, curve = bench.start("chat"), {}
    guests = bench.sealed_connections(names(EVENTS, "guest"), EVENTS)
    bench.load(server, guests).stop()  # first logins are rows of the database
    for n in SIZES:
        costs, without = by_subscription(bench, server, n, guests)
        time.sleep(HOLD_S)
        lists = by_lists(bench, server, n, guests, without)
        time.sleep(HOLD_S)
        curve[n] = [1000 * c / n for c in costs]
        bench.row(f"{n} online: one comes or goes, subscribers; lists", costs, lists, None,
                  note=f"{sorted(curve[n])[len(costs) // 2]:.0f} ns and {1000 * lists[0] / n:.0f} ns for each connection")
    bench.row(f"the same for each subscriber, of {SIZES[-1]}; of {SIZES[0]}", curve[SIZES[-1]], curve[SIZES[0]], GROWTH,
              unit="ns")
    bench.stop(server)


LONG_CASES = {"presence": run}  # a quarter of an hour: it waits for what is told with a delay
