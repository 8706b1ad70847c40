"""Questions in pairs: about what is there and not for who asks, and about what is not there at all. The answers are the same bytes.

What tells them apart can only be time, or the steps that are taken (`timing`, `test_timing`). A probe makes a question ready, and gives
what asks it: only that is measured. Each raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from typing import Any

from gateway import wire
from gateway.core import answers, requests
from gateway.core.errors import Refused
from gateway.core.following import fetch
from gateway.store.rows import Parsed
from gateway.store.writer import WriterView
from gateway.web.socket import STRANGER_FRAMES
from keys.authority import renewal_id, request_renewal
from keys.canonical import encode
from keys.envelope import NOTHING, Kind, seal
from keys.identity import SigningKey, receipt_stream
from tests.gateway.core.checks import accepted, done
from tests.gateway.core.test_session import Meeting
from tests.gateway.core.world import Party, World
from tests.gateway.web.live import Link, Live, running
from tests.restored import restored

Ready = Callable[[], object]
Probe = Callable[[], Ready]
Pair = tuple[Sequence[Probe], Sequence[Probe]]
"""Of what is there, and of what is not: several of each, since a signature takes a moment of its own to check."""

MANY = 8
SAME, TALK, BESIDE, READ, TREE, CERTIFICATE, RENEWAL, DEVICE = NAMES = (
    "the same twice",
    "a channel, to speak in",
    "a channel, to speak beside",
    "a channel, to read",
    "a channel's tree",
    "a certificate",
    "a renewal, by a stranger",
    "a device, by a proof",
)


class Mission:
    """Channels and devices in a world, and a stranger to all of them: the same at the core and over a socket."""

    def __init__(self, world: Any) -> None:
        self.world = world
        officer, agent = world.enrolled("officer"), world.enrolled("agent")
        self.channels = [officer.create_channel() for _ in range(MANY)]
        for channel in self.channels:
            accepted(officer.add(channel, agent))
        self.stranger: Party = world.enrolled("guest", house=world.mission.partner)
        self.devices: list[Party] = [world.enrolled("agent") for _ in range(MANY)]
        self.renewing = self.devices[: MANY // 2]
        for party in self.renewing:
            asked = request_renewal(party.device.certified, party.device.key, SigningKey(world.random(32)))  # type: ignore[union-attr]
            done(world.ask(party, wire.Enrol(1, renewal_id(party.id), asked)))
        self.nobody = [Party(world, world.mission.device("agent")) for _ in range(MANY)]
        self.nowhere = [world.random(16) for _ in range(MANY)]

    def envelope(self, kind: Kind, channel: bytes, epoch: int) -> wire.Submit:
        context = self.stranger.context(kind, channel, epoch=epoch, previous=NOTHING)
        data = encode([])
        envelope = seal(context, data, self.stranger.device.key)
        return wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, data)])

    def questions(self) -> dict[str, tuple[list[wire.FromDevice], list[wire.FromDevice]]]:
        """By name, what is asked: of what is there, and of what is not."""

        def of(make: Callable[[Any], wire.FromDevice], there: Sequence[Any], none: Sequence[Any]) -> Any:
            return [make(one) for one in there], [make(one) for one in none]

        def certificate(party: Party) -> wire.FromDevice:
            return wire.GetCertificates(1, [sha256(party.der).digest()])

        def talk(channel: bytes) -> wire.FromDevice:
            return self.envelope(Kind.ACK, channel, 1)

        def receipt(channel: bytes) -> wire.FromDevice:
            return self.envelope(Kind.RECEIPT, receipt_stream(channel), 0)  # type: ignore[arg-type]

        return {
            TALK: of(talk, self.channels, self.nowhere),
            BESIDE: of(receipt, self.channels, self.nowhere),
            READ: of(lambda c: wire.Fetch(1, c, 1, 9), self.channels, self.nowhere),
            TREE: of(lambda c: wire.GetTree(1, c, 2), self.channels, self.nowhere),
            CERTIFICATE: of(certificate, self.devices, self.nobody),
        }

    def renewals(self) -> tuple[list[wire.FromDevice], list[wire.FromDevice]]:
        """A stranger without a session asks after renewals by the ids of devices."""
        there, none = self.renewing, self.devices[MANY // 2 :]
        return tuple([wire.AwaitEnrolment(1, renewal_id(p.id)) for p in some] for some in (there, none))  # type: ignore[return-value]


@restored
def core_world() -> Mission:
    return Mission(World())


def core_pairs(mission: Mission) -> dict[str, Pair]:
    """Decided by the core, on the views that the gateway has for it."""
    world: World = mission.world
    writer = WriterView(world.db, Parsed())

    def ask(who: Any, frame: wire.FromDevice) -> Probe:
        if isinstance(frame, wire.Submit):
            return lambda: lambda: requests.decide(writer, who, frame, world.gateway, world.now, world.random)
        if isinstance(frame, wire.Fetch):
            return lambda: lambda: fetch(world.view, who, world.charter, frame)
        return lambda: lambda: answers.answer(world.view, who, frame, world.now)

    def proof(party: Party) -> Probe:
        def probe() -> Ready:
            nonce = world.random(32)
            meeting = Meeting(world, party, SigningKey(bytes(32)), changes={"gateway_nonce": nonce})
            (session, _), said = meeting.greet(nonce), meeting.proof()
            return lambda: session.prove(said, world.view, world.charter, world.gateway.key, world.now)

        return probe

    who = mission.stranger.identity
    return assembled(mission, lambda frame: ask(who, frame), lambda frame: ask(None, frame), proof)


def assembled(
    mission: Mission,
    ask: Callable[[wire.FromDevice], Probe],
    ask_unknown: Callable[[wire.FromDevice], Probe],
    proof: Callable[[Party], Probe],
) -> dict[str, Pair]:
    pairs: dict[str, Pair] = {
        name: ([ask(f) for f in there], [ask(f) for f in none]) for name, (there, none) in mission.questions().items()
    }
    there, none = mission.renewals()
    pairs[RENEWAL] = [ask_unknown(f) for f in there], [ask_unknown(f) for f in none]
    devices = [proof(p) for p in mission.devices]
    pairs[DEVICE] = devices, [proof(p) for p in mission.nobody]
    return {SAME: (devices, devices), **pairs}


@contextmanager
def over_sockets(folder: Path) -> Iterator[dict[str, Pair]]:
    """Asked of a gateway in its own process; a proof on a connection of its own, since one that fails ends it."""
    with running(folder) as live:
        mission = Mission(live)
        unknown = strangers(live)

        def answered(link: Link, frame: wire.FromDevice) -> Ready:
            def ready() -> None:
                answer = link.ask(frame)
                if isinstance(answer, wire.Refused):
                    raise Refused(answer.refusal, answer.detail, answer.retry_after)

            return ready

        yield assembled(
            mission,
            lambda frame: lambda: answered(live.link(mission.stranger), frame),
            lambda frame: lambda: answered(next(unknown), frame),
            lambda party: lambda: proving(live, party),
        )


def strangers(live: Live) -> Iterator[Link]:
    """A connection without a session for each question: the same one, as long as the gateway hears it."""
    while True:
        link = Link(live.gateway.port)
        yield from repeat(link, STRANGER_FRAMES - 1)
        link.close()


def proving(live: Live, party: Party) -> Ready:
    """Up to the challenge, so that the proof alone is timed."""
    link = Link(live.gateway.port)
    nonce = live.random(32)
    link.send(wire.Hello(wire.PROTOCOL_VERSION, party.id, nonce))
    challenge = link.receive()
    certificate = sha256(party.der).digest()
    transcript = wire.Transcript(party.id, nonce, challenge.nonce, challenge.gateway_key, link.tls_key, certificate)
    said = wire.Proof(certificate, link.tls_key, SigningKey(bytes(32)).sign("session", transcript.content()))

    def ready() -> None:
        link.send(said)
        try:
            answer = link.receive()
            raise Refused(answer.refusal, answer.detail, answer.retry_after)
        finally:
            link.close()
            Link.opened.remove(link)

    return ready
