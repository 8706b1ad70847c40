"""What an auditor brings along or lacks: a pinned charter, bodies, the clock; and what is then said to be unchecked."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from clients.auditor.verify import Cause, Outcome, Topic, Verdict, Verified
from clients.auditor.verify.claims import LISTED, Findings
from clients.auditor.verify.entries import CLOCK_AHEAD
from clients.auditor.verify.signatures import BATCH, WAITING, Signatures, Signed
from keys.body import Complaint
from keys.canonical import encode
from keys.charter import found, sign, succeed
from keys.envelope import Kind, Marking, read
from keys.mls import Credential
from keys.policy import render
from keys.tlog.note import Ed25519Signer
from tests.clients.auditor.logs import Book, honest, removal
from tests.clients.auditor.test_content import Scene, against, check
from tests.keys.mission import Device
from tests.keys.tlog.logs import flip


def outcomes(verified: Verified, outcome: Outcome) -> set[Topic]:
    return {claim.claim for claim in against(verified, outcome)}


# ---------------------------------------------------------------------- the charter


def test_the_charter_that_is_given_may_be_any_version_of_the_log_s() -> None:
    book = honest()
    first = book.charter
    book.successor(auditors=("gita", "hal"))
    for pin in (first, book.charter):
        assert check(book, charter=pin).verdict is Verdict.CONSISTENT


def test_another_charter_of_this_version_is_a_fork() -> None:
    book = honest()
    other = found(sign(render(replace(book.mission.policy, auditors=())), book.mission.authorities[:2]))
    verified = check(book, charter=other)
    assert [(c.claim, c.cause) for c in against(verified)] == [(Topic.CHARTER, Cause.FORKED)]


def test_a_charter_newer_than_the_log_s_is_missing_there() -> None:
    book = honest()
    newer = succeed(book.charter, sign(render(book.mission.successor()), book.mission.authorities[:2]))
    verified = check(book, charter=newer)
    assert [(c.claim, c.cause) for c in against(verified)] == [(Topic.CHARTER, Cause.MISSING)]


def test_a_charter_that_names_another_key_for_the_log() -> None:
    book = Book(begun=False)
    other = Ed25519Signer.from_seed("log.test/meridian", bytes(32)).verifier_key.encode()
    note = sign(render(replace(book.mission.policy, log_key=other)), book.mission.authorities[:2])
    book.install(note)
    assert (Topic.CHARTER, 0, Cause.FORKED) in [(c.claim, c.index, c.cause) for c in against(check(book))]


def test_a_log_begins_with_its_charter() -> None:
    book = Book(begun=False)
    book.act()
    assert (Topic.CHARTER, 0, Cause.MISSING) in [(c.claim, c.index, c.cause) for c in against(check(book))]


def test_an_empty_log_has_nothing_wrong() -> None:
    assert check(Book(begun=False)).verdict is Verdict.CONSISTENT


def test_a_successor_without_an_organisation_ends_what_its_people_may_do() -> None:
    scene = Scene()
    home = scene.book.mission.home.organisation
    scene.book.successor(
        organisations=(replace(home, roles=frozenset({"leader", "officer"})), scene.book.mission.partner.organisation)
    )
    index = scene.ayo.message(scene.channel)
    verified = check(scene.book)
    assert verified.verdict is not Verdict.CONSISTENT
    assert index in {c.index for c in verified.claims if c.outcome is not Outcome.PASS}


# ---------------------------------------------------------------------- bodies


def body_of(book: Book, index: int) -> str:
    return f"body/{read(book.entry(index).envelope).header.body_hash.hex()}"


@pytest.mark.parametrize(
    ("kind", "unchecked"),
    [
        pytest.param(Kind.CHARTER, {Topic.CHARTER, Topic.GATEWAY, Topic.CERTIFICATES, Topic.ROSTERS}, id="charter"),
        pytest.param(Kind.CERTIFICATE, {Topic.CERTIFICATES}, id="certificate"),
        pytest.param(Kind.REVOCATION_LIST, {Topic.REVOCATIONS}, id="revocation list"),
        pytest.param(Kind.CHANNEL_CREATED, {Topic.ROSTERS, Topic.MEMBERS, Topic.ROLES, Topic.REMOVALS}, id="channel"),
        pytest.param(Kind.COMMIT, {Topic.ROSTERS, Topic.MEMBERS, Topic.ROLES, Topic.REMOVALS}, id="commit"),
        pytest.param(Kind.GATEWAY_ACT, set(), id="gateway act"),
    ],
)
@pytest.mark.parametrize("which", [min, max], ids=["the first", "the last"])
def test_a_body_that_is_absent_leaves_unchecked_what_it_would_tell(
    kind: Kind, unchecked: set[Topic], which: Callable[[Iterable[int]], int]
) -> None:
    book = honest()
    index = which(n for n in range(len(book.leaves)) if read(book.entry(n).envelope).context.kind is kind)
    verified = check(book, book.files().changed(body_of(book, index), None))
    assert verified.verdict is Verdict.UNCHECKED, against(verified)
    assert outcomes(verified, Outcome.UNCHECKED) >= {Topic.BODIES, *unchecked}


def test_without_a_successor_s_text_nothing_after_it_is_judged() -> None:
    scene = Scene()
    index = scene.book.successor(break_glass=False)
    scene.bea.found("narrow", Marking.AMBER)
    scene.ayo.message(scene.channel)
    scene.book.enrolled("agent", by=scene.chen)
    scene.book.act()
    assert check(scene.book).verdict is Verdict.CONSISTENT
    verified = check(scene.book, scene.book.files().changed(body_of(scene.book, index), None))
    assert verified.verdict is Verdict.UNCHECKED, against(verified)


def test_a_body_that_is_altered_is_named() -> None:
    book = honest()
    path = body_of(book, 0)
    files = book.files()
    verified = check(book, files.changed(path, flip(files.files[path], 40)))
    assert [(c.claim, c.index, c.tile, c.cause) for c in against(verified)] == [(Topic.BODIES, 0, path, Cause.ALTERED)]


def test_the_charter_that_is_given_stands_in_for_its_body() -> None:
    book = honest()
    files = book.files().changed(body_of(book, 0), None)
    assert check(book, files).verdict is Verdict.UNCHECKED
    assert check(book, files, charter=book.charter).verdict is Verdict.CONSISTENT


# ---------------------------------------------------------------------- the clock, and what is legitimate


def test_what_is_from_the_future_by_the_auditor_s_clock() -> None:
    book = honest()
    assert check(book, now=book.now - CLOCK_AHEAD).verdict is Verdict.CONSISTENT
    failed = against(check(book, now=book.now - CLOCK_AHEAD - 10))
    assert [(c.claim, c.index, c.cause) for c in failed] == [(Topic.TIMES, len(book.leaves) - 1, Cause.FUTURE_TIME)]


def test_a_message_of_the_epoch_before_is_within_the_grace() -> None:
    scene = Scene()
    scene.bea.commit(scene.channel)
    scene.ayo.message(scene.channel, epoch=1)
    assert check(scene.book).verdict is Verdict.CONSISTENT


@pytest.mark.parametrize("new", [True, False], ids=["the new key", "the old key"])
def test_a_renewed_device_commits_its_new_leaf_with_the_old_key_and_then_speaks_with(new: bool) -> None:
    scene = Scene()
    device = scene.book.renewed(scene.ayo)
    identity = (Credential.x509([device.certified.der]), device.key.seed)
    scene.ayo.commit(scene.channel, new_credential_and_signature_key=identity)
    scene.ayo.device = device if new else scene.ayo.device
    index = scene.ayo.message(scene.channel)
    failed = [(c.claim, c.index, c.cause) for c in against(check(scene.book, every_signature=True))]
    assert failed == ([] if new else [(Topic.SIGNATURES, index, Cause.BAD_SIGNATURE)])


@pytest.mark.parametrize("every", [True, False], ids=["every signature", "the newest of each chain"])
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before the commit"])
@pytest.mark.parametrize("new", [True, False], ids=["the new key", "the old key"])
def test_a_receipt_is_signed_by_the_key_of_the_leaf_at_its_place_of_the_log(
    new: bool, committed: bool, every: bool
) -> None:
    scene = Scene()
    scene.ayo.receipt(scene.channel)
    scene.ayo.receipt(scene.channel)
    device = scene.book.renewed(scene.ayo)
    if committed:
        identity = (Credential.x509([device.certified.der]), device.key.seed)
        scene.ayo.commit(scene.channel, new_credential_and_signature_key=identity)
    scene.ayo.device = device if new else scene.ayo.device
    index = scene.ayo.receipt(scene.channel)
    failed = [(c.claim, c.index, c.cause) for c in against(check(scene.book, every_signature=every))]
    assert failed == ([] if new is committed else [(Topic.SIGNATURES, index, Cause.BAD_SIGNATURE)])


def test_who_was_taken_out_gives_receipts_by_the_key_of_the_last_leaf() -> None:
    scene = Scene()
    scene.bea.commit(scene.channel, [removal(scene.bea, scene.channel, scene.ayo)])
    device = scene.book.renewed(scene.ayo)
    scene.ayo.receipt(scene.channel)
    assert check(scene.book).verdict is Verdict.CONSISTENT
    scene.ayo.device = device
    index = scene.ayo.receipt(scene.channel)
    failed = [(c.claim, c.index, c.cause) for c in against(check(scene.book))]
    assert failed == [(Topic.SIGNATURES, index, Cause.BAD_SIGNATURE)]


@pytest.mark.parametrize("kind", [Kind.RECEIPT, Kind.FRANKING_COMPLAINT], ids=lambda k: k.name.lower())
@pytest.mark.parametrize("gone", ["revoked", "ended"])
def test_the_certificate_of_before_signs_nothing_but_the_renewal_once_it_does_not_stand(gone: str, kind: Kind) -> None:
    scene = Scene()
    old, device = scene.ayo.device, scene.book.renewed(scene.ayo)
    assert isinstance(old, Device)
    for _ in range(2):
        scene.ayo.receipt(scene.channel)
    if gone == "revoked":
        scene.book.publish_list("Meridian", [old.certified.serial], number=2)
    else:
        scene.book.now = old.certified.not_after + 1000
        scene.book.publish_list("Meridian", [], number=2)
    if kind is Kind.RECEIPT:
        said = [scene.ayo.receipt(scene.channel) for _ in range(2)]
    else:
        said = [scene.ayo.say(kind, scene.channel, encode(Complaint(1, bytes(32))), epoch=1)]
    identity = (Credential.x509([device.certified.der]), device.key.seed)
    scene.ayo.commit(scene.channel, new_credential_and_signature_key=identity)
    scene.ayo.device = device
    scene.ayo.receipt(scene.channel)
    failed = [(c.claim, c.index, c.cause) for c in against(check(scene.book)) if c.index >= said[0]]
    assert failed == [(Topic.MEMBERS, index, Cause.INJECTED) for index in said]


def proposed() -> tuple[Scene, int]:
    """An agent's proposal, and the leader's commit that names it."""
    scene = Scene()
    context = scene.ayo.context(Kind.PROPOSAL, scene.channel, epoch=1, heard=scene.book.heard(scene.channel))
    group, message = scene.ayo.groups[scene.channel].propose(
        removal(scene.ayo, scene.channel, scene.chen),
        authenticated_data=context.authenticated_data(),
        random=scene.book.random,
    )
    scene.ayo.groups[scene.channel] = group
    index = scene.ayo.log(context, message)
    for party in (scene.bea, scene.chen):
        party.groups[scene.channel], _ = party.groups[scene.channel].process(message, now_seconds=None)
    scene.bea.commit(scene.channel)
    scene.ayo.message(scene.channel)
    return scene, index


def test_a_proposal_and_the_commit_that_names_it() -> None:
    scene, index = proposed()
    assert check(scene.book).verdict is Verdict.CONSISTENT
    without = scene.book.files().changed(body_of(scene.book, index), None)
    assert check(scene.book, without).verdict is Verdict.UNCHECKED


def test_a_list_by_somebody_whose_certificate_is_absent_is_not_judged() -> None:
    scene = Scene()
    index = next(n for n in range(len(scene.book.leaves)) if kind_of(scene.book, n) is Kind.CERTIFICATE)
    scene.book.publish_list("Meridian", (), 2, by=scene.chen)
    assert check(scene.book, scene.book.files().changed(body_of(scene.book, index), None)).verdict is Verdict.UNCHECKED


def kind_of(book: Book, index: int) -> Kind:
    return read(book.entry(index).envelope).context.kind


def test_many_signatures_on_two_threads() -> None:
    key = Scene().ayo.key
    findings = Findings()
    signatures = Signatures(findings, every=True)
    for index in range(BATCH * (WAITING + 2)):
        signed = key.sign("session", b"%d" % index)
        signatures.later(Signed(index, Topic.SIGNATURES, (key.public,), "session", b"%d" % (index % 9_000), signed))
    signatures.end()
    failed = [c.index for c in findings.claims([Topic.SIGNATURES])]
    assert failed[0] == 9_000
    assert signatures.checked == BATCH * (WAITING + 2)


def test_whoever_is_a_member_may_remove_the_revoked() -> None:
    scene = Scene()
    scene.revoke(scene.chen)
    scene.book.parties.remove(scene.chen)
    scene.ayo.commit(scene.channel, [removal(scene.ayo, scene.channel, scene.chen)])
    scene.ayo.message(scene.channel)
    assert check(scene.book).verdict is Verdict.CONSISTENT


def test_a_run_that_is_not_closed_yet_is_unchecked() -> None:
    scene = Scene()
    scene.ayo.message(scene.channel, signed=False)
    verified = check(scene.book)
    assert verified.verdict is Verdict.UNCHECKED
    assert outcomes(verified, Outcome.UNCHECKED) == {Topic.SIGNATURES}


@pytest.mark.parametrize("every", [False, True], ids=["by chain", "every signature"])
def test_a_signature_that_the_chain_vouches_for_is_checked_only_when_asked(every: bool) -> None:
    """Two devices' worth of trust: an inner signature made by another key, and a good one after it that holds its hash."""
    scene = Scene()
    context = scene.ayo.context(Kind.APPLICATION, scene.channel, epoch=1, franking=bytes(32), marking=Marking.CLEAR)
    index = scene.ayo.log(context, b"", key=scene.bea.key)
    scene.ayo.message(scene.channel)
    found = [(c.claim, c.index, c.cause) for c in against(check(scene.book, every_signature=every))]
    assert found == ([(Topic.SIGNATURES, index, Cause.BAD_SIGNATURE)] if every else [])


def test_a_flood_of_findings_is_counted_and_not_listed() -> None:
    scene = Scene()
    for _ in range(LISTED + 5):
        scene.ayo.message(scene.channel, marking=Marking.RED)
    roles = [c for c in against(check(scene.book)) if c.claim is Topic.ROLES]
    assert len(roles) == LISTED + 1
    assert roles[-1].rule == "and 5 more that are not listed"
