"""Random histories of a group, written down as the working group's passive-client files have them.

`record(suite, seed)` plays one: members come and go, propose and commit, and one client, who joined by a Welcome and
never says a word, is the one whose messages are kept. What it should see in each epoch is what the committer saw.
"""

import random
from dataclasses import dataclass, field

from keys.mls import (
    Add,
    Capabilities,
    CipherSuite,
    CommitReceived,
    Extension,
    Group,
    GroupContextExtensions,
    KeyPackage,
    KeyPackageSecrets,
    MLSMessage,
    PreSharedKey,
    Proposal,
    Remove,
)
from keys.mls.hpke import Random
from tests.keys.mls.people import NOW, Names, Person, seeded
from tests.keys.mls.replay import Anybody

Json = dict[str, object]

TOPIC = 0xF0A0
"""A GroupContext extension of a type nobody has defined."""


def capabilities(suite: CipherSuite) -> Capabilities:
    """With a few values that mean nothing (GREASE, section 13.5)."""
    return Capabilities((1, 0x0A0A), (suite.id, 0x1A1A), (TOPIC, 0x2A2A), (0x3A3A,), (1, 0x4A4A))


@dataclass
class History:
    """A group in which everybody but the passive client acts."""

    suite: CipherSuite
    seed: int
    groups: dict[bytes, Group] = field(default_factory=dict)
    epochs: list[Json] = field(default_factory=list)
    proposals: list[bytes] = field(default_factory=list)
    psks: dict[bytes, bytes] = field(default_factory=dict)
    met: int = 0
    touched: set[int] = field(default_factory=set)
    """Leaves that proposals of this epoch change."""

    def __post_init__(self) -> None:
        self.auth = Names()
        self.choose = random.Random(self.seed)  # which history, not which key
        self.random: Random = seeded(("history", self.suite.id, self.seed))
        founder = self.person()
        first = founder.found(self.auth, capabilities=capabilities(self.suite), seed=self.seed)
        self.groups[founder.credential.identity] = first

    def person(self) -> Person:
        self.met += 1
        return Person.named(self.suite, b"person %d" % self.met)

    def package(self, person: Person) -> tuple[KeyPackage, KeyPackageSecrets]:
        return person.key_package(self.random(8), capabilities=capabilities(self.suite))

    def anyone(self) -> bytes:
        return self.choose.choice(sorted(self.groups))

    # What members do

    def add_proposal(self) -> tuple[Add, Person, KeyPackageSecrets]:
        person = self.person()
        package, secrets = self.package(person)
        return Add(package), person, secrets

    def removable(self, passive: int) -> list[int]:
        """Leaves that may go: not the passive client, and never the last two who act."""
        leaves = {group.own_leaf_index for group in self.groups.values()}
        return sorted(leaves - {passive}) if len(leaves) > 2 else []

    def extensions(self) -> GroupContextExtensions:
        return GroupContextExtensions((Extension(TOPIC, self.random(self.choose.randrange(40))),))

    def pre_shared_key(self) -> PreSharedKey:
        psk_id = b"key %d" % len(self.psks)
        self.psks[psk_id] = self.random(self.choose.choice((1, 16, 32, 64)))
        return PreSharedKey.external(self.suite, psk_id, self.random)

    def send_proposal(self, by: bytes, step: tuple[Group, bytes]) -> None:
        """A proposal on its own, kept for the passive client."""
        self.groups[by], message = step
        self.proposals.append(message)
        for name, group in list(self.groups.items()):
            if name != by:
                self.groups[name], _ = group.process(message, now_seconds=NOW)

    def propose(self, passive: int) -> None:
        """Some proposals by reference, of members by chance."""
        for _ in range(self.choose.randrange(4)):
            by = self.anyone()
            group = self.groups[by]
            match self.choose.choice(("update", "remove", "psk", "extensions")):
                case "update":
                    if group.own_leaf_index not in self.touched:
                        self.touched.add(group.own_leaf_index)
                        self.send_proposal(by, group.propose_update(random=self.random))
                case "remove":
                    free = [leaf for leaf in self.removable(passive) if leaf not in self.touched]
                    if len(free) > 2:
                        self.touched.add(target := self.choose.choice(free))
                        self.send_proposal(by, group.propose(Remove(target), random=self.random))
                case "psk":
                    self.send_proposal(by, group.propose(self.pre_shared_key(), random=self.random))
                case "extensions":
                    self.send_proposal(by, group.propose(self.extensions(), random=self.random))

    def commit(self, passive: int) -> None:
        """A commit of what was proposed and of something by value; who is added joins."""
        by = self.anyone()
        group = self.groups[by]
        removed = {sent.proposal.removed for sent in group.pending_proposals if isinstance(sent.proposal, Remove)}
        if group.own_leaf_index in removed:
            by = next(name for name, other in self.groups.items() if other.own_leaf_index not in removed)
            group = self.groups[by]
        values: list[Proposal] = []
        joiners: list[tuple[Person, KeyPackage, KeyPackageSecrets]] = []
        for _ in range(self.choose.randrange(3) if len(self.groups) < 9 else 0):
            add, person, secrets = self.add_proposal()
            values.append(add)
            joiners.append((person, add.key_package, secrets))
        if self.choose.random() < 0.3:
            values.append(self.pre_shared_key())
        if not removed and self.choose.random() < 0.2:
            free = [leaf for leaf in self.removable(passive) if leaf not in {*self.touched, group.own_leaf_index}]
            values += [Remove(leaf) for leaf in free[-1:]]
        self.end_epoch(by, values, joiners)

    def end_epoch(
        self, by: bytes, values: list[Proposal], joiners: list[tuple[Person, KeyPackage, KeyPackageSecrets]]
    ) -> None:
        made = self.groups[by].commit(values, random=self.random, psks=self.psks, path=self.choose.random() < 0.7)
        for name, group in list(self.groups.items()):
            if name == by:
                self.groups[name] = made.group
                continue
            after, received = group.process(made.message, now_seconds=NOW, psks=self.psks)
            self.groups[name] = after
            if isinstance(received, CommitReceived) and received.self_removed:
                del self.groups[name]
        for person, package, secrets in joiners:
            assert made.welcome is not None
            self.groups[person.credential.identity] = self.join(made.welcome, made.group, person, package, secrets)
        self.record(made.message, made.group)

    def join(
        self, welcome: bytes, group: Group, person: Person, package: KeyPackage, secrets: KeyPackageSecrets
    ) -> Group:
        tree = group.tree_bytes()
        key = person.signature_private_key
        return Group.join(welcome, package, secrets, key, Anybody(), ratchet_tree=tree, psks=self.psks)

    def record(self, commit: bytes, group: Group) -> None:
        self.epochs.append(
            {
                "proposals": [message.hex() for message in self.proposals],
                "commit": commit.hex(),
                "epoch_authenticator": group.epoch_authenticator.hex(),
            }
        )
        self.proposals = []
        self.touched = set()


def record(suite: CipherSuite, seed: int, epochs: int = 12) -> Json:
    """One case of the format: a client that joins by a Welcome and follows the group over so many epochs."""
    history = History(suite, seed)
    for _ in range(2):
        history.end_epoch(history.anyone(), [], [])
    history.commit(passive=-1)
    client = history.person()
    package, secrets = history.package(client)
    by = history.anyone()
    with_psk = [history.pre_shared_key()] if history.choose.random() < 0.5 else []
    inside = history.choose.random() < 0.5
    made = history.groups[by].commit(
        [Add(package), *with_psk], random=history.random, psks=history.psks, with_tree=inside
    )
    for name, group in list(history.groups.items()):
        history.groups[name] = (
            made.group if name == by else group.process(made.message, now_seconds=NOW, psks=history.psks)[0]
        )
    assert made.welcome is not None
    passive = next(member.leaf_index for member in made.group.members if member.credential == client.credential)
    history.epochs.clear()
    for _ in range(epochs):
        history.propose(passive)
        history.commit(passive)
    return {
        "cipher_suite": suite.id,
        "external_psks": [{"psk_id": key.hex(), "psk": value.hex()} for key, value in history.psks.items()],
        "key_package": MLSMessage.wrap(package).hex(),
        "signature_priv": client.signature_private_key.hex(),
        "encryption_priv": secrets.encryption_private_key.hex(),
        "init_priv": secrets.init_private_key.hex(),
        "welcome": made.welcome.hex(),
        "ratchet_tree": None if inside else made.group.tree_bytes().hex(),
        "initial_epoch_authenticator": made.group.epoch_authenticator.hex(),
        "epochs": history.epochs,
    }
