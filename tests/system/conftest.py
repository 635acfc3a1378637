"""
Fixtures. `realm` is shared by the tests of one worker process that only use it; `any_realm` is, too, direct and through
nginx; `new_realm` makes one's own. A file whose tests all run both ways has a `realm` of its own that is `any_realm`.
"""
import os
import resource
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from kerbtest import chat  # noqa: E402
from kerbtest.nginx import Front  # noqa: E402
from kerbtest.realm import BIN, Realm, realm_in  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="session", autouse=True)
def many_files():
    """Some tests hold thousands of connections."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o077)


@pytest.fixture(autouse=True)
def no_connection_left():
    yield
    chat.close_all()


@pytest.fixture(scope="session")
def direct_realm(many_files, tmp_path_factory):
    with realm_in(tmp_path_factory.mktemp("realm")) as r:
        yield r


@pytest.fixture(scope="session")
def front_realm(many_files, tmp_path_factory):
    with realm_in(tmp_path_factory.mktemp("front"), config={"proxy": {"trusted": "127.0.0.1"}}) as r:
        Front(r)
        yield r


@pytest.fixture
def realm(direct_realm):
    return direct_realm


@pytest.fixture(params=["direct", "nginx"])
def any_realm(request):
    return request.getfixturevalue({"direct": "direct_realm", "nginx": "front_realm"}[request.param])


@pytest.fixture
def new_realm(tmp_path):
    """A function that makes a realm for this test alone, started unless start=False."""
    made = []

    def make(start=True, **config):
        r = Realm(tmp_path / f"realm{len(made)}", config=config)
        made.append(r)
        return r.start() if start else r
    yield make
    problems = []
    for r in made:
        try:
            r.close()
        except AssertionError as e:
            problems.append(str(e))
    assert not problems, "\n".join(problems)


@pytest.fixture
def alice(realm):
    return realm.add_user()


@pytest.fixture
def bob(realm):
    return realm.add_user()


@pytest.fixture
def carol(realm):
    return realm.add_user()


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library that makes a daemon's disk go wrong: kerbtest/shim.c."""
    out = str(tmp_path_factory.mktemp("shim") / "shim.so")
    source = os.path.join(os.path.dirname(__file__), "kerbtest", "shim.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", out, source, "-ldl"], check=True)
    if "asan" not in BIN:
        return out
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return f"{asan.stdout.strip()}:{out}"
