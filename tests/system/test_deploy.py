"""deploy/up and deploy/down from the outside, with the examples as clients: what a newcomer does, and what goes wrong."""
import base64
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from kerbtest.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PARTS = ("as", "tgs", "chat", "nginx")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("SUDO_") and not k.lower().endswith("_proxy")}
FAILED, USAGE, PACKAGES, STATE, PORT, RUNNING, USERS = range(1, 8)  # exit codes of up


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port():
    """Below the range for outgoing connections, with its daemons' ports free too."""
    while True:
        port = random.SystemRandom().randrange(12000, 31000)
        if all(map(is_free, (port, *range(port + 721, port + 727)))):
            return port


def wait_until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


class Stack:
    """A state directory with up and down on it."""

    def __init__(self, path):
        self.path, self.port = path, free_port()

    def command(self, *words):
        return [str(DEPLOY / "up"), "--state", str(self.path), "--port", str(self.port), *map(str, words)]

    def up(self, *words):
        return subprocess.run(self.command(*words), env=ENV, capture_output=True, text=True, timeout=170)

    def down(self):
        return subprocess.run([DEPLOY / "down", "--state", self.path], env=ENV, capture_output=True, text=True, timeout=90)

    def start(self, *words):
        done = self.up("--detach", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def foreground(self):
        """up itself, once it says that it is ready; its output goes on into .text."""
        up = subprocess.Popen(self.command(), env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              start_new_session=True)
        up.text = ""
        while "ready on" not in up.text:
            line = up.stdout.readline()
            assert line, up.text
            up.text += line
        return up

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path):
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url(path), timeout=10) as answer:
            return answer.status, answer.read().decode()

    def pid(self, part):
        return int((self.path / "run" / f"{part}.pid").read_text().split()[0])

    def processes(self):
        """Every process that up started here: they all inherit the lock's descriptor, and the daemons, whose descriptors
        only root may look at, are called with our kerb.conf."""
        lock, conf, found = str(self.path / "run/lock"), os.fsencode(self.path / "kerb.conf"), []

        def is_ours(proc):
            if conf in (proc / "cmdline").read_bytes():
                return True
            return any(os.readlink(fd) == lock for fd in (proc / "fd").iterdir())

        for proc in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if is_ours(proc):
                    found.append(int(proc.name))
        return found

    def login(self, user, password, service="chat"):
        return subprocess.run([DEPLOY / "examples/login.sh", "--url", self.url(""), user, service], env=ENV,
                              input=password + "\n", capture_output=True, text=True, timeout=60)


@pytest.fixture
def stack(tmp_path):
    s = Stack(tmp_path / "state of it")  # with spaces: quoting is tested everywhere
    yield s
    if s.path.exists():
        s.down()
    assert s.processes() == []


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users"
    path.write_text("# ours\n\nalice:ahoi: pässword \nbob:b\ncarol:c#1\n", encoding="utf-8")
    return path


class Talker:
    """The Python example, driven by a pipe as a person drives it at a terminal."""

    def __init__(self, stack, user, password, shares):
        self.popen = subprocess.Popen([DEPLOY / "examples/chat.py", "--url", stack.url(""), "--shares", shares, user],
                                      env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, bufsize=1)
        self.text, self.changed = "", threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.type(password)
        self.sees("logged in to chat")

    def _read(self):
        for line in self.popen.stdout:
            with self.changed:
                self.text += line
                self.changed.notify_all()

    def type(self, line):
        self.popen.stdin.write(line + "\n")
        return self

    def sees(self, what, seconds=20):
        with self.changed:
            assert self.changed.wait_for(lambda: what in self.text, seconds), f"no '{what}' in: {self.text}"
            self.text = self.text.split(what, 1)[1]
        return self

    def leave(self):
        self.popen.stdin.close()
        assert self.popen.wait(20) == 0


# --- the way of a newcomer ---

def test_login_example_gets_a_service_ticket(stack, users):
    stack.start("--users", users)
    assert stack.get("/")[1].startswith("kerb:")
    for part in ("as", "tgs", "chat"):
        assert stack.get(f"/readyz/{part}")[0] == stack.get(f"/healthz/{part}")[0] == 200
    for user, password in (("alice", "ahoi: pässword "), ("carol", "c#1")):
        done = stack.login(user, password)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["service"] == "chat" and answer["service_ticket"] and answer["client_service_sk"]


def test_kerb_in_a_terminal(stack, users, tmp_path):
    """What README shows, with a change of password, and what is left of it after a restart."""
    stack.start("--users", users)
    env = {**ENV, "KERB_URL": stack.url(""), "KERB_CCACHE": str(tmp_path / "ccache"), "HOME": str(tmp_path)}
    kerb = str(Path(os.environ.get("KERB_BUILD", ROOT / "build/release")) / "bin/kerb")

    def talk(*words, answers=()):
        t = Terminal([kerb, *words], env)
        for question, answer in answers:
            t.answer(question, answer)
        return t.end(60)
    status, text = talk("login", "carol", answers=[("Password of carol: ", "c#1")])
    assert status == 0 and "Logged in as carol in KERB, good until " in text, text
    assert talk("trace", "ticket", "chat")[0] == 0
    assert "Password" not in text and "chat" in talk("list")[1]
    status, text = talk("passwd", answers=[("Present password of carol", "c#1"), ("New password", "a few words of mine"),
                                           ("once more", "a few words of mine")])
    assert status == 0 and "is changed" in text, text
    stack.down()
    stack.start("--users", users)
    assert talk("ticket", "kerb/changepw")[0] == 0  # the login outlives the restart
    assert talk("logout")[0] == 0 and talk("list", "-s")[0] == 1
    assert talk("login", "carol", answers=[("Password of carol: ", "a few words of mine")])[0] == 0
    assert stack.login("carol", "a few words of mine").returncode == 0


def test_login_example_tells_a_wrong_password(stack, users):
    stack.start("--users", users)
    for user in ("bob", "nobody"):
        done = stack.login(user, "wrong")
        assert done.returncode == 1 and done.stdout == ""
        assert "401" in done.stderr and "KDC_ERR_PREAUTH_FAILED" in done.stderr
    done = stack.login("bob", "b", "tgs")
    assert done.returncode == 1 and "KDC_ERR_S_PRINCIPAL_UNKNOWN" in done.stderr


def test_login_example_keeps_the_password_out_of_arguments(stack, users, tmp_path):
    """Programs of the same names in front of the real ones write down what they are called with."""
    stack.start("--users", users)
    log, bin_ = tmp_path / "arguments", tmp_path / "bin"
    bin_.mkdir()
    for name in ("openssl", "curl", "jq", "sed", "od", "head", "tail", "cat", "tr"):
        (bin_ / name).write_text(f'#!/bin/bash\necho "${{0##*/}} $*" >>{log}\nexec /usr/bin/{name} "$@"\n')
        (bin_ / name).chmod(0o755)
    done = subprocess.run([DEPLOY / "examples/login.sh", "--url", stack.url(""), "alice"], input="ahoi: pässword \n",
                          env={**ENV, "PATH": f"{bin_}:{os.environ['PATH']}"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = log.read_text()
    assert "openssl enc -aes-128-cbc" in seen and "curl" in seen
    answer = json.loads(done.stdout)
    user_key = hashlib.sha256("ahoi: pässword ".encode()).digest()[:16]
    service_key = base64.b64decode(answer["client_service_sk"])
    for secret in ("pässword", answer["client_service_sk"], user_key.hex(), service_key.hex(), answer["service_ticket"]):
        assert secret not in seen


def test_what_nginx_answers_itself_has_the_protocols_form(stack):
    stack.start()

    def post(path, body):
        request = urllib.request.Request(stack.url(path), body)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
        answer = json.loads(error.value.read())
        assert abs(answer["server_time"] - time.time()) < 60 and answer["op_id"] and answer["message"]
        return error.value.code, answer["error"]

    assert post("/nothing", b"x") == (404, "KRB_ERR_MALFORMED")
    assert post("/as/login", b"x" * 16385) == (413, "KRB_ERR_MALFORMED")
    assert post("/as/login", b"x" * 16384) == (400, "KRB_ERR_MALFORMED")  # the AS itself
    os.kill(stack.pid("up"), signal.SIGSTOP)  # else it would stop the others, too
    os.kill(stack.pid("tgs"), signal.SIGKILL)
    wait_until(lambda: is_free(stack.port + 722))
    assert post("/tgs", b"x") == (502, "KRB_ERR_GENERIC")
    os.kill(stack.pid("up"), signal.SIGCONT)


def test_chat_example_keeps_a_sealed_room_over_a_restart(stack, users, tmp_path):
    who = {"alice": "ahoi: pässword ", "bob": "b", "carol": "c#1"}

    def talk(user):
        return Talker(stack, user, who[user], tmp_path / f"{user}.json")

    stack.start("--users", users)
    alice, bob = talk("alice"), talk("bob")
    talk("carol").leave()  # members must have logged in once
    alice.type("/new plans 2 bob carol").sees("room plans of alice, bob, carol; 2 must agree")
    bob.sees("room plans of")
    alice.type("/go plans")
    bob.sees("alice asks to open plans").type("/go plans").sees("room plans is open; 0 messages")
    alice.sees("room plans is open")
    alice.type("the bridge at nine")
    bob.sees("[plans] alice: the bridge at nine")
    alice.type("/nonsense").sees("/quit").type("\x1b[2J")
    bob.sees("[plans] alice: \\x1b[2J")  # not a command to his terminal
    alice.type("/save colour blue").type("/get colour").sees("colour = blue")
    alice.leave()
    bob.sees("room plans is closed").type("/go plans").type("too late").sees("error:")
    assert stack.down().returncode == 0
    bob.sees("closed the connection: 4000")  # the chat says good-bye, through nginx
    stack.start()
    carol, bob = talk("carol"), talk("bob")  # carol's share waited for her
    carol.sees("room plans of").type("/go plans")
    bob.sees("carol asks to open plans").type("/go plans").sees("is open; 2 messages").sees("alice: the bridge at nine")
    carol.sees("alice: the bridge at nine").leave()
    bob.leave()


def test_new_realm_gets_three_users_with_random_passwords(stack):
    out = stack.start()
    file = stack.path / "users.txt"
    assert str(file) in out and file.stat().st_mode & 0o777 == 0o600
    passwords = dict(line.split(":") for line in file.read_text().splitlines())
    assert list(passwords) == ["alice", "bob", "carol"]
    assert len(set(passwords.values())) == 3 and all(len(p) == 20 for p in passwords.values())
    assert not any(p in out for p in passwords.values())
    assert stack.login("bob", passwords["bob"]).returncode == 0


# --- starting, stopping, starting again ---

def test_everything_lies_in_the_state_and_is_private(stack):
    stack.start()
    for path in [stack.path, *stack.path.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert stack.path / "log" in stack.path.iterdir()
    for name in PARTS:
        assert (stack.path / "log" / f"{name}.log").exists()


def test_down_stops_all_and_says_when_there_is_nothing(stack):
    stack.start()
    assert len(stack.processes()) >= 6  # the watcher, three daemons, nginx and its workers
    done = stack.down()
    assert done.returncode == 0 and "stopped" in done.stdout
    assert stack.processes() == [] and is_free(stack.port)
    done = stack.down()
    assert done.returncode == 0 and "nothing runs" in done.stdout


def test_second_start_keeps_users_and_adds_missing_ones(stack, users):
    stack.start("--users", users)
    before = (stack.path / "kerb.conf").read_text()
    stack.down()
    users.write_text("bob:other\ndave:d")
    stack.start("--users", users)
    assert (stack.path / "kerb.conf").read_text() == before
    assert stack.login("bob", "b").returncode == 0
    assert stack.login("bob", "other").returncode == 1
    assert stack.login("dave", "d").returncode == 0
    assert stack.login("carol", "c#1").returncode == 0


def test_port_is_kept_and_origins_follow_it(stack):
    conf = stack.path / "kerb.conf"

    def origins():
        return re.search("^origins = (.*)$", conf.read_text(), re.M)[1].split()

    stack.start()
    stack.down()
    conf.write_text(conf.read_text().replace("origins = ", "origins = https://kerb.example "))
    done = subprocess.run([DEPLOY / "up", "--detach", "--state", stack.path], env=ENV, capture_output=True, timeout=90)
    assert done.returncode == 0 and stack.get("/")[0] == 200  # the port of the last time
    stack.down()
    stack.port = free_port()
    stack.start()
    ours = [f"http://{host}:{stack.port}" for host in ("127.0.0.1", "localhost")]
    assert sorted(origins()) == sorted([*ours, "https://kerb.example"])


def test_daemon_whose_port_is_taken_moves(stack):
    with socket.create_server(("127.0.0.1", stack.port + 722)):
        stack.start()
        assert stack.get("/readyz/tgs")[0] == 200
        assert f"127.0.0.1:{stack.port + 722}" not in (stack.path / "kerb.conf").read_text()


def test_second_up_is_refused(stack):
    stack.start()
    done = stack.up("--detach")
    assert done.returncode == RUNNING and "runs already" in done.stderr
    assert stack.get("/readyz/as")[0] == 200


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_foreground_ends_by_a_signal_and_takes_all_along(stack, sig):
    bystander = subprocess.Popen(["/usr/bin/sleep", "60"])
    up = stack.foreground()
    os.killpg(up.pid, sig)  # as a terminal does it: to the whole group
    assert up.wait(40) == 0, up.stdout.read()
    assert stack.processes() == [] and is_free(stack.port)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("part", PARTS)
def test_when_one_part_ends_all_end(stack, part):
    up = stack.foreground()
    os.kill(stack.pid(part), signal.SIGKILL)
    assert up.wait(40) == FAILED, up.stdout.read()
    rest = up.stdout.read()
    assert f"kerb: {part} stopped by itself" in rest and str(stack.path / "log" / part) in rest
    assert stack.processes() == []


def test_a_daemon_that_was_told_to_end_leaves_the_others_alone(stack):
    up = stack.foreground()
    os.kill(stack.pid("chat"), signal.SIGTERM)
    assert "chat has ended, as it was told to" in up.stdout.readline()
    with pytest.raises(urllib.error.HTTPError):
        stack.get("/readyz/chat")
    assert stack.get("/readyz/as")[0] == 200 and stack.get("/readyz/tgs")[0] == 200
    assert up.poll() is None
    up.send_signal(signal.SIGTERM)
    assert up.wait(40) == 0
    assert stack.processes() == []


def test_when_the_watcher_is_killed_all_end(stack):
    stack.start()
    os.kill(stack.pid("up"), signal.SIGKILL)
    wait_until(lambda: stack.processes() == [])
    stack.start()
    assert stack.get("/readyz/chat")[0] == 200


def test_down_ends_what_two_killed_leaders_left(stack):
    stack.start()
    up, nginx = stack.pid("up"), stack.pid("nginx")
    os.kill(up, signal.SIGSTOP)
    os.kill(nginx, signal.SIGKILL)
    os.kill(up, signal.SIGKILL)
    wait_until(lambda: {up, nginx}.isdisjoint(stack.processes()))
    stack.down()
    assert stack.processes() == [] and is_free(stack.port)


def test_down_leaves_a_process_that_only_has_the_number(stack):
    bystander = subprocess.Popen(["/usr/bin/sleep", "60"])
    (stack.path / "run").mkdir(parents=True)
    for part in ("up", *PARTS):
        (stack.path / "run" / f"{part}.pid").write_text(f"{bystander.pid} 1\n")
    done = stack.down()
    assert done.returncode == 0 and "nothing runs" in done.stdout
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


# --- what is refused ---

def test_busy_port_is_refused(stack):
    with socket.create_server(("127.0.0.1", stack.port)):
        done = stack.up("--detach")
    assert done.returncode == PORT and f"port {stack.port} is busy" in done.stderr
    assert stack.processes() == [] and not (stack.path / "kerb.conf").exists()


@pytest.mark.parametrize("text, number, why", [
    ("alice:a\nbob\n", 2, "no password"),
    ("alice:a\n\n# x\nbob:\n", 4, "no password"),
    (":a\n", 1, "name is empty"),
    (" alice:a\n", 1, "space"),
    ("alice :a\n", 1, "space"),
    ("alice:a\r\n", 1, "control character"),
    ("alice:a\nbob:b\nalice:c\n", 3, "line 1 already"),
])
def test_bad_users_file_is_refused_by_line(stack, tmp_path, text, number, why):
    file = tmp_path / "users"
    file.write_text(text, newline="")
    done = stack.up("--detach", "--users", file)
    assert done.returncode == USERS and f"{file}, line {number}: " in done.stderr and why in done.stderr
    assert not stack.path.exists()


@pytest.mark.parametrize("text", [None, "", "# nobody\n"])
def test_users_file_that_names_nobody_is_refused(stack, tmp_path, text):
    file = tmp_path / "users"
    if text is not None:
        file.write_text(text)
    assert stack.up("--detach", "--users", file).returncode == USERS
    assert not stack.path.exists()


def test_name_that_kerbadm_refuses_makes_no_realm(stack, tmp_path):
    file = tmp_path / "users"
    file.write_text("alice:a\nALICE:b\n")
    done = stack.up("--detach", "--users", file)
    assert done.returncode == USERS and "ALICE" in done.stderr
    assert not (stack.path / "kerb.conf").exists() and not (stack.path / "as").exists()
    file.write_text("alice:a\n")
    stack.start("--users", file)


@pytest.mark.parametrize("missing", ["kerb.conf", "as/as.db", "tgs/tgs.keytab", "chat/master.key"])
def test_half_made_state_is_refused(stack, missing):
    stack.start()
    stack.down()
    (stack.path / missing).unlink()
    done = stack.up("--detach")
    assert done.returncode == STATE and "half made" in done.stderr and missing in done.stderr
    assert stack.processes() == []


def test_readable_key_is_refused(stack):
    stack.start()
    stack.down()
    (stack.path / "as/master.key").chmod(0o644)
    done = stack.up("--detach")
    assert done.returncode == STATE and "master.key" in done.stderr
    assert stack.processes() == []


def test_foreign_directory_is_refused(stack):
    stack.path.mkdir()
    (stack.path / "thesis.tex").write_text("")
    done = stack.up("--detach")
    assert done.returncode == STATE and "not empty" in done.stderr
    assert [p.name for p in stack.path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("words", [["--port", "0"], ["--port", "65536"], ["--port", "8080x"], ["--port"], ["--nonsense"],
                                   ["x"], ["--users"]])
def test_wrong_words_are_refused(words):
    done = subprocess.run([DEPLOY / "up", *words], env=ENV, capture_output=True, text=True, timeout=20)
    assert done.returncode == USAGE and done.stderr.startswith("kerb: ")


def test_help_names_every_option():
    text = subprocess.run([DEPLOY / "up", "--help"], capture_output=True, text=True, check=True).stdout
    for word in ("--detach", "--state", "--port", "--users", "alice, bob and carol", "Exit codes"):
        assert word in text


# --- packages ---

@pytest.fixture
def apt(tmp_path):
    """A machine of one's own for packages.sh: programs that tell what they were asked, and its policy-rc.d."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "here").write_text("curl\n")

    def program(name, text):
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\ncd {tmp_path}\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    program("dpkg-query", 'grep -qx -- "${@: -1}" here && printf installed')
    program("apt-get", 'echo "$@" >>asked; cat policy >during 2>/dev/null; [ "$1" != install ] || [ ! -e broken ]')
    program("id", "cat uid")
    program("systemctl", 'echo "$@" >>asked')
    program("update-rc.d", 'echo "$@" >>asked; echo nginx >>disabled')
    (tmp_path / "uid").write_text("0\n")

    def need(*packages):
        script = f". {DEPLOY}/packages.sh; PACKAGES_POLICY={tmp_path}/policy; need_packages {' '.join(packages)}"
        env = {**ENV, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=20)

    need.dir = tmp_path
    return need


def test_packages_that_are_here_are_not_asked_for(apt):
    assert apt("curl").returncode == 0
    assert not (apt.dir / "asked").exists()


def test_packages_without_root_are_named(apt):
    (apt.dir / "uid").write_text("1000\n")
    done = apt("curl", "nginx", "jq")
    assert done.returncode == PACKAGES and "apt-get install nginx jq\n" in done.stderr
    assert not (apt.dir / "asked").exists()


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"])
@pytest.mark.parametrize("broken", [False, True])
def test_no_service_starts_during_an_installation(apt, before, broken):
    policy = apt.dir / "policy"
    if before:
        policy.write_text(before)
    if broken:
        (apt.dir / "broken").touch()
    assert apt("nginx").returncode == (PACKAGES if broken else 0)
    assert "install -q -y --no-install-recommends nginx" in (apt.dir / "asked").read_text()
    assert "exit 101" in (apt.dir / "during").read_text()
    assert (policy.read_text() if policy.exists() else None) == before
    assert not (apt.dir / "policy.before-kerb").exists()


def test_policy_left_by_a_killed_installation_is_put_right(apt):
    (apt.dir / "policy").write_text("#!/bin/sh\n# kerb: no service starts while packages are installed\nexit 101\n")
    (apt.dir / "policy.before-kerb").write_text("theirs")
    assert apt("nginx").returncode == 0
    assert (apt.dir / "policy").read_text() == "theirs"
    assert not (apt.dir / "policy.before-kerb").exists()


# --- an installed system ---

@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The units as CMake makes them, with a program where they look for one."""
    dir_ = tmp_path_factory.mktemp("units")
    build = next(b for b in (ROOT / "build/dev", ROOT / "build/release", ROOT / "build/asan") if (b / "deploy").exists())
    for unit in [*(build / "deploy").glob("kerb-*.service"), DEPLOY / "systemd/kerb.target"]:
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/usr/bin/true", unit.read_text(), flags=re.M)
        (dir_ / unit.name).write_text(text)
    assert len(list(dir_.iterdir())) == 4
    return dir_


@pytest.mark.parametrize("part", ["as", "tgs", "chat"])
def test_unit_is_well_formed_and_shut(units, part):
    if not Path("/usr/bin/systemd-analyze").exists():
        pytest.skip("no systemd-analyze here")
    unit = units / f"kerb-{part}.service"
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit, units / "kerb.target"], capture_output=True,
                          text=True, env={**ENV, "SYSTEMD_UNIT_PATH": f"{units}:"}, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", unit], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    text = unit.read_text()
    assert f"User=kerb-{part}\n" in text and f"ReadWritePaths=/var/lib/kerb/{part}\n" in text
