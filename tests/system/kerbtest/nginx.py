"""nginx in front of a realm, in a prefix of its own, with the configuration of deploy/up."""
import os
import subprocess

from . import web
from .realm import NAMES, free_port, wait_until

TEMPLATES = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../deploy/nginx"))
FILES = ("nginx.conf.in", "routes.conf.in", "maps.conf")


class Front:
    def __init__(self, realm):
        self.dir = os.path.join(realm.dir, "front")
        os.makedirs(self.dir, mode=0o755)
        self.port = free_port()
        words = {"@USER@": "user root;" if os.geteuid() == 0 else "", "@PORT@": str(self.port), "@WORKERS@": "1",
                 "@CONNECTIONS@": "4096", **{f"@{n.upper()}@": f"127.0.0.1:{realm.daemons[n].port}" for n in NAMES}}
        for d in ("front/tmp", "log"):
            os.makedirs(os.path.join(realm.dir, d), mode=0o755)
        for name in FILES:
            with open(os.path.join(TEMPLATES, name), encoding="utf-8") as f:
                text = f.read()
            for word, value in words.items():
                text = text.replace(word, value)
            with open(os.path.join(self.dir, name.removesuffix(".in")), "w", encoding="utf-8") as f:
                f.write(text)
        path = os.path.join(self.dir, "nginx.conf")
        self.popen = subprocess.Popen(["/usr/sbin/nginx", "-p", self.dir, "-e", self.dir + "/error.log", "-c", path],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(self._answers, what="nginx")
        realm.front = self

    def _answers(self):
        assert self.popen.poll() is None, self.popen.stderr.read()
        try:
            return web.get(("127.0.0.1", self.port), "/nothing").status == 404
        except OSError:
            return False

    def stop(self):
        self.popen.terminate()
        self.popen.communicate(timeout=20)
