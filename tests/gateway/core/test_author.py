"""Which key counts where: in a channel and beside it that of the leaf, elsewhere that of the session; around a renewal they differ."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.wire import Refusal
from keys import body
from keys.canonical import encode
from keys.envelope import Envelope, Kind, seal
from keys.identity import SigningKey, receipt_stream
from keys.mls import Credential, Remove
from keys.unlock import LENGTH
from tests.gateway.core.checks import Scene, accepted, given_up, refused, scene, sealed_again
from tests.keys.mission import DAY, Device

HOUR = 3_600_000


@dataclass
class Renewed:
    """The agent has another certificate, which its session proves; its leaf still holds the one before."""

    s: Scene
    before: Device
    after: Device

    def seal(self, key: SigningKey, kind: Kind, stream: bytes, data: bytes, **changes: Any) -> Sealed:
        return Sealed(self, stream, seal(self.s.agent.context(kind, stream, **changes), data, key), data)

    def receipt(self, key: SigningKey, **changes: Any) -> Sealed:
        said = encode(body.Receipt(self.s.channel, [body.Range(3, 3, bytes(32))], [], [], None))
        return self.seal(key, Kind.RECEIPT, receipt_stream(self.s.channel), said, **changes)

    def unlock(self, key: SigningKey) -> Sealed:
        return self.seal(key, Kind.UNLOCK, self.s.world.charter.unlock_stream, bytes(LENGTH))

    def session(self, device: Device) -> None:
        self.s.agent.device = device

    def commit(self) -> None:
        """The new certificate goes into the leaf, by a commit that the old key signs."""
        agent, credential = self.s.agent, Credential.x509([self.after.certified.der])
        context, pending = agent.prepare(
            self.s.channel, [], new_credential_and_signature_key=(credential, self.after.key.seed)
        )
        agent.world.put(agent, pending.group_info)
        data = encode(body.Commit(pending.message, None, sha256(pending.group_info).digest()))
        accepted(agent.hand_in([(seal(context, data, self.before.key), data)], self.s.channel))
        agent.groups[self.s.channel] = pending.group

    def revoke(self) -> None:
        accepted(self.s.world.publish_list("Meridian", [self.before.certified.serial], number=2))


@dataclass
class Sealed:
    r: Renewed
    stream: bytes
    envelope: Envelope
    data: bytes

    def __call__(self) -> Any:
        return self.r.s.agent.hand_in([(self.envelope, self.data)], self.stream)

    def is_taken(self) -> None:
        accepted(self())

    def is_to_be_sealed_again(self) -> None:
        sealed_again(self.r.s.world, Refusal.LEAF, self.envelope, self)

    def is_refused(self, refusal: Refusal) -> None:
        refused(self.r.s.world, refusal, self)


@pytest.fixture
def r() -> Renewed:
    s = scene()
    accepted(s.officer.send(s.channel))
    before = s.agent.device
    s.agent.renewed()
    after = s.agent.device
    assert isinstance(before, Device)
    assert isinstance(after, Device)
    return Renewed(s, before, after)


@pytest.mark.parametrize("session", ["before", "after"])
def test_a_receipt_is_signed_by_the_leaf_whatever_the_session_has_proved(r: Renewed, session: str) -> None:
    r.session(getattr(r, session))
    r.receipt(r.after.key).is_to_be_sealed_again()
    r.receipt(r.before.key, attempt=1).is_taken()
    r.commit()
    r.receipt(r.before.key).is_to_be_sealed_again()
    r.receipt(r.after.key, attempt=1).is_taken()


def test_what_is_said_in_clear_in_a_channel_is_signed_by_the_leaf(r: Renewed) -> None:
    named = r.s.world.view.envelope(r.s.channel, 3)
    assert named is not None
    said = encode(body.Complaint(3, sha256(named.header).digest()))
    r.seal(r.after.key, Kind.FRANKING_COMPLAINT, r.s.channel, said, epoch=1).is_to_be_sealed_again()
    r.seal(r.before.key, Kind.FRANKING_COMPLAINT, r.s.channel, said, epoch=1, attempt=1).is_taken()


def test_what_was_refused_so_is_told_again_and_never_taken(r: Renewed) -> None:
    late = r.receipt(r.after.key)
    late.is_to_be_sealed_again()
    r.commit()
    answer = late()
    assert isinstance(answer, wire.Refused)
    assert answer.refusal is Refusal.LEAF
    assert answer.statement is not None


def test_elsewhere_the_session_signs(r: Renewed) -> None:
    said, control = encode(body.Withheld(Kind.ALERT, Refusal.ROLE)), r.s.world.charter.control_channel
    r.seal(r.before.key, Kind.WITHHELD, control, said).is_to_be_sealed_again()
    r.seal(r.after.key, Kind.WITHHELD, control, said, attempt=1).is_taken()


def test_nobody_elses_key_signs_for_a_device(r: Renewed) -> None:
    for key in (r.s.officer.device.key, SigningKey(bytes(32))):
        r.receipt(key).is_refused(Refusal.DENIED)
        r.unlock(key).is_refused(Refusal.DENIED)


def test_a_run_that_is_none_is_one_by_no_key(r: Renewed) -> None:
    data = encode(body.Receipt(r.s.channel, [body.Range(3, 3, bytes(32))], [], [], None))
    envelope = seal(r.s.agent.context(Kind.RECEIPT, receipt_stream(r.s.channel)), data, None)
    refused(r.s.world, Refusal.SCHEMA, lambda: r.s.agent.hand_in([(envelope, data)], receipt_stream(r.s.channel)))


@pytest.mark.parametrize("gone", ["revoked", "ended"])
@pytest.mark.parametrize("left", [False, True], ids=["a member", "who was taken out"])
def test_a_leafs_certificate_that_does_not_stand_signs_nothing_beside_its_channel(
    r: Renewed, gone: str, left: bool
) -> None:
    s = r.s
    if left:
        accepted(s.officer.commit(s.channel, [Remove(1)]))
        r.receipt(r.before.key).is_taken()
    if gone == "revoked":
        r.revoke()
    else:
        s.world.db.execute(
            "UPDATE certificates SET not_after = ? WHERE hash = ?", (s.world.now - 1, r.before.certified.hash)
        )
    if left:
        given_up(s.world, Refusal.REVOKED if gone == "revoked" else Refusal.EXPIRED, r.receipt(r.before.key))
        return
    r.receipt(r.before.key).is_to_be_sealed_again()
    r.commit()
    r.receipt(r.after.key, attempt=1).is_taken()


def test_an_unlock_that_was_sealed_before_the_renewal_is_heard_as_long_as_that_certificate_stands(r: Renewed) -> None:
    r.unlock(r.before.key).is_taken()
    r.unlock(r.after.key).is_taken()
    r.revoke()
    r.unlock(r.before.key).is_refused(Refusal.DENIED)


def test_what_would_be_dated_after_its_authors_certificate_is_refused_though_the_clock_was_set_back() -> None:
    s = scene()
    short = s.world.enrolled("agent", life=(s.world.now - DAY, s.world.now + HOUR))
    said, control = encode(body.Withheld(Kind.ALERT, Refusal.ROLE)), s.world.charter.control_channel
    s.world.now += 2 * HOUR
    accepted(s.officer.say(Kind.WITHHELD, control, said))
    s.world.now -= 2 * HOUR
    refused(s.world, Refusal.EXPIRED, lambda: short.say(Kind.WITHHELD, control, said))
