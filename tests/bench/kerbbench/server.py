"""Programs that are measured, and those that make the load."""
import json
import os
import re
import subprocess
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.path.join(ROOT, "build/bench")
START_S, STOP_S = 30, 30


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def tasks(pid):
    return os.listdir(f"/proc/{pid}/task")


def family(pid):
    children = [int(c) for task in tasks(pid) for c in read(f"/proc/{pid}/task/{task}/children").split()]
    return [pid, *(p for c in children for p in family(c))]


def thread_us(pid, task):
    return int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0]) / 1000


def tool(name):
    return os.path.join(BUILD, "bench", name)


class Server:
    """A program that is measured. Its standard error goes to a file, as a service manager would have it.

    port: known before; else it is printed by the program, or stands in its log.
    """

    def __init__(self, argv, log, prints_port=False, port=None):
        self.log_path = log
        self.log = open(log, "wb")
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=self.log,
                                      stdout=subprocess.PIPE if prints_port else subprocess.DEVNULL)
        self.port = port or (int(self.popen.stdout.readline().split()[1]) if prints_port else self.port_in_log())

    def port_in_log(self):
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.popen.poll() is None:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                for line in f:
                    if '"listening"' in line and line.endswith("\n"):
                        return int(json.loads(line)["port"])
            time.sleep(0.05)
        raise SystemExit(f"{self.popen.args[0]} does not listen; see {self.log_path}:\n{open(self.log_path).read()}")

    def is_alive(self):
        return self.popen.poll() is None

    def cpu_us(self):
        """CPU time so far, of all threads and of its children."""
        return sum(thread_us(pid, task) for pid in family(self.popen.pid) for task in tasks(pid))

    def thread_cpu_us(self, name):
        """That of the threads of this name."""
        pid = self.popen.pid
        return sum(thread_us(pid, task) for task in tasks(pid) if read(f"/proc/{pid}/task/{task}/comm").strip() == name)

    def rss_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{self.popen.pid}/status")).group(1))

    def stop(self):
        if self.is_alive():
            self.popen.terminate()
            try:
                self.popen.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.close()

    def kill(self):
        if self.is_alive():
            self.popen.kill()
            self.popen.wait()


class Load:
    """The load generator for the chat and the brokers: commands in, one object a line out.

    lines: see load_chat.c; options: "tls", "serial".
    """

    def __init__(self, port, lines, directory, *options):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=directory, prefix="connections.") as f:
            f.writelines(line + "\n" for line in lines)
            f.flush()
            self.popen = subprocess.Popen([tool("load_chat"), str(port), f.name, *options], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True, bufsize=1)
            self.connected = self.answer()

    def answer(self):
        line = self.popen.stdout.readline()
        if not line:
            raise SystemExit("the load generator has ended; what it said stands above")
        return json.loads(line)

    def do(self, *words):
        self.popen.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.popen.stdin.flush()
        return self.answer()

    def blast(self, **how):
        """Posts and waits until all is delivered, with a look at what connection 0 has got."""
        result = self.do("blast", json.dumps(how))
        if result["checked"] != result["got"] or result["messages"] != how["count"]:
            raise SystemExit(f"what came back is not what was sent: {result}")
        return result

    def stop(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
