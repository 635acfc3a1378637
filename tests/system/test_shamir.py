"""The kerb-shamir command: what it splits it combines, byte for byte, and it says clearly what it refuses."""
import itertools
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHAMIR = str(Path(os.environ.get("KERB_BIN", ROOT / "build/dev/bin")) / "kerb-shamir")

SIZES = {"2^127-1": 15, "2^130-5": 16, "2^255-19": 31, "2^521-1": 65}  # bytes of a secret that fit for certain
PRIMES = {"2^127-1": 2**127 - 1, "2^130-5": 2**130 - 5, "2^255-19": 2**255 - 19, "2^521-1": 2**521 - 1}


def run(*args, stdin=b""):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    return subprocess.run([SHAMIR, *args], input=stdin, capture_output=True, timeout=20)


def split(secret, t, n, *more):
    done = run("split", "-t", str(t), "-n", str(n), *more, stdin=secret + "\n")
    assert done.returncode == 0, done.stderr
    shares = done.stdout.decode().splitlines()
    assert [s.split("-")[0] for s in shares] == [str(i) for i in range(1, n + 1)]
    return shares


def combine(shares, *more):
    return run("combine", *more, stdin="".join(s + "\n" for s in shares))


def secret_of(shares, *more):
    done = combine(shares, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().removesuffix("\n")


def refused(done, status, *words):
    assert done.returncode == status
    assert done.stdout == b""
    for word in words:
        assert word in done.stderr.decode()


def test_any_three_of_five_give_the_secret():
    secret = "00ff17" * 5
    shares = split(secret, 3, 5)
    for some in itertools.permutations(shares, 3):
        assert secret_of(some) == secret
    assert secret_of(shares) == secret


def test_the_shares_lie_on_a_polynomial_with_the_marked_secret_at_zero():
    p = PRIMES["2^255-19"]
    points = [(int(i), int(v, 16)) for i, v in (s.split("-") for s in split("beef", 2, 3))]
    (x1, y1), (x2, y2), (x3, y3) = points
    slope = (y2 - y1) * pow(x2 - x1, -1, p) % p
    assert (y1 - slope * x1) % p == 0x01BEEF
    assert (y1 + slope * (x3 - x1)) % p == y3


@pytest.mark.parametrize("secret", ["00", "0000000000", "01", "ff", "00" * 31, "ff" * 31, "00" * 32, "ff" * 32, "00" * 65])
def test_leading_zeros_come_back(secret):
    assert secret_of(split(secret, 2, 3)[1:]) == secret


@pytest.mark.parametrize("field", SIZES)
def test_each_field_takes_what_fits_and_refuses_a_byte_more(field):
    secret = "a5" * SIZES[field]
    shares = split(secret, 2, 2, "--field", field)
    assert all(int(s.split("-")[1], 16) < PRIMES[field] for s in shares)
    assert secret_of(shares, "--field", field) == secret
    done = run("split", "-t", "2", "-n", "2", "--field", field, stdin=secret + "a5\n")
    refused(done, 1, "does not fit")


def test_65_bytes_fit_unless_they_are_the_prime():
    edge = "ff" * 64 + "fe"
    assert secret_of(split(edge, 2, 2)) == edge
    refused(run("split", "-t", "2", "-n", "2", stdin="ff" * 65 + "\n"), 1, "does not fit")


def test_default_field_grows_with_the_secret():
    def longest(secret):
        return max(int(s.split("-")[1], 16) for s in split(secret, 2, 20))

    assert longest("00" * 31) < PRIMES["2^255-19"]
    assert longest("00" * 32) > PRIMES["2^255-19"]


def test_text_is_taken_as_its_bytes():
    text = "  Grüße, 世界\t!  "
    shares = split(text, 3, 4, "--text")
    assert secret_of(shares[:3], "--text") == text
    assert secret_of(shares[:3]) == text.encode().hex()
    assert secret_of(split("C0FFEE", 1, 1)) == "c0ffee"


def test_text_that_a_terminal_would_obey_is_not_printed():
    shares = split("1b5b324a", 2, 2)
    refused(combine(shares, "--text"), 1, "no text")
    refused(run("split", "-t", "1", "-n", "1", "--text", stdin=b"a\x1b[2J\n"), 1, "not a line of UTF-8 text")
    refused(run("split", "-t", "1", "-n", "1", "--text", stdin=b"\xff\n"), 1, "not a line of UTF-8 text")


def test_too_few_shares_are_told():
    # One set in 128 gives the mark by chance; ten in a row do not.
    outcomes = [combine(split("aa" * 16, 3, 3)[:2]) for _ in range(10)]
    told = [o for o in outcomes if o.returncode == 1]
    assert len(told) >= 7
    for o in told:
        refused(o, 1, "too few or foreign shares")


def test_foreign_shares_are_told():
    told = 0
    for _ in range(10):
        mine, other = split("aa" * 16, 2, 2), split("bb" * 16, 2, 2)
        done = combine([mine[0], other[1]])
        told += done.returncode == 1 and b"too few or foreign shares" in done.stderr
    assert told >= 7


def test_each_split_is_fresh():
    assert set(split("aa", 2, 5)).isdisjoint(split("aa", 2, 5))
    assert {s.split("-")[1] for s in split("aa", 1, 5)} == {"1aa"}


@pytest.mark.parametrize("bad", ["0-ff", "01-ff", "1-0ff", "1-FF", "256-1", "1-", "-1", "1", "1-xy", " 1-ff", "1-ff ", "1-ff\r",
                                 "1-" + "f" * 132, "1-1ff" + "f" * 128])
def test_a_bad_line_is_named(bad):
    shares = split("aa", 2, 3)
    refused(combine([shares[0], "", bad]), 1, "line 3", "not a share")


def test_a_share_of_another_field_is_named():
    big = next(s for s in split("aa" * 40, 2, 20) if int(s.split("-")[1], 16) > PRIMES["2^255-19"])
    refused(combine(["1-5", big], "--field", "2^255-19"), 1, "line 2", "not a share")


def test_a_number_twice_is_named():
    shares = split("aa", 2, 3)
    refused(combine([shares[0], shares[0]]), 1, "line 2", "this number")
    refused(combine([shares[0], shares[1], "1-5"]), 1, "line 3", "this number")


def test_bad_input_is_refused():
    for text, word in [("", "empty"), ("\n", "empty"), ("abc\n", "hexadecimal"), ("0xab\n", "hexadecimal"),
                       ("a b\n", "hexadecimal"), ("aa\nbb\n", "more than one line"), ("aa\r\n", "hexadecimal")]:
        refused(run("split", "-t", "2", "-n", "3", stdin=text), 1, word)
    refused(run("combine"), 1, "no shares")
    refused(run("combine", stdin="1-5\n" * 20000), 1, "cannot read")


@pytest.mark.parametrize("args", [
    [], ["join"], ["split"], ["split", "-t", "2"], ["split", "-n", "2"], ["split", "-t", "3", "-n", "2"],
    ["split", "-t", "0", "-n", "2"], ["split", "-t", "2", "-n", "256"], ["split", "-t", "two", "-n", "3"],
    ["split", "-t", "02", "-n", "3"], ["split", "-t", "2", "-n", "3", "--field", "2^89-1"], ["split", "-t"],
    ["split", "-t", "2", "-n", "3", "--what"], ["combine", "-t", "2"], ["combine", "1-5"],
])
def test_wrong_usage_ends_with_2(args):
    refused(run(*args, stdin="aa\n"), 2, "--help")


def test_an_argument_is_never_repeated():
    done = run("split", "-t", "2", "-n", "3", "my-secret")
    refused(done, 2, "standard input")
    assert b"my-secret" not in done.stderr


def test_help_and_version():
    done = run("--help")
    assert done.returncode == 0 and b"combine" in done.stdout
    done = run("--version")
    assert done.returncode == 0 and done.stdout.startswith(b"kerb-shamir ")


def test_output_that_cannot_be_written_is_told():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SHAMIR, "split", "-t", "1", "-n", "1"], input=b"aa\n", stdout=full, stderr=subprocess.PIPE,
                              timeout=20)
    assert done.returncode == 1 and b"cannot split" in done.stderr


def on_terminal(args, typed, interrupt=False):
    """Runs the command on a terminal of its own; returns its exit status and all that the terminal showed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(SHAMIR, [SHAMIR, *args])
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(fd, 4096)
    time.sleep(0.1)
    os.write(fd, typed.encode())
    if interrupt:
        os.write(fd, b"\x03")
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:  # the other end is gone
            break
        if not piece:
            break
        shown += piece
    _, status = os.waitpid(pid, 0)
    return status, shown.decode()


def test_a_terminal_does_not_show_the_secret():
    status, shown = on_terminal(["split", "-t", "1", "-n", "1"], "c0ffee00c0ffee\n")
    assert status == 0
    assert "1-1c0ffee00c0ffee" in shown
    assert shown.count("c0ffee00c0ffee") == 1


def test_a_terminal_does_not_show_shares_and_ends_with_an_empty_line():
    shares = split("00beef", 2, 2)
    status, shown = on_terminal(["combine"], "\n".join(shares) + "\n\n")
    assert status == 0 and "00beef" in shown
    assert shares[0].split("-")[1] not in shown


def test_an_interrupt_ends_it_by_the_signal():
    status, shown = on_terminal(["split", "-t", "1", "-n", "1"], "c0ffee", interrupt=True)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 2
    assert "c0ffee" not in shown
