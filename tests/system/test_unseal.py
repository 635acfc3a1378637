"""Master keys from shares: a daemon waits for them, kerbadm hands them in, wrong ones are refused by name."""
import configparser
import json
import os
import pty
import re
import select
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from kerbtest.realm import Process, Realm, environment, wait_until

DAEMONS = ("as", "tgs", "chat")


def set_conf(realm, section, key, value):
    c = configparser.ConfigParser(interpolation=None)
    c.read(realm.conf)
    c.set(section, key, value)
    with open(realm.conf, "w", encoding="utf-8") as f:
        c.write(f)


def split(realm, daemon, threshold=2, n=3):
    done = realm.kerbadm("--json", "mkey", "split", daemon, "-t", str(threshold), "-n", str(n))
    shares = json.loads(done.stdout)["shares"]
    assert len(shares) == n
    for s in shares:
        realm.remember("share", s)
    return shares


def sealed(realm, daemon, *more):
    """Starts a daemon that will wait."""
    p = Process([os.path.join(realm.bin, "kerb-" + daemon), "--config", realm.conf, *more],
                os.path.join(realm.logs, f"kerb-{daemon}.log"))
    realm.daemons[daemon] = p
    p.port = int(p.wait_log(event="sealed")["port"])
    return p


def unseal(realm, daemon, *shares, check=True):
    return realm.kerbadm("unseal", daemon, stdin="".join(s + "\n" for s in shares), check=check)


def status_of(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as r:
            return r.status
    except urllib.error.HTTPError as e:
        return e.code


@pytest.fixture
def shared(new_realm):
    """A realm whose AS has its next key from 2 of 3 shares and waits for them."""
    realm = new_realm(start=False)
    realm.add_user("alice", "a long password")
    realm.shares = split(realm, "as")
    set_conf(realm, "as", "master", "shares")
    return realm


def test_a_daemon_waits_and_serves_only_health(shared):
    p = sealed(shared, "as")
    assert status_of(p.port, "/healthz") == 200
    assert status_of(p.port, "/readyz") == 503
    request = urllib.request.Request(f"http://127.0.0.1:{p.port}/as/login", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as e:
        urllib.request.urlopen(request, timeout=10)
    assert e.value.code == 404
    path = os.path.join(shared.state, "as", "unseal.sock")
    st = os.stat(path)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o600
    p.stop()  # it can be told to go while it waits
    assert not os.path.exists(path)


def test_shares_one_at_a_time_with_progress(shared):
    p = sealed(shared, "as")
    first = unseal(shared, "as", shared.shares[2])
    assert "0 of 2" in first.stdout and "share 3: 1 of 2" in first.stdout
    assert not p.find(event="listening")
    second = unseal(shared, "as", shared.shares[0])
    assert "share 1: 2 of 2" in second.stdout and "the daemon starts" in second.stdout
    p.port = int(p.wait_log(event="listening")["port"])
    assert status_of(p.port, "/readyz") == 200
    shared.start("tgs", "chat")
    assert not os.path.exists(os.path.join(shared.state, "as", "unseal.sock"))
    done = unseal(shared, "as", shared.shares[1], check=False)
    assert done.returncode == 1 and "does not wait for shares" in done.stderr


def test_an_unsealed_daemon_lets_its_users_in(shared):
    from kerbtest.realm import User
    sealed(shared, "as")
    unseal(shared, "as", *shared.shares[:2])
    p = shared.daemons["as"]
    p.port = int(p.wait_log(event="listening")["port"])
    shared.start("tgs", "chat")
    assert shared.ticket(User("alice", "a long password"))


def test_wrong_shares_are_refused_by_name_and_change_nothing(shared, new_realm):
    other = new_realm(start=False)
    foreign = split(other, "as", 2, 4)
    tgs = split(shared, "tgs")
    p = sealed(shared, "as")
    a, b, _ = shared.shares
    done = unseal(shared, "as", foreign[3], check=False)
    assert done.returncode == 1 and "share 4 is not of as in the realm TEST.REALM" in done.stderr
    done = unseal(shared, "as", tgs[1], check=False)
    assert done.returncode == 1 and "share 2 is not of as" in done.stderr
    done = unseal(shared, "as", a, a, check=False)
    assert done.returncode == 1 and "share 1 was given already" in done.stderr
    done = unseal(shared, "as", "hello", check=False)
    assert done.returncode == 1 and "not a share" in done.stderr
    done = unseal(shared, "as", "9" * 5000, check=False)
    assert done.returncode == 1 and "not a share" in done.stderr
    assert not p.find(event="listening") and p.is_alive()
    assert "2 of 2" in unseal(shared, "as", b).stdout
    p.port = int(p.wait_log(event="listening")["port"])


def test_no_share_is_in_log_or_on_the_disk(shared):
    p = sealed(shared, "as")
    unseal(shared, "as", *shared.shares[:2])
    p.wait_log(event="listening")
    digits = [s.split("-")[1].encode() for s in shared.shares]
    for top, _, names in os.walk(shared.state):
        for name in names:
            path = os.path.join(top, name)
            if stat.S_ISREG(os.stat(path).st_mode):
                with open(path, "rb") as f:
                    text = f.read()
                assert not any(d in text for d in digits), path
    command_line = open(f"/proc/{p.pid}/cmdline", "rb").read() + b"".join(
        l.encode() for l in p.other) + json.dumps(p.lines).encode()
    assert not any(d in command_line for d in digits)


def test_strangers_on_the_socket_do_no_harm(shared):
    p = sealed(shared, "as")
    path = os.path.join(shared.state, "as", "unseal.sock")
    directory = os.open(os.path.dirname(path), os.O_PATH)
    try:
        for junk in (b"x" * 4000, b"\0", b"{}", b"?" * 3):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.connect(f"/proc/self/fd/{directory}/unseal.sock")
                s.send(junk)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(f"/proc/self/fd/{directory}/unseal.sock")  # says nothing
            time.sleep(0.1)
    finally:
        os.close(directory)
    unseal(shared, "as", *shared.shares[:2])
    p.wait_log(event="listening")


def test_a_share_typed_on_a_terminal_is_not_echoed(shared):
    p = sealed(shared, "as")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(os.path.join(shared.bin, "kerbadm"),
                  ["kerbadm", "--state", shared.state, "unseal", "as"], environment())
    seen = b""

    def until(what):
        nonlocal seen
        end = time.monotonic() + 20
        while what not in seen:
            assert time.monotonic() < end, seen
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    seen += os.read(terminal, 4096)
                except OSError:
                    break
        assert what in seen, seen
    until(b"(0 of 2 are there), not shown: ")
    os.write(terminal, shared.shares[1].encode() + b"\n")
    until(b"share 2: 1 of 2")
    until(b"(1 of 2 are there), not shown: ")
    os.write(terminal, shared.shares[1].encode() + b"\n")
    until(b"share 2 was given already")
    until(b"not shown: ")
    seen = seen[-40:]
    time.sleep(0.2)
    os.write(terminal, shared.shares[2].encode() + b"\n")
    until(b"the daemon starts")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)
    assert not any(s.split("-")[1].encode() in seen for s in shared.shares)
    p.wait_log(event="listening")


def test_kerbadm_itself_needs_the_shares(shared):
    done = shared.kerbadm("user", "list", check=False)
    assert done.returncode == 1 and "--shares-file" in done.stderr
    done = shared.kerbadm("--shares-file", "-", "user", "list", stdin=shared.shares[0] + "\n", check=False)
    assert done.returncode == 1 and "1 of 2 shares" in done.stderr
    done = shared.kerbadm("--shares-file", "-", "user", "list", stdin="\n".join(shared.shares[1:]) + "\n")
    assert "alice" in done.stdout


def test_from_a_file_to_shares_by_a_roll_over(shared):
    """At the end nothing of the master key is on the disk, and the old shares of the file's time are of no use."""
    two = "\n".join(shared.shares[:2]) + "\n"
    sealed(shared, "as")
    unseal(shared, "as", *shared.shares[:2])
    shared.daemons["as"].wait_log(event="listening")
    shared.kerbadm("--shares-file", "-", "mkey", "use", "as", stdin=two)
    shared.daemons["as"].wait_log(event="master", message="version 2 of the master key seals now")
    shared.kerbadm("--shares-file", "-", "mkey", "rewrap", "as", stdin=two)
    path = os.path.join(shared.state, "as", "master.shares")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:  # as if somebody had waited
        f.write(re.sub(r'"valid_from":(\d+)', lambda m: f'"valid_from":{int(m[1]) - 60}', text))
    shared.kerbadm("--shares-file", "-", "mkey", "purge", "as", stdin=two)
    assert not os.path.exists(os.path.join(shared.state, "as", "master.key"))
    shared.stop("as")
    sealed(shared, "as")
    unseal(shared, "as", *shared.shares[1:])
    shared.daemons["as"].wait_log(event="listening")


class FromShares(Realm):
    """Every master key comes from 2 of 3 shares."""

    def __init__(self, directory):
        super().__init__(directory, config={d: {"master": "shares"} for d in DAEMONS})

    def kerbadm(self, *words, **more):
        if words[0] == "init":
            done = super().kerbadm("--json", *words, "--unseal-shares", "2/3", **more)
            self.shares = json.loads(done.stdout)["shares"]
            return done
        return super().kerbadm(*words, **more)

    def all_shares(self, *daemons):
        return "".join(s + "\n" for d in daemons or DAEMONS for s in self.shares[d][:2])


@pytest.fixture
def from_shares(tmp_path):
    """Such a realm, of which nothing runs, with a user."""
    realm = FromShares(tmp_path)
    realm.file = str(tmp_path / "shares")
    with open(os.open(realm.file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
        f.write(realm.all_shares())
    realm.kerbadm("--shares-file", realm.file, "user", "add", "alice", "--random")
    yield realm
    realm.close()


def test_audit_logs_are_verified_with_the_shares(from_shares):
    done = from_shares.kerbadm("--shares-file", from_shares.file, "audit", "verify", "as")
    assert done.stdout == "as/kerbadm.log: 1 lines, as they were written\n" and done.stderr == ""
    path = os.path.join(from_shares.state, "as", "kerbadm.log")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    op_id = json.loads(text)["op_id"]
    explain = ["--shares-file", from_shares.file, "audit", "explain", op_id]
    assert "as it was written" not in from_shares.kerbadm(*explain).stdout
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("alice", "carol"))
    done = from_shares.kerbadm("--shares-file", from_shares.file, "audit", "verify", "as", check=False)
    assert done.returncode == 1 and "NOT AS IT WAS WRITTEN: line 1: its hash is wrong" in done.stdout
    assert "Beware: as/kerbadm.log is not as it was written" in from_shares.kerbadm(*explain).stdout


def test_without_shares_nobody_is_blamed_for_the_audit_log(from_shares):
    """The verdict is that it cannot be told, and one sentence says why; the logs of another daemon are looked at."""
    done = from_shares.kerbadm("audit", "verify", check=False)
    assert done.returncode == 1 and "cannot be told: master key waits for its shares" in done.stdout
    assert "NOT AS" not in done.stdout and "not as they were written" not in done.stderr
    assert done.stderr.count("--shares-file") == 1
    told = json.loads(from_shares.kerbadm("--json", "audit", "verify", check=False).stdout)[0]
    assert (told["ok"], told["known"]) == (False, False)
    from_shares.kerbadm("--shares-file", from_shares.file, "service", "add", "files")
    done = from_shares.kerbadm("--shares-file", "-", "audit", "verify", stdin=from_shares.all_shares("tgs"), check=False)
    assert done.returncode == 1 and "tgs/kerbadm.log: 1 lines, as they were written" in done.stdout
    assert "as/kerbadm.log: whether it is as it was written cannot be told" in done.stdout
    op_id = json.loads(open(os.path.join(from_shares.state, "as", "kerbadm.log"), encoding="utf-8").readline())["op_id"]
    done = from_shares.kerbadm("audit", "explain", op_id)
    assert "Whether all logs are as they were written cannot be told" in done.stdout and "Beware" not in done.stdout


def test_check_says_once_that_the_shares_cannot_be_had(from_shares):
    os.chmod(from_shares.file, 0o644)
    done = from_shares.kerbadm("--shares-file", from_shares.file, "check", check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"kerbadm: {from_shares.file}: file may be read or written by others\n"
    done = from_shares.kerbadm("--shares-file", "-", "check", stdin=from_shares.all_shares("as", "chat"), check=False)
    assert done.returncode == 1 and done.stderr == "kerbadm: -: 0 of 2 shares of the master key of tgs\n"
    os.chmod(from_shares.file, 0o600)
    assert from_shares.kerbadm("--shares-file", from_shares.file, "check").stdout == "all is well\n"


def test_a_whole_realm_from_shares(tmp_path):
    """init --unseal-shares, every daemon unsealed, somebody chats; after a restart the texts open again."""
    from kerbtest.realm import User

    realm = FromShares(tmp_path)
    try:
        assert set(realm.shares) == set(DAEMONS)
        for d in DAEMONS:
            assert os.listdir(os.path.join(realm.state, d)).count("master.key") == 0
        password = tmp_path / "password"
        password.write_text("a long password\n")
        os.chmod(password, 0o600)
        realm.kerbadm("--shares-file", "-", "user", "add", "alice", "--password-file", str(password),
                      stdin=realm.all_shares())
        assert "all is well" in realm.kerbadm("--shares-file", "-", "check", stdin=realm.all_shares()).stdout
        alice = User("alice", "a long password")
        for round_ in range(2):
            for d in DAEMONS:
                sealed(realm, d)
                unseal(realm, d, *realm.shares[d][round_:round_ + 2])
            for d in DAEMONS:
                p = realm.daemons[d]
                p.port = int(p.wait_log(event="listening")["port"])
            c = realm.chat(alice)
            if round_ == 0:
                c.new_room("open", 0, [alice])
            texts = [m["text"] for m in c.enter("open")["messages"]]
            assert texts == ["under shares"] * round_
            c.say("open", "under shares")
            c.close()
            realm.stop()
    finally:
        realm.close()


@pytest.mark.parametrize("counts, why", [("3", "like 3/5"), ("0/3", "1 to 255"), ("4/3", "cannot be asked"),
                                         ("2/256", "1 to 255"), ("x/3", "1 to 255")])
def test_init_refuses_counts_that_make_no_sense(tmp_path, counts, why):
    state = tmp_path / "state"
    done = subprocess.run([os.path.join(Realm.__init__.__defaults__[-1], "kerbadm"), "--state", str(state), "init",
                           "--unseal-shares", counts], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and why in done.stderr
    assert not state.exists()


def test_unseal_on_the_command_line_is_the_same_as_in_the_configuration(new_realm):
    realm = new_realm(start=False)
    shares = split(realm, "tgs")
    p = sealed(realm, "tgs", "--unseal")
    set_conf(realm, "tgs", "master", "shares")
    unseal(realm, "tgs", *shares[:2])
    p.wait_log(event="listening")


def test_a_credential_of_the_service_manager(new_realm, tmp_path):
    realm = new_realm(start=False)
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    os.rename(os.path.join(realm.state, "as", "master.key"), credentials / "kerb-as-master")
    os.chmod(credentials / "kerb-as-master", 0o400)
    set_conf(realm, "as", "master", "credential")
    refused = subprocess.run([os.path.join(realm.bin, "kerb-as"), "--config", realm.conf], capture_output=True,
                             text=True, timeout=60, env=environment())
    assert refused.returncode == 1
    realm.start("as", env=environment(CREDENTIALS_DIRECTORY=str(credentials)))
    assert wait_until(lambda: status_of(realm.daemons["as"].port, "/readyz") == 200)
