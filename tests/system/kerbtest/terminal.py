"""A program in a pseudo-terminal of its own, driven as a person does: wait for a question, type an answer."""
import os
import pty
import select
import signal
import time


class Terminal:
    def __init__(self, argv, env):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)

    def _read(self, timeout):
        """False at the end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, words, timeout=20):
        """Waits until the words have been written; what is behind them stays for the next call."""
        end = time.monotonic() + timeout
        while words not in self.text:
            assert time.monotonic() < end and self._read(0.1), f"no '{words}' but: {self.text!r}"
        before, _, self.text = self.text.partition(words)
        return before

    def type(self, text):
        # readpassphrase flushes what was typed before it asked: the question must be out
        os.write(self.fd, text.encode())

    def answer(self, question, text):
        self.expect(question)
        self.type(text + "\n")

    def end(self, timeout=20):
        """The exit status and what was still written."""
        stop = time.monotonic() + timeout
        while self._read(0.1):
            if time.monotonic() > stop:
                os.kill(self.pid, signal.SIGKILL)
                break
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        assert os.WIFEXITED(status), f"signal {os.WTERMSIG(status)}: {self.text!r}"
        return os.WEXITSTATUS(status), self.text.replace("\r\n", "\n")
