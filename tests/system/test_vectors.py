"""The vectors of the sealed profile are what their script makes; the unit tests *_vectors read them."""
import json
import os
import shutil
import subprocess

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors", "kerb")


def check(directory):
    return subprocess.run([os.path.join(directory, "generate.py"), "--check"], capture_output=True, text=True)


def test_vectors_are_made_again_to_the_byte():
    r = check(HERE)
    assert r.returncode == 0, r.stderr


def test_a_changed_or_missing_vector_is_found(tmp_path):
    names = sorted(n for n in os.listdir(HERE) if n.endswith(".json"))
    assert names == ["ap.json", "as.json", "chat.json", "envelopes.json", "keys.json", "tgs.json"]
    for name in names + ["generate.py"]:
        shutil.copy(os.path.join(HERE, name), tmp_path / name)
    assert check(tmp_path).returncode == 0
    chat = json.loads((tmp_path / "chat.json").read_text())
    chat["c2s"][0]["sequence"] = 1
    (tmp_path / "chat.json").write_text(json.dumps(chat, indent=1, ensure_ascii=False) + "\n")
    (tmp_path / "tgs.json").unlink()
    r = check(tmp_path)
    assert r.returncode == 1
    assert [line.split()[0] for line in r.stderr.splitlines()] == ["tgs.json", "chat.json"]


def test_the_script_rests_on_nothing_of_ours():
    with open(os.path.join(HERE, "generate.py"), encoding="utf-8") as f:
        text = f.read()
    assert "kerbtest" not in text and "build/" not in text
