"""A verified run on its way to its rules, and the checks that several kinds share."""

from dataclasses import dataclass

from gateway.core.errors import Refused, denied
from gateway.core.view import Identity, Member, Stream, StreamKind, View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.envelope import Kind, Marking, Verified
from keys.policy import Verb

HOUR = 3_600_000  # ms


@dataclass(frozen=True, slots=True)
class Run:
    """Envelopes of one device for one stream, their signature verified; `bodies` in the same order."""

    verified: tuple[Verified, ...]
    bodies: list[bytes]
    stream: Stream
    who: Identity
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


def check_channel(run: Run) -> None:
    """This kind stands in a channel, and there is one."""
    if run.stream.kind is not StreamKind.CHANNEL or not run.stream.seq:
        raise denied()


def check_control(run: Run) -> None:
    """This kind stands in the control channel, at epoch 0."""
    if run.stream.kind is not StreamKind.CONTROL or any(v.context.epoch for v in run.verified):
        raise denied()


def check_member(view: View, run: Run) -> Member:
    """The author is in the channel now; DENIED to everybody else, be there such a channel or not."""
    member = view.member(run.stream.id, run.who.device)
    if member is None or member.left:
        raise denied()
    return member


def check_verb(run: Run, verb: Verb) -> None:
    """The charter lets one of the author's roles do this."""
    if not run.charter.policy.permits(run.who.roles, verb):
        held = ", ".join(sorted(run.who.roles)) or "no role"
        raise Refused(Refusal.ROLE, f"{held}: the charter does not allow {verb.value}")


def check_marking(run: Run) -> None:
    """No content above the channel's ceiling, and none for an organisation whose agreement has ended."""
    for verified in run.verified:
        if verified.context.marking > run.stream.ceiling:
            ceiling = Marking(run.stream.ceiling).label
            raise Refused(Refusal.TLP, f"{verified.context.marking.label} may not go to a channel up to {ceiling}")
    if not run.charter.policy.may_see(run.who.organisation, Marking(run.stream.ceiling), run.now):
        raise Refused(Refusal.TLP, f"the agreement with {run.who.organisation} does not cover this channel now")


def check_expiry(run: Run) -> None:
    """A body's end lies ahead, and within the retention of the channel's class."""
    days = run.charter.policy.channel_class(run.stream.channel_class).retention_days
    for verified in run.verified:
        expires = verified.context.expires
        if expires and not run.now < expires <= run.now + days * 24 * HOUR:
            raise Refused(Refusal.EXPIRED, f"a body here is kept for at most {days} days, and at least until now")


def check_list_age(view: View, run: Run, organisation: str, hours: int) -> None:
    """The organisation's revocation list is young enough for this."""
    listed = view.revocations(organisation)
    if listed is None or run.now > listed.this_update + hours * HOUR:
        raise Refused(
            Refusal.STALE_LIST,
            f"the revocation list of {organisation} is missing or older than {hours} h: a registrar renews it",
        )
