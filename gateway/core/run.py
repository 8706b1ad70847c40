"""A verified run on its way to its rules, and the checks that several kinds share."""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from gateway.core.errors import Refused, denied
from gateway.core.rows import Identity, Member, Stream, StreamKind
from gateway.core.view import View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.envelope import ENCRYPTED, Kind, Marking, Verified
from keys.errors import CharterRefused, Malformed
from keys.policy import ChannelClass, Verb

HOUR: Final = 3_600_000  # ms


class Run(Struct, frozen=True, gc=False):
    """Envelopes of one device for one stream, their signature verified; `bodies` in the same order."""

    verified: tuple[Verified, ...]
    bodies: list[bytes]
    stream: Stream
    member: Member | None
    """The author in the channel, or in the channel whose receipts these are (then perhaps in it no longer)."""
    who: Identity
    key: bytes
    """The key that has signed it: of the device, and the one that counts there (`gateway.core.author`)."""
    charter: Charter
    now: int  # ms

    @property
    def kind(self) -> Kind:
        return self.verified[0].context.kind

    def one(self) -> tuple[Verified, bytes]:
        """The only envelope of a run that is not chained."""
        if len(self.verified) != 1:
            raise Refused(Refusal.SCHEMA, f"envelopes of kind {self.kind.name} come one at a time")
        return self.verified[0], self.bodies[0]


def check_channel(run: Run) -> Member:
    """This kind stands in a channel, its author in it, and its marking is not above the channel's ceiling.

    What is not content is kept as long as the log and names no end of its own.
    """
    if run.stream.kind is not StreamKind.CHANNEL or run.member is None:
        raise denied()
    ceiling = run.stream.ceiling
    for verified in run.verified:
        context = verified.context
        if context.marking > ceiling:
            label = Marking(ceiling).label
            raise Refused(Refusal.TLP, f"{context.marking.label} may not go to a channel up to {label}")
        if context.expires and context.kind not in ENCRYPTED:
            raise Refused(Refusal.SCHEMA, f"an envelope of kind {context.kind.name} has no end of its own")
    return run.member


def check_control(run: Run) -> None:
    """This kind stands in the control channel, at epoch 0."""
    if run.stream.id != run.charter.control_channel or any(v.context.epoch for v in run.verified):
        raise denied()


class Named(Protocol):
    """A body that names the certificate whose key signs its envelope: not everybody who reads it knows its author."""

    @property
    def certificate(self) -> bytes: ...


N = TypeVar("N", bound=Named)


def read_named(run: Run, read: Callable[[bytes], N]) -> tuple[bytes, N]:
    """The header hash of the run's only envelope, and what its body says under the author's own certificate."""
    verified, data = run.one()
    if verified.context.expires:
        raise Refused(Refusal.SCHEMA, f"an envelope of kind {run.kind.name} has no end of its own")
    try:
        said = read(data)
    except Malformed as error:
        raise Refused(Refusal.SCHEMA, str(error)) from None
    if said.certificate != run.who.certificate:
        raise Refused(Refusal.SCHEMA, "it names another certificate than its author's")
    return verified.header_hash, said


def check_verb(run: Run, verb: Verb) -> None:
    """The charter lets one of the author's roles do this."""
    if not run.charter.policy.permits(run.who.roles, verb):
        held = ", ".join(sorted(run.who.roles)) or "no role"
        raise Refused(Refusal.ROLE, f"{held}: the charter does not allow {verb.value}")


def check_agreement(run: Run) -> None:
    """No content by an organisation whose agreement has ended."""
    if not run.charter.policy.may_see(run.who.organisation, Marking(run.stream.ceiling), run.now):
        raise Refused(Refusal.TLP, f"the agreement with {run.who.organisation} does not cover this channel now")


def channel_class(run: Run) -> ChannelClass:
    """The class of the run's channel, as the charter in force has it."""
    try:
        return run.charter.policy.channel_class(run.stream.channel_class)
    except CharterRefused as error:
        raise Refused(Refusal.CHARTER, f"{error} any more: create another channel") from None


def check_expiry(run: Run, days: int) -> None:
    """A body's end lies ahead, and within the retention of the channel's class."""
    for verified in run.verified:
        expires = verified.context.expires
        if 0 < expires <= run.now:
            raise Refused(Refusal.EXPIRED, "its own end had passed before it came here: send it again with a later one")
        if expires > run.now + days * 24 * HOUR:
            raise Refused(
                Refusal.EXPIRED, f"a body here is kept for at most {days} days: send it again with an earlier end"
            )


def check_list_age(view: View, run: Run, organisation: str, hours: int) -> None:
    """The organisation's revocation list is young enough for this."""
    made = view.list_made(organisation)
    if made is None or run.now > made + hours * HOUR:
        raise Refused(
            Refusal.STALE_LIST,
            f"the revocation list of {organisation} is missing or older than {hours} h: a registrar renews it",
        )
