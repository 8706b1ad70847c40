"""Random histories of a group, by hypothesis: up to eight members, and a set of names as the model.

A Delivery Service gives each handshake message its place and keeps none back for ever; members hear it when they get to
it. They add, update, remove, resync, leave and talk, often from an epoch that is over; two commit at once and one loses;
words arrive out of order, late and twice; anybody may be saved and loaded at any time. Whatever happens, all who are in
an epoch agree on it, and who is out of it learns nothing of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keys.mls import (
    Add,
    ApplicationReceived,
    Capabilities,
    CommitReceived,
    Duplicate,
    Extension,
    Group,
    GroupContextExtensions,
    MLSError,
    OutOfRange,
    PendingCommit,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    ProposalReceived,
    PublicGroup,
    Remove,
    ResumptionPsk,
    SelfRemove,
    WrongEpoch,
    cipher_suite,
)
from keys.mls.presharedkeys import APPLICATION
from tests.keys.mls.people import NOW, Names, Person, seeded

SUITE = cipher_suite(1)
MOST = 8
ABLE = Capabilities((1,), (1,), (0xF0A0,), (SelfRemove.TYPE,), (1,))
PSKS: Final = {b"words": b"six of them"}
KEPT_EPOCHS = 3

who = st.integers(0, MOST - 1)
some = st.integers(0, 1000)


@dataclass(frozen=True)
class Words:
    """Application data on its way."""

    sender: bytes
    epoch: int
    content: bytes
    message: bytes


@dataclass
class Device:
    """A member, and what it has not heard yet."""

    group: Group
    handshakes: list[bytes] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)
    read: list[Words] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    since: int = 0
    """The epoch that it came in with."""


@dataclass(frozen=True)
class Epoch:
    """What everybody in an epoch has to agree on."""

    names: frozenset[bytes]
    authenticator: bytes
    exported: bytes
    public: Mapping[str, bytes]


class History(RuleBasedStateMachine):
    @initialize(others=st.integers(0, MOST - 3))
    def found(self, others: int) -> None:
        self.auth = Names()
        self.random = seeded("history")
        self.born = 0
        person = self._person()
        group = person.found(self.auth, capabilities=ABLE)
        self.people = {person.credential.identity: person}
        self.devices = {person.credential.identity: Device(group)}
        self.out: dict[bytes, Device] = {}
        self.public = PublicGroup.create(SUITE, group.group_info(), group.tree_bytes(), self.auth)
        self.info = group.group_info(with_tree=True, external=True)
        self.leaving: dict[bytes, bytes] = {}
        """The SelfRemoves of this epoch by name; a joiner has to take them up."""
        self.epochs: dict[int, Epoch] = {}
        self.names = frozenset(self.devices)
        self._arrived(group)
        if others:
            self._add(0, others, path=True)

    # Who

    def _person(self) -> Person:
        self.born += 1
        return Person.named(SUITE, b"person %d" % self.born)

    def _name(self, number: int) -> bytes:
        names = sorted(self.devices)
        return names[number % len(names)]

    def _with(self, number: int, what: str) -> bytes | None:
        """One of those that have any of this."""
        names = sorted(name for name, device in self.devices.items() if getattr(device, what))
        return names[number % len(names)] if names else None

    def _arrived(self, group: Group) -> None:
        """A member is in an epoch: it agrees with all who are, and with who follows without secrets."""
        seen = Epoch(
            frozenset(member.credential.identity for member in group.members),
            group.epoch_authenticator,
            group.exporter(b"history", b"", 16),
            {name: content for name, content in group.public.parts().items() if name != "proposals"},
        )
        known = self.epochs.setdefault(group.epoch, seen)
        assert seen == known
        if group.epoch == self.public.epoch:
            assert seen.names == self.names
            assert group.tree_bytes() == self.public.tree_bytes()
            assert group.context == self.public.context

    # What a Commit brings about

    def _submit(self, by: bytes, pending: PendingCommit) -> bool:
        """The Delivery Service gives a Commit its place, if it is the first of its epoch."""
        device = self.devices[by]
        try:
            staged = self.public.stage(pending.message, NOW)
        except WrongEpoch:
            assert device.group.epoch < self.public.epoch
            return False
        assert device.group.epoch == self.public.epoch
        self._advance(staged.next, pending.message, by)
        device.group = device.group.merge(pending)
        self.info = device.group.group_info(with_tree=True, external=True)
        return True

    def _advance(self, after: PublicGroup, message: bytes, by: bytes) -> None:
        self.public = PublicGroup.decode(after.encode(), self.auth)
        self.leaving = {}
        self.names = frozenset(member.credential.identity for member in self.public.members)
        for name, device in self.devices.items():
            if name != by:
                device.handshakes.append(message)

    def _commit(self, by: int, proposals: list[Proposal], **how: bool) -> bool:
        name = self._name(by)
        before, group = self.names, self.devices[name].group
        gone = {self._at(group, one.removed) for one in proposals if isinstance(one, Remove)}
        pending = group.commit(proposals, random=self.random, psks=PSKS, **how)
        taken = self._submit(name, pending)
        if taken:
            asked = {self._at(group, one.changes) for one in group.pending_proposals if one.changes is not None}
            assert self.names <= before
            assert before - self.names <= gone | asked
            assert gone.isdisjoint(self.names)
            self._arrived(self.devices[name].group)
        return taken

    @staticmethod
    def _leaves(group: Group) -> bool:
        """Whether it has said so in this epoch, as it knows."""
        waiting = [one for one in group.pending_proposals if isinstance(one.proposal, SelfRemove)]
        return any(one.changes == group.own_leaf_index for one in waiting)

    @staticmethod
    def _leaf(group: Group | PublicGroup, name: bytes) -> int | None:
        return next((one.leaf_index for one in group.members if one.credential.identity == name), None)

    @staticmethod
    def _at(group: Group, leaf_index: int) -> bytes:
        leaf = group.tree.leaf(leaf_index)
        return leaf.credential.identity if leaf else b""

    # Steps

    @rule(by=who, count=st.integers(1, 2), path=st.booleans())
    def add(self, by: int, count: int, path: bool) -> None:
        self._add(by, min(count, MOST - len(self.names)), path=path)

    def _add(self, by: int, count: int, *, path: bool) -> None:
        """One Commit that adds so many, and what waits is left for the next."""
        if not count:
            return
        name, new = self._name(by), [self._person() for _ in range(count)]
        group, before = self.devices[name].group, self.names
        made = [person.key_package(self.random(8), capabilities=ABLE) for person in new]
        adds = [Add(package) for package, _ in made]
        pending = group.commit(adds, random=self.random, path=path, with_tree=True, psks=PSKS, by_reference=())
        if not self._submit(name, pending):
            return
        self._arrived(self.devices[name].group)
        assert pending.welcome is not None
        for person, (package, secrets) in zip(new, made, strict=True):
            key = person.signature_private_key
            joined = Group.join(pending.welcome, package, secrets, key, self.auth, psks=PSKS, now_seconds=NOW)
            self._enter(person, joined)
        assert self.names == before | {person.credential.identity for person in new}

    def _enter(self, person: Person, group: Group) -> None:
        name = person.credential.identity
        self.people[name] = person
        self.devices[name] = Device(group, since=group.epoch)
        self._arrived(group)
        for other in self.devices.values():
            for words in [*other.read, *other.words]:
                if words.epoch < group.epoch:
                    self._refused(group, words)

    @staticmethod
    def _refused(group: Group, words: Words) -> None:
        try:
            group.process(words.message, now_seconds=NOW)
        except MLSError:
            return
        raise AssertionError("words of an epoch that this device was not in")

    @rule(by=who)
    def commit(self, by: int) -> None:
        self._commit(by, [])

    @rule(by=who, of=who)
    def remove(self, by: int, of: int) -> None:
        name, other = self._name(by), self._name(of)
        group = self.devices[name].group
        leaf = self._leaf(group, other)
        if name != other and leaf is not None:
            self._commit(by, [Remove(leaf)])

    @rule(by=who, listed=st.booleans())
    def extend(self, by: int, listed: bool) -> None:
        self._commit(by, [GroupContextExtensions((Extension(0xF0A0, b"charter"),) if listed else ())])

    @rule(by=who, path=st.booleans(), back=st.integers(-1, 4))
    def mix_in(self, by: int, path: bool, back: int) -> None:
        """A pre-shared key: an external one, or that of an epoch that all were in."""
        psk = PreSharedKey.external(SUITE, b"words", self.random)
        if back >= 0:
            first = max(self.devices[name].since for name in self.names)
            epoch = max(first, self.public.epoch - back)
            identity = ResumptionPsk(APPLICATION, self.public.group_id, epoch)
            psk = PreSharedKey(PreSharedKeyID(identity, self.random(SUITE.hash_length)))
        if self.devices[self._name(by)].group.epoch == self.public.epoch:
            self._commit(by, [psk], path=path)

    @rule(by=who, of=who, what=st.sampled_from(["update", "remove", "leave"]))
    def propose(self, by: int, of: int, what: str) -> None:
        name = self._name(by)
        device = self.devices[name]
        target = self._leaf(device.group, self._name(of))
        if what == "update":
            group, message = device.group.propose_update(random=self.random)
        elif what == "leave" and not self._leaves(device.group):
            group, message = device.group.propose(SelfRemove(), random=self.random)
        elif what == "remove" and target is not None:
            group, message = device.group.propose(Remove(target), random=self.random)
        else:
            return
        try:
            self.public = self.public.proposal(message, NOW)
        except WrongEpoch:
            assert device.group.epoch < self.public.epoch
            return
        device.group = group
        if what == "leave":
            self.leaving[name] = message
        for other, heard in self.devices.items():
            if other != name:
                heard.handshakes.append(message)

    @rule(one=who, other=who)
    def race(self, one: int, other: int) -> None:
        """Two commit at once; the Delivery Service takes the first."""
        first, second = self._name(one), self._name(other)
        if first == second:
            return
        won = self.devices[first].group.commit(random=self.random, psks=PSKS)
        lost = self.devices[second].group.commit(random=self.random, psks=PSKS)
        before = dict(self.devices[second].group.parts())
        if self._submit(first, won):
            self._arrived(self.devices[first].group)
            try:
                self.public.stage(lost.message, NOW)
            except WrongEpoch:
                pass
            else:
                raise AssertionError("two Commits in one epoch")
        assert dict(self.devices[second].group.parts()) == before

    @rule(of=who, back=st.booleans())
    def join_from_outside(self, of: int, back: bool) -> None:
        """By an external commit: a stranger, or a member that has lost its state."""
        if not back and len(self.names) >= MOST:
            return
        name = self._name(of)
        person = self.people[name] if back else self._person()
        new = person.credential.identity
        leaf = self._leaf(self.public, name)
        if back and leaf is None:
            return
        pending = Group.join_externally(
            self.info,
            person.credential,
            person.signature_private_key,
            self.auth,
            random=self.random,
            remove=leaf if back and name not in self.leaving else None,
            self_removes=list(self.leaving.values()),
            capabilities=ABLE,
        )
        staged = self.public.stage(pending.message, NOW)
        lost = self.devices.pop(name) if back else None
        self._advance(staged.next, pending.message, new)
        assert new in self.names
        self.info = pending.group.group_info(with_tree=True, external=True)
        self._enter(person, pending.group)
        if lost is not None:
            self.devices[new].read = lost.read

    # Hearing

    @rule(of=who, count=st.integers(1, 6))
    def hear(self, of: int, count: int) -> None:
        name = self._with(of, "handshakes")
        if name is None:
            return
        device = self.devices[name]
        for _ in range(min(count, len(device.handshakes))):
            self._hear(name, device, device.handshakes.pop(0))
            if name not in self.devices:
                return
            self._hear_again(device, count)

    @staticmethod
    def _hear_again(device: Device, which: int) -> None:
        """A Commit that was heard is of an epoch that is over; a proposal is kept once."""
        if device.heard:
            before = dict(device.group.parts())
            try:
                again, _ = device.group.process(device.heard[-which:][0], now_seconds=NOW, psks=PSKS)
            except WrongEpoch:
                again = device.group
            assert dict(again.parts()) == before

    def _hear(self, name: bytes, device: Device, message: bytes) -> None:
        try:
            device.group, received = device.group.process(message, now_seconds=NOW, psks=PSKS)
        except WrongEpoch as late:
            if late.epoch >= device.group.epoch:  # else we were first in that epoch, or came in after it
                raise
            return
        device.heard.append(message)
        if isinstance(received, ProposalReceived):
            return
        assert isinstance(received, CommitReceived)
        if received.self_removed:
            assert device.group.removed
            self.out[name] = self.devices.pop(name)
        else:
            self._arrived(device.group)

    @rule(by=who, count=st.integers(1, 4), padding=st.sampled_from([1, 64]), order=st.lists(st.tuples(who, some)))
    def talk(self, by: int, count: int, padding: int, order: list[tuple[int, int]]) -> None:
        """One says something; some of the words on their way are heard, in any order, the others stay there."""
        name = self._name(by)
        device = self.devices[name]
        for _ in range(count):
            content, epoch = self.random(4), device.group.epoch
            device.group, message = device.group.protect(content, padding=padding, random=self.random)
            words = Words(name, epoch, content, message)
            for other, heard in [*self.devices.items(), *self.out.items()]:
                if other != name:
                    heard.words.append(words)
        for of, which in order:
            self.listen(of, which)

    @rule(of=who, which=some)
    def listen(self, of: int, which: int) -> None:
        """To any of the words on their way; what was read before is not read again."""
        name = self._with(of, "words")
        if name is None:
            return
        device = self.devices[name]
        self._listen(device, which)
        if device.read:
            words = device.read[which % len(device.read)]
            try:
                device.group.process(words.message, now_seconds=NOW)
            except (Duplicate, OutOfRange, WrongEpoch):
                return
            raise AssertionError("the same words twice")

    @staticmethod
    def _listen(device: Device, which: int) -> None:
        words, now = device.words.pop(which % len(device.words)), device.group.epoch
        try:
            device.group, received = device.group.process(words.message, now_seconds=NOW)
        except WrongEpoch:
            if words.epoch > now:
                device.words.append(words)
            elif device.since <= words.epoch and now - words.epoch <= KEPT_EPOCHS:
                raise
            return
        assert isinstance(received, ApplicationReceived)
        assert (received.content, received.epoch) == (words.content, words.epoch)
        assert received.credential.identity == words.sender
        assert max(device.since, now - KEPT_EPOCHS) <= words.epoch <= now
        device.read.append(words)

    @rule(which=some)
    def listen_from_outside(self, which: int) -> None:
        """Whoever was removed reads what was said while it was in, and nothing else."""
        for device in self.out.values():
            if device.words:
                words = device.words.pop(which % len(device.words))
                if words.epoch > device.group.epoch:
                    self._refused(device.group, words)

    @rule(of=who)
    def restart(self, of: int) -> None:
        device = self.devices[self._name(of)]
        parts = dict(device.group.parts())
        device.group = Group.load(parts, self.auth)
        assert dict(device.group.parts()) == parts

    @precondition(lambda self: hasattr(self, "devices"))
    @invariant()
    def everybody_gets_there(self) -> None:
        """The model knows who is in; nobody who is in is missing, and nobody is ahead."""
        assert self.names <= set(self.devices) | set(self.out)
        assert all(device.group.epoch <= self.public.epoch for device in self.devices.values())

    def teardown(self) -> None:
        """In the end everybody hears everything, and all are together."""
        if not hasattr(self, "devices"):
            return
        for name, device in list(self.devices.items()):
            while device.handshakes and name in self.devices:
                self._hear(name, device, device.handshakes.pop(0))
        assert set(self.devices) == self.names
        for device in self.devices.values():
            assert device.group.epoch == self.public.epoch
            assert device.group.public.proposals.keys() == self.public.proposals.keys()


TestHistory: Callable[[], object] = History.TestCase
TestHistory.settings = settings(max_examples=settings.default.max_examples * 5 // 8, stateful_step_count=50)  # type: ignore[attr-defined]
