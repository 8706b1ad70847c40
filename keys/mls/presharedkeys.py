"""Pre-shared keys (RFC 9420 sections 8.4 and 8.6): which may be named, and where each is found.

    external      brought by the application                by psk_id
    application   brought by a component of it              by component and psk_id
    resumption    of an epoch that its members lived in     by group and epoch

The application hands over what it has as `PreSharedKeys`, or as a plain mapping where it only has external ones. A
group finds its own resumption PSKs by itself: that of the present epoch, and those of as many past epochs as
`Limits.resumption_epochs` says; older ones are gone. Those of another group are read from that group. The type
`application` is that of draft-ietf-mls-extensions-09 section 4.5. How the keys enter the key schedule stands in
`schedule.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

from keys.mls.codec import Struct, Vector, decode_all, encode_with, opaque, struct, uint64
from keys.mls.errors import DecodeError, Invalid, InvalidProposal, MissingPreSharedKey
from keys.mls.messages import ApplicationPsk, ExternalPsk, PreSharedKeyID, Psk, ResumptionPsk
from keys.mls.schedule import HeldKeys
from keys.mls.suites import CipherSuite

if TYPE_CHECKING:
    from keys.mls.group import Group

# What a resumption PSK is used for (ResumptionPSKUsage, section 8.4)
APPLICATION: Final = 1
REINIT: Final = 2
BRANCH: Final = 3

MAX_PSKS: Final = 0xFFFF
"""Most in one Commit: PSKLabel counts them in 16 bits (section 8.4)."""


@dataclass(frozen=True, slots=True)
class ResumptionPsks:
    """The resumption PSKs of one group that are at hand, that of its present epoch among them (section 8.6)."""

    group_id: bytes
    by_epoch: Mapping[int, bytes]

    def of(self, group_id: bytes, epoch: int) -> bytes | None:
        """The one of this epoch, if it is this group's and still kept."""
        return self.by_epoch.get(epoch) if group_id == self.group_id else None


@dataclass(frozen=True, slots=True)
class PreSharedKeys:
    """What a client has at hand for Commits and Welcomes that name pre-shared keys."""

    external: Mapping[bytes, bytes] = field(default_factory=dict)
    """By psk_id."""
    application: Mapping[tuple[int, bytes], bytes] = field(default_factory=dict)
    """By component ID and psk_id."""
    groups: "Mapping[bytes, Group]" = field(default_factory=dict)
    """The groups that this client is in, by group id: their resumption PSKs may be named, and a Welcome to a new
    group is held against them."""


Psks = Mapping[bytes, bytes] | PreSharedKeys
"""Keys at hand; a plain mapping holds external ones."""


def held(psks: Psks) -> PreSharedKeys:
    """The full form of what an application hands over."""
    return psks if isinstance(psks, PreSharedKeys) else PreSharedKeys(psks)


def look_up(wanted: Iterable[PreSharedKeyID], psks: Psks, own: ResumptionPsks | None = None) -> HeldKeys:
    """The keys that were named, each with its value; `own` are those of the group they are for.

    Raises `MissingPreSharedKey`.
    """
    found = []
    for identity in wanted:
        psk = _value(identity.psk, held(psks), own)
        if psk is None:
            raise MissingPreSharedKey(f"no {in_words(identity.psk)} (sections 12.4.2 and 12.4.3.1)")
        found.append((identity, psk))
    return found


def _value(psk: Psk, psks: PreSharedKeys, own: ResumptionPsks | None) -> bytes | None:
    match psk:
        case ExternalPsk(psk_id):
            return psks.external.get(psk_id)
        case ApplicationPsk(component_id, psk_id):
            return psks.application.get((component_id, psk_id))
        case ResumptionPsk(_, group_id, epoch):
            kept = own.of(group_id, epoch) if own is not None else None
            if kept is None and group_id in psks.groups:
                kept = psks.groups[group_id].resumption_psks.of(group_id, epoch)
            return kept


def in_words(psk: Psk) -> str:
    """Which key is meant, for people."""
    match psk:
        case ExternalPsk(psk_id):
            return f"pre-shared key {psk_id.hex()}"
        case ApplicationPsk(component_id, psk_id):
            return f"pre-shared key {psk_id.hex()} of component {component_id:#06x}"
        case ResumptionPsk(_, group_id, epoch):
            return f"resumption pre-shared key of epoch {epoch} of group {group_id.hex()}"


# Rules


def check_identity(suite: CipherSuite, psk: PreSharedKeyID, refuse: type[Invalid]) -> None:
    """Is this the name of a pre-shared key (section 8.4)? Raises `refuse`."""
    if len(psk.psk_nonce) != suite.hash_length:
        raise refuse("a pre-shared key's nonce of the wrong length (sections 8.4 and 12.1.4)")
    if isinstance(psk.psk, ResumptionPsk) and psk.psk.usage not in (APPLICATION, REINIT, BRANCH):
        raise refuse(f"a resumption pre-shared key for use {psk.psk.usage}, which is none (section 8.4)")


def check_together(psks: Sequence[PreSharedKeyID], refuse: type[Invalid]) -> None:
    """Can these enter one epoch together, named by a Commit (section 12.2) or a Welcome (section 12.4.3.1)?

    Raises `refuse`.
    """
    if len(set(psks)) != len(psks):
        raise refuse("one pre-shared key twice (section 12.2)")
    if sum(is_link(one.psk) for one in psks) > 1:
        raise refuse("two pre-shared keys that link to another group (section 12.4.3.1)")
    if len(psks) > MAX_PSKS:
        raise refuse(f"more than {MAX_PSKS} pre-shared keys (section 8.4)")


def check_proposed(suite: CipherSuite, psk: PreSharedKeyID, *, founding: bool) -> None:
    """May this be proposed (section 12.1.4)? `founding` says that a new group's founder makes its first Commit.

    Raises `InvalidProposal`.
    """
    check_identity(suite, psk, InvalidProposal)
    if is_link(psk.psk) and not founding:
        raise InvalidProposal("a pre-shared key that links to another group, in a group that lives (section 12.1.4)")


def is_link(psk: Psk) -> bool:
    """Whether it ties a new group to an old one, by reinitialisation or as a branch (sections 11.2 and 11.3)."""
    return isinstance(psk, ResumptionPsk) and psk.usage in (REINIT, BRANCH)


def link_of(psks: Iterable[PreSharedKeyID]) -> ResumptionPsk | None:
    """The key that ties a new group to an old one, if there is one."""
    for one in psks:
        if isinstance(one.psk, ResumptionPsk) and is_link(one.psk):
            return one.psk
    return None


# Keeping those of past epochs (section 8.6)


def kept_with(kept: Mapping[int, bytes], epoch: int, psk: bytes, limit: int) -> Mapping[int, bytes]:
    """Those of past epochs once `epoch` is over too: the newest `limit`, and no others."""
    newest = sorted({**kept, epoch: psk}.items(), reverse=True)[: min(limit, MAX_PSKS)]
    return dict(reversed(newest))


@struct
class KeptPsk(Struct):
    """The resumption PSK of an epoch that is over."""

    epoch: Annotated[int, uint64]
    psk: Annotated[bytes, opaque]


_kept_psks: Final = Vector(KeptPsk, MAX_PSKS)


def resumption_part(kept: Mapping[int, bytes]) -> dict[str, bytes]:
    """Part `resumption` of a group's state, if there is any."""
    listed = tuple(KeptPsk(epoch, psk) for epoch, psk in sorted(kept.items()))
    return {"resumption": encode_with(_kept_psks, listed)} if listed else {}


def load_resumption(parts: Mapping[str, bytes]) -> Mapping[int, bytes]:
    """The same back; raises `DecodeError`."""
    if "resumption" not in parts:
        return {}
    kept = {one.epoch: one.psk for one in decode_all(_kept_psks, parts["resumption"])}
    if resumption_part(kept).get("resumption") != parts["resumption"]:
        raise DecodeError("the resumption PSKs are not in their one form")
    return kept
