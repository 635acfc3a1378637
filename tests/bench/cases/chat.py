"""One room of 500 connections: what a delivered frame costs, against a bare broadcaster, in both profiles."""
from kerbbench.clients import names

USERS = 100
CONNECTIONS = 500
TEXT = "kerb" * 32  # 128 bytes
WINDOWS = (         # messages in flight, messages of a round, what the reference does, at most
    (1, 300, "plain", 1.2),
    (16, 3000, "gather", 1.6),
    (256, 6000, "gather", 1.6),
)
AAD = 7 + 2 + len("TEST.REALM") + 2 + 3 + 2 + len("chat") + 2 + 16  # of a record, without its number


def blast(server, load, messages, window, **how):
    before = server.cpu_us()
    result = load.blast(**{"count": messages, "window": window, "senders": USERS, "text": TEXT, **how})
    result["us"] = (server.cpu_us() - before) / result["deliveries"]
    return result


def classic_plain(payload_len):
    """Bytes of text in a box of that many characters: IV, blocks with at least one byte of padding, base64."""
    raw = next(n for n in range(32, 32768, 16) if (n + 2) // 3 * 4 == payload_len)
    return raw - 16 - 8


def sealed_plain(payload_len):
    """The same of a record: IV, blocks, tag."""
    return payload_len - 32 - 8


def rounds(bench, profile, server, load, plain):
    for window, messages, mode, target in WINDOWS:
        size = blast(server, load, messages // 4, window, room=profile)["payload_len"]
        reference = bench.reference("ref_broadcast", "--plain", str(plain(size)), "--mode", mode, "--seal", profile,
                                    "--aad", str(AAD))
        other = bench.load(reference, ["bare"] * CONNECTIONS)
        if blast(reference, other, messages // 4, window, room=profile)["payload_len"] != size:
            raise SystemExit("the reference sends frames of another size")
        ours, theirs = [], []
        for _ in range(bench.args.rounds):
            ours.append(blast(server, load, messages, window, room=profile))
            theirs.append(blast(reference, other, messages, window, room=profile))
        other.stop()
        bench.stop(reference)
        last = ours[-1]
        bench.row(f"{profile}, delivered frame, {window} in flight; bare, {mode}", [r["us"] for r in ours],
                  [r["us"] for r in theirs], target,
                  f"frames of {size} bytes, {last['deliveries'] / last['seconds']:.0f}/s, p50 {last['p50_us']} us, "
                  f"p99 {last['p99_us']} us")


def run(bench, profile, lines, plain):
    users = names(USERS, profile)
    server = bench.start("chat")
    load = bench.load(server, lines(users, CONNECTIONS))
    bench.new_room(load, profile, users)
    load.do("quiet", 7000)  # until the last unasked `online` is over
    rounds(bench, profile, server, load, plain)
    load.stop()
    bench.stop(server)


def run_classic(bench):
    run(bench, "classic", bench.classic_connections, classic_plain)


def run_sealed(bench):
    run(bench, "sealed", bench.sealed_connections, sealed_plain)


def run_profiles(bench):
    """Both profiles in one daemon, in turn: what the seal of the one costs beside the base64 of the other."""
    server, loads = bench.start("chat"), {}
    for profile, lines in (("classic", bench.classic_connections), ("sealed", bench.sealed_connections)):
        users = names(USERS, profile)
        loads[profile] = bench.load(server, lines(users, CONNECTIONS))
        bench.new_room(loads[profile], profile, users)
    for load in loads.values():
        load.do("quiet", 7000)
    for window, messages in ((1, 300), (16, 3000)):
        us = {profile: [] for profile in loads}
        for _ in range(bench.args.rounds):
            for profile, load in loads.items():
                us[profile].append(blast(server, load, messages, window, room=profile)["us"])
        bench.row(f"sealed, delivered frame, {window} in flight; classic", us["sealed"], us["classic"], 1.3)
    for load in loads.values():
        load.stop()
    bench.stop(server)


CASES = {"chat": run_classic, "chat_sealed": run_sealed, "chat_profiles": run_profiles}
