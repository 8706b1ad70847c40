"""Logs whose tree is sound and whose gateway lied, or let somebody: each rule has a log that breaks it alone.

Every row makes a log, breaks one rule in it, and names the claim, the entry and the cause that must come out. A check that is
taken away makes its row pass, and so this test fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from clients.auditor.verify import Asked, Cause, Claim, Outcome, Topic, Verdict, Verified, log_keys, verify_log
from keys import body
from keys.alert import AlertFields, AlertType
from keys.authority import issue_revocation_list
from keys.canonical import encode
from keys.charter import sign
from keys.credential import issue_device
from keys.emergency import Request, StandDown
from keys.envelope import Context, Heard, Kind, Marking, Precedence, read, read_entry
from keys.identity import ChannelId, DeviceId, PersonId, SigningKey, receipt_stream
from keys.mls import Credential, Extension, GroupContextExtensions, Remove
from keys.policy import render
from keys.unlock import LENGTH
from tests.clients.auditor.logs import HOUR, Book, Files, Party, honest, removal
from tests.keys.mission import DAY, NOW, Device, Mission

AMBER = Marking.AMBER


def check(book: Book, files: Files | None = None, **asked: Any) -> Verified:
    found = files or book.files()
    values: dict[str, Any] = {"keys": log_keys(book.mission.log.verifier_key.encode()), "now": book.now, **asked}
    return verify_log(found.fetch, found.paths(), Asked(**values))


def against(verified: Verified, outcome: Outcome = Outcome.FAIL) -> list[Claim]:
    return [claim for claim in verified.claims if claim.outcome is outcome]


class Scene:
    """A detail of a leader, an agent and an officer in one channel, and a guest who is enrolled and in none."""

    def __init__(self) -> None:
        self.book = Book()
        self.chen = self.book.enrolled("officer")
        self.bea = self.book.enrolled("leader")
        self.ayo = self.book.enrolled("agent")
        self.emil = self.book.enrolled("guest", house=self.book.mission.partner)
        self.channel = self.bea.found("narrow", AMBER)
        self.bea.add(self.channel, self.ayo, self.chen)
        self.first = self.ayo.message(self.channel)

    def certified(self, party: Party) -> Any:
        assert isinstance(party.device, Device)
        return party.device.certified

    def revoke(self, *parties: Party, house: str = "Meridian", number: int = 2) -> int:
        return self.book.publish_list(house, [self.certified(p).serial for p in parties], number)


def test_the_scene_itself_is_sound() -> None:
    verified = check(Scene().book)
    assert verified.verdict is Verdict.CONSISTENT, against(verified)


def test_an_sos_ended_by_two_is_sound() -> None:
    s = Scene()
    alerts, root = _called(s)
    _down(s, s.chen, alerts, root, _asked(s, alerts, root))
    verified = check(s.book)
    assert verified.verdict is Verdict.CONSISTENT, against(verified)


def test_an_honest_log_passes_each_claim_with_every_signature_checked() -> None:
    assert check(honest(), every_signature=True).verdict is Verdict.CONSISTENT


# ---------------------------------------------------------------------- the rows

Found = tuple[Topic, int | None, Cause]
Row = Callable[[Scene], Found]


def undecodable(s: Scene) -> Found:
    s.book.leaves.append(b"not an entry")
    return Topic.ENTRIES, len(s.book.leaves) - 1, Cause.INJECTED


def second_encoding(s: Scene) -> Found:
    leaf = s.book.leaves[s.first]
    s.book.leaves[s.first] = leaf[:1] + b"\xcc\x01" + leaf[2:]  # version 1, in two bytes
    return Topic.ENTRIES, s.first, Cause.INJECTED


def other_channel(s: Scene) -> Found:
    s.book.change(s.first, channel=s.book.control)
    return Topic.ENTRIES, s.first, Cause.INJECTED


def left_out_of_its_channel(s: Scene) -> Found:
    s.book.seqs[s.channel] += 1
    return Topic.ORDER, s.ayo.message(s.channel, heard=Heard(0, bytes(32))), Cause.MISSING


def a_place_taken_twice(s: Scene) -> Found:
    s.book.seqs[s.channel] -= 1
    return Topic.ORDER, s.bea.message(s.channel, heard=Heard(0, bytes(32))), Cause.REORDERED


def a_channel_without_a_beginning(s: Scene) -> Found:
    return Topic.ORDER, s.ayo.say(Kind.ACK, bytes(16), b""), Cause.MISSING


def a_clock_that_jumped_and_came_back(s: Scene) -> Found:
    s.book.now += HOUR
    index = s.ayo.message(s.channel)
    s.book.now -= HOUR
    s.ayo.message(s.channel)
    return Topic.TIMES, index, Cause.FUTURE_TIME


def backdated(s: Scene) -> Found:
    index = s.bea.message(s.channel, time=s.book.now - HOUR)
    s.book.change(index, time=s.book.now - HOUR)
    s.bea.message(s.channel)
    return Topic.TIMES, index, Cause.REORDERED


def sealed_after_it_was_logged(s: Scene) -> Found:
    return Topic.TIMES, s.ayo.message(s.channel, time=s.book.now + HOUR), Cause.FUTURE_TIME


def a_number_left_out(s: Scene) -> Found:
    number, link = s.ayo.numbers[s.channel]
    return Topic.CHAINS, s.ayo.message(s.channel, number=number + 2, previous=link), Cause.MISSING


def a_number_twice(s: Scene) -> Found:
    s.ayo.numbers[s.channel] = (s.ayo.numbers[s.channel][0] - 1, bytes(32))
    return Topic.CHAINS, s.ayo.message(s.channel, number=1, previous=bytes(32), signed=True), Cause.REORDERED


def another_hash_of_the_one_before(s: Scene) -> Found:
    return Topic.CHAINS, s.ayo.message(s.channel, previous=b"x" * 32), Cause.ALTERED


def an_altered_header_in_a_chain(s: Scene) -> Found:
    s.ayo.message(s.channel, heard=Heard(0, bytes(32)))
    _alter_marking(s.book, s.first)
    return Topic.CHAINS, s.first, Cause.ALTERED


def _alter_marking(book: Book, index: int) -> None:
    """The header that says CLEAR now says GREEN, under the old signature."""
    entry = book.entry(index)
    claimed = read(entry.envelope)
    values = {f: getattr(claimed.context, f) for f in claimed.context.__struct_fields__}
    context = encode(type(claimed.context)(**{**values, "marking": Marking.GREEN}))
    header = type(claimed.header)(context, claimed.header.body_length, claimed.header.body_hash)
    book.change(index, header=encode(header))


def an_altered_header_at_the_end_of_a_chain(s: Scene) -> Found:
    _alter_marking(s.book, s.first)
    return Topic.SIGNATURES, s.first, Cause.BAD_SIGNATURE


def an_altered_header_in_a_run(s: Scene) -> Found:
    index = s.ayo.message(s.channel, signed=False, heard=Heard(0, bytes(32)))
    s.ayo.message(s.channel, heard=Heard(0, bytes(32)))
    _alter_marking(s.book, index)
    return Topic.CHAINS, index, Cause.ALTERED


def a_run_cut_short(s: Scene) -> Found:
    index = s.ayo.message(s.channel, signed=False)
    s.bea.message(s.channel)
    return Topic.CHAINS, index, Cause.MISSING


def a_run_too_long(s: Scene) -> Found:
    for _ in range(64):
        s.ayo.message(s.channel, signed=False)
    return Topic.CHAINS, s.ayo.message(s.channel), Cause.INJECTED


def a_run_closed_by_another_kind(s: Scene) -> Found:
    s.ayo.message(s.channel, signed=False)
    index = s.ayo.say(
        Kind.ACK, s.channel, encode(body.Ack(bytes(32), 0, None, bytes(16))), epoch=1, heard=s.book.heard(s.channel)
    )
    return Topic.CHAINS, index, Cause.INJECTED


def signed_by_another(s: Scene) -> Found:
    context = s.bea.context(Kind.ACK, s.channel, epoch=1)
    return Topic.SIGNATURES, s.bea.log(context, b"", key=s.ayo.key), Cause.BAD_SIGNATURE


def another_history_heard(s: Scene) -> Found:
    seq = s.book.heard(s.channel).seq
    return Topic.HEARD, s.ayo.message(s.channel, heard=Heard(seq, b"x" * 32)), Cause.FORKED


def another_older_history_heard(s: Scene) -> Found:
    return Topic.HEARD, s.ayo.message(s.channel, heard=Heard(1, b"x" * 32)), Cause.FORKED


def what_is_not_there_heard(s: Scene) -> Found:
    return Topic.HEARD, s.ayo.message(s.channel, heard=Heard(99, b"x" * 32)), Cause.FORKED


def a_receipt_for_what_is_not_there(s: Scene) -> Found:
    return Topic.RECEIPTS, s.ayo.receipt(s.channel, heard=Heard(99, b"x" * 32)), Cause.RECEIPT_WITHOUT_ENTRY


def a_receipt_before_its_channel(s: Scene) -> Found:
    return Topic.RECEIPTS, s.ayo.receipt(b"q" * 16), Cause.RECEIPT_WITHOUT_ENTRY


def a_receipt_by_a_stranger(s: Scene) -> Found:
    return Topic.RECEIPTS, s.emil.receipt(s.channel), Cause.INJECTED


def a_receipt_by_the_revoked(s: Scene) -> Found:
    s.revoke(s.ayo)
    return Topic.MEMBERS, s.ayo.receipt(s.channel), Cause.INJECTED


def talk_among_receipts(s: Scene) -> Found:
    s.ayo.receipt(s.channel)
    stream = receipt_stream(ChannelId(s.channel))
    return Topic.RECEIPTS, s.ayo.say(Kind.PROPOSAL, stream, b""), Cause.INJECTED


def an_alerts_answer_beside_talk(s: Scene) -> Found:
    stream = receipt_stream(ChannelId(s.channel))
    return Topic.ROLES, s.ayo.say(Kind.ACK, stream, encode(body.Ack(bytes(32), 0, None, bytes(16)))), Cause.INJECTED


def an_answer_by_a_stranger(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER, suite=0xF001)
    stream = receipt_stream(ChannelId(alerts))
    return Topic.MEMBERS, s.emil.say(Kind.ACK, stream, encode(body.Ack(bytes(32), 0, None, bytes(16)))), Cause.INJECTED


# --- charter and gateway


def a_charter_that_skips_a_version(s: Scene) -> Found:
    policy = replace(s.book.mission.policy, version=3)
    return Topic.CHARTER, s.book.install(sign(render(policy), s.book.mission.authorities[:2])), Cause.INJECTED


def a_charter_without_its_quorum(s: Scene) -> Found:
    policy = s.book.mission.successor()
    return Topic.CHARTER, s.book.install(sign(render(policy), s.book.mission.authorities[:1])), Cause.INJECTED


def another_mission_s_charter(s: Scene) -> Found:
    return Topic.CHARTER, s.book.install(Mission(9).charter.note), Cause.INJECTED


def an_act_by_a_device(s: Scene) -> Found:
    act = encode(body.GatewayAct(body.Act.STOP, ""))
    return Topic.GATEWAY, s.chen.say(Kind.GATEWAY_ACT, s.book.control, act), Cause.INJECTED


def an_act_that_the_gateway_did_not_sign(s: Scene) -> Found:
    gateway = s.book.gateway
    act = encode(body.GatewayAct(body.Act.RESTORE, ""))
    context = gateway.context(Kind.GATEWAY_ACT, s.book.control)
    index = gateway.log(context, act, key=s.chen.key)
    s.book.act()  # another after it, so that the chain's newest signature is not this one
    return Topic.GATEWAY, index, Cause.BAD_SIGNATURE


def a_filler_that_the_gateway_did_not_sign(s: Scene) -> Found:
    context = s.book.gateway.context(Kind.FILLER, s.book.control)
    return Topic.GATEWAY, s.book.gateway.log(context, b"", key=s.chen.key), Cause.BAD_SIGNATURE


def an_act_that_is_none(s: Scene) -> Found:
    return Topic.GATEWAY, s.book.gateway.say(Kind.GATEWAY_ACT, s.book.control, b"\x91\x63"), Cause.INJECTED


def talk_in_the_control_channel(s: Scene) -> Found:
    return Topic.ENTRIES, s.chen.say(Kind.ACK, s.book.control, b""), Cause.INJECTED


def talk_among_the_unlocks(s: Scene) -> Found:
    unlocks = s.book.mission.charter.unlock_stream
    s.ayo.say(Kind.UNLOCK, unlocks, bytes(LENGTH))
    return Topic.ENTRIES, s.ayo.say(Kind.JUMP, unlocks, b"psst"), Cause.INJECTED


def an_unlock_in_the_control_channel(s: Scene) -> Found:
    return Topic.ENTRIES, s.ayo.say(Kind.UNLOCK, s.book.control, bytes(LENGTH)), Cause.INJECTED


def an_unlock_in_a_channel(s: Scene) -> Found:
    return Topic.MEMBERS, s.ayo.say(Kind.UNLOCK, s.channel, bytes(LENGTH)), Cause.INJECTED


def an_epoch_in_the_control_channel(s: Scene) -> Found:
    return Topic.ENTRIES, s.book.act(body.Act.STOP, epoch=1), Cause.INJECTED


# --- certificates and lists


def unapproved(s: Scene, *roles: str) -> Party:
    return Party(s.book, s.book.mission.device(*(roles or ("agent",))))


def approved_by_its_own_registrar(s: Scene) -> Found:
    return (
        Topic.CERTIFICATES,
        s.book.approve(unapproved(s), s.book.registrars["Meridian"][0]),
        Cause.SELF_APPROVAL,
    )


def approved_by_its_own_person(s: Scene) -> Found:
    second = Party(s.book, s.book.mission.device("agent", person=s.certified(s.chen).person))
    return Topic.CERTIFICATES, s.book.approve(second, s.chen), Cause.SELF_APPROVAL


def approved_by_an_agent(s: Scene) -> Found:
    return Topic.CERTIFICATES, s.book.approve(unapproved(s), s.ayo), Cause.INJECTED


def approved_by_a_stranger(s: Scene) -> Found:
    return Topic.CERTIFICATES, s.book.approve(unapproved(s), unapproved(s, "officer")), Cause.INJECTED


def approved_by_the_revoked(s: Scene) -> Found:
    s.revoke(s.chen)
    return Topic.CERTIFICATES, s.book.approve(unapproved(s), s.chen), Cause.INJECTED


def an_approval_that_was_forged(s: Scene) -> Found:
    party = unapproved(s)
    context = s.chen.context(Kind.CERTIFICATE, s.book.control)
    index = s.chen.log(context, party.der, key=s.ayo.key)
    s.book.approve(unapproved(s), s.chen)  # one more, so that the chain's newest signature is not the forged one
    return Topic.CERTIFICATES, index, Cause.BAD_SIGNATURE


def a_certificate_of_another_mission(s: Scene) -> Found:
    other = Party(s.book, Mission(9).device("agent"))
    return Topic.CERTIFICATES, s.book.approve(other, s.chen), Cause.INJECTED


def a_registrar_approved(s: Scene) -> Found:
    return (
        Topic.CERTIFICATES,
        s.book.approve(s.book.registrars["Meridian"][0], s.book.registrars["Meridian"][1]),
        Cause.INJECTED,
    )


def a_certificate_that_had_ended(s: Scene) -> Found:
    late = Party(s.book, s.book.mission.device("agent", life=(NOW - DAY, NOW - HOUR)))
    return Topic.CERTIFICATES, s.book.approve(late, s.chen), Cause.INJECTED


def a_certificate_revoked_before(s: Scene) -> Found:
    party = unapproved(s)
    s.revoke(party)
    return Topic.CERTIFICATES, s.book.approve(party, s.chen), Cause.INJECTED


def a_renewal_of_the_revoked(s: Scene) -> Found:
    s.revoke(s.ayo)
    s.book.renewed(s.ayo)
    return Topic.CERTIFICATES, len(s.book.leaves) - 1, Cause.INJECTED


def another_person_for_a_device(s: Scene) -> Found:
    mission, old = s.book.mission, s.certified(s.ayo)
    registrar, key = mission.home.registrars[0], SigningKey.generate(s.book.random)
    person = PersonId(s.book.random(16))
    life = (old.not_before, old.not_after)
    der = issue_device(
        registrar.der, registrar.key, key.public, person, DeviceId(old.device), old.roles, life, s.book.random
    )
    return Topic.CERTIFICATES, s.chen.say(Kind.CERTIFICATE, s.book.control, der), Cause.INJECTED


def a_certificate_under_a_stale_list(s: Scene) -> Found:
    s.book.now += 25 * HOUR
    return Topic.REVOCATIONS, s.book.approve(unapproved(s), s.chen), Cause.INJECTED


def a_list_by_an_officer(s: Scene) -> Found:
    return Topic.REVOCATIONS, s.book.publish_list("Meridian", (), 2, by=s.chen), Cause.INJECTED


def a_list_by_another_organisation(s: Scene) -> Found:
    return Topic.REVOCATIONS, s.book.publish_list("Meridian", (), 2, by=s.book.registrars["Hostpol"][0]), Cause.INJECTED


def a_list_that_was_forged(s: Scene) -> Found:
    registrar = s.book.registrars["Meridian"][0]
    index = s.book.publish_list("Meridian", (), 2)
    claimed = read(s.book.entry(index).envelope)
    forged = s.chen.key.sign(Kind.REVOCATION_LIST.label, s.book.entry(index).header)
    s.book.change(index, signature=forged)
    registrar.numbers[s.book.control] = (
        claimed.context.number,
        s.book.entry(index).envelope.link,
    )
    s.book.publish_list("Meridian", (), 3)
    return Topic.REVOCATIONS, index, Cause.BAD_SIGNATURE


def an_older_list(s: Scene) -> Found:
    return Topic.REVOCATIONS, s.book.publish_list("Meridian", (), 1), Cause.INJECTED


def a_list_that_forgets(s: Scene) -> Found:
    s.revoke(s.emil, house="Hostpol")
    return Topic.REVOCATIONS, s.book.publish_list("Hostpol", (), 3), Cause.INJECTED


def a_list_from_the_future(s: Scene) -> Found:
    registrar, later = s.book.registrars["Meridian"][0], NOW + 3 * HOUR
    listed = issue_revocation_list(registrar.der, registrar.key, 2, (), later, later + DAY)
    return Topic.REVOCATIONS, registrar.say(Kind.REVOCATION_LIST, s.book.control, listed), Cause.INJECTED


# --- rosters


def a_channel_by_an_agent(s: Scene) -> Found:
    s.ayo.found("narrow", AMBER)
    return Topic.ROLES, len(s.book.leaves) - 1, Cause.INJECTED


def a_channel_above_its_class(s: Scene) -> Found:
    s.bea.found("narrow", Marking.RED)
    return Topic.ROLES, len(s.book.leaves) - 1, Cause.INJECTED


def a_channel_of_another_suite(s: Scene) -> Found:
    s.bea.found("liaison", AMBER, suite=1)
    return Topic.ROSTERS, len(s.book.leaves) - 1, Cause.INJECTED


def a_channel_of_no_class(s: Scene) -> Found:
    s.bea.found("parlour", AMBER, suite=1)
    return Topic.ROSTERS, len(s.book.leaves) - 1, Cause.INJECTED


def a_channel_under_no_charter(s: Scene) -> Found:
    s.bea.found("narrow", AMBER, version=7)
    return Topic.ROSTERS, len(s.book.leaves) - 1, Cause.INJECTED


def a_channel_under_a_stale_list(s: Scene) -> Found:
    s.book.now += 25 * HOUR
    s.bea.found("narrow", AMBER)
    return Topic.REVOCATIONS, len(s.book.leaves) - 1, Cause.INJECTED


def a_channel_in_another_s_name(s: Scene) -> Found:
    channel = s.bea.found("narrow", AMBER)
    claimed = read(s.book.entry(len(s.book.leaves) - 1).envelope)
    data = s.book.bodies[f"body/{claimed.header.body_hash.hex()}"]
    s.book.leaves.pop()
    s.book.seqs[channel] = 0
    return Topic.ROSTERS, s.chen.say(Kind.CHANNEL_CREATED, channel, data), Cause.INJECTED


def a_channel_in_another_group_s_name(s: Scene) -> Found:
    s.bea.found("narrow", AMBER)
    claimed = read(s.book.entry(len(s.book.leaves) - 1).envelope)
    data = s.book.bodies[f"body/{claimed.header.body_hash.hex()}"]
    return Topic.ROSTERS, s.bea.say(Kind.CHANNEL_CREATED, s.book.random(16), data), Cause.INJECTED


def a_channel_created_twice(s: Scene) -> Found:
    index = s.bea.say(Kind.CHANNEL_CREATED, s.channel, b"", epoch=1)
    return Topic.MEMBERS, index, Cause.INJECTED


def no_beginning(s: Scene) -> Found:
    return Topic.ROSTERS, s.bea.say(Kind.CHANNEL_CREATED, s.book.random(16), b"x"), Cause.INJECTED


def a_channel_without_terms(s: Scene) -> Found:
    s.bea.found("narrow", AMBER, extensions=())
    return Topic.ROSTERS, len(s.book.leaves) - 1, Cause.INJECTED


def terms_taken_away(s: Scene) -> Found:
    return Topic.ROSTERS, s.bea.commit(s.channel, [GroupContextExtensions(())]), Cause.INJECTED


def a_leaf_under_another_s_certificate(s: Scene) -> Found:
    thief = Party(s.book, Device(SigningKey.generate(s.book.random), s.certified(s.emil)))
    return Topic.ROSTERS, s.bea.add(s.channel, thief), Cause.INJECTED


def a_leaf_that_became_another_s(s: Scene) -> Found:
    identity = (Credential.x509([s.emil.der]), s.emil.key.seed)
    return Topic.ROSTERS, s.ayo.commit(s.channel, new_credential_and_signature_key=identity), Cause.INJECTED


def added_by_an_agent(s: Scene) -> Found:
    return Topic.ROLES, s.ayo.add(s.channel, s.emil), Cause.INJECTED


def a_ghost_added(s: Scene) -> Found:
    return Topic.ROSTERS, s.bea.add(s.channel, unapproved(s)), Cause.INJECTED


def the_revoked_added(s: Scene) -> Found:
    s.revoke(s.emil, house="Hostpol")
    return Topic.ROSTERS, s.bea.add(s.channel, s.emil), Cause.INJECTED


def added_under_a_stale_list(s: Scene) -> Found:
    s.book.now += 25 * HOUR
    return Topic.REVOCATIONS, s.bea.add(s.channel, s.emil), Cause.INJECTED


def a_guest_added_above_its_agreement(s: Scene) -> Found:
    strict = s.bea.found("narrow", Marking.AMBER_STRICT)
    return Topic.ROLES, s.bea.add(strict, s.emil), Cause.INJECTED


def a_device_added_twice(s: Scene) -> Found:
    s.ayo.device = s.book.renewed(s.ayo)
    s.ayo.groups.pop(s.channel)
    return Topic.ROSTERS, s.bea.add(s.channel, s.ayo), Cause.INJECTED


def a_device_added_twice_at_once(s: Scene) -> Found:
    device = s.book.enrolled("agent")
    again = Party(s.book, s.book.renewed(device))
    return Topic.ROSTERS, s.bea.add(s.channel, device, again), Cause.INJECTED


def removed_by_an_agent(s: Scene) -> Found:
    return Topic.ROLES, s.ayo.commit(s.channel, [removal(s.ayo, s.channel, s.chen)]), Cause.INJECTED


def terms_raised(s: Scene) -> Found:
    terms = body.ChannelTerms(1, "narrow", Marking.AMBER_STRICT).encode()
    change = GroupContextExtensions((Extension(body.TERMS_EXTENSION, terms),))
    return Topic.ROSTERS, s.bea.commit(s.channel, [change]), Cause.INJECTED


def terms_changed_by_an_agent(s: Scene) -> Found:
    terms = body.ChannelTerms(1, "narrow", AMBER).encode()
    change = GroupContextExtensions((Extension(body.TERMS_EXTENSION, terms),))
    return Topic.ROLES, s.ayo.commit(s.channel, [change]), Cause.INJECTED


def a_welcome_to_nobody(s: Scene) -> Found:
    context, pending = s.bea.prepare(s.channel, [])
    index = s.bea.send_commit(context, replace(pending, welcome=b"x"))
    return Topic.ROSTERS, index, Cause.INJECTED


def a_commit_of_another_epoch(s: Scene) -> Found:
    context, pending = s.bea.prepare(s.channel, [])
    values = {f: getattr(context, f) for f in context.__struct_fields__}
    index = s.bea.send_commit(type(context)(**{**values, "epoch": 5}), pending)
    return Topic.MEMBERS, index, Cause.INJECTED


def a_commit_bound_to_another_header(s: Scene) -> Found:
    context, pending = s.bea.prepare(s.channel, [])
    values = {f: getattr(context, f) for f in context.__struct_fields__}
    index = s.bea.send_commit(type(context)(**{**values, "time": context.time + 1}), pending)
    return Topic.ROSTERS, index, Cause.INJECTED


def a_commit_that_is_none(s: Scene) -> Found:
    data = encode(body.Commit(b"x", None, bytes(32)))
    index = s.bea.say(Kind.COMMIT, s.channel, data, epoch=1, heard=s.book.heard(s.channel))
    return Topic.ROSTERS, index, Cause.INJECTED


def a_commit_under_another_s_name(s: Scene) -> Found:
    context = s.chen.context(Kind.COMMIT, s.channel, epoch=1, heard=s.book.heard(s.channel))
    bound = context.authenticated_data()
    pending = s.bea.groups[s.channel].commit([], authenticated_data=bound, random=s.book.random)
    data = encode(body.Commit(pending.message, None, bytes(32)))
    return Topic.ROSTERS, s.chen.log(context, data), Cause.INJECTED


def a_proposal_that_is_none(s: Scene) -> Found:
    index = s.ayo.say(Kind.PROPOSAL, s.channel, b"x", epoch=1, heard=s.book.heard(s.channel))
    return Topic.ROSTERS, index, Cause.INJECTED


def a_proposal_bound_to_another_header(s: Scene) -> Found:
    group, message = s.ayo.groups[s.channel].propose(Remove(s.bea.leaf(s.channel)), random=s.book.random)
    s.ayo.groups[s.channel] = group
    index = s.ayo.say(Kind.PROPOSAL, s.channel, message, epoch=1, heard=s.book.heard(s.channel))
    return Topic.ROSTERS, index, Cause.INJECTED


def a_leaf_with_an_ended_certificate(s: Scene) -> Found:
    s.book.now = s.certified(s.ayo).not_after + HOUR
    for number, name in enumerate(s.book.registrars, 2):
        s.book.publish_list(name, (), number)
    s.book.renewed(s.ayo)
    return Topic.ROSTERS, s.ayo.commit(s.channel), Cause.INJECTED  # with the leaf's old credential


# --- speech


def an_auditor_in_a_channel(s: Scene) -> Found:
    return Topic.ROSTERS, s.bea.add(s.channel, s.book.enrolled("auditor")), Cause.INJECTED


def a_stranger_speaks(s: Scene) -> Found:
    s.emil.groups[s.channel] = s.ayo.groups[s.channel]
    return Topic.MEMBERS, s.emil.message(s.channel), Cause.INJECTED


def the_removed_speaks(s: Scene) -> Found:
    s.bea.commit(s.channel, [removal(s.bea, s.channel, s.ayo)])
    return Topic.MEMBERS, s.ayo.message(s.channel), Cause.INJECTED


def the_revoked_acknowledges(s: Scene) -> Found:
    s.revoke(s.ayo)
    index = s.ayo.say(Kind.ACK, s.channel, b"", epoch=1, heard=s.book.heard(s.channel))
    return Topic.MEMBERS, index, Cause.INJECTED


def the_expired_acknowledges(s: Scene) -> Found:
    brief = s.book.enrolled("agent", life=(NOW - DAY, NOW + 2 * HOUR))
    s.bea.add(s.channel, brief)
    s.book.now += 3 * HOUR
    index = brief.say(Kind.ACK, s.channel, b"", epoch=2, heard=s.book.heard(s.channel))
    return Topic.MEMBERS, index, Cause.INJECTED


def of_an_epoch_to_come(s: Scene) -> Found:
    return Topic.MEMBERS, s.ayo.message(s.channel, epoch=2), Cause.INJECTED


def of_an_epoch_long_past(s: Scene) -> Found:
    s.bea.commit(s.channel)
    s.bea.commit(s.channel)
    return Topic.MEMBERS, s.ayo.message(s.channel, epoch=1), Cause.INJECTED


def after_the_grace(s: Scene) -> Found:
    s.bea.commit(s.channel)
    s.book.now += 31_000
    return Topic.MEMBERS, s.ayo.message(s.channel, epoch=1), Cause.INJECTED


def no_grace_after_a_removal(s: Scene) -> Found:
    s.bea.commit(s.channel, [removal(s.bea, s.channel, s.chen)])
    return Topic.MEMBERS, s.ayo.message(s.channel, epoch=1), Cause.INJECTED


def an_answer_of_an_epoch_to_come(s: Scene) -> Found:
    return Topic.MEMBERS, s.ayo.say(Kind.ACK, s.channel, b"", epoch=9), Cause.INJECTED


def a_certificate_in_a_channel(s: Scene) -> Found:
    return Topic.MEMBERS, s.ayo.say(Kind.FILLER, s.channel, b"", epoch=1), Cause.INJECTED


def above_the_ceiling(s: Scene) -> Found:
    return Topic.ROLES, s.ayo.message(s.channel, marking=Marking.RED), Cause.INJECTED


def an_alert_by_an_agent(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    s.chen.add(alerts, s.ayo)
    return Topic.ALERTS, s.ayo.alert(alerts), Cause.INJECTED


def an_alert_in_talk(s: Scene) -> Found:
    return Topic.ROLES, s.chen.alert(s.channel), Cause.INJECTED


def context_at(s: Scene, index: int) -> Context:
    return read(read_entry(s.book.leaves[index]).envelope).context


def fields_at(s: Scene, index: int) -> AlertFields:
    fields = context_at(s, index).alert
    assert fields is not None
    return fields


def an_alert_after_its_end(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    ended = {"not_after": s.book.now - HOUR, "deadline": s.book.now - HOUR}
    return Topic.ALERTS, s.chen.alert(alerts, draft=ended), Cause.INJECTED


def an_alert_alone_where_two_are_asked(s: Scene) -> Found:
    s.book.successor(break_glass=False)
    alerts = s.chen.found("alert", AMBER)
    return Topic.ALERTS, s.chen.alert(alerts), Cause.INJECTED


def an_alert_approved_by_its_writer(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    return Topic.ALERTS, s.chen.alert(alerts, approved_by=s.chen), Cause.SELF_APPROVAL


def an_alert_for_another_channel(s: Scene) -> Found:
    alerts, other = s.chen.found("alert", AMBER), s.chen.found("alert", AMBER)
    first = s.chen.alert(alerts)
    fields = fields_at(s, first)
    return Topic.ALERTS, s.chen.alert(other, alert=fields), Cause.BAD_SIGNATURE


def an_alert_written_by_a_stranger(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    stranger = Party(s.book, s.book.mission.device("officer"))
    return Topic.ALERTS, s.chen.alert(alerts, written_by=stranger, approved_by=s.chen), Cause.BAD_SIGNATURE


def an_alert_sent_twice(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    fields = fields_at(s, s.chen.alert(alerts))
    tag = context_at(s, -1).franking
    return Topic.ALERTS, s.chen.message(alerts, kind=Kind.ALERT, alert=fields, franking=tag), Cause.INJECTED


def a_false_stand_down(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    dara = s.book.enrolled("officer")
    s.chen.add(alerts, dara)
    first = fields_at(s, s.chen.alert(alerts, written_by=dara, approved_by=s.chen))
    cancel = {"type": AlertType.CANCEL, "references": [first.root]}
    return Topic.ALERTS, s.chen.alert(alerts, draft=cancel), Cause.INJECTED


def a_check_in_among_talk(s: Scene) -> Found:
    return Topic.ROLES, s.ayo.message(s.channel, kind=Kind.CHECK_IN), Cause.INJECTED


def an_sos_at_leisure(s: Scene) -> Found:
    alerts = s.chen.found("alert", AMBER)
    return Topic.ALERTS, s.chen.message(alerts, kind=Kind.SOS), Cause.INJECTED


def _called(s: Scene) -> tuple[bytes, bytes]:
    """An alert channel with an agent's SOS in it."""
    alerts = s.chen.found("alert", AMBER)
    s.chen.add(alerts, s.ayo)
    s.ayo.message(alerts, kind=Kind.SOS, precedence=Precedence.FLASH)
    return alerts, sha256(read_entry(s.book.leaves[-1]).header).digest()


def _down(s: Scene, by: Party, alerts: bytes, root: bytes, confirms: Request | None = None) -> int:
    return by.say(Kind.STAND_DOWN, alerts, encode(StandDown(root, confirms)), heard=s.book.heard(alerts))


def _asked(s: Scene, alerts: bytes, root: bytes) -> Request:
    _down(s, s.ayo, alerts, root)
    entry = read_entry(s.book.leaves[-1])
    return Request(entry.seq, sha256(entry.header).digest())


def an_sos_ended_by_its_author_alone(s: Scene) -> Found:
    alerts, root = _called(s)
    return Topic.ALERTS, _down(s, s.ayo, alerts, root, _asked(s, alerts, root)), Cause.INJECTED


def an_sos_ended_without_asking(s: Scene) -> Found:
    alerts, root = _called(s)
    return Topic.ALERTS, _down(s, s.chen, alerts, root, Request(1, root)), Cause.INJECTED


def an_sos_asked_to_end_by_another(s: Scene) -> Found:
    alerts, root = _called(s)
    return Topic.ALERTS, _down(s, s.chen, alerts, root), Cause.INJECTED


def without_the_verb(s: Scene) -> Found:
    roles = tuple((name, frozenset(v for v in verbs if v != "send")) for name, verbs in s.book.mission.policy.roles)
    s.book.successor(roles=roles)
    return Topic.ROLES, s.ayo.message(s.channel), Cause.INJECTED


def after_the_agreement(s: Scene) -> Found:
    s.bea.add(s.channel, s.emil)
    organisations = tuple(
        replace(o, until=o.until if o.home else NOW + HOUR) for o in s.book.mission.policy.organisations
    )
    s.book.successor(organisations=organisations)
    s.book.now += 2 * HOUR
    return Topic.ROLES, s.emil.message(s.channel), Cause.INJECTED


def with_a_revoked_member(s: Scene) -> Found:
    s.revoke(s.chen)
    return Topic.REMOVALS, s.ayo.message(s.channel), Cause.INJECTED


def with_an_expired_member(s: Scene) -> Found:
    brief = s.book.enrolled("agent", life=(NOW - DAY, NOW + 2 * HOUR))
    s.bea.add(s.channel, brief)
    s.book.now += 3 * HOUR
    return Topic.REMOVALS, s.ayo.message(s.channel), Cause.INJECTED


ROWS: list[Row] = [
    undecodable, second_encoding, other_channel,
    left_out_of_its_channel, a_place_taken_twice, a_channel_without_a_beginning,
    a_clock_that_jumped_and_came_back, backdated, sealed_after_it_was_logged,
    a_number_left_out, a_number_twice, another_hash_of_the_one_before,
    an_altered_header_in_a_chain, an_altered_header_at_the_end_of_a_chain, an_altered_header_in_a_run,
    a_run_cut_short, a_run_too_long, a_run_closed_by_another_kind, signed_by_another,
    another_history_heard, another_older_history_heard, what_is_not_there_heard,
    a_receipt_for_what_is_not_there, a_receipt_before_its_channel, a_receipt_by_a_stranger, a_receipt_by_the_revoked,
    talk_among_receipts,
    an_alerts_answer_beside_talk,
    an_answer_by_a_stranger,
    a_charter_that_skips_a_version, a_charter_without_its_quorum, another_mission_s_charter,
    an_act_by_a_device, an_act_that_the_gateway_did_not_sign, a_filler_that_the_gateway_did_not_sign,
    an_act_that_is_none, talk_in_the_control_channel, an_epoch_in_the_control_channel,
    talk_among_the_unlocks, an_unlock_in_the_control_channel, an_unlock_in_a_channel,
    approved_by_its_own_registrar, approved_by_its_own_person, approved_by_an_agent, approved_by_a_stranger,
    approved_by_the_revoked, an_approval_that_was_forged, a_certificate_of_another_mission, a_registrar_approved,
    a_certificate_that_had_ended, a_certificate_revoked_before, a_renewal_of_the_revoked, another_person_for_a_device,
    a_certificate_under_a_stale_list,
    a_list_by_an_officer, a_list_by_another_organisation, a_list_that_was_forged, an_older_list, a_list_that_forgets,
    a_list_from_the_future,
    a_channel_by_an_agent, a_channel_above_its_class, a_channel_of_another_suite, a_channel_of_no_class,
    a_channel_under_no_charter, a_channel_under_a_stale_list, a_channel_in_another_s_name,
    a_channel_in_another_group_s_name, a_channel_created_twice, no_beginning,
    a_channel_without_terms, terms_taken_away, a_leaf_under_another_s_certificate, a_leaf_that_became_another_s, added_by_an_agent, a_ghost_added, the_revoked_added, added_under_a_stale_list, a_guest_added_above_its_agreement,
    a_device_added_twice, a_device_added_twice_at_once, removed_by_an_agent, terms_raised, terms_changed_by_an_agent, a_welcome_to_nobody,
    a_commit_of_another_epoch, a_commit_bound_to_another_header, a_commit_that_is_none, a_commit_under_another_s_name, a_proposal_that_is_none,
    a_proposal_bound_to_another_header, a_leaf_with_an_ended_certificate,
    a_stranger_speaks, the_removed_speaks, the_revoked_acknowledges, the_expired_acknowledges, of_an_epoch_to_come, of_an_epoch_long_past,
    after_the_grace, no_grace_after_a_removal, an_answer_of_an_epoch_to_come, a_certificate_in_a_channel,
    above_the_ceiling, an_alert_by_an_agent, an_alert_in_talk, an_alert_after_its_end,
    an_alert_alone_where_two_are_asked, an_alert_approved_by_its_writer, an_alert_for_another_channel,
    an_alert_written_by_a_stranger, an_alert_sent_twice, a_false_stand_down, a_check_in_among_talk, an_sos_at_leisure,
    an_sos_ended_by_its_author_alone, an_sos_ended_without_asking, an_sos_asked_to_end_by_another, without_the_verb, after_the_agreement,
    with_a_revoked_member, with_an_expired_member,
]  # fmt: skip


ALSO: dict[Row, set[tuple[Topic, Cause]]] = {
    a_channel_in_another_s_name: {(Topic.MEMBERS, Cause.INJECTED)},
    approved_by_a_stranger: {(Topic.SIGNATURES, Cause.INJECTED)},
    a_commit_of_another_epoch: {(Topic.ROSTERS, Cause.INJECTED)},
}
"""What else such a log breaks."""


@pytest.mark.parametrize("row", [pytest.param(row, id=row.__name__.replace("_", " ")) for row in ROWS])
def test_a_broken_rule_is_named_and_nothing_else(row: Row) -> None:
    scene = Scene()
    topic, index, cause = row(scene)
    found = against(check(scene.book, now=scene.book.now + 2 * HOUR))
    expected = {(topic, index, cause), *((also, index, why) for also, why in ALSO.get(row, set()))}
    assert {(c.claim, c.index, c.cause) for c in found} == expected, found
    assert len(found) == len(expected), "two rules say the same, so one could be taken away"
