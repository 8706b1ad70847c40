"""Disclosure at the gateway: who may ask, who may agree, who may open, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused
from gateway.core.following import audience, recipient_of
from gateway.core.recipient import Recipient
from gateway.wire import Refusal
from keys.canonical import encode
from keys.disclosure import Disclosure, Request, Vote
from keys.envelope import Envelope, Kind
from keys.identity import ChannelId
from keys.mls import Add
from keys.sealing import Sealed
from tests.gateway.core.checks import accepted, dump, refused, scene
from tests.gateway.core.world import Party, World
from tests.restored import restored

NOTHING = Sealed([], b"")
PACKAGE = Sealed([bytes(80)], bytes(272))


@dataclass
class Case:
    """An agent's message in an officer's channel, and an auditor who would like to see it."""

    world: World
    agent: Party
    officer: Party
    second: Party
    auditor: Party
    channel: ChannelId
    message: Envelope
    seq: int
    index: int

    @property
    def control(self) -> bytes:
        return self.world.charter.control_channel

    def asked(self, **changes: Any) -> Request:
        named = {
            "certificate": self.auditor.identity.certificate,
            "channel": self.channel,
            "seq": self.seq,
            "index": self.index,
            "header_hash": sha256(self.message.header).digest(),
            "key": bytes(32),
            "why": NOTHING,
        }
        return Request(**{**named, **changes})

    def ask(self, by: Party | None = None, **changes: Any) -> Any:
        return (by or self.auditor).say(
            Kind.DISCLOSURE_REQUEST,
            self.control,
            encode(self.asked(**{"certificate": (by or self.auditor).identity.certificate, **changes})),
        )

    def vote(self, by: Party, request: bytes, agrees: bool = True) -> Any:
        return by.say(Kind.DISCLOSURE_VOTE, self.control, encode(Vote(by.identity.certificate, request, agrees)))

    def disclose(self, by: Party, request: bytes, package: Sealed | None = PACKAGE, attempt: int = 0) -> Any:
        return by.say(
            Kind.DISCLOSURE,
            self.control,
            encode(Disclosure(by.identity.certificate, request, package)),
            attempt=attempt,
        )

    def requested(self) -> bytes:
        """A request that is there; by the hash of its header."""
        envelope = self.last(accepted(self.ask()))
        return sha256(envelope.header).digest()

    def last(self, answer: wire.Accepted) -> Any:
        return next(
            s for s in reversed(self.world.committed) if s.seq == answer.places[0].seq and s.channel == self.control
        )

    def agreed(self) -> bytes:
        request = self.requested()
        for officer in (self.officer, self.second):
            accepted(self.vote(officer, request))
        return request


@restored
def case() -> Case:
    s = scene()
    auditor, second = s.world.enrolled("auditor"), s.world.enrolled("officer")
    message, body = s.agent.message(s.channel, b"east gate")
    answer = accepted(s.agent.hand_in([(message, body)], s.channel))
    place = answer.places[0]
    return Case(s.world, s.agent, s.officer, second, auditor, s.channel, message, place.seq, place.index)


def not_taken(c: Case, refusal: Refusal, act: Callable[[], Any]) -> None:
    """Refused so, by a signed statement: the number is free, and nothing else has changed."""
    before = dump(c.world)
    answer = act()
    assert isinstance(answer, wire.Refused), answer
    assert answer.refusal is refusal, answer
    assert answer.statement is not None
    assert dump(c.world) == before


def test_asked_agreed_and_disclosed() -> None:
    c = case()
    request = c.agreed()
    accepted(c.disclose(c.agent, request))
    row = c.world.view.disclosure(request)
    assert row is not None
    assert (row.channel, row.seq, row.author) == (c.channel, c.seq, c.agent.identity.person)
    assert row.agreed == {c.officer.identity.person, c.second.identity.person}
    assert row.answered == {c.agent.id}


@pytest.mark.parametrize("role", ["agent", "leader", "officer"])
def test_only_an_auditor_asks(role: str) -> None:
    c = case()
    other = c.world.enrolled(role)
    not_taken(c, Refusal.ROLE, lambda: c.ask(other))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"seq": 1}, id="a commit"),
        pytest.param({"seq": 99}, id="a place that nothing stands at"),
        pytest.param({"channel": bytes(16)}, id="a channel that is not there"),
        pytest.param({"header_hash": bytes(32)}, id="another header"),
        pytest.param({"index": 3}, id="another entry of the log"),
        pytest.param({"certificate": bytes(32)}, id="by another certificate"),
    ],
)
def test_a_request_names_a_message(changes: dict[str, Any]) -> None:
    c = case()
    not_taken(c, Refusal.SCHEMA, lambda: c.ask(**changes))


def test_an_auditor_asks_so_often_a_day() -> None:
    c = case()
    for _ in range(limits.DISCLOSURES_A_DAY):
        accepted(c.ask())
    refused(c.world, Refusal.QUOTA, c.ask)
    c.world.now += 24 * 3_600_000 + 1
    c.world.publish_list("Meridian", number=2)
    accepted(c.ask())


def test_an_auditor_writes_nothing_else() -> None:
    c = case()
    auditor, control = c.auditor, c.control
    refused(c.world, Refusal.ROLE, lambda: auditor.found(bytes(16), "narrow", 1))
    refused(
        c.world,
        Refusal.ROLE,
        lambda: auditor.say(Kind.CERTIFICATE, control, c.world.mission.device("agent").certified.der),
    )
    refused(c.world, Refusal.DENIED, lambda: auditor.say(Kind.APPLICATION, c.channel, b"", franking=bytes(32)))
    not_taken(c, Refusal.ROLE, lambda: c.vote(auditor, bytes(32)))


def test_an_auditor_sits_in_no_channel() -> None:
    c = case()
    package = c.auditor.key_package()
    answer = c.officer.commit(c.channel, [Add(package)])
    assert isinstance(answer, wire.Refused)
    assert answer.refusal is Refusal.ROLE
    assert c.world.view.member(c.channel, c.auditor.id) is None


def test_the_author_has_no_vote() -> None:
    c = case()
    message, body = c.officer.message(c.channel, b"mine")
    place = accepted(c.officer.hand_in([(message, body)], c.channel)).places[0]
    c.message, c.seq, c.index = message, place.seq, place.index
    request = c.requested()
    not_taken(c, Refusal.ROLE, lambda: c.vote(c.officer, request))
    accepted(c.vote(c.second, request))


def test_one_person_votes_once_by_whatever_device() -> None:
    c = case()
    request = c.requested()
    accepted(c.vote(c.officer, request))
    not_taken(c, Refusal.ROLE, lambda: c.vote(c.officer, request, agrees=False))
    other = c.world.enrolled("officer", person=c.officer.identity.person)
    not_taken(c, Refusal.ROLE, lambda: c.vote(other, request))


@pytest.mark.parametrize("role", ["agent", "leader"])
def test_who_has_no_such_role_does_not_vote(role: str) -> None:
    c = case()
    request, other = c.requested(), c.world.enrolled(role)
    not_taken(c, Refusal.ROLE, lambda: c.vote(other, request))


def test_a_registrar_does_not_vote() -> None:
    c = case()
    request = c.requested()
    not_taken(c, Refusal.ROLE, lambda: c.vote(c.world.registrars["Meridian"][0], request))


def test_a_vote_is_about_a_request() -> None:
    c = case()
    not_taken(c, Refusal.SCHEMA, lambda: c.vote(c.officer, bytes(32)))


def test_nothing_is_disclosed_before_enough_have_agreed() -> None:
    c = case()
    request = c.requested()
    accepted(c.vote(c.officer, request))
    not_taken(c, Refusal.ROLE, lambda: c.disclose(c.agent, request))
    accepted(c.vote(c.second, request, agrees=False))
    not_taken(c, Refusal.ROLE, lambda: c.disclose(c.agent, request, attempt=1))
    accepted(c.vote(c.world.enrolled("officer"), request))
    accepted(c.disclose(c.agent, request, attempt=2))


def test_a_participant_may_refuse_before_anybody_has_voted() -> None:
    c = case()
    request = c.requested()
    accepted(c.disclose(c.agent, request, None))
    not_taken(c, Refusal.REPLAY, lambda: c.disclose(c.agent, request, None))


def test_who_was_not_there_discloses_nothing() -> None:
    c = case()
    request = c.agreed()
    not_taken(c, Refusal.ROLE, lambda: c.disclose(c.second, request))
    accepted(c.officer.add(c.channel, c.second))
    not_taken(c, Refusal.ROLE, lambda: c.disclose(c.second, request))


@pytest.mark.parametrize(
    "kind", [Kind.DISCLOSURE_REQUEST, Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE], ids=lambda k: k.name.lower()
)
@pytest.mark.parametrize(
    "data", [b"", b"\x93", encode(Vote(bytes(32), bytes(32), True)) + b"\0"], ids=["empty", "cut", "one more"]
)
def test_bodies_that_do_not_read(kind: Kind, data: bytes) -> None:
    c = case()
    by = c.auditor if kind is Kind.DISCLOSURE_REQUEST else c.officer
    not_taken(c, Refusal.SCHEMA, lambda: by.say(kind, c.control, data))


def test_only_in_the_control_channel() -> None:
    c = case()
    answer = c.officer.say(Kind.DISCLOSURE_VOTE, c.channel, encode(Vote(bytes(32), bytes(32), True)))
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.DENIED


def test_who_hears_of_it() -> None:
    c = case()
    guest = c.world.enrolled("guest", house=c.world.mission.partner)
    outsider = c.world.enrolled("agent")
    request = c.agreed()
    accepted(c.disclose(c.agent, request))
    stream = c.world.view.stream(c.control)
    assert stream is not None

    def hears(party: Party) -> list[Kind]:
        recipient: Recipient = recipient_of(party.identity, c.world.charter)
        kinds = (Kind.DISCLOSURE_REQUEST, Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE)
        said = [s for s in c.world.committed if s.kind in kinds]
        return [s.kind for s in said if s.device != party.id and audience(c.world.view, stream, s).includes(recipient)]

    assert hears(c.auditor) == [Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE]
    assert hears(c.second) == [Kind.DISCLOSURE_REQUEST, Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE]
    assert hears(c.agent) == [Kind.DISCLOSURE_REQUEST, Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE_VOTE]
    assert hears(outsider) == hears(guest) == []
