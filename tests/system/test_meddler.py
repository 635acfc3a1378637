"""The kerb command against the daemons, with somebody between them who edits what passes."""
import json
import os
import subprocess

import pytest

from kerbtest.envelope import b64url, from_b64url
from kerbtest.meddler import Meddler
from kerbtest.realm import environment, realm_in

ITERATIONS = 300000


@pytest.fixture(scope="module")
def realm(many_files, tmp_path_factory):
    config = {"policy": {"pbkdf2_iterations": ITERATIONS}}
    with realm_in(tmp_path_factory.mktemp("meddler"), config=config) as r:
        yield r


@pytest.fixture
def between(realm):
    m = Meddler(realm)
    yield m
    m.stop()


class Person:
    def __init__(self, realm, meddler, directory):
        self.realm, self.meddler, self.user = realm, meddler, realm.add_user()
        self.program = os.path.join(realm.bin, "kerb")
        self.cache = os.path.join(str(directory), "ccache")
        self.env = environment(KERB_URL=f"http://127.0.0.1:{meddler.port}", HOME=str(directory), KERB_CCACHE=self.cache,
                               XDG_RUNTIME_DIR=str(directory))
        for word in ("KERB_REALM", "KERB_CONFIG", "KERB_CA_FILE", "XDG_CONFIG_HOME"):
            self.env.pop(word, None)

    def run(self, *words, stdin=""):
        return subprocess.run([self.program, *words], input=stdin, capture_output=True, text=True, timeout=60,
                              env=self.env)

    def login(self, *options):
        return self.run("login", self.user.name, *options, stdin=self.user.password + "\n")

    def logs_in(self, *options):
        r = self.login(*options)
        assert r.returncode == 0, r

    def is_refused(self, *options):
        """No login; the words that the person reads."""
        r = self.login(*options)
        assert r.returncode != 0, r
        assert not os.path.exists(self.cache)
        return r.stderr

    def proofs(self):
        return [f for _, f in self.meddler.sent if "preauth" in f]


@pytest.fixture
def person(realm, between, tmp_path):
    return Person(realm, between, tmp_path)


def edits(meddler, **change):
    """Every offer that passes is changed."""
    meddler.edit_reply = lambda path, n, f: {**f, **change} if "cookie" in f else f


def test_nobody_meddles(person, between):
    person.logs_in()
    assert person.run("ticket", "chat").returncode == 0
    assert [p for p, _ in between.sent if p == "/as/login"] == ["/as/login"] * 2 and between.sent[-1][0] == "/tgs"
    assert all(f["v"] == 1 and "encrypted" not in f for _, f in between.sent)


@pytest.mark.parametrize("iterations", [0, 1, 4096, 199999, 10000001, -1, 2**40, "300000", None, 300000.5])
def test_attack_offer_of_few_or_far_too_many_iterations(person, between, iterations):
    """Refused before a proof is made, which could be guessed at."""
    edits(between, iterations=iterations)
    person.is_refused()
    assert person.proofs() == []


def test_attack_offer_of_fewer_iterations_that_are_enough(person, between):
    """The proof that is made is none: the AS does not take it, and nothing else is tried."""
    edits(between, iterations=200000)
    person.is_refused()
    assert len(person.proofs()) == 1 and all(s == 401 for s, _ in between.answered)


@pytest.mark.parametrize("etypes", [[], ["aes128-cbc"], ["rc4-hmac"], None, "aes128-cbc-hs256", [1]])
def test_attack_offer_of_classic_only(person, between, etypes):
    edits(between, etypes=etypes)
    person.is_refused()
    assert person.proofs() == [] and all("encrypted" not in f for _, f in between.sent)


@pytest.mark.parametrize("etypes", [["aes128-cbc", "aes128-cbc-hs256"], ["aes128-cbc-hs256", "aes128-cbc-hs256"]])
def test_attack_offer_with_more_than_there_is(person, between, etypes):
    """The client tells the AS, under the seal, what it was shown."""
    edits(between, etypes=etypes)
    person.is_refused()
    assert [j["error"] for s, j in between.answered if "error" in j][-1] == "KDC_ERR_PREAUTH_FAILED"


def test_attack_offer_of_another_salt_or_realm(person, between):
    edits(between, salt=b64url(bytes(16)))
    person.is_refused()
    edits(between, realm="ELSEWHERE")
    person.is_refused()


@pytest.mark.parametrize("answer", [
    (401, {"error": "KDC_ERR_PREAUTH_FAILED", "message": "use classic", "op_id": "x", "server_time": 1}),
    (400, {"error": "KRB_ERR_MALFORMED", "message": "no such profile", "op_id": "x", "server_time": 1}),
    (200, {"v": 1, "reply": "AAAA"}), (200, {"tgs_ticket": "x"}), (404, {}),
])
def test_attack_talking_a_client_down_to_classic(person, between, answer):
    between.edit_reply = lambda path, n, f: answer
    person.is_refused()
    assert between.sent and all(f["v"] == 1 and "encrypted" not in f and "preauth" not in f for _, f in between.sent)


def test_attack_reply_of_one_login_given_to_another(person, between):
    kept = []

    def swap(path, n, f):
        if path == "/as/login" and "reply" in f:
            kept.append(f)
            return kept[0]
        return f
    between.edit_reply = swap
    person.logs_in()
    assert person.run("logout").returncode == 0
    person.is_refused()
    assert len(kept) == 2


def test_attack_reply_of_one_request_for_a_ticket_given_to_another(realm, person, between):
    name = "files-" + os.urandom(3).hex()
    realm.kerbadm("service", "add", name)
    person.logs_in()
    kept = []

    def swap(path, n, f):
        kept.append(f)
        return kept[0]
    between.edit_reply = swap
    assert person.run("ticket", "chat").returncode == 0
    r = person.run("ticket", name)
    assert r.returncode != 0 and len(kept) == 2 and "reply" in kept[1]


def test_attack_service_swapped_on_the_way(realm, person, between):
    name = "files-" + os.urandom(3).hex()
    realm.kerbadm("service", "add", name)
    person.logs_in()

    def swap(path, n, f):
        inside = json.loads(from_b64url(f["body"]))
        return {**f, "body": b64url(json.dumps({**inside, "service": name}).encode())}
    between.edit_request = swap
    assert person.run("ticket", "chat").returncode != 0
    assert between.answered[-1][1]["error"] == "KRB_AP_ERR_MODIFIED"


def test_attack_wishes_changed_on_the_way(person, between):
    """A renewable ticket instead of a plain one."""
    def swap(path, n, f):
        inside = json.loads(from_b64url(f["body"]))
        return {**f, "body": b64url(json.dumps({**inside, "renewable": True}).encode())}
    between.edit_request = swap
    person.is_refused()


def test_attack_reply_changed_by_a_bit(person, between):
    def flip(path, n, f):
        if "reply" in f:
            raw = bytearray(from_b64url(f["reply"]))
            raw[len(raw) // 2] ^= 1
            return {**f, "reply": b64url(bytes(raw))}
        return f
    between.edit_reply = flip
    person.is_refused()


def test_cookie_kept_from_an_earlier_login_costs_a_step_only(person, between):
    """The AS answers it with a new one, which the client takes."""
    kept = []

    def old(path, n, f):
        if "cookie" in f:
            kept.append(f["cookie"])
            return {**f, "cookie": kept[0]} if len(kept) == 2 else f
        return f
    between.edit_reply = old
    person.logs_in()
    assert person.run("logout").returncode == 0
    person.logs_in()
    assert len(kept) == 3 and len(person.proofs()) == 3
