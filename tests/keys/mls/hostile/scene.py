"""The group that the rows speak of: four members, an extension, required capabilities, and a guest who is not in yet.

Groups are values, so all rows share one scene; none changes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from keys.mls import (
    REQUIRED_CAPABILITIES,
    Add,
    Capabilities,
    Credential,
    Extension,
    Group,
    KeyPackage,
    Proposal,
    PublicGroup,
    RequiredCapabilities,
    Update,
    cipher_suite,
)
from keys.mls.framing import ProposalContent
from keys.mls.hpke import LOW_ORDER
from keys.mls.leaves import Place, renewed, sign_leaf
from keys.mls.nodes import FromUpdate, LeafNode
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.hostile.table import Case, heard, state_of
from tests.keys.mls.insider import key_package, send
from tests.keys.mls.people import NOW, Person, World, seeded

SUITE = cipher_suite(1)
LOW = min(LOW_ORDER)
CHARTER = Extension(0xF0A0, b"charter")
ASKED = Extension(REQUIRED_CAPABILITIES, RequiredCapabilities((0xF0A1,), (0xF0A2,), (3,)).encode())
ABLE = Capabilities((1,), (1,), (0xF0A0, 0xF0A1), (0xF0A2,), (1, 3))
"""What a leaf has to list here, and no more; a credential type 3 is asked for, and nobody has one."""
GUEST = Person.named(SUITE, b"guest")
TWIN = Person.named(SUITE, b"twin")
STOLEN = Person.named(SUITE, b"stolen").signature_private_key
STOLEN_PUBLIC = SUITE.signature_public_key(STOLEN)
BANNED = (b"banned", b"member 0/banned", b"member 2/banned", STOLEN_PUBLIC)


@cache
def scene() -> World:
    """Members 0 to 3 in epoch 1; nobody has set a path."""
    made = World(SUITE, 4, path=False, extensions=(CHARTER, ASKED), capabilities=ABLE)
    made.auth.banned.update(BANNED)
    return made


def member(number: int) -> Group:
    return scene()[b"member %d" % number]


def guest(person: Person = GUEST, *, leaf: Mapping[str, Any] | None = None, **changes: Any) -> KeyPackage:
    """A KeyPackage that the group takes, with fields of it or of its leaf changed, both signed by their owner."""
    return key_package(person, leaf={"capabilities": ABLE, **(leaf or {})}, **changes)


HONEST = guest()

Proposals = Sequence[Proposal | bytes] | Callable[[], Sequence[Proposal | bytes]]


def commit(hostile: Proposals, honest: Proposals = (), *, makes: bool = True, **how: Any) -> Callable[[], Case]:
    """Member 0 commits proposals that can't stand, and others that can; `how` as for `forge`, for the former.

    Others refuse the Commit, and so does whoever is asked to make it (section 12.2), if it could be asked (`makes`).
    """
    psks = {b"id": b"words", b"other": b"more words"}

    def making(proposals: Sequence[Proposal | bytes]) -> Callable[[], object]:
        values = [one for one in proposals if not isinstance(one, bytes)]
        return lambda: member(0).commit(values, by_reference=(), random=seeded("made"), psks=psks, now_seconds=NOW)

    def case() -> Case:
        group, here = member(0), scene()
        bad = hostile() if callable(hostile) else hostile
        good = honest() if callable(honest) else honest
        message, fair = forge(group, bad, psks=psks, **how), forge(group, good, psks=psks)
        judged = heard(member(1), here.public, message, fair, psks=psks)
        if how or not makes:
            return judged
        state = state_of(member(0), member(1), here.public)
        return Case([*judged.hostile, making(bad)], [*judged.honest, making(good)], state)

    return case


def add(leaf: Mapping[str, Any] | None = None, **changes: Any) -> Callable[[], Case]:
    """Member 0 adds the guest by a KeyPackage that is not as it should be."""
    return commit(lambda: [Add(guest(leaf=leaf, **changes))], [Add(HONEST)])


def updated(number: int, changes: Mapping[str, Any], *, key: bytes | None = None) -> LeafNode:
    """A member's leaf for an Update, with fields changed, signed for its place."""
    group = member(number)
    private, old, place = group.signature_private_key, group.own_leaf, Place(group.group_id, group.own_leaf_index)
    fresh = SUITE.derive_key_pair(b"fresh")[1]
    honest = renewed(SUITE, old, fresh, FromUpdate(), place, old.credential, private)
    return sign_leaf(SUITE, replace(honest, **changes), key or private, place)


def propose(hostile: Proposal, honest: Proposal, *, by: int = 2) -> Case:
    """A member sends a proposal on its own."""
    messages = [send(member(by), ProposalContent(one)) for one in (hostile, honest)]
    return heard(member(1), scene().public, *messages, proposal=True)


def update(changes: Mapping[str, Any], *, key: bytes | None = None) -> Callable[[], Case]:
    """Member 2 proposes a leaf that is wrong by itself."""
    return lambda: propose(Update(updated(2, changes, key=key)), Update(updated(2, {})))


def update_committed(changes: Mapping[str, Any], *, key: bytes | None = None) -> Callable[[], Case]:
    """Member 2 proposes a leaf that is wrong only among the others; member 0 commits it."""

    def case() -> Case:
        hostile = _with_proposal(Update(updated(2, changes, key=key)))
        honest = _with_proposal(Update(updated(2, {})))
        bad, good = (forge(groups[0], list(groups[2].proposals)) for groups in (hostile, honest))
        refused, taken = heard(*hostile[1:], bad, bad), heard(*honest[1:], good, good)
        return Case(refused.hostile, taken.honest, refused.state)

    return case


def _with_proposal(proposal: Proposal) -> tuple[Group, Group, PublicGroup]:
    """Members 0 and 1, and who follows the group, once they have heard a proposal of member 2."""
    message = send(member(2), ProposalContent(proposal))
    first, second = (member(number).process(message, now_seconds=NOW)[0] for number in (0, 1))
    return first, second, scene().public.proposal(message, NOW)


def path(changes: Mapping[str, Any], *, key: bytes | None = None) -> Callable[[], Case]:
    """Member 0 commits with a path whose leaf is not as it should be."""
    return commit([], [], leaf=changes, leaf_key=key)


X509 = Credential.x509([b"der"])
