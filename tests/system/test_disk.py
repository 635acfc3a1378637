"""After all flows, nothing on the disk gives away a text, a saved value, a password, a share or a key."""
import base64
import contextlib
import json
import os
import secrets

from kerbtest.chat import Chat


def spellings(secret):
    """The secret raw, in hexadecimal, and in base64 wherever it may lie within what was encoded."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + secret)
        first = (lead * 8 + 5) // 6  # letters that also depend on what stands before
        last = (lead + len(secret)) * 8 // 6
        core = text[first:last]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def files_under(directory):
    for top, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(top, name)
            with contextlib.suppress(FileNotFoundError):  # written under another name by now, and seen there
                with open(path, "rb") as f:
                    yield os.path.relpath(path, directory), f.read()


def leaks(directory, secret, may):
    """(what, file) for every secret that some file holds; may(what, file): this file holds it by its nature."""
    wanted = [(what, set(spellings(s))) for s, what in secret.items()]
    return sorted({(what, name) for name, data in files_under(directory) for what, spelled in wanted
                   if not may(what, name) and any(x in data for x in spelled)})


def keys_of(realm):
    """Every long-lived key: {bytes: (what, the one file that must hold it)}."""
    found = {}
    for name, data in files_under(realm.state):
        if name.endswith((".keytab", "master.key")):
            for k in json.loads(data)["keys"]:
                key = base64.urlsafe_b64decode(k["key"] + "==")
                found[key] = f"key {k['principal']} of {name}"
    return found


def test_the_search_finds_what_is_there(tmp_path):
    """The search itself, on files that leak in every spelling."""
    secret = secrets.token_bytes(16)
    nothing = lambda what, name: False  # noqa: E731
    assert leaks(tmp_path, {secret: "s"}, nothing) == []
    samples = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    samples += [f(secrets.token_bytes(lead) + secret + b"tail") for lead in range(6)
                for f in (base64.b64encode, base64.urlsafe_b64encode)]
    for i, sample in enumerate(samples):
        path = tmp_path / f"leak{i}"
        path.write_bytes(b"before " + sample + b" behind")
        assert leaks(tmp_path, {secret: "s"}, nothing) == [("s", f"leak{i}")]
        path.unlink()


def run_all_flows(realm):
    """Everything that passes a secret through the daemons, also what fails."""
    users = realm.add_users(4)
    a, b, c = (realm.chat(u, extensions=True) for u in users[:3])
    realm.chat(users[3]).close()
    absent = users[3]

    def text():
        t = "the text " + secrets.token_hex(12)
        realm.remember("text", t)
        return t

    for room, threshold in (("open", 0), ("one", 1), ("two", 2), ("all", 4)):
        room += secrets.token_hex(4)
        a.new_room(room, threshold, users)
        for x in (b, c):
            x.expect("new_room", room=room)
        if threshold == 0:
            for x in (a, b, c):
                x.say(room, text())
            a.enter(room)
            continue
        c.send("secret", room=room, secret=a.shares[room])
        c.send("go_room", room=room, secret="1-" + secrets.token_hex(31).lstrip("0"))
        if threshold < 4:
            for x in (a, b)[:threshold]:
                x.contribute(room)
            a.expect("room_messages", room=room)
            for x in (a, b, c):
                x.say(room, text())
            c.send("delete_chat", room=room)
        else:
            closed = text()
            a.send("new_message", room=room, message={"text": closed})
        if threshold == 2:
            s = [tuple(x.shares[room].split("-")) for x in (a, b)]
            p = 2**255 - 19
            (i, y), (j, z) = ((int(n), int(v, 16)) for n, v in s)
            f0 = (y * -j * pow(i - j, -1, p) + z * -i * pow(j - i, -1, p)) % p
            realm.remember("room secret", f0.to_bytes(32, "big"))
            realm.remember("room secret", f"{f0:x}")
    gone = "gone" + secrets.token_hex(4)
    a.new_room(gone, 1, [users[0]])
    a.contribute(gone)
    a.expect("room_messages", room=gone)
    a.say(gone, text())
    a.send("delete_chat", room=gone)
    for key in ("saved", "replaced", "replaced"):
        value = text()
        a.send("save_data", key=key, data={"value": value})
    a.fence()
    # What fails, too.
    c.send_raw(json.dumps({"type": "new_message", "message": {"text": text()}}))
    c.send("no such request", text=text(), secret=text())
    c.send("new_message", room="no such room", message={"text": text()})
    c.send("save_data", key=17, data=text())
    bad = Chat(realm, realm.ticket(users[0]), greet=False)
    bad.send_plain({**bad.ticket.login_frame(), "service_ticket": text(), "authenticator": text()})
    bad.closed()
    password = text()
    path = os.path.join(realm.dir, "new-password")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
        f.write(password + "\n")
    realm.kerbadm("user", "passwd", users[1].name, "--password-file", path)
    os.unlink(path)
    realm.kerbadm("user", "list")
    realm.kerbadm("user", "show", users[1].name)
    realm.kerbadm("check")
    back = realm.chat(absent)
    back.expect("new_room")
    back.expect("new_room")
    back.fence()
    a.close()
    return users


def test_attack_nothing_readable_on_the_disk(new_realm):
    realm = new_realm()
    run_all_flows(realm)
    assert len(realm.secret) > 40 and {"text", "share", "password", "user key", "room secret", "TGT session key",
                                       "service session key"} <= set(realm.secret.values())
    for moment in ("running", "killed", "started again", "stopped"):
        {"killed": realm.kill, "started again": realm.start, "stopped": realm.stop}.get(moment, lambda: None)()
        keys = keys_of(realm)
        assert len(keys) >= 5
        secret = {**realm.secret, **keys}
        found = leaks(realm.state, secret, lambda what, name: what.endswith(" of " + name))
        assert not found, (moment, found)


def test_attack_open_files_are_for_the_owner_alone(new_realm):
    realm = new_realm()
    realm.chat(realm.add_user()).fence()
    for top, directories, names in os.walk(realm.state):
        for name in directories + names:
            path = os.path.join(top, name)
            if os.sep + "log" in path[len(realm.state):]:
                continue
            assert os.stat(path).st_mode & 0o077 == 0, path
