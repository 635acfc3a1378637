"""libkerb as another program finds it: installed, by pkg-config, shared and static, with the example."""
import os
import re
import shutil
import subprocess

import pytest
from kerbtest.nginx import Front
from kerbtest.realm import BIN, environment, realm_in

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.path.dirname(BIN)
STATIC_NEEDS = ["libwebsockets", "libcurl", "libcrypto", "jansson", "libutf8proc"]
CONFIG = {"proxy": {"trusted": "127.0.0.1"}, "policy": {"pbkdf2_iterations": 200000}}


def run(*argv, status=0, **how):
    r = subprocess.run(argv, capture_output=True, text=True, timeout=120, **how)
    assert r.returncode == status, f"{argv}: {r.returncode} {r.stdout} {r.stderr}"
    return r


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Only what libkerb needs of an installation: the daemons stay where they are."""
    if not os.path.exists(os.path.join(BUILD, "client/cmake_install.cmake")) or not shutil.which("cmake"):
        pytest.skip("there is no build directory to install from")
    prefix = tmp_path_factory.mktemp("usr")
    run("cmake", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P", os.path.join(BUILD, "client/cmake_install.cmake"))
    return prefix


@pytest.fixture(scope="module")
def lib_realm(many_files, tmp_path_factory):
    with realm_in(tmp_path_factory.mktemp("lib"), config=CONFIG) as r:
        Front(r)
        yield r


def pkg_config(prefix, *words):
    (found,) = prefix.glob("**/kerb.pc")
    return run("pkg-config", *words, "kerb", env={**os.environ, "PKG_CONFIG_PATH": str(found.parent)}).stdout.split()


def sanitizers():
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as f:
        words = re.search(r"^KERB_SANITIZE:\w+=(.*)$", f.read(), re.M).group(1)
    return [f"-fsanitize={words}"] if words else []


@pytest.mark.parametrize("kind", ["shared", "static"])
def test_the_example_logs_in(installed, lib_realm, tmp_path, kind):
    program = str(tmp_path / "login")
    flags = pkg_config(installed, "--cflags", "--libs")
    (libdir,) = [f[2:] for f in flags if f.startswith("-L")]
    if kind == "static":  # libkerb from its archive, the system's libraries shared
        system = run("pkg-config", "--libs", *STATIC_NEEDS).stdout.split()
        flags = [f for f in flags if f != "-lkerb"] + [f"{libdir}/libkerb.a", *system, "-linih", "-lpthread"]
        private = pkg_config(installed, "--print-requires-private")
        assert sorted(private) == sorted(STATIC_NEEDS)
    run("gcc", "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", os.path.join(ROOT, "deploy/examples/login.c"),
        *sanitizers(), *flags, "-o", program)
    needed = run("ldd", program, env={**os.environ, "LD_LIBRARY_PATH": libdir}).stdout
    assert ("libkerb.so.0" in needed) == (kind == "shared")

    user = lib_realm.add_user()
    env = environment(LD_LIBRARY_PATH=libdir, HOME=str(tmp_path))
    url = f"http://127.0.0.1:{lib_realm.front.port}"
    r = run(program, url, user.name, input=user.password + "\n", env=env)
    assert f"logged in as {user.name} in TEST.REALM" in r.stdout
    assert re.search(r"ticket for chat: \d+ letters, good for 3\d\d\d s", r.stdout)
    wrong = run(program, url, user.name, input="wrong\n", env=env, status=1).stderr
    assert re.search(r"wrong name or password \(op_id [0-9a-zA-Z_-]{16}\) \(REFUSED\)", wrong)


def test_the_shared_library_shows_its_headers_and_nothing_else(installed):
    (lib,) = [p for p in installed.glob("**/libkerb.so.0")]
    shown = set(re.findall(r" T (\w+)(?:@@\w+)?$", run("nm", "-D", "--defined-only", str(lib)).stdout, re.M))
    text = "".join((installed / "include" / h).read_text() for h in ("kerb.h", "kerb_chat.h"))
    declared = set(re.findall(r"\b(kerb_\w+)\(", re.sub(r"/\*.*?\*/", "", text, flags=re.S)))
    assert shown == declared and len(shown) > 15


def test_the_header_is_c_and_cpp_alone(installed, tmp_path):
    source = tmp_path / "a.c"
    source.write_text('#include <kerb.h>\n#include <kerb_chat.h>\n#include <kerb_chat.h>\nint main(void) { return KERB_OK; }\n')
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{installed}/include", "-fsyntax-only", str(source))
    if shutil.which("g++"):
        run("g++", "-Wall", "-Werror", f"-I{installed}/include", "-fsyntax-only", "-x", "c++", str(source))
