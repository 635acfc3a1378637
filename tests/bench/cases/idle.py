"""10,000 sealed connections that do nothing: their memory, the CPU that they take, and what a login costs beside them."""
import time

from kerbbench.clients import names

CONNECTIONS, PER_USER = 10000, 5
FEW = 100
LOGINS = 200  # one after the other
IDLE_S = 35   # longer than a ping interval
SETTLED_SHARE, SETTLE_S = 0.01, 90
KIB_EACH, CPU_SHARE, LOGIN_RATIO = 8, 0.01, 1.5


def settle(server):
    """Until what the logins have set going is over: presence, pings in step."""
    end = time.monotonic() + SETTLE_S
    while time.monotonic() < end:
        before = server.cpu_us()
        time.sleep(2)
        if (server.cpu_us() - before) / 2e6 < SETTLED_SHARE:
            return
    raise SystemExit(f"the chat is not quiet after {SETTLE_S} s")


def logins(bench, server, users):
    """What one costs, and how long it takes."""
    settle(server)
    before = server.cpu_us()
    load = bench.load(server, bench.sealed_connections(users, LOGINS), "serial")
    cost = (server.cpu_us() - before) / LOGINS
    load.stop()
    return cost, load.connected["p50_us"]


def run(bench):
    users = names(CONNECTIONS // PER_USER, "idler")
    lines = bench.sealed_connections(users, CONNECTIONS)
    newcomers = names(LOGINS, "newcomer")
    server = bench.start("chat")
    bench.load(server, bench.sealed_connections(newcomers, LOGINS)).stop()  # first logins are rows of the database
    settle(server)
    rss = server.rss_kib()
    few = bench.load(server, lines[:FEW])
    at_few = [logins(bench, server, newcomers) for _ in range(bench.args.rounds)]
    many = bench.load(server, lines[FEW:])
    settle(server)
    each = (server.rss_kib() - rss) / CONNECTIONS
    cpu = server.cpu_us()
    many.do("hold", IDLE_S * 1000)
    share = (server.cpu_us() - cpu) / (IDLE_S * 1e6)
    at_many = [logins(bench, server, newcomers) for _ in range(bench.args.rounds)]
    few.stop()
    many.stop()
    bench.stop(server)
    bench.row_alone(f"{CONNECTIONS} idle sealed connections, memory of each", [each], KIB_EACH, unit="KiB",
                    note=f"from {rss} KiB without them")
    bench.row_alone(f"{CONNECTIONS} idle sealed connections, share of a core", [share * 100], CPU_SHARE * 100, unit="%",
                    note=f"in {IDLE_S} s, with a ping of each")
    bench.row(f"a login, CPU, with {CONNECTIONS} connections; with {FEW}", [c for c, _ in at_many], [c for c, _ in at_few],
              LOGIN_RATIO)
    bench.row(f"a login, time (p50), with {CONNECTIONS} connections; with {FEW}", [t for _, t in at_many],
              [t for _, t in at_few], LOGIN_RATIO)


CASES = {"idle": run}
