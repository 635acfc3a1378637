"""Connections that do nothing: their memory, and the CPU that they take."""
from kerbbench.clients import names

CONNECTIONS = 5000
IDLE_S = 35  # longer than a ping interval


def run_idle(bench):
    server = bench.start("chat")
    before = server.rss_kib()
    load = bench.load(server, bench.classic_connections(names(100), CONNECTIONS))
    load.do("quiet", 15000)
    each = (server.rss_kib() - before) / CONNECTIONS
    cpu = server.cpu_us()
    load.do("hold", IDLE_S * 1000)
    share = (server.cpu_us() - cpu) / (IDLE_S * 1e6)
    load.stop()
    bench.stop(server)
    bench.row_alone(f"{CONNECTIONS} idle logged-in connections, memory of each", [each], 12, unit="KiB",
                    note=f"{share * 100:.2f} % of a core in {IDLE_S} s with pings")


CASES = {"idle": run_idle}
