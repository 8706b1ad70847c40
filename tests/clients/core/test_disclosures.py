"""A disclosure from the devices' side: asked, agreed, opened for one auditor; and nothing opened that was not agreed to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from clients.core import disclosures, records
from clients.core.content import Text, read_content
from clients.core.disclosures import Case
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.ledger import at
from clients.core.records import AlarmKind, Message
from gateway.core.append import append
from keys.canonical import encode
from keys.disclosure import Disclosure, Opened, Vote, Why, check_package, read_request
from keys.envelope import Entry, Kind, Precedence, bare, read, seal, verify_run
from keys.sealing import Sealed
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.proof import prove
from tests.clients.relay import Party, World
from tests.clients.talk import say
from tests.restored import restored

WHY = Why("CMP-44", "a complaint")


@dataclass
class Scene:
    """Three messages of Ana's in one run to Chen and Ben; Dara is an officer elsewhere, Gita the auditor."""

    world: World
    chen: Party
    dara: Party
    ana: Party
    ben: Party
    gita: Party
    channel: bytes
    seq: int

    @property
    def message(self) -> Message:
        found = records.MESSAGES.get(self.ben.ledger, at(self.channel, self.seq))
        assert found is not None
        return found

    @property
    def index(self) -> int:
        return disclosures.index_of(self.ben.ledger, self.channel, self.seq)

    @property
    def entry(self) -> Entry:
        return disclosures.entry_of(self.ben.ledger, self.channel, self.seq)

    def ask(self) -> bytes:
        """Gita asks for the second message; the hash of her request."""
        voters = [party.enrolled.key.public for party in (self.chen, self.dara)]
        self.gita.act(lambda work: disclosures.request(work, self.index, self.entry, WHY, voters))
        self.world.run()
        return self.case(self.gita).hash

    def case(self, party: Party) -> Case:
        (case,) = party.act(disclosures.known)
        assert isinstance(case, Case)
        return case

    def vote(self, party: Party, request: bytes, agrees: bool = True) -> None:
        party.act(lambda work: disclosures.vote(work, request, agrees=agrees))
        self.world.run()

    def proof(self) -> bytes:
        relay, charter = self.world.relay, self.world.relay.gateway.charter
        checkpoint = open_checkpoint(relay.checkpoint(), [charter.log_verifier()], charter.policy.log_origin)
        return prove(self.index, checkpoint, relay._hash_at).encode()

    def disclose(self, party: Party, request: bytes) -> None:
        party.act(lambda work: disclosures.disclose(work, request, self.proof()))
        self.world.run()

    def opened(self, request: bytes) -> Opened:
        charter = self.world.relay.gateway.charter
        package = self.gita.act(lambda work: disclosures.opened(work, disclosures.find(work, request)))
        return check_package(package, charter, [charter.log_verifier()])

    def quiet(self) -> None:
        for party in self.world.parties:
            assert not party.alarms(), party.name
            assert not party.device.waiting(), party.name


@restored
def scene() -> Scene:
    world = World()
    chen, dara = world.party("Chen", "officer"), world.party("Dara", "officer")
    ana, ben = world.party("Ana", "agent"), world.party("Ben", "agent")
    channel = world.channel(chen, ana, ben)
    gita = world.party("Gita", "auditor")
    world.run()
    ana.disconnect()
    for text in ("one", "two", "three"):
        say(ana, channel, text)
    ana.connect()
    world.run()
    seq = max(int.from_bytes(key[16:], "big") for key, _ in records.MESSAGES.scan(ben.ledger, channel)) - 1
    return Scene(world, chen, dara, ana, ben, gita, channel, seq)


def test_one_message_is_opened_for_the_auditor() -> None:
    s = scene()
    request = s.ask()
    assert s.case(s.chen).asked.reason == s.case(s.dara).asked.reason == WHY.reason
    assert s.case(s.ben).asked.reason == s.case(s.ana).asked.reason == "", "the reason is for those who vote"
    s.vote(s.chen, request)
    s.vote(s.dara, request)
    assert len(s.case(s.ben).ballot.agreed) == 2
    s.disclose(s.ben, request)
    opened = s.opened(request)
    said = read_content(opened.content)
    assert isinstance(said, Text)
    assert said.text == "two"
    assert opened.author.device == s.ana.id
    assert opened.context.previous != bytes(32), "it stood in a run, and the last of that is signed"
    assert [(a.device, a.refused) for a in s.case(s.dara).asked.answers] == [(s.ben.id, False)]
    s.quiet()


def test_the_gateway_and_everybody_else_see_no_word_of_it() -> None:
    s = scene()
    request = s.ask()
    s.vote(s.chen, request)
    s.vote(s.dara, request)
    s.disclose(s.ben, request)
    stored = b"".join(row[0] or b"" for row in s.world.relay.db.execute("SELECT body FROM envelopes"))
    for secret in (b"two", WHY.reason.encode(), WHY.case.encode()):
        assert secret not in stored
    for party in (s.chen, s.dara, s.ben):
        with pytest.raises(Unknown):
            party.act(lambda work: disclosures.opened(work, disclosures.find(work, request)))


def test_a_participant_may_refuse() -> None:
    s = scene()
    request = s.ask()
    s.ben.act(lambda work: disclosures.refuse(work, request))
    s.world.run()
    assert [(a.device, a.refused) for a in s.case(s.gita).asked.answers] == [(s.ben.id, True)]
    with pytest.raises(NotNow):
        s.ben.act(lambda work: disclosures.refuse(work, request))
    s.quiet()


def test_a_device_opens_nothing_that_not_enough_have_agreed_to() -> None:
    s = scene()
    request = s.ask()
    s.vote(s.chen, request)
    s.vote(s.dara, request, agrees=False)
    with pytest.raises(NotAllowed, match="1 of 2"):
        s.ben.act(lambda work: disclosures.disclose(work, request, s.proof()))


def test_who_does_not_hold_it_can_not_open_it() -> None:
    s = scene()
    request = s.ask()
    with pytest.raises(Unknown):
        s.dara.act(lambda work: disclosures.refuse(work, request))


@pytest.mark.parametrize("name", ["chen", "ana"], ids=["an officer", "an agent"])
def test_only_an_auditor_asks(name: str) -> None:
    s = scene()
    party: Party = getattr(s, name)
    with pytest.raises(NotAllowed):
        party.act(lambda work: disclosures.request(work, s.index, s.entry, WHY, []))


@pytest.mark.parametrize("name", ["gita", "ana"], ids=["who asked", "an agent"])
def test_who_has_no_vote(name: str) -> None:
    s = scene()
    request, party = s.ask(), getattr(s, name)
    with pytest.raises(NotAllowed):
        party.act(lambda work: disclosures.vote(work, request, agrees=True))


def test_one_vote_each() -> None:
    s = scene()
    request = s.ask()
    s.vote(s.chen, request)
    with pytest.raises(NotAllowed):
        s.chen.act(lambda work: disclosures.vote(work, request, agrees=False))


def test_nobody_votes_about_a_message_of_his_own() -> None:
    s = scene()
    say(s.chen, s.channel, "mine")
    s.world.run()
    s.seq += 2
    request = s.ask()
    with pytest.raises(NotAllowed, match="your own"):
        s.chen.act(lambda work: disclosures.vote(work, request, agrees=True))


# --- a gateway that lets pass what it should refuse ---


def forged(s: Scene, by: Party, kind: Kind, body: bytes) -> None:
    """Put into the control channel by a gateway that asks nobody."""
    relay, stream = s.world.relay, s.world.relay.gateway.charter.control_channel
    chain = relay.view.chain(stream, by.id)
    context = bare(kind, by.id, stream, chain.number + 1, chain.link, relay.now, Precedence.ROUTINE)
    run = verify_run([read(seal(context, body, by.enrolled.key))], by.enrolled.key.public)
    held = relay.view.stream(stream)
    assert held is not None
    relay._decide(lambda: append(relay.view, 1, run, [body], held, (), relay.gateway, relay.now, relay.random))
    s.world.run()


def test_votes_of_who_has_none_count_nowhere() -> None:
    s = scene()
    request = s.ask()
    for party in (s.ana, s.ben, s.gita):
        forged(s, party, Kind.DISCLOSURE_VOTE, encode(Vote(party.enrolled.certified.hash, request, True)))
    for party in (s.chen, s.dara, s.ben, s.gita):
        assert not s.case(party).ballot.agreed
    assert AlarmKind.FORGED in {a.kind for a in s.ben.alarms()}


def test_a_vote_counts_once_whatever_the_gateway_says() -> None:
    s = scene()
    request = s.ask()
    for _ in range(2):
        forged(s, s.chen, Kind.DISCLOSURE_VOTE, encode(Vote(s.chen.enrolled.certified.hash, request, True)))
    assert len(s.case(s.ben).ballot.agreed) == 1
    assert AlarmKind.FORGED in {a.kind for a in s.ben.alarms()}


def test_a_vote_under_another_certificate() -> None:
    s = scene()
    request = s.ask()
    forged(s, s.ana, Kind.DISCLOSURE_VOTE, encode(Vote(s.chen.enrolled.certified.hash, request, True)))
    assert not s.case(s.ben).ballot.agreed
    assert AlarmKind.FORGED in {a.kind for a in s.ben.alarms()}


def test_the_authors_vote_counts_nowhere() -> None:
    s = scene()
    say(s.chen, s.channel, "mine")
    s.world.run()
    s.seq += 2
    request = s.ask()
    forged(s, s.chen, Kind.DISCLOSURE_VOTE, encode(Vote(s.chen.enrolled.certified.hash, request, True)))
    s.vote(s.dara, request)
    assert s.case(s.ben).ballot.agreed == {s.dara.enrolled.certified.person}
    with pytest.raises(NotAllowed):
        s.ben.act(lambda work: disclosures.disclose(work, request, s.proof()))


def test_a_request_by_who_is_no_auditor_is_none() -> None:
    s = scene()
    s.ask()
    forged(s, s.ana, Kind.DISCLOSURE_REQUEST, in_anas_name(s))
    assert len(s.chen.act(disclosures.known)) == 1
    assert AlarmKind.FORGED in {a.kind for a in s.chen.alarms()}


def in_anas_name(s: Scene) -> bytes:
    """Gita's request under Ana's certificate."""
    (body,) = s.world.relay.db.execute(
        "SELECT body FROM envelopes WHERE kind = ?", (int(Kind.DISCLOSURE_REQUEST),)
    ).fetchone()
    return encode(replace(read_request(body), certificate=s.ana.enrolled.certified.hash))


def test_a_disclosure_that_nobody_agreed_to_is_named() -> None:
    s = scene()
    request = s.ask()
    sealed = Sealed([bytes(80)], bytes(272))
    forged(s, s.ben, Kind.DISCLOSURE, encode(Disclosure(s.ben.enrolled.certified.hash, request, sealed)))
    assert not s.case(s.chen).asked.answers
    assert AlarmKind.FORGED in {a.kind for a in s.chen.alarms()}


def test_what_is_kept_survives_a_restart() -> None:
    s = scene()
    request = s.ask()
    s.chen.act(lambda work: disclosures.vote(work, request, agrees=True))
    for party in (s.chen, s.gita):
        party.restart()
        party.connect()
    s.world.run()
    assert s.case(s.gita).ballot.agreed == {s.chen.enrolled.certified.person}
