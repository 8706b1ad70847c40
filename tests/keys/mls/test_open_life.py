"""A group with its doors open: random joins from outside, returns, proposals by a watchdog, departures, lost races.

Every step checks that all members and the Delivery Service agree, and saves and loads everybody (`World`).
"""

import pytest

from keys.mls import (
    Add,
    Capabilities,
    ExternalSender,
    PublicGroup,
    Remove,
    SelfRemove,
    WrongEpoch,
    cipher_suite,
    external_proposal,
    external_senders_extension,
    new_member_proposal,
)
from tests.keys.mls.outsiders import enter
from tests.keys.mls.people import NOW, Person, World, seeded

SUITE = cipher_suite(1)
WATCHDOG = Person.named(SUITE, b"watchdog")
WATCHED = external_senders_extension(
    [ExternalSender(SUITE.signature_public_key(WATCHDOG.signature_private_key), WATCHDOG.credential)]
)
ABLE = Capabilities((1,), (1,), (), (SelfRemove.TYPE,), (1,))


class Open:
    """The world, the people who were ever in it, and the SelfRemoves that wait."""

    def __init__(self, seed: int) -> None:
        self.world = World(SUITE, 3, seed=seed, extensions=(WATCHED,), capabilities=ABLE)
        self.draw = seeded(("open", seed))
        self.people = {person.credential.identity: person for person in self.world.people}
        self.leaving: list[bytes] = []

    def pick(self, count: int) -> int:
        return self.draw(1)[0] % count

    def somebody(self) -> bytes:
        names = sorted(self.world.groups)
        return names[self.pick(len(names))]

    def accept(self, by: bytes) -> None:
        """A member commits what waits; another's Commit of the same epoch comes too late."""
        world, rival = self.world, self.somebody()
        late = world[rival].commit(random=world.random, now_seconds=NOW).message
        world.accept(by, world[by].commit(random=world.random, now_seconds=NOW))
        with pytest.raises(WrongEpoch):
            world.public.stage(late, NOW)
        self.leaving.clear()

    def come_in(self, person: Person, *, remove: int | None = None) -> None:
        world, name = self.world, person.credential.identity
        pending = enter(world, person, by=self.somebody(), remove=remove, self_removes=self.leaving)
        self.leaving.clear()
        world.groups.pop(name, None)
        world.accept(b"", pending)
        world.groups[name] = pending.group
        self.people[name] = person
        world.agree()

    def hear(self, message: bytes) -> None:
        world = self.world
        world.public = PublicGroup.decode(world.public.proposal(message, NOW).encode(), world.auth)
        for name, group in world.groups.items():
            world.groups[name], _ = group.process(message, now_seconds=NOW)

    def watchdog(self, proposal: Add | Remove) -> None:
        group_id, epoch = self.world.public.group_id, self.world.public.epoch
        self.hear(external_proposal(SUITE, group_id, epoch, 0, WATCHDOG.signature_private_key, proposal))

    def leaves(self) -> set[int]:
        """The leaves that wait to be taken out."""
        changed = {sent.changes for sent in self.world.public.proposals.values()}
        return {leaf for leaf in changed if leaf is not None}


@pytest.mark.parametrize("seed", range(4))
def test_an_open_life(seed: int) -> None:
    here = Open(seed)
    world, born = here.world, 0
    for _ in range(40):
        name = here.somebody()
        leaf, room = world[name].own_leaf_index, len(world.groups) - len(here.leaves()) > 2
        match here.pick(9):
            case 0 | 1 if len(world.groups) < 9:
                born += 1
                here.come_in(Person.named(SUITE, b"born %d" % born))
            case 2 if leaf not in here.leaves():
                here.come_in(here.people[name], remove=leaf)
            case 3 if room and leaf not in here.leaves():
                step = world[name].propose(SelfRemove(), random=world.random)
                world.propose(name, step)
                here.leaving.append(step[1])
            case 4 if room and leaf not in here.leaves():
                here.watchdog(Remove(leaf))
            case 5:
                stranger = Person.named(SUITE, b"stranger")
                package, _ = stranger.key_package(here.draw(4), capabilities=ABLE)
                where = (world.public.group_id, world.public.epoch)
                here.hear(new_member_proposal(*where, package, stranger.signature_private_key))
            case 6 | 7:
                here.accept(name)
            case _:
                world.say(name)
    assert world.public.epoch > 12
    assert all(b"stranger" not in member.credential.identity for member in world.public.members)
