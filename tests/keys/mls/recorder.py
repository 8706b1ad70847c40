"""Random histories of a group, written down as the working group's passive-client files have them.

`record(suite, seed)` plays one: members come and go, propose and commit, some enter from outside, and one client, who
joined by a Welcome and never says a word, is the one whose messages are kept. What it should see in each epoch is what
the committer saw. `record_successor` goes on with a branch of the group, or with the one that a ReInit leads to: its
Welcome is the same client's next case.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from keys.mls import (
    Add,
    Capabilities,
    CipherSuite,
    CommitReceived,
    Extension,
    Founder,
    Group,
    GroupContextExtensions,
    KeyPackage,
    KeyPackageSecrets,
    MLSMessage,
    PendingCommit,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    branch,
    new_member_proposal,
    reinitialize,
)
from keys.mls.hpke import Random
from tests.keys.mls.people import DAY, NOW, Names, Person, seeded
from tests.keys.mls.replay import Anybody

Json = dict[str, object]

TOPIC = 0xF0A0
"""A GroupContext extension of a type nobody has defined."""


def capabilities(suite: CipherSuite) -> Capabilities:
    """With a few values that mean nothing (GREASE, section 13.5)."""
    return Capabilities((1,), (suite.id, 0x1A1A), (TOPIC, 0x2A2A), (0x3A3A,), (1, 0x4A4A))


@dataclass(frozen=True)
class Joiner:
    """Somebody with a KeyPackage."""

    person: Person
    package: KeyPackage
    secrets: KeyPackageSecrets


@dataclass
class History:
    """A group in which everybody but the passive client acts."""

    suite: CipherSuite
    seed: int
    people: dict[bytes, Person] = field(default_factory=dict)
    groups: dict[bytes, Group] = field(default_factory=dict)
    since: dict[bytes, int] = field(default_factory=dict)
    """The epoch in which each member came in: older resumption PSKs it does not have."""
    epochs: list[Json] = field(default_factory=list)
    proposals: list[bytes] = field(default_factory=list)
    psks: dict[bytes, bytes] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    """Leaves that proposals of this epoch change."""
    passive: int = -1
    """The leaf of the client that says nothing; nobody removes it."""
    client: Joiner | None = None
    """The same, with its keys, once it is in."""

    def __post_init__(self) -> None:
        self.auth = Names()
        self.choose = random.Random(self.seed)  # which history, not which key
        self.random: Random = seeded(("history", self.suite.id, self.seed))
        founder = self.person()
        first = founder.found(self.auth, capabilities=capabilities(self.suite), seed=self.seed)
        self.enters(founder, first)

    def person(self) -> Person:
        name = b"person %d" % (len(self.people) + 1)
        self.people[name] = Person.named(self.suite, name)
        return self.people[name]

    def joiner(self, person: Person | None = None) -> Joiner:
        person = person or self.person()
        return Joiner(person, *person.key_package(self.random(8), capabilities=capabilities(self.suite)))

    def enters(self, person: Person, group: Group) -> None:
        self.groups[person.credential.identity] = group
        self.since[person.credential.identity] = group.epoch

    def anyone(self) -> bytes:
        return self.choose.choice(sorted(self.groups))

    def chance(self, probability: float) -> bool:
        return self.choose.random() < probability

    # Proposals

    def removable(self) -> list[int]:
        """Leaves that may go: of those who act, where enough stay, and that no proposal has touched."""
        leaves = {group.own_leaf_index for group in self.groups.values()}
        return sorted(leaves - self.touched) if len(leaves) > 3 else []

    def extensions(self) -> GroupContextExtensions:
        return GroupContextExtensions((Extension(TOPIC, self.random(self.choose.randrange(40))),))

    def external_psk(self) -> PreSharedKey:
        psk_id = b"key %d" % len(self.psks)
        self.psks[psk_id] = self.random(self.choose.choice((1, 16, 32, 64)))
        return PreSharedKey.external(self.suite, psk_id, self.random)

    def resumption_psk(self, group: Group) -> PreSharedKey:
        """Of an epoch in which all who are in now, the passive client too, were members."""
        oldest = max([group.epoch - group.limits.resumption_epochs, *(self.since[name] for name in self.groups)])
        epoch = self.choose.randint(min(oldest, group.epoch), group.epoch)
        return PreSharedKey.resumption(self.suite, group.group_id, epoch, self.random)

    def hear(self, message: bytes, by: bytes | None) -> None:
        """A proposal on its own, kept for the passive client too."""
        self.proposals.append(message)
        for name, group in list(self.groups.items()):
            if name != by:
                self.groups[name], _ = group.process(message, now_seconds=NOW)

    def send(self, by: bytes, step: tuple[Group, bytes]) -> None:
        self.groups[by], message = step
        self.hear(message, by)

    def propose(self) -> None:
        """Some proposals by reference, of members by chance."""
        for _ in range(self.choose.randrange(4)):
            by = self.anyone()
            group = self.groups[by]
            match self.choose.choice(("update", "remove", "psk", "extensions")):
                case "update":
                    if group.own_leaf_index not in self.touched:
                        self.touched.add(group.own_leaf_index)
                        self.send(by, group.propose_update(random=self.random))
                case "remove":
                    if len(free := self.removable()) > 2:
                        self.touched.add(target := self.choose.choice(free))
                        self.send(by, group.propose(Remove(target), random=self.random))
                case "psk":
                    self.send(by, group.propose(self.external_psk(), random=self.random))
                case "extensions":
                    self.send(by, group.propose(self.extensions(), random=self.random))

    # Epochs

    def committer(self) -> bytes:
        """Somebody whom no pending proposal removes."""
        by = self.anyone()
        pending = [sent.proposal for sent in self.groups[by].pending_proposals]
        removed = {proposal.removed for proposal in pending if isinstance(proposal, Remove)}
        if self.groups[by].own_leaf_index in removed:
            by = next(name for name, group in self.groups.items() if group.own_leaf_index not in removed)
        return by

    def commit(self) -> None:
        """A commit of what was proposed and of something by value; who is added joins."""
        by = self.committer()
        group = self.groups[by]
        joiners = [self.joiner() for _ in range(self.choose.randrange(3) if len(self.groups) < 9 else 0)]
        values: list[Proposal] = [Add(joiner.package) for joiner in joiners]
        if self.chance(0.3):
            values.append(self.external_psk())
        if not joiners and self.chance(0.5):
            values.append(self.resumption_psk(group))
        if self.chance(0.2):
            values += [Remove(leaf) for leaf in self.removable() if leaf != group.own_leaf_index][-1:]
        self.end_epoch(by, values, joiners)

    def end_epoch(
        self, by: bytes, values: Sequence[Proposal], joiners: Sequence[Joiner], *, with_tree: bool = False
    ) -> PendingCommit:
        path, psks = self.chance(0.7), self.psks
        made = self.groups[by].commit(values, random=self.random, psks=psks, path=path, with_tree=with_tree)
        merged = self.groups[by].merge(made)
        self.follow(made.message, by)
        self.groups[by] = merged
        for joiner in joiners:
            assert made.welcome is not None
            self.enters(joiner.person, self.join(made, joiner))
        self.record(made)
        return made

    def follow(self, commit: bytes, by: bytes) -> None:
        """All but who made it take a commit in."""
        for name, group in list(self.groups.items()):
            if name != by:
                self.groups[name], received = group.process(commit, now_seconds=NOW, psks=self.psks)
                if isinstance(received, CommitReceived) and received.self_removed:
                    del self.groups[name]

    def join(self, made: PendingCommit, joiner: Joiner) -> Group:
        assert made.welcome is not None
        package, secrets, key = joiner.package, joiner.secrets, joiner.person.signature_private_key
        tree = made.group.tree_bytes()
        return Group.join(made.welcome, package, secrets, key, Anybody(), ratchet_tree=tree, psks=self.psks)

    def record(self, made: PendingCommit) -> None:
        self.epochs.append(
            {
                "proposals": [message.hex() for message in self.proposals],
                "commit": made.message.hex(),
                "epoch_authenticator": made.group.epoch_authenticator.hex(),
            }
        )
        self.proposals = []
        self.touched = set()

    # From outside

    def external_commit(self) -> None:
        """Somebody enters by a commit of its own: a newcomer, or a member that lost its state; maybe with a PSK."""
        info = self.groups[helper := self.anyone()].group_info(with_tree=True, external=True)
        back = sorted(set(self.groups) - {helper})
        again = bool(back) and self.chance(0.5)
        person = self.people[self.choose.choice(back)] if again else self.person()
        name = person.credential.identity
        made = Group.join_externally(
            info,
            person.credential,
            person.signature_private_key,
            self.auth,
            random=self.random,
            remove=self.groups[name].own_leaf_index if again else None,
            psk_proposals=[self.external_psk()] if self.chance(0.3) else [],
            psks=self.psks,
            capabilities=capabilities(self.suite),
            now_seconds=NOW,
        )
        self.groups.pop(name, None)
        self.follow(made.message, name)
        self.enters(person, made.group)
        self.record(made)

    def ask_to_be_added(self) -> None:
        """A stranger proposes its own Add, and somebody commits that."""
        joiner, group = self.joiner(), self.groups[by := self.anyone()]
        key = joiner.person.signature_private_key
        self.hear(new_member_proposal(group.group_id, group.epoch, joiner.package, key), None)
        references = [sent.reference for sent in self.groups[by].pending_proposals if sent.reference is not None]
        made = self.groups[by].commit(random=self.random, by_reference=references)
        merged = self.groups[by].merge(made)
        self.follow(made.message, by)
        self.groups[by] = merged
        self.enters(joiner.person, self.join(made, joiner))
        self.record(made)

    def step(self) -> None:
        """One epoch."""
        match self.choose.choice(("member", "member", "member", "external commit", "external add")):
            case "external commit":
                self.external_commit()
            case "external add" if len(self.groups) < 9:
                self.ask_to_be_added()
            case _:
                self.propose()
                self.commit()

    # The passive client

    def welcome_client(self) -> Json:
        """The client comes in; what a case says of that."""
        client, by = self.joiner(), self.anyone()
        with_psk = [self.external_psk()] if self.chance(0.5) else []
        inside = self.chance(0.5)
        made = self.end_epoch(by, [Add(client.package), *with_psk], [], with_tree=inside)
        members = made.group.members
        self.passive = next(one.leaf_index for one in members if one.credential == client.person.credential)
        self.client = client
        self.since[client.person.credential.identity] = made.group.epoch
        self.since = dict.fromkeys(self.since, made.group.epoch)  # nobody names a PSK that it does not have
        self.epochs = []
        return entrance(client, made, inside=inside)

    def case(self, begun: Json) -> Json:
        """The whole case, as far as it went."""
        psks = [{"psk_id": key.hex(), "psk": value.hex()} for key, value in self.psks.items()]
        return {"cipher_suite": self.suite.id, "external_psks": psks, **begun, "epochs": self.epochs}


def entrance(joiner: Joiner, made: PendingCommit, *, inside: bool) -> Json:
    """The part of a case that lets a client in; the tree is inside the Welcome, or stands beside it."""
    assert made.welcome is not None
    return {
        "key_package": MLSMessage.wrap(joiner.package).hex(),
        "signature_priv": joiner.person.signature_private_key.hex(),
        "encryption_priv": joiner.secrets.encryption_private_key.hex(),
        "init_priv": joiner.secrets.init_private_key.hex(),
        "welcome": made.welcome.hex(),
        "ratchet_tree": None if inside else made.group.tree_bytes().hex(),
        "initial_epoch_authenticator": made.group.epoch_authenticator.hex(),
    }


def begin(suite: CipherSuite, seed: int) -> tuple[History, Json]:
    """A group that a client has just joined."""
    history = History(suite, seed)
    for _ in range(3):
        history.commit()
    return history, history.welcome_client()


def record(suite: CipherSuite, seed: int, epochs: int = 12) -> Json:
    """One case of the format: a client that joins by a Welcome and follows the group over so many epochs."""
    history, begun = begin(suite, seed)
    for _ in range(epochs):
        history.step()
    return history.case(begun)


def record_successor(suite: CipherSuite, seed: int, epochs: int = 4, *, reinit: bool) -> list[Json]:
    """Two cases of one client: a group, and its branch or what follows its ReInit (sections 11.2 and 11.3)."""
    history, begun = begin(suite, seed)
    for _ in range(epochs):
        history.step()
    old_client = history.client
    assert old_client is not None
    by, new_id = history.anyone(), history.random(8)
    if reinit:
        history.end_epoch(by, [ReInit(new_id, 1, suite.id, ())], [])
    old = history.groups[by]
    founder = Founder(NOW - DAY, NOW + 27 * DAY)
    others = [history.joiner(history.people[name]) for name in sorted(set(history.groups) - {by})]
    client = history.joiner(old_client.person)
    packages = [client.package, *(other.package for other in others)]
    if reinit:
        made = reinitialize(old, packages, founder, random=history.random)
    else:
        made = branch(old, new_id, packages[:2], founder, random=history.random, with_tree=True)
    successor = {"cipher_suite": suite.id, "external_psks": [], **entrance(client, made, inside=not reinit)}
    return [history.case(begun), {**successor, "epochs": []}]
