"""Ways in which the disk of a realm's chat goes wrong: fail() begins it, mend() ends it, end() when the realm has stopped."""
import contextlib
import os
import shutil
import sqlite3
import subprocess

import pytest

from .realm import environment


class Small:
    """A file system of its own below STATE/chat; it is full when the ballast lies there."""

    def __init__(self, realm, size):
        self.dir = os.path.join(realm.state, "chat")
        self.ballast = os.path.join(self.dir, "ballast")
        before = self.dir + ".before"
        os.rename(self.dir, before)
        os.mkdir(self.dir, 0o700)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", self.dir],
                           capture_output=True, text=True)
        if r.returncode:
            os.rmdir(self.dir)
            os.rename(before, self.dir)
            pytest.skip(f"no file system can be mounted here: {r.stderr.strip()}")
        shutil.copytree(before, self.dir, dirs_exist_ok=True)

    def fail(self):
        with open(self.ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass

    def mend(self):
        os.unlink(self.ballast)

    def end(self):
        subprocess.run(["umount", self.dir], check=True)


class Preloaded:
    """Every change of a file below STATE/chat fails with that errno; below 0: each sync takes so many ms longer."""

    def __init__(self, realm, shim, number, tmp_path):
        self.word, self.number = tmp_path / "disk", number
        self.env = environment(LD_PRELOAD=shim, KERB_TEST_DISK=str(self.word), KERB_TEST_DIR=realm.state + "/chat/")

    def fail(self, number=None):
        self.word.with_suffix(".new").write_text(f"{number or self.number}\n")
        os.rename(self.word.with_suffix(".new"), self.word)

    def mend(self):
        self.word.unlink()

    def end(self):
        pass


class Locked:
    """Somebody else has the database's write lock, for longer than anybody waits."""

    def __init__(self, realm):
        self.path = f"{realm.state}/chat/chat.db"

    def fail(self):
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.db.execute("BEGIN IMMEDIATE")

    def mend(self):
        self.db.rollback()
        self.db.close()

    def end(self):
        pass
