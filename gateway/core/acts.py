"""What the gateway itself says in the control channel, under the key that the charter names: its acts, and charters installed.

It is a device like any other there: its numbers rise by one and its headers are chained, so its own history can't be rewritten
either.
"""

from collections.abc import Sequence

from gateway.core.append import Gateway, append
from gateway.core.effects import Effect, Outcome, PutCharter
from gateway.core.errors import Refused
from gateway.core.rows import Chain, Stream, StreamKind
from gateway.core.view import View
from gateway.wire import Accepted, Refusal
from gateway.wire import Refused as RefusedFrame
from keys.body import Act, AuditorRead, GatewayAct
from keys.canonical import encode
from keys.charter import Charter, found, succeed, succession
from keys.envelope import NOTHING, Kind, Precedence, Verified, bare, read, seal, verify_run
from keys.errors import CharterRefused
from keys.identity import Random, SigningKey


def say(
    view: View, gateway: Gateway, kind: Kind, body: bytes, now: int, random: Random, *effects: Effect
) -> Outcome[Accepted | RefusedFrame]:
    """One envelope of the gateway's own in the control channel, with what else happens at the same moment."""
    stream, chain = _place(view, gateway)
    said = _sealed(gateway, kind, body, chain.number, chain.link, now)
    return append(view, 0, [said], [body], stream, effects, gateway, now, random)


def _place(view: View, gateway: Gateway) -> tuple[Stream, Chain]:
    """The control channel, and the gateway's own chain there."""
    channel = gateway.charter.control_channel
    stream = view.stream(channel) or Stream(channel, StreamKind.CONTROL, 0, NOTHING)
    return stream, view.chain(channel, gateway.charter.gateway_device)


def _sealed(gateway: Gateway, kind: Kind, body: bytes, number: int, link: bytes, now: int) -> Verified:
    """The envelope of the gateway's that follows number `number`, whose link is given."""
    device, channel = gateway.charter.gateway_device, gateway.charter.control_channel
    context = bare(kind, device, channel, number + 1, link, now, Precedence.ROUTINE)
    return verify_run([read(seal(context, body, gateway.key))], gateway.key.public)[0]


def act(
    view: View, gateway: Gateway, what: Act, detail: str, now: int, random: Random
) -> Outcome[Accepted | RefusedFrame]:
    """START, STOP, CONFIGURATION …: the operator's doings are in the log as everybody's are."""
    return say(view, gateway, Kind.GATEWAY_ACT, encode(GatewayAct(what, detail)), now, random)


def auditor_read(
    view: View, gateway: Gateway, name: str, until: int, now: int, random: Random
) -> Outcome[Accepted | RefusedFrame]:
    """An auditor reads the log through this gateway, from now on and for a while."""
    read = AuditorRead(name, view.log_size(), until)
    return say(view, gateway, Kind.AUDITOR_READ, encode(read), now, random)


def filler(view: View, gateway: Gateway, now: int, random: Random) -> Outcome[Accepted | RefusedFrame]:
    """An entry that says nothing, so that the log's size tells no tempo."""
    return say(view, gateway, Kind.FILLER, b"", now, random)


def pad(view: View, gateway: Gateway, step: int, now: int, random: Random) -> Outcome[int]:
    """Fillers up to the log's next multiple of `step`, one at least; the answer is the log's size then.

    At a multiple already, a whole step is filled: on the outside an hour in which nothing was said looks like any other.
    """
    stream, chain = _place(view, gateway)
    size = view.log_end().size
    count = step - size % step
    fillers: list[Verified] = []
    number, link = chain.number, chain.link
    for _ in range(count):
        fillers.append(_sealed(gateway, Kind.FILLER, b"", number, link, now))
        number, link = number + 1, fillers[-1].envelope.link
    done = append(view, 0, fillers, [b""] * count, stream, (), gateway, now, random)
    return Outcome(size + count, done.effects)


def next_charter(view: View, note: bytes, earlier: Sequence[bytes] = ()) -> Charter:
    """The charter that `note` may install: the mission's first, or the successor of the one in force. In a log that takes the
    place of another there is none in force, and it follows the last of the `earlier` ones.

    Raises:
        Refused: CHARTER, with what is wrong.
    """
    held = view.charter()
    try:
        if held is not None and held.note == note:
            return held
        if held is None and earlier:
            return succeed(succession(earlier)[-1], note)
        return found(note) if held is None else succeed(held, note)
    except CharterRefused as error:
        raise Refused(Refusal.CHARTER, str(error)) from None


def install_charter(
    view: View,
    note: bytes,
    key: SigningKey,
    log_key: str,
    now: int,
    random: Random,
    earlier: Sequence[bytes] = (),
) -> Outcome[Accepted | RefusedFrame | None]:
    """Put a charter in force and into the log. The same one again changes nothing (the answer is None).

    `key` is the gateway's signing key, `log_key` the verifier key of its log. `earlier` are the mission's charters where this
    log takes the place of one that could not go on: they are kept for whoever asks for the succession, and are in the old log.

    Raises:
        Refused: CHARTER: it may not follow the one in force, or names another gateway or log than this.
    """
    held = view.charter()
    charter = next_charter(view, note, earlier)
    if held is not None and held.note == note:
        return Outcome(None)
    policy = charter.policy
    if policy.gateway_key != key.public or policy.log_key != log_key:
        raise Refused(
            Refusal.CHARTER, "this charter names another gateway: give the mission this one's gateway.request"
        )
    before = enumerate(earlier, 1) if held is None else ()
    kept = [PutCharter(version, old) for version, old in before]
    done = say(view, Gateway(charter, key), Kind.CHARTER, note, now, random, *kept, PutCharter(policy.version, note))
    return Outcome(done.answer, done.effects)
