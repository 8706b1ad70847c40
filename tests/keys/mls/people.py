"""A small world for MLS tests: an Authentication Service that knows names, people with keys, and seeded randomness."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from keys.mls import (
    Add,
    Capabilities,
    CipherSuite,
    Credential,
    Extension,
    Group,
    InvalidCredential,
    KeyPackage,
    KeyPackageSecrets,
    PendingCommit,
    PublicGroup,
    new_key_package,
)

NOW = 1_700_000_000
DAY = 86_400


def seeded(seed: object) -> Callable[[int], bytes]:
    """Randomness that is the same in every run."""
    counter = 0

    def random(length: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{seed!r} {counter}".encode()).digest(length)

    return random


@dataclass
class Names:
    """An Authentication Service for basic credentials: `name`, or `name/2` after a renewal; some are banned, or their keys."""

    banned: set[bytes] = field(default_factory=set)

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        if not self.banned.isdisjoint({credential.identity, signature_key}):
            raise InvalidCredential(f"{credential.identity!r} is banned")

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return old.identity.partition(b"/")[0] == new.identity.partition(b"/")[0]


@dataclass(frozen=True)
class Person:
    """Somebody with a signature key."""

    suite: CipherSuite
    credential: Credential
    signature_private_key: bytes

    @classmethod
    def named(cls, suite: CipherSuite, name: bytes) -> "Person":
        random = seeded(("person", suite.id, name))
        return cls(suite, Credential.basic(name), suite.generate_signature_key(random))

    def key_package(
        self, seed: object = 0, *, capabilities: Capabilities | None = None, last_resort: bool = False
    ) -> tuple[KeyPackage, KeyPackageSecrets]:
        return new_key_package(
            self.suite,
            self.credential,
            self.signature_private_key,
            not_before=NOW - DAY,
            not_after=NOW + 27 * DAY,
            random=seeded((seed, self.credential.identity)),
            capabilities=capabilities,
            last_resort=last_resort,
        )

    def found(
        self,
        auth: Names,
        *,
        extensions: tuple[Extension, ...] = (),
        capabilities: Capabilities | None = None,
        seed: object = 0,
    ) -> Group:
        return Group.create(
            self.suite,
            b"the group",
            self.credential,
            self.signature_private_key,
            auth,
            not_before=NOW - DAY,
            not_after=NOW + 27 * DAY,
            random=seeded(("found", seed)),
            extensions=extensions,
            capabilities=capabilities,
        )


class World:
    """Members of one group and a Delivery Service that follows it; every step checks that all agree.

    Between steps each group is saved and loaded again, so nothing rests on what is not in the state.
    """

    def __init__(
        self,
        suite: CipherSuite,
        count: int,
        *,
        seed: object = 0,
        path: bool = True,
        extensions: tuple[Extension, ...] = (),
        capabilities: Capabilities | None = None,
    ) -> None:
        self.suite = suite
        self.auth = Names()
        self.random = seeded(("world", suite.id, seed))
        self.capabilities = capabilities
        self.people = [Person.named(suite, f"member {number}".encode()) for number in range(count)]
        founder = self.people[0].found(self.auth, seed=seed, extensions=extensions, capabilities=capabilities)
        self.public = PublicGroup.create(suite, founder.group_info(), founder.tree_bytes(), self.auth)
        self.groups: dict[bytes, Group] = {b"member 0": founder}
        if count > 1:
            self.add(b"member 0", self.people[1:], path=path)

    def __getitem__(self, name: bytes) -> Group:
        return self.groups[name]

    def add(self, by: bytes, people: list[Person], *, path: bool = True) -> PendingCommit:
        """One commit that adds all of them, and their joining."""
        packages = [person.key_package(self.random(8), capabilities=self.capabilities) for person in people]
        pending = self.groups[by].commit([Add(package) for package, _ in packages], random=self.random, path=path)
        self.accept(by, pending)
        for person, (package, secrets) in zip(people, packages, strict=True):
            self.welcome(pending, person, package, secrets)
        return pending

    def welcome(self, pending: PendingCommit, person: Person, package: KeyPackage, secrets: KeyPackageSecrets) -> Group:
        assert pending.welcome is not None
        group = Group.join(
            pending.welcome,
            package,
            secrets,
            person.signature_private_key,
            self.auth,
            ratchet_tree=self.public.tree_bytes(),
        )
        self.groups[person.credential.identity] = group
        assert group.epoch_authenticator == pending.group.epoch_authenticator
        return group

    def accept(self, by: bytes, pending: PendingCommit, psks: dict[bytes, bytes] | None = None) -> None:
        """The Delivery Service takes a commit, everybody follows."""
        staged = self.public.stage(pending.message, NOW)
        staged.next.check_group_info(pending.group_info, signer=staged.sender_leaf)
        self.public = PublicGroup.decode(staged.next.encode(), self.auth)
        for name, group in list(self.groups.items()):
            if name == by:
                self.groups[name] = group.merge(pending)
                continue
            after, received = group.process(pending.message, now_seconds=NOW, psks=psks)
            self.groups[name] = after
            if received.self_removed:
                del self.groups[name]
        self.agree()

    def propose(self, by: bytes, step: tuple[Group, bytes]) -> None:
        """A proposal goes to everybody."""
        self.groups[by], message = step
        self.public = self.public.proposal(message, NOW)
        for name, group in self.groups.items():
            if name != by:
                self.groups[name], _ = group.process(message, now_seconds=NOW)

    def say(self, by: bytes, content: bytes = b"at east gate") -> None:
        """One message that everybody else reads."""
        self.groups[by], message = self.groups[by].protect(content, padding=64, random=self.random)
        for name, group in self.groups.items():
            if name != by:
                self.groups[name], received = group.process(message, now_seconds=NOW)
                assert received.content == content
                assert received.credential.identity.startswith(by)

    def agree(self) -> None:
        """All members and the Delivery Service are in one state; each is saved and loaded."""
        seen = set()
        for name, group in self.groups.items():
            self.groups[name] = loaded = Group.load(group.parts(), self.auth)
            assert loaded.parts() == group.parts()
            assert loaded.context == self.public.context
            assert loaded.tree_bytes() == self.public.tree_bytes()
            seen.add((loaded.epoch_authenticator, loaded.exporter(b"test", b"", 16)))
        assert len(seen) == 1
