"""What comes as a file, from a log or from another device and is more than one record: with seeds that its decoder takes.

What is signed would be refused at its signature, whatever a fuzzer does; so each such format has a second target, `…-inside`, where
the bytes are the content and a key of ours signs them, and what is read after the signature is reached.
"""

from __future__ import annotations

import functools
import json
from base64 import b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509

from clients import link
from clients.agent import move
from clients.auditor import remote, stamp
from clients.auditor.verify import columns, heads, state
from clients.auditor.verify.matters import Matters
from clients.authority import ceremony, house, keyfile
from clients.core import alerts, cap, content, decoy, roster
from clients.core.cap import CapRefused
from clients.core.errors import Untrusted
from keys import (
    alert,
    authority,
    charter,
    envelope,
    franking,
    ladder,
    receipts,
    request,
    retention,
    revocation,
    statement,
)
from keys.canonical import encode
from keys.errors import KeysError, Malformed
from keys.tlog import policy as trust
from keys.tlog import witness
from keys.tlog.checkpoint import TreeHead, open_checkpoint
from keys.tlog.errors import Malformed as TlogMalformed
from keys.tlog.errors import TlogError
from keys.tlog.merkle import Frontier
from keys.tlog.note import Ed25519Verifier, Note, sign_note
from keys.unlock import open_unlock, seal_unlock
from tests.fuzz import plain, seeds
from tests.fuzz.groups import committed
from tests.fuzz.seeds import MISSION, Late
from tests.fuzz.target import Target, text
from tests.keys.mission import NOW
from tests.keys.shapes import sample

LOG = Ed25519Verifier(MISSION.log.verifier_key)
INVITE = sample(authority.Invite)
STAMPED = TreeHead("log.test/meridian", 7, b"r" * 32)
STAMP = Path(__file__).resolve().parents[1] / "clients" / "auditor" / "stamp_rsa.json"
PLAN = b'route = "RED"\nevery = "15m"\ngrace = "5m"\nlegs = ["gate", "bridge"]\n'
ROOMS = b'[[channel]]\npurpose = "Cars"\nmessages = ["Ana: two at eight", "Me: right", "Ana: done"]\n'


@functools.cache
def revoked() -> bytes:
    registrar = MISSION.home.registrars[0]
    return revocation.issue_revocation_list(registrar.der, registrar.key, 7, [5, 6], NOW, NOW + 86_400_000)


def _revocation_list(data: bytes) -> revocation.RevocationList:
    return revocation.read_revocation_list(data, MISSION.policy.issuers)


@functools.cache
def stamp_roots() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(json.loads(STAMP.read_text())["root"].encode())


@functools.cache
def organisation() -> house.House:
    return house.found_house("Hostpol", NOW, MISSION.random)


@functools.cache
def gateway_request() -> request.GatewayRequest:
    return request.GatewayRequest(
        url="https://gateway.example",
        origin=MISSION.log.name,
        log_key=MISSION.log.verifier_key.encode(),
        gateway_key=MISSION.gateway.public,
        tls_keys=[b"t" * 32],
    )


def _signed(label: str, content: bytes, key: Any, prefix: str) -> str:
    """As `_Signed` of a request and of an organisation's file."""
    signed = encode([content, key.sign(label, content)])
    return prefix + urlsafe_b64encode(signed).decode().rstrip("=") + "\n"


def _request_inside(data: bytes) -> request.GatewayRequest:
    return request.read_request(_signed(request._LABEL, data, MISSION.gateway, request.REQUEST_PREFIX))


def _organisation_inside(data: bytes) -> house.OrganisationFile:
    return house.read_organisation(_signed(house._LABEL, data, organisation().root, house.FILE_PREFIX))


def _charter_inside(data: bytes) -> charter.Charter:
    signers = MISSION.authorities[: MISSION.policy.quorum]
    return charter.found(sign_note(_lines(data), signers).encode())


def _checkpoint_inside(data: bytes) -> object:
    return open_checkpoint(sign_note(_lines(data), [MISSION.log]).encode(), [LOG], MISSION.log.name)


def _lines(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise TlogMalformed("no text") from None


def _promise_inside(data: bytes) -> statement.Promise:
    signed = encode(statement.Statement(data, MISSION.gateway.sign(statement._PROMISE, data)))
    return statement.read_promise(signed, MISSION.gateway.public)


def _refusal_inside(data: bytes) -> statement.GatewayRefusal:
    signed = encode(statement.Statement(data, MISSION.gateway.sign(statement._REFUSAL, data)))
    return statement.verify_refusal(signed, MISSION.gateway.public, sample(statement.GatewayRefusal).header_hash)


def _alert_document(data: bytes) -> object:
    """As a device takes a document that an officer has sent: a draft that fits it, and whatever is shown of it."""
    salt = bytes(16)
    shown = cap.open_alert(data)
    draft = alert.Draft(
        bytes(16),
        alerts.type_of(shown),
        shown.is_exercise,
        [],
        alert.cap_commitment(salt, data),
        bytes(32),
        list(range(1, len(shown.response_options) + 1)),
        NOW,
        NOW,
        bytes(32),
    )
    said = content.AlertContent(data, salt, draft.options, "")
    shown.chosen(["es-MX", "fr"])
    return alerts.check_content(draft, said, envelope.Marking.AMBER, alone=False)


def _by_column(data: bytes) -> bool:
    return columns.columns([data, data]) is not None


def _by_leaf(data: bytes) -> bool:
    """Whether entry, header and context are each in their one encoding, read by itself; what contradicts itself `plain` leaves out."""
    try:
        envelope._read_context(envelope._read_header(envelope.read_entry(data).header).context)
    except Malformed:
        return False
    return True


def _audit_state() -> bytes:
    matters = Matters(*([] for _ in Matters.__struct_fields__))
    return encode(msgspec.structs.replace(sample(state.State), tree=Frontier(0, ()).encode(), matters=matters))


def _unlock(data: bytes) -> bool | None:
    return open_unlock(data, MISSION.gateway, b"binding")


FILES: dict[str, Target] = {
    "revocation-list": Target(_revocation_list, (KeysError,), Late(revoked), back=lambda listed: listed.der),
    "tls-certificate": Target(link.tls_key_of, (Untrusted,), Late(lambda: organisation().root_der)),
    "tls-certificate-audit": Target(remote.tls_key_hash, (remote.NotReached,), Late(lambda: organisation().root_der)),
    "time-stamp": Target(
        lambda data: stamp.check(data, STAMPED, stamp_roots()),
        (stamp.StampRefused,),
        Late(lambda: b64decode(json.loads(STAMP.read_text())["reply"])),
    ),
    "gateway-request": Target(
        text(request.read_request),
        (KeysError,),
        Late(lambda: request.write_request(gateway_request(), MISSION.gateway).encode()),
        back=lambda value: request.write_request(value, MISSION.gateway).encode(),
    ),
    "gateway-request-inside": Target(
        _request_inside, (KeysError,), Late(lambda: encode(gateway_request())), back=encode
    ),
    "organisation-file": Target(
        text(house.read_organisation), (KeysError,), Late(lambda: house.write_organisation(organisation()).encode())
    ),
    "organisation-inside": Target(
        _organisation_inside,
        (KeysError,),
        Late(
            lambda: encode(
                house.OrganisationFile("Hostpol", organisation().root_der, [r.der for r in organisation().registrars])
            )
        ),
        back=encode,
    ),
    "key-file": Target(
        text(keyfile.read_key_file),
        (KeysError,),
        (sample(keyfile.KeyFile).text().encode(),),
        back=lambda file: file.text().encode(),
    ),
    "charter": Target(charter.found, (KeysError,), Late(lambda: MISSION.charter.note)),
    "charter-inside": Target(
        _charter_inside, (KeysError, TlogError), Late(lambda: Note.decode(MISSION.charter.note).text.encode())
    ),
    "proposal": Target(ceremony.read_proposal, (KeysError,), Late(lambda: MISSION.charter.note)),
    "checkpoint": Target(
        lambda data: open_checkpoint(data, [LOG], MISSION.log.name),
        (TlogError,),
        Late(lambda: sign_note(STAMPED.encode(), [MISSION.log]).encode()),
        back=lambda opened: opened.encode(),
    ),
    "checkpoint-inside": Target(_checkpoint_inside, (TlogError,), (STAMPED.encode().encode(),)),
    "tlog-policy-open": Target(
        lambda data: trust.TrustPolicy.decode(seeds.POLICY).open(data),
        (TlogError,),
        Late(lambda: sign_note(STAMPED.encode(), [MISSION.log]).encode()),
    ),
    "outside-head": Target(lambda data: heads.open_head(data, [LOG]), (TlogError,), (seeds.HEAD, seeds.NOTE)),
    "extended-head": Target(
        text(TreeHead.decode_extended),
        (TlogError,),
        (seeds.HEAD + b"more\n",),
        back=lambda head: head.encode().encode(),
    ),
    "frontier": Target(
        Frontier.decode, (TlogError,), (Frontier(3, (b"a" * 32, b"b" * 32)).encode(),), back=lambda f: f.encode()
    ),
    "cosigned-size": Target(witness.decode_size, (TlogError,), (b"7\n",)),
    "receipts-file": Target(
        lambda data: receipts.decode_receipts(data, 3),
        (TlogError,),
        (seeds.BUNDLE, bytes(6)),
        second=lambda data: plain.bundle(data, 3),
    ),
    "receipts-path": Target(
        text(receipts.parse_receipts_path),
        (TlogError,),
        (b"receipts/x001/067.p/3",),
        back=lambda b: receipts.receipts_path(b).encode(),
    ),
    "leaf-columns": Target(_by_column, (), seeds.goldens("envelopes", "keys"), second=_by_leaf),
    "audit-state": Target(
        state.read_state,
        (KeysError,),
        Late(_audit_state),
        back=encode,
    ),
    "promise": Target(
        lambda data: statement.read_promise(data, MISSION.gateway.public),
        (KeysError,),
        Late(lambda: statement.sign_promise(sample(statement.Promise), MISSION.gateway)),
    ),
    "promise-inside": Target(_promise_inside, (KeysError,), (encode(sample(statement.Promise)),), back=encode),
    "refusal-inside": Target(_refusal_inside, (KeysError,), (encode(sample(statement.GatewayRefusal)),), back=encode),
    "enrolment-request": Target(
        lambda data: authority.read_request(data, INVITE.id),
        (KeysError,),
        (authority.request_enrolment(INVITE, MISSION.gateway),),
        back=encode,
    ),
    "answer": Target(
        lambda data: authority.open_answer(data, INVITE),
        (KeysError,),
        Late(lambda: authority.seal_answer(sample(authority.Answer), INVITE, MISSION.random)),
    ),
    "application-data": Target(
        lambda data: franking.open_application_data(data, franking.franking_tag(bytes(16), b"content")),
        (KeysError,),
        (bytes(16) + b"content",),
    ),
    "unlock": Target(
        _unlock, (KeysError,), Late(lambda: seal_unlock(True, [MISSION.gateway.public], b"binding", MISSION.random))
    ),
    "jump": Target(ladder.read_jump, (KeysError,), (encode(sample(ladder.Jump)),), back=encode),
    "destruction": Target(
        retention.read_destruction, (KeysError,), (encode(sample(retention.Destruction)),), back=encode
    ),
    "commit-message": Target(roster.read_commit, (roster.BadCommit,), Late(lambda: committed().message)),
    "alert-document": Target(_alert_document, (CapRefused, KeysError), (seeds.CAP,)),
    "decoy-rooms": Target(text(decoy.read_rooms), (KeysError,), (ROOMS,)),
    "journey-plan": Target(text(move.read_plan), (ValueError,), (PLAN,)),
}
