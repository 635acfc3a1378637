"""docs/THREATS.md names tests: they are there."""
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def all_tests():
    names = {}
    for folder in ("system", "unit"):
        for file in os.listdir(os.path.join(ROOT, "tests", folder)):
            if file.endswith((".py", ".c")):
                with open(os.path.join(ROOT, "tests", folder, file), encoding="utf-8") as f:
                    found = re.findall(r"^(?:def|static void) (\w+)\(", f.read(), re.MULTILINE)
                names[file] = {n for n in found if n.startswith("test_") or "__" in n}
    return names


def test_every_test_that_the_threats_name_exists():
    names = all_tests()
    known = set().union(*names.values())
    with open(os.path.join(ROOT, "docs", "THREATS.md"), encoding="utf-8") as f:
        quoted = re.findall(r"`((?:test_|[a-z_]+__|[a-z_]+_test\.c)[\w.*]*)`", f.read())
    assert len(quoted) > 20
    for name in quoted:
        if name.endswith((".py", ".c")):
            assert name in names, name
        elif name.endswith("*"):
            assert any(k.startswith(name[:-1]) for k in known), name
        else:
            assert name in known, name
