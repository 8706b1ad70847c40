"""Pre-shared keys (RFC 9420 sections 8.4 and 12.1.4): their names, in a proposal, a Commit and a Welcome."""

from collections.abc import Callable
from dataclasses import replace

from keys.mls import (
    Add,
    ApplicationPsk,
    ExternalPsk,
    InvalidGroupInfo,
    InvalidProposal,
    MissingPreSharedKey,
    PreSharedKey,
    PreSharedKeyID,
    PreSharedKeys,
    ResumptionPsk,
)
from keys.mls.messages import Psk
from keys.mls.presharedkeys import check_together
from tests.keys.mls.hostile.scene import SUITE, commit, member, propose, scene
from tests.keys.mls.hostile.table import Case, Row, heard, judge, table
from tests.keys.mls.kin import ready, welcome_with
from tests.keys.mls.people import World, seeded

NONCE = bytes(32)
OURS = b"the group"


def psk(kind: Psk, nonce: bytes = NONCE) -> PreSharedKey:
    return PreSharedKey(PreSharedKeyID(kind, nonce))


def resumption(usage: int, epoch: int = 1, nonce: bytes = NONCE) -> PreSharedKey:
    return psk(ResumptionPsk(usage, OURS, epoch), nonce)


WORDS = psk(ExternalPsk(b"id"))


def proposed(hostile: PreSharedKey) -> Callable[[], Case]:
    return lambda: propose(hostile, WORDS)


LENGTH = "a pre-shared key's nonce of the wrong length"
LINK = "a pre-shared key that links to another group, in a group that lives"


@table(
    Row("12.1.4", "a nonce is not too short", proposed(psk(ExternalPsk(b"id"), bytes(31))), InvalidProposal, LENGTH),
    Row("12.1.4", "a nonce is not too long", proposed(resumption(1, nonce=bytes(33))), InvalidProposal, LENGTH),
    Row("12.1.4", "there is a nonce", proposed(psk(ApplicationPsk(0x8001, b"id"), b"")), InvalidProposal, LENGTH),
    Row("8.4", "a resumption key has a use", proposed(resumption(0)), InvalidProposal, "for use 0, which is none"),
    Row("8.4", "a resumption key's use is known", proposed(resumption(4)), InvalidProposal, "for use 4, which is none"),
    Row("12.1.4", "a key for a ReInit is not for a group that lives", proposed(resumption(2)), InvalidProposal, LINK),
    Row("12.1.4", "a key for a branch is not for a group that lives", proposed(resumption(3)), InvalidProposal, LINK),
)
def test_a_key_that_is_proposed(row: Row) -> None:
    judge(row)


def committed(*hostile: PreSharedKey) -> Callable[[], Case]:
    return commit(hostile, [WORDS])


def unknown(kind: Psk) -> Callable[[], Case]:
    """A key that nobody has; only a member knows."""

    def case() -> Case:
        fair = commit([], [WORDS])()
        group = member(1)
        message = member(0).commit([psk(kind)], random=seeded(1), psks=PreSharedKeys({b"x": b"x"}, {(9, b"x"): b"x"}))
        taken = heard(group, None, message.message, message.message, psks={b"id": b"words"})
        return Case(taken.hostile, fair.honest, taken.state)

    return case


def forgotten() -> Case:
    """A resumption key of an epoch whose key this member does not have: it came in later."""
    world = World(SUITE, 2, seed="forgotten")
    (late,) = ready(SUITE, 9)
    pending = world[b"member 0"].commit([Add(late.package)], random=world.random)
    world.accept(b"member 0", pending)
    reader = world.welcome(pending, late.person, late.package, late.secrets)
    hostile, fair = (world[b"member 0"].commit([resumption(1, epoch)], random=world.random).message for epoch in (1, 2))
    return heard(reader, None, hostile, fair)


MISSING = "no pre-shared key"


@table(
    Row("12.2", "no key stands twice", committed(WORDS, WORDS), InvalidProposal, "one pre-shared key twice"),
    Row("12.4.2", "an external key is at hand", unknown(ExternalPsk(b"x")), MissingPreSharedKey, MISSING),
    Row("12.4.2", "a component's key is at hand", unknown(ApplicationPsk(9, b"x")), MissingPreSharedKey, MISSING),
    Row(
        "12.4.2",
        "a past epoch's key is at hand",
        forgotten,
        MissingPreSharedKey,
        "no resumption pre-shared key of epoch 1",
    ),
)
def test_a_key_that_is_committed(row: Row) -> None:
    judge(row)


def founding(*keys: PreSharedKey) -> Callable[[], Case]:
    """A founder's first Commit: what it may not name at once. Only the founder is there to refuse it."""

    def case() -> Case:
        alone = World(SUITE, 1, seed="alone")[b"member 0"]
        held = PreSharedKeys(groups={OURS: member(1)})
        named = [replace(one, psk=replace(one.psk, psk=replace(one.psk.psk, psk_epoch=1))) for one in keys]  # type: ignore[call-arg]
        return Case(
            [lambda: alone.commit(named, random=seeded(1), psks=held)],
            [lambda: alone.commit(named[:1], random=seeded(1), psks=held)],
        )

    return case


def too_many() -> Case:
    many = [PreSharedKeyID(ExternalPsk(b"id"), number.to_bytes(32)) for number in range(0x10000)]
    return Case(
        [lambda: check_together(many, InvalidProposal)],
        [lambda: check_together(many[1:], InvalidProposal)],
    )


@table(
    Row(
        "12.4.3.1",
        "a founder links to one group",
        founding(resumption(3), resumption(3, nonce=bytes([1]) * 32)),
        InvalidProposal,
        "two pre-shared keys that link to another group",
    ),
    Row("8.4", "keys are no more than can be counted", too_many, InvalidProposal, "more than 65535 pre-shared keys"),
)
def test_keys_together(row: Row) -> None:
    judge(row)


def welcomed(*hostile: PreSharedKey) -> Callable[[], Case]:
    """A Welcome by hand that names keys which it may not."""

    def case() -> Case:
        (guest,) = ready(SUITE, 9)
        group = scene()[b"member 1"]
        world = World(SUITE, 2, seed="welcomed")
        held = PreSharedKeys(external={b"id": b"words"}, groups={OURS: group})
        pending = world[b"member 0"].commit([Add(guest.package)], random=world.random, path=False)

        def step(keys: tuple[PreSharedKey, ...]) -> Callable[[], object]:
            welcome, tree = welcome_with(pending.group, guest, [one.psk for one in keys], held)
            given = (guest.package, guest.secrets, guest.person.signature_private_key, world.auth)
            return lambda: type(group).join(welcome, *given, ratchet_tree=tree, psks=JOINERS)

        return Case([step(hostile)], [step((WORDS,))])

    return case


JOINERS = PreSharedKeys(external={b"id": b"words"})
TWO = "two pre-shared keys that link to another group"


@table(
    Row(
        "8.4",
        "[Welcome] a nonce is of the right length",
        welcomed(psk(ExternalPsk(b"id"), bytes(31))),
        InvalidGroupInfo,
        LENGTH,
    ),
    Row("12.2", "[Welcome] no key stands twice", welcomed(WORDS, WORDS), InvalidGroupInfo, "one pre-shared key twice"),
    Row("8.4", "[Welcome] a resumption key has a use", welcomed(resumption(0)), InvalidGroupInfo, "for use 0"),
    Row(
        "12.4.3.1",
        "[Welcome] one link, of whatever kind",
        welcomed(resumption(2), resumption(3)),
        InvalidGroupInfo,
        TWO,
    ),
    Row(
        "12.4.3.1",
        "[Welcome] one link of one kind",
        welcomed(resumption(3), resumption(3, nonce=bytes([1]) * 32)),
        InvalidGroupInfo,
        TWO,
    ),
    Row(
        "12.4.3.1",
        "[Welcome] the keys are at hand",
        welcomed(resumption(1)),
        MissingPreSharedKey,
        "no resumption pre-shared key",
    ),
)
def test_keys_of_a_welcome(row: Row) -> None:
    judge(row)
