"""A realm in a directory of its own: its daemons as processes, its users, and everything that must not leak."""
import configparser
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import classic, envelope, kdc

BIN = os.environ.get("KERB_BIN") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "../../../build/dev/bin"))
NAMES = ("as", "tgs", "chat")
START_S, STOP_S = 30, 30
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


def ports():
    """Below the ports that the kernel gives to connections: until a daemon binds one, nobody else is given it."""
    first, last = 10240, int(open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii").read().split()[0])
    n = os.getpid() * 97  # test processes beside each other begin far apart
    while True:
        n += 1
        yield first + n % (last - first)


_ports = ports()


def free_port():
    while True:
        port = next(_ports)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def environment(**more):
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:exitcode=99:allocator_may_return_null=1",
               UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    env.update(more)
    return env


class Process:
    """A program of ours whose standard error is a log of JSON lines."""

    def __init__(self, argv, log_path, env=None):
        self.log_path = log_path
        self.lines, self.other = [], []
        self.changed = threading.Condition()
        self.ended = False
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, env=env or environment())
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with open(self.log_path, "ab") as log:
            for raw in self.popen.stderr:
                log.write(raw)
                log.flush()
                try:
                    line = json.loads(raw)
                except ValueError:
                    line = None
                with self.changed:
                    if isinstance(line, dict):
                        self.lines.append(line)
                    else:
                        self.other.append(raw.decode("utf-8", "replace"))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def find(self, **fields):
        return [x for x in self.lines if all(x.get(k) == v for k, v in fields.items())]

    def wait_log(self, timeout=START_S, **fields):
        """The first log line with these fields."""
        with self.changed:
            ok = self.changed.wait_for(lambda: self.find(**fields) or self.ended, timeout)
            if not self.find(**fields):
                raise AssertionError(f"{'no' if ok else 'still no'} log line {fields}: "
                                     f"{self.lines[-5:]} {''.join(self.other)}")
            return self.find(**fields)[0]

    @property
    def pid(self):
        return self.popen.pid

    def is_alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=STOP_S):
        code = self.popen.wait(timeout)
        self.reader.join(10)
        return code

    def check_clean(self):
        """No sanitizer has spoken."""
        text = "".join(self.other)
        assert not any(w in text for w in SANITIZER_WORDS), text

    def stop(self):
        """An orderly end: SIGTERM, exit status 0, nothing that a sanitizer found."""
        if self.is_alive():
            self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.popen.args[0]} did not end within {STOP_S} s of SIGTERM") from None
        self.check_clean()
        assert code == 0, f"{self.popen.args[0]} ended with {code}: {''.join(self.other)}"

    def kill(self):
        if self.is_alive():
            self.signal(signal.SIGKILL)
        self.wait()
        self.check_clean()


class User:
    def __init__(self, name, password):
        self.name, self.password = name, password
        self.key = classic.password_key(password)

    def __repr__(self):
        return f"<{self.name}>"


class Realm:
    """config: {"chat": {"login_timeout": 2}, ...} beside the defaults; ports are free ones."""

    def __init__(self, directory, config=None, name="TEST.REALM", bin_dir=BIN):
        self.dir = str(directory)
        self.name, self.bin = name, bin_dir
        self.state = os.path.join(self.dir, "state")
        self.logs = os.path.join(self.state, "log")
        self.daemons, self.secret = {}, {}
        self.front = None
        os.makedirs(self.logs, mode=0o700)
        os.chmod(self.state, 0o700)
        self.write_config(config or {})
        self.kerbadm("init", "--realm", name)

    # --- configuration and kerbadm ---

    def write_config(self, config):
        c = configparser.ConfigParser(interpolation=None)
        c.read_dict({"realm": {"name": self.name}, **{n: {"listen": "127.0.0.1:0"} for n in NAMES},
                     "log": {"level": "debug"}, "policy": {"pbkdf2_iterations": 200000}})
        inner = {n: f"127.0.0.1:{free_port()}" for n in NAMES}  # the others must know them before they are open
        for name, port in inner.items():
            c.set(name, "inner", port)
        c.set("tgs", "feed", inner["as"])
        c.set("chat", "feed", inner["tgs"])
        for section, keys in config.items():
            if section not in c:
                c.add_section(section)
            for k, v in keys.items():
                c.set(section, k, str(v))
        self.conf = os.path.join(self.state, "kerb.conf")
        with open(self.conf, "w", encoding="utf-8") as f:
            c.write(f)
        os.chmod(self.conf, 0o600)

    def kerbadm(self, *words, check=True, stdin=""):
        r = subprocess.run([os.path.join(self.bin, "kerbadm"), "--state", self.state, *words], input=stdin,
                           capture_output=True, text=True, timeout=60, env=environment())
        if check:
            assert r.returncode == 0, f"kerbadm {' '.join(words)}: {r.returncode} {r.stdout} {r.stderr}"
        return r

    def add_user(self, name=None, password=None):
        user = User(name or "u" + secrets.token_hex(6), password or "pw " + secrets.token_hex(12))
        path = os.path.join(self.dir, "password." + secrets.token_hex(8))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as f:
            f.write(user.password + "\n")
        try:
            self.kerbadm("user", "add", user.name, "--password-file", path)
        finally:
            os.unlink(path)
        self.remember("password", user.password)
        self.remember("user key", user.key)
        return user

    def add_users(self, n):
        return [self.add_user() for _ in range(n)]

    def keytab(self, name):
        return envelope.Keytab(os.path.join(self.state, name, name + ".keytab"))

    def remember(self, what, value):
        """Notes a secret for the test that searches the disk."""
        value = value.encode() if isinstance(value, str) else value
        if len(value) >= 8:
            self.secret[value] = what

    # --- daemons ---

    def start(self, *names, bin_dir=None, env=None):
        for n in names or NAMES:
            assert n not in self.daemons or not self.daemons[n].is_alive()
            argv = [os.path.join(bin_dir or self.bin, "kerb-" + n), "--config", self.conf]
            self.daemons[n] = Process(argv, os.path.join(self.logs, f"kerb-{n}.log"), env)
        for n in names or NAMES:
            d = self.daemons[n]
            d.port = int(d.wait_log(event="listening")["port"])
        return self

    def stop(self, *names):
        problems = []
        for n in names or NAMES:
            if n in self.daemons:
                try:
                    self.daemons.pop(n).stop()
                except AssertionError as e:
                    problems.append(str(e))
        assert not problems, "\n".join(problems)

    def kill(self, *names):
        for n in names or NAMES:
            self.daemons.pop(n).kill()

    def restart(self, *names):
        self.stop(*names)
        self.start(*names)

    def address(self, name):
        """Where clients go: to the daemon, or to nginx when it stands in front."""
        return ("127.0.0.1", self.front.port if self.front else self.daemons[name].port)

    as_addr = property(lambda self: self.address("as"))
    tgs_addr = property(lambda self: self.address("tgs"))
    chat_addr = property(lambda self: self.address("chat"))

    # --- what the daemons say of themselves ---

    def audit(self, name, **fields):
        """The lines of a daemon's audit log with these fields."""
        try:
            with open(os.path.join(self.state, name, "audit.log"), encoding="utf-8") as f:
                lines = [json.loads(x) for x in f if x.endswith("\n")]
        except FileNotFoundError:
            return []
        return [x for x in lines if all(x.get(k) == v for k, v in fields.items())]

    def wait_audit(self, name, **fields):
        """The first of them, when it is written: that takes 100 ms."""
        return wait_until(lambda: self.audit(name, **fields), what=f"an audit line {fields} of {name}")[0]

    def metrics(self, name):
        """What /metrics shows: {"name{labels}": value}."""
        from . import web
        conf = configparser.ConfigParser(interpolation=None)
        conf.read(self.conf)
        host, _, port = conf[name]["inner"].rpartition(":")
        r = web.request((host, int(port)), "GET", "/metrics", None, {})
        assert r.status == 200 and r.headers["Content-Type"].startswith("text/plain; version=0.0.4"), r
        text = r.body.decode()
        return {k: float(v) for k, v in (x.rsplit(" ", 1) for x in text.splitlines() if x and x[0] != "#")}

    # --- clients, in short ---

    def login(self, user, **how):
        return kdc.login(self, user, **how)

    def ticket(self, user, service="chat", **how):
        return self.login(user).service(service, **how)

    def chat(self, user, **how):
        """A connection that has been greeted. user: a User, or a service ticket to use again."""
        from .chat import Chat
        ticket = user if isinstance(user, kdc.ServiceTicket) else self.ticket(user)
        return Chat(self, ticket, **how)

    def close(self):
        """The end of a test: connections, daemons, directory."""
        from .chat import close_all
        close_all(self)
        try:
            if self.front:
                self.front.stop()
            self.stop()
        finally:
            for d in self.daemons.values():
                d.kill()
            shutil.rmtree(self.dir, ignore_errors=True)


def wait_until(claim, timeout=10, what="the claim"):
    """For what no event tells: looks every 20 ms."""
    end = time.monotonic() + timeout
    while not (value := claim()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {timeout} s")
        time.sleep(0.02)
    return value


@contextlib.contextmanager
def realm_in(directory, **how):
    realm = Realm(directory, **how)
    try:
        realm.start()
        yield realm
    except BaseException:
        with contextlib.suppress(Exception):
            realm.close()
        raise
    realm.close()
