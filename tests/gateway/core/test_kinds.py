"""The rules of each kind that stands in a channel or beside it, but for the roster's."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.core import limits
from gateway.wire import Refusal
from keys import body
from keys.canonical import encode
from keys.envelope import Kind, Marking, seal
from keys.franking import application_data, franking_tag
from keys.identity import receipt_stream
from keys.mls import Remove
from keys.policy import DEFAULT_CLASSES, Verb
from tests.gateway.core.checks import Scene, accepted, given_up, refused, scene, sealed_again
from tests.gateway.core.world import Party
from tests.keys.mission import DAY

HOUR = 3_600_000


@pytest.fixture
def s() -> Scene:
    return scene()


@pytest.fixture
def alarm() -> Scene:
    """An alert channel."""
    return scene(name="alert")


def leaf_of(s: Scene, party: Party) -> int:
    return next(m.leaf for m in s.world.view.members(s.channel) if m.device == party.id)


def hand_in(s: Scene, party: Party, message: Any) -> Any:
    return party.world.ask(party, wire.Submit(1, [wire.Sealed(message[0].header, message[0].signature, message[1])]))


# --- messages ------------------------------------------------------------------------------------------------------------


def other_content(s: Scene, change: Callable[[bytes], bytes]) -> Any:
    """A body other than the MLS message that was made for this context, in a header that names it."""
    context = s.agent.context(Kind.APPLICATION, s.channel, epoch=1, franking=bytes(32))
    s.agent.groups[s.channel], data = s.agent.groups[s.channel].protect(
        b"content", authenticated_data=context.authenticated_data(), padding=128, random=s.world.random
    )
    data = change(data)
    return hand_in(s, s.agent, (seal(context, data, s.agent.device.key), data))


def bound_elsewhere(s: Scene) -> Any:
    context = s.agent.context(Kind.APPLICATION, s.channel, epoch=1, franking=bytes(32))
    s.agent.groups[s.channel], data = s.agent.groups[s.channel].protect(
        b"content", authenticated_data=bytes(32), padding=128, random=s.world.random
    )
    return hand_in(s, s.agent, (seal(context, data, s.agent.device.key), data))


def of_another_group(s: Scene) -> Any:
    """A message of another channel that the device is in (ATTACKS 25)."""
    other = s.officer.create_channel()
    salt, text = bytes(16), b"text"
    context = s.officer.context(Kind.APPLICATION, s.channel, epoch=1, franking=franking_tag(salt, text))
    _, data = s.officer.groups[other].protect(
        application_data(salt, text),
        authenticated_data=context.authenticated_data(),
        padding=128,
        random=s.world.random,
    )
    before = s.world.snapshot()
    answer = hand_in(s, s.officer, (seal(context, data, s.officer.device.key), data))
    assert s.world.snapshot() == before
    return answer


def as_public(s: Scene) -> Any:
    context = s.agent.context(Kind.APPLICATION, s.channel, epoch=1, franking=bytes(32))
    _, data = s.agent.groups[s.channel].propose_update(
        authenticated_data=context.authenticated_data(), random=s.world.random
    )
    return hand_in(s, s.agent, (seal(context, data, s.agent.device.key), data))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(
            lambda s: s.agent.send(s.channel, marking=Marking.AMBER_STRICT),
            Refusal.TLP,
            id="attack-41 above the ceiling",
        ),
        pytest.param(lambda s: s.agent.send(s.channel, expires=s.world.now), Refusal.EXPIRED, id="ended already"),
        pytest.param(
            lambda s: s.agent.send(s.channel, expires=s.world.now + 30 * DAY + 1),
            Refusal.EXPIRED,
            id="kept longer than the class",
        ),
        pytest.param(lambda s: other_content(s, lambda d: d[:-1]), Refusal.SCHEMA, id="MLS message cut short"),
        pytest.param(
            lambda s: other_content(s, lambda d: d + b"\0"), Refusal.SCHEMA, id="MLS message with a byte more"
        ),
        pytest.param(lambda s: other_content(s, lambda d: b"text"), Refusal.SCHEMA, id="no MLS message"),
        pytest.param(
            lambda s: other_content(s, lambda d: d.replace((1).to_bytes(8), (0).to_bytes(8), 1)),
            Refusal.DENIED,
            id="attack-12 MLS message of another epoch",
        ),
        pytest.param(
            lambda s: other_content(s, lambda d: d.replace(s.channel, bytes(16), 1)),
            Refusal.DENIED,
            id="attack-25 MLS message of no group here",
        ),
        pytest.param(bound_elsewhere, Refusal.SCHEMA, id="attack-25 bound to another context"),
        pytest.param(as_public, Refusal.SCHEMA, id="a PublicMessage"),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    (refused if refusal is Refusal.DENIED else given_up)(s.world, refusal, lambda: act(s))


def test_a_message_of_another_channel_is_denied(s: Scene) -> None:
    assert of_another_group(s).refusal is Refusal.DENIED


def test_a_message_up_to_ceiling_and_retention_is_taken(s: Scene) -> None:
    accepted(s.agent.send(s.channel, marking=Marking.AMBER, expires=s.world.now + 30 * DAY))


def test_the_verb_to_send_comes_from_the_certificate_and_the_charter(s: Scene) -> None:
    roles = tuple((n, v - {Verb.SEND} if n == "agent" else v) for n, v in s.world.mission.policy.roles)
    s.world.succeed(roles=roles)
    given_up(s.world, Refusal.ROLE, lambda: s.agent.send(s.channel))
    accepted(s.officer.send(s.channel))


def test_a_class_that_the_charter_has_dropped_takes_no_more_messages(s: Scene) -> None:
    s.world.succeed(classes=tuple(c for c in DEFAULT_CLASSES if c.name != "narrow"))
    refused(s.world, Refusal.CHARTER, lambda: s.agent.send(s.channel))


def test_messages_stop_only_when_the_revocation_list_is_very_old(s: Scene) -> None:
    s.world.now += 72 * HOUR
    accepted(s.agent.send(s.channel))
    s.world.now += 1
    refused(s.world, Refusal.STALE_LIST, lambda: s.agent.send(s.channel))


def test_messages_of_the_epoch_before_are_taken_for_the_grace_time(s: Scene) -> None:
    third = s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, third))
    accepted(s.agent.send(s.channel, epoch=1))
    s.world.now += 30_000
    accepted(s.agent.send(s.channel, epoch=1))
    message = s.agent.message(s.channel, epoch=1)
    s.world.now += 1
    sealed_again(s.world, Refusal.EPOCH_STALE, message[0], lambda: hand_in(s, s.agent, message))


def test_no_grace_after_a_removal(s: Scene) -> None:
    third = s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, third))
    s.agent.groups.clear()  # it has not heard of it
    accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, third))]))
    envelope, data = s.officer.message(s.channel)
    context = s.agent.context(Kind.APPLICATION, s.channel, epoch=2, franking=bytes(32))
    envelope = seal(context, data, s.agent.device.key)
    sealed_again(s.world, Refusal.EPOCH_STALE, envelope, lambda: hand_in(s, s.agent, (envelope, data)))


def test_two_epochs_back_is_stale_even_in_the_grace_time(s: Scene) -> None:
    message = s.agent.message(s.channel, epoch=1)
    accepted(s.officer.commit(s.channel))
    accepted(s.officer.commit(s.channel))
    sealed_again(s.world, Refusal.EPOCH_STALE, message[0], lambda: hand_in(s, s.agent, message))


def test_an_epoch_that_has_not_begun_is_stale_too(s: Scene) -> None:
    message = s.agent.message(s.channel, epoch=2)
    sealed_again(s.world, Refusal.EPOCH_STALE, message[0], lambda: hand_in(s, s.agent, message))


def test_while_a_revoked_device_is_in_the_channel_nothing_is_taken_and_anybody_may_remove_it(s: Scene) -> None:
    lost = s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, lost))
    accepted(s.world.publish_list("Meridian", [lost.device.certified.serial], number=2))
    message = s.officer.message(s.channel)
    sealed_again(s.world, Refusal.LEAF, message[0], lambda: hand_in(s, s.officer, message))
    refused(s.world, Refusal.REVOKED, lambda: lost_speaks(s, lost))
    commits = [e for e in s.world.view.envelopes(s.channel, 2, 9) if e.kind is Kind.COMMIT]
    for stored in commits:
        message_bytes = body.read_commit(stored.body or b"").commit
        s.agent.groups[s.channel], _ = s.agent.groups[s.channel].process(message_bytes, now_seconds=None)
    accepted(s.agent.commit(s.channel, [Remove(leaf_of(s, lost))]))
    accepted(s.agent.send(s.channel))


def lost_speaks(s: Scene, lost: Party) -> Any:
    context = lost.context(Kind.APPLICATION, s.channel, epoch=2, franking=bytes(32))
    return hand_in(s, lost, (seal(context, b"", lost.device.key), b""))


def test_while_an_expired_device_is_in_the_channel_nothing_is_taken_and_anybody_may_remove_it() -> None:
    s = scene()
    short = s.world.enrolled("agent", life=(s.world.now - DAY, s.world.now + HOUR))
    accepted(s.officer.add(s.channel, short))
    follow(s, s.agent)
    s.world.now += HOUR
    accepted(s.agent.send(s.channel))
    s.world.now += 1_000
    message = s.agent.message(s.channel)
    sealed_again(s.world, Refusal.LEAF, message[0], lambda: hand_in(s, s.agent, message))
    refused(s.world, Refusal.EXPIRED, lambda: lost_speaks(s, short))
    accepted(s.agent.commit(s.channel, [Remove(leaf_of(s, short))], attempt=1))
    accepted(s.agent.send(s.channel))


def follow(s: Scene, party: Party) -> None:
    """Process the commits that the party's group has not seen."""
    for stored in s.world.view.envelopes(s.channel, 2, 99):
        if stored.kind is Kind.COMMIT and stored.device != party.id:
            commit = body.read_commit(stored.body or b"").commit
            group = party.groups[s.channel]
            if group.epoch == read_epoch(stored.header):
                party.groups[s.channel], _ = group.process(commit, now_seconds=None)


def read_epoch(header: bytes) -> int:
    from keys.envelope import Envelope, read

    return read(Envelope(header, bytes(64))).context.epoch


def test_an_organisation_whose_agreement_has_ended_says_no_more() -> None:
    s = scene()
    guest = s.world.enrolled("guest", house=s.world.mission.partner, life=(s.world.now - DAY, s.world.now + 100 * DAY))
    accepted(s.officer.add(s.channel, guest))
    guest.join(s.officer, s.channel)
    accepted(guest.send(s.channel))
    s.world.now += 90 * DAY + 1
    for name in ("Meridian", "Hostpol"):
        accepted(s.world.publish_list(name, number=2))
    given_up(s.world, Refusal.TLP, lambda: guest.send(s.channel))


# --- receipts ------------------------------------------------------------------------------------------------------------


def receipt(s: Scene, party: Party, *ranges: tuple[int, int], channel: bytes | None = None, **changes: Any) -> Any:
    said = [body.Range(first, last, bytes(32)) for first, last in ranges]
    data = encode(body.Receipt(channel or s.channel, said, [], [], None))
    return party.say(Kind.RECEIPT, receipt_stream(s.channel), data, **changes)


def test_a_receipt_covers_what_its_device_was_sent(s: Scene) -> None:
    accepted(s.officer.send(s.channel))
    accepted(receipt(s, s.agent, (3, 3)))
    accepted(receipt(s, s.officer, (1, 3)))


@pytest.mark.parametrize("where", [0, 1, 2], ids=["received", "decrypted", "shown"])
@pytest.mark.parametrize("part", [(2, 3), (3, 4)], ids=["before it was added", "beyond the newest"])
def test_no_receipt_covers_more(s: Scene, part: tuple[int, int], where: int) -> None:
    accepted(s.officer.send(s.channel))
    ranges: list[list[body.Range]] = [[], [], []]
    ranges[where].append(body.Range(*part, bytes(32)))
    data = encode(body.Receipt(s.channel, *ranges, None))
    given_up(s.world, Refusal.SCHEMA, lambda: s.agent.say(Kind.RECEIPT, receipt_stream(s.channel), data))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda s: receipt(s, s.agent, channel=bytes(16)), Refusal.DENIED, id="of a channel not there"),
        pytest.param(lambda s: receipt(s, s.agent, epoch=1), Refusal.DENIED, id="with an epoch"),
        pytest.param(
            lambda s: s.agent.say(Kind.RECEIPT, s.channel, encode(body.Receipt(s.channel, [], [], [], None))),
            Refusal.DENIED,
            id="in the channel itself",
        ),
        pytest.param(
            lambda s: s.agent.say(Kind.ACK, receipt_stream(s.channel), encode(body.Ack(bytes(32), 0, None, bytes(16)))),
            Refusal.DENIED,
            id="an ack in the receipt stream",
        ),
    ],
)
def test_a_receipt_elsewhere_is_refused(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    refused(s.world, refusal, lambda: act(s))


def test_what_is_no_receipt_is_refused_for_good(s: Scene) -> None:
    given_up(s.world, Refusal.SCHEMA, lambda: s.agent.say(Kind.RECEIPT, receipt_stream(s.channel), b"\x90"))


def test_a_receipt_of_another_channel_is_denied(s: Scene) -> None:
    other = s.officer.create_channel()
    refused(s.world, Refusal.DENIED, lambda: receipt(s, s.officer, (1, 1), channel=other))


def test_a_receipt_covers_a_bounded_span(s: Scene) -> None:
    newest = s.world.view.envelopes(s.channel, 0, 99)[-1].index
    s.world.db.execute("UPDATE envelopes SET seq = 20000 WHERE idx = ?", (newest,))  # as if so much had been said
    accepted(receipt(s, s.agent, (3, 2 + limits.RECEIPT_SPAN)))
    given_up(s.world, Refusal.SCHEMA, lambda: receipt(s, s.agent, (3, 3 + limits.RECEIPT_SPAN)))


def test_who_was_removed_still_acknowledges_what_it_was_sent_until_then(s: Scene) -> None:
    accepted(s.officer.send(s.channel))
    accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, s.agent))]))
    accepted(s.officer.send(s.channel))
    accepted(receipt(s, s.agent, (3, 4)))
    given_up(s.world, Refusal.SCHEMA, lambda: receipt(s, s.agent, (3, 5)))
    refused(
        s.world,
        Refusal.DENIED,
        lambda: s.agent.say(Kind.ACK, s.channel, encode(body.Ack(bytes(32), 0, None, bytes(16)))),
    )


# --- statements ----------------------------------------------------------------------------------------------------------


def header_at(s: Scene, seq: int) -> bytes:
    stored = s.world.view.envelope(s.channel, seq)
    assert stored is not None
    return sha256(stored.header).digest()


def statements(s: Scene) -> dict[str, tuple[Kind, bytes]]:
    accepted(s.officer.send(s.channel))
    accepted(s.officer.commit(s.channel))
    return {
        "commit refused": (Kind.COMMIT_REFUSED, encode(body.CommitRefused(4, header_at(s, 4), "rule"))),
        "complaint": (Kind.FRANKING_COMPLAINT, encode(body.Complaint(3, header_at(s, 3)))),
        "commit refused of a message": (Kind.COMMIT_REFUSED, encode(body.CommitRefused(3, header_at(s, 3), "rule"))),
        "commit refused of another header": (Kind.COMMIT_REFUSED, encode(body.CommitRefused(4, bytes(32), "rule"))),
        "commit refused from before its time": (
            Kind.COMMIT_REFUSED,
            encode(body.CommitRefused(2, header_at(s, 2), "")),
        ),
        "complaint of a commit": (Kind.FRANKING_COMPLAINT, encode(body.Complaint(4, header_at(s, 4)))),
        "complaint of nothing": (Kind.FRANKING_COMPLAINT, encode(body.Complaint(9, bytes(32)))),
    }


@pytest.mark.parametrize("name", ["commit refused", "complaint"])
def test_members_say_what_they_saw(s: Scene, name: str) -> None:
    kind, data = statements(s)[name]
    for changes, refusal in (
        ({"marking": Marking.RED}, Refusal.TLP),
        ({"expires": s.world.now + 1}, Refusal.SCHEMA),
        ({"epoch": 3}, Refusal.SCHEMA),
    ):
        refused(s.world, refusal, lambda c=changes: s.agent.say(kind, s.channel, data, **c))
    refused(s.world, Refusal.SCHEMA, lambda: s.agent.say(kind, s.channel, data + b"\0"))
    accepted(s.agent.say(kind, s.channel, data, epoch=2))


@pytest.mark.parametrize(
    "name",
    [
        "commit refused of a message",
        "commit refused of another header",
        "commit refused from before its time",
        "complaint of a commit",
        "complaint of nothing",
    ],
)
def test_a_statement_names_what_its_author_was_sent(s: Scene, name: str) -> None:
    kind, data = statements(s)[name]
    refused(s.world, Refusal.SCHEMA, lambda: s.agent.say(kind, s.channel, data))
