"""AS and TGS: exchanges against bare libmicrohttpd."""
import base64
import hashlib
import itertools
import json
import os
import subprocess
import time
from urllib.parse import urlencode

from kerbbench.server import tool
from kerbtest import envelope, kdc, sealed

CONNECTIONS = 50
REQUESTS = 6000   # a round
WARM = 2000
SEALED_PAIRS = 4000


def post_lines(bench, port, path, lines, status=200):
    name = os.path.join(bench.dir, "requests")
    answers = os.path.join(bench.dir, "answers")
    with open(name, "w", encoding="ascii") as f:
        f.writelines(line + "\n" for line in lines)
    more = [] if status == 200 else [str(status), answers]
    out = subprocess.run([tool("load_http"), str(port), path, name, str(CONNECTIONS), *more],
                         stdout=subprocess.PIPE, check=True).stdout
    result = json.loads(out)
    if result["ok"] != len(lines):
        raise SystemExit(f"{path}: only {result['ok']} of {len(lines)} requests were answered with {status}")
    if more:
        with open(answers, encoding="utf-8") as f:
            result["answers"] = f.read().splitlines()
    return result


def rounds(bench, what, server, path, make, target):
    """make(i): the i-th request's body. Ours and the reference get the same bodies, and answer the same sizes."""
    warm = [make(i) for i in range(WARM)]
    size = post_lines(bench, server.port, path, warm)["reply_len"]
    reference = bench.reference("ref_http", "--reply", str(size), "--threads", str(bench.args.threads))
    post_lines(bench, reference.port, path, warm)
    ours, theirs = [], []
    for _ in range(bench.args.rounds):
        lines = [make(i) for i in range(REQUESTS)]
        for s, costs in ((server, ours), (reference, theirs)):
            before = s.cpu_us()
            result = post_lines(bench, s.port, path, lines)
            costs.append((s.cpu_us() - before) / len(lines))
            if s is server:
                last = result
    bench.stop(reference)
    bench.row(what, ours, theirs, target, f"{len(lines[0])} -> {size} bytes, {len(lines) / last['seconds']:.0f}/s, "
                                          f"p50 {last['p50_us']} us, p99 {last['p99_us']} us")


def run_as(bench):
    users = bench.users
    rounds(bench, "AS exchange, classic", bench.realm.daemons["as"], "/as/login",
           lambda i: urlencode(kdc.as_fields(users[i % len(users)])), 3.0)


def run_as_sealed(bench):
    """Both requests together, against one bare request; all first ones, then all proofs with their cookies."""
    server = bench.realm.daemons["as"]
    keys = [(u, sealed.Preauth(bench.realm, u.name).key(u.password)) for u in bench.users]
    costs, reference, bare = [], [], None
    for _ in range(bench.args.rounds):
        first = [sealed.first_request(keys[i % len(keys)][0].name).decode() for i in range(SEALED_PAIRS)]
        before = server.cpu_us()
        asked = post_lines(bench, server.port, "/as/login", first, status=401)["answers"]
        cost = server.cpu_us() - before
        proofs = [sealed.proof(bench.realm, u.name, key, f, json.loads(a)).decode()
                  for f, a, (u, key) in zip(first, asked, itertools.cycle(keys))]
        before = server.cpu_us()
        size = post_lines(bench, server.port, "/as/login", proofs)["reply_len"]
        costs.append((cost + server.cpu_us() - before) / SEALED_PAIRS)
        bare = bare or bench.reference("ref_http", "--reply", str(size), "--threads", str(bench.args.threads))
        post_lines(bench, bare.port, "/as/login", proofs[:WARM])
        before = bare.cpu_us()
        post_lines(bench, bare.port, "/as/login", proofs)
        reference.append((bare.cpu_us() - before) / SEALED_PAIRS)
    bench.stop(bare)
    bench.row("AS exchange, sealed (both requests)", costs, reference, 6.0,
              f"{len(first[0])} -> {len(asked[0])} and {len(proofs[0])} -> {size} bytes")


def run_tgs(bench):
    tgts = [kdc.login(bench.realm, u) for u in bench.users]
    rounds(bench, "TGS exchange, classic", bench.realm.daemons["tgs"], "/tgs",
           lambda i: urlencode(tgts[i % len(tgts)].fields("chat")), 3.5)


def sealed_tgt(bench, user):
    """A sealed TGT as the AS makes it, minted with the TGS's key; and its session key."""
    keytab, key = bench.realm.keytab("tgs"), os.urandom(32)
    fields = keytab.read(kdc.login(bench.realm, user).ticket, bench.realm.name)
    fields |= {"session_key": base64.b64encode(key).decode(), "etype": "aes128-cbc-hs256"}
    return user.name, keytab.mint(fields, bench.realm.name), key


def sealed_tgs_request(bench, client, tgt, key):
    nonce = envelope.b64url(os.urandom(16))
    body = envelope.b64url(json.dumps({"service": "chat", "nonce": nonce}).encode())
    context = hashlib.sha256(tgt.encode()).digest() + hashlib.sha256(body.encode()).digest()
    plain = json.dumps({"client": client, "time": int(time.time()), "nonce": nonce}).encode()
    proof = envelope.seal(key, "tgs-authenticator", plain, bench.realm.name, client, "chat", context)
    return json.dumps({"v": 1, "tgt": tgt, "authenticator": envelope.b64url(proof), "body": body})


def run_tgs_sealed(bench):
    tgts = [sealed_tgt(bench, u) for u in bench.users]
    rounds(bench, "TGS exchange, sealed", bench.realm.daemons["tgs"], "/tgs",
           lambda i: sealed_tgs_request(bench, *tgts[i % len(tgts)]), 3.5)


CASES = {"as": run_as, "as_sealed": run_as_sealed, "tgs": run_tgs, "tgs_sealed": run_tgs_sealed}
