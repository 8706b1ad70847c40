"""The beginning of a session: what a proof has to hold, and how little a refusal says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway import wire
from gateway.core.errors import Refused
from gateway.core.session import Session, State
from gateway.wire import Refusal
from keys.errors import BadSignature
from keys.identity import DeviceId, SigningKey, verify
from tests.gateway.core.checks import accepted
from tests.gateway.core.world import Party, World, founded
from tests.keys.mission import DAY

HOUR = 3_600_000
NONCE, OURS = b"d" * 32, b"g" * 32
TLS = bytes(32)  # what the charter names


@dataclass
class Meeting:
    """A device and the gateway, and what each claims; a test changes one thing."""

    world: World
    party: Party
    key: SigningKey | None = None
    label: str = "session"
    changes: dict[str, Any] | None = None

    def greet(self, nonce: bytes = OURS, version: int = 1) -> tuple[Session, wire.Challenge]:
        hello = wire.Hello(version, (self.changes or {}).get("hello", self.party.id), NONCE)
        return Session().greet(hello, self.world.charter, nonce, self.world.now)

    def proof(self) -> wire.Proof:
        fields = {
            "device": self.party.id,
            "device_nonce": NONCE,
            "gateway_nonce": OURS,
            "gateway_key": self.world.charter.policy.gateway_key,
            "tls_key": TLS,
            "certificate": self.world.charter.verify_certificate(self.party.der).hash,
        }
        signed = {**fields, **{k: v for k, v in (self.changes or {}).items() if k in fields}}
        content = wire.Transcript(**signed).content()
        signature = (self.key or self.party.device.key).sign(self.label, content)
        return wire.Proof(signed["certificate"], (self.changes or {}).get("said_tls", signed["tls_key"]), signature)

    def prove(self, session: Session | None = None) -> tuple[Session, wire.Ready]:
        session = session or self.greet()[0]
        return session.prove(self.proof(), self.world.view, self.world.charter, self.world.gateway.key, self.world.now)


@pytest.fixture
def world() -> World:
    return founded()


@pytest.mark.parametrize("who", ["device", "registrar"])
def test_a_proof_opens_the_session_and_the_gateway_proves_itself_too(world: World, who: str) -> None:
    party = world.enrolled("agent") if who == "device" else world.registrars["Hostpol"][0]
    meeting = Meeting(world, party)
    session, challenge = meeting.greet()
    policy = world.charter.policy
    assert challenge == wire.Challenge(OURS, policy.gateway_key, 1, world.charter.hash, world.now)
    session, ready = meeting.prove(session)
    assert (session.state, session.identity) == (State.READY, party.identity)
    certificate = world.charter.verify_certificate(party.der).hash
    content = wire.Transcript(party.id, NONCE, OURS, policy.gateway_key, TLS, certificate).content()
    verify(policy.gateway_key, "session answer", content, ready.signature)
    with pytest.raises(BadSignature):
        verify(policy.gateway_key, "session", content, ready.signature)


def stranger(w: World, m: Meeting) -> None:
    m.party = Party(w, w.mission.device("agent"))


def another_device(w: World, m: Meeting) -> None:
    m.changes = {"certificate": w.enrolled("agent").identity.certificate}


def registrar_by_another_id(w: World, m: Meeting) -> None:
    m.party = w.registrars["Meridian"][0]
    m.changes = {"certificate": w.charter.verify_certificate(w.registrars["Meridian"][1].der).hash}


def dropped_registrar(w: World, m: Meeting) -> None:
    """A successor charter names other registrars: what the old ones made no longer chains."""
    policy = w.charter.policy
    home = replace(policy.home, registrars=World(9).mission.home.organisation.registrars)
    home = replace(home, root=World(9).mission.home.organisation.root)
    w.succeed(organisations=(home, *(o for o in policy.organisations if not o.home)))


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(stranger, id="attack-49 a device that is not there"),
        pytest.param(lambda w, m: setattr(m, "key", SigningKey(bytes(32))), id="attack-49 another key"),
        pytest.param(lambda w, m: setattr(m, "key", w.gateway.key), id="the gateway's own key"),
        pytest.param(lambda w, m: setattr(m, "label", "session answer"), id="another label"),
        pytest.param(
            lambda w, m: setattr(m, "changes", {"gateway_nonce": bytes(32)}), id="attack-53 another session's nonce"
        ),
        pytest.param(
            lambda w, m: setattr(m, "changes", {"device_nonce": bytes(32)}), id="attack-53 a nonce it did not say"
        ),
        pytest.param(lambda w, m: setattr(m, "changes", {"gateway_key": bytes(32)}), id="another gateway's key"),
        pytest.param(
            lambda w, m: setattr(m, "changes", {"tls_key": b"t" * 32}),
            id="attack-54 a TLS key the charter does not name",
        ),
        pytest.param(
            lambda w, m: setattr(m, "changes", {"said_tls": b"t" * 32}), id="one TLS key signed, another said"
        ),
        pytest.param(
            lambda w, m: setattr(m, "changes", {"tls_key": b"t" * 32, "said_tls": TLS}),
            id="attack-54 a TLS key between",
        ),
        pytest.param(another_device, id="another device's certificate"),
        pytest.param(registrar_by_another_id, id="a registrar by another's certificate"),
        pytest.param(lambda w, m: setattr(m, "changes", {"hello": DeviceId(bytes(16))}), id="another device greeted"),
        pytest.param(dropped_registrar, id="a registrar that the charter has dropped"),
    ],
)
def test_every_proof_that_does_not_hold_is_refused_alike(
    world: World, break_it: Callable[[World, Meeting], None]
) -> None:
    meeting = Meeting(world, world.enrolled("agent"))
    if break_it is dropped_registrar:
        proof = meeting.proof()
        session, _ = meeting.greet()
        break_it(world, meeting)
        with pytest.raises(Refused) as caught:
            session.prove(proof, world.view, world.charter, world.gateway.key, world.now)
    else:
        break_it(world, meeting)
        with pytest.raises(Refused) as caught:
            meeting.prove()
    refusal = caught.value
    assert (refusal.refusal, refusal.detail, refusal.retry_after) == (Refusal.DENIED, "not for this device", 0)


def test_a_proof_counts_once(world: World) -> None:
    meeting = Meeting(world, world.enrolled("agent"))
    session, _ = meeting.greet()
    opened, _ = meeting.prove(session)
    proof = meeting.proof()
    for again in (opened, Session()):
        with pytest.raises(Refused) as caught:
            again.prove(proof, world.view, world.charter, world.gateway.key, world.now)
        assert caught.value.refusal is Refusal.SCHEMA
    fresh, _ = meeting.greet(nonce=b"n" * 32)
    with pytest.raises(Refused) as caught:
        fresh.prove(proof, world.view, world.charter, world.gateway.key, world.now)
    assert caught.value.refusal is Refusal.DENIED


def test_hello_comes_first_and_once_and_in_this_version(world: World) -> None:
    meeting = Meeting(world, world.enrolled("agent"))
    session, _ = meeting.greet()
    with pytest.raises(Refused) as caught:
        session.greet(wire.Hello(1, meeting.party.id, NONCE), world.charter, OURS, world.now)
    assert caught.value.refusal is Refusal.SCHEMA
    with pytest.raises(Refused) as caught:
        meeting.greet(version=2)
    assert caught.value.refusal is Refusal.SCHEMA


def test_a_challenge_says_nothing_of_the_device(world: World) -> None:
    there, not_there = (
        Meeting(world, world.enrolled("agent")),
        Meeting(world, Party(world, world.mission.device("agent"))),
    )
    assert there.greet()[1] == not_there.greet()[1]


def test_who_was_revoked_or_has_expired_is_told_so_once_it_has_proved_its_key(world: World) -> None:
    lost = world.enrolled("agent")
    short = world.enrolled("agent", life=(world.now - DAY, world.now + HOUR))
    registrar = world.registrars["Meridian"][1]
    serials = [world.charter.verify_certificate(p.der).serial for p in (lost, registrar)]
    accepted(world.publish_list("Meridian", serials, number=2))
    Meeting(world, short).prove()
    world.now += HOUR + 1
    for party, refusal in ((lost, Refusal.REVOKED), (registrar, Refusal.REVOKED), (short, Refusal.EXPIRED)):
        with pytest.raises(Refused) as caught:
            Meeting(world, party).prove()
        assert caught.value.refusal is refusal
        with pytest.raises(Refused) as caught:
            Meeting(world, party, key=SigningKey(bytes(32))).prove()
        assert caught.value.refusal is Refusal.DENIED
