"""One room: what a delivered frame costs, against a bare broadcaster."""
from kerbbench.bench import CHAT_USERS

CONNECTIONS = 500
TEXT = "kerb" * 32  # 128 bytes


def blast(server, load, messages, window, room="bench"):
    before = server.cpu_us()
    result = load.do("blast", messages, window, CHAT_USERS, room, TEXT)
    if result["checked"] != messages:
        raise SystemExit(f"only {result['checked']} of {messages} messages came back as they were sent")
    result["us"] = (server.cpu_us() - before) / result["deliveries"]
    return result


def rounds(bench, what, server, load, mode, messages, window, target):
    size = blast(server, load, messages // 4, window)["payload_len"]
    raw = next(n for n in range(32, 32768, 16) if (n + 2) // 3 * 4 == size)  # IV and blocks behind the base64
    reference = bench.reference("ref_broadcast", "--plain", str(raw - 16 - 8), "--mode", mode)
    other = bench.load(reference, ["-"] * CONNECTIONS)
    if blast(reference, other, messages // 4, window)["payload_len"] != size:
        raise SystemExit("the reference sends frames of another size")
    ours, theirs = [], []
    for _ in range(bench.args.rounds):
        ours.append(blast(server, load, messages, window))
        theirs.append(blast(reference, other, messages, window))
    other.stop()
    bench.stop(reference)
    last = ours[-1]
    bench.row(what, [r["us"] for r in ours], [r["us"] for r in theirs], target,
              f"frames of {size} bytes, {last['deliveries'] / last['seconds']:.0f}/s, p50 {last['p50_us']} us, "
              f"p99 {last['p99_us']} us")


def run_chat(bench):
    server = bench.start("chat")
    load = bench.load(server, bench.connections(CONNECTIONS))
    bench.new_room(load, "bench", bench.users)
    load.do("quiet", 7000)  # until the last unasked `online` is over
    rounds(bench, "chat, delivered frame, 1 message in flight", server, load, "plain", 400, 1, 1.5)
    rounds(bench, "chat, delivered frame, 16 in flight", server, load, "gather", 4000, 16, 2.0)
    load.stop()
    bench.stop(server)


def run_chat_sealed(bench):
    """Sealed connections against classic ones, in two rooms of one daemon with users of their own."""
    server, others = bench.start("chat"), bench.realm.add_users(CHAT_USERS)
    classic_load = bench.load(server, bench.connections(CONNECTIONS))
    sealed_load = bench.load(server, bench.sealed_connections(others, CONNECTIONS))
    bench.new_room(classic_load, "of_classic", bench.users)
    bench.new_room(sealed_load, "of_sealed", others)
    classic_load.do("quiet", 7000)
    sealed_load.do("quiet", 7000)
    for what, messages, window in (("1 in flight", 400, 1), ("16 in flight", 4000, 16)):
        ours, theirs = [], []
        for _ in range(bench.args.rounds):
            ours.append(blast(server, sealed_load, messages, window, "of_sealed"))
            theirs.append(blast(server, classic_load, messages, window, "of_classic"))
        bench.row(f"chat, sealed against classic, {what}", [r["us"] for r in ours], [r["us"] for r in theirs], 1.3,
                  f"frames of {ours[-1]['payload_len']} and {theirs[-1]['payload_len']} bytes")
    sealed_load.stop()
    classic_load.stop()
    bench.stop(server)


CASES = {"chat": run_chat, "chat_sealed": run_chat_sealed}
