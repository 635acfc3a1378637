"""kerb chat: who came and who went, in terminals."""
import time

from kerbtest.realm import realm_in
import pytest
from kerbtest.nginx import Front
from test_kerb_chat import People, config, make_room, say

HOLD_S = 20


@pytest.fixture
def own_realm(many_files, tmp_path):
    with realm_in(tmp_path / "own", config=config()) as r:
        Front(r)
        yield r


def test_who_came_and_who_went_is_shown(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, bob = people.add(2)
    carol = own_realm.add_user()
    own_realm.chat(bob.user).close()
    time.sleep(HOLD_S + 1)
    a = people.chat(alice)
    make_room(a, bob.user.name, threshold=0, name="board")
    a.expect("you are in the room board")
    say(a, "/open board")
    a.expect(f"online here: {alice.user.name}")
    b = people.chat(bob)
    a.expect(f"came: {bob.user.name}")
    c = own_realm.chat(carol)  # of another room, or none
    say(b, "/quit")
    assert b.end()[0] == 0
    time.sleep(3)
    own_realm.chat(bob.user).close()  # back in time: nothing is shown
    say(a, "/who")
    shown = a.expect("online: ")
    assert "came" not in shown and "went" not in shown
    assert bob.user.name in a.expect("members of board")
    c.close()
    shown = a.expect(f"went: {bob.user.name}", timeout=HOLD_S + 10)
    assert carol.name not in shown

    own_realm.restart("chat")
    a.expect("the connection is back", timeout=40)
    own_realm.chat(bob.user)
    a.expect(f"came: {bob.user.name}")
    say(a, "/quit")
    assert a.end()[0] == 0


def test_of_many_people_the_number_is_shown(own_realm, tmp_path):
    people = People(own_realm, tmp_path)
    alice, = people.add(1)
    a = people.chat(alice)
    make_room(a, threshold=0, name="mine")
    a.expect("you are in the room mine")
    conns = [own_realm.chat(u) for u in own_realm.add_users(100)]
    a.expect("101 people are online: of so many only the number is told")
    say(a, "/who")
    a.expect("101 people are online")
    say(a, "/rooms")
    assert "online" not in a.expect("mine: open to its members") + a.text.split("\n")[0]
    for c in conns[:30]:
        c.cut()
    say(a, "/open mine")
    a.expect(f"online here: {alice.user.name}", timeout=HOLD_S + 10)
    say(a, "/quit")
    assert a.end()[0] == 0
