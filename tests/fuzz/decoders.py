"""The decoders of the product, found in its text, and by which target each is fuzzed.

A decoder is a function whose name begins with read, parse, decode or open and whose first argument is bytes or text; and every strict
reader of a record (`keys.canonical.reader`), of which `RECORDS` makes one target by itself: two bytes choose the reader.
`test_targets` fails for one that stands nowhere here.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

from clients.core.ledger import Shelf
from keys.canonical import encode, reader
from keys.errors import KeysError, Malformed
from tests.fuzz.target import Target
from tests.keys.shapes import sample

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"_?(?:read|parse|decode|open|load)(?:_|$)")


def decoders() -> Iterator[str]:
    """`module.function` or `module.Class.function` of each, in the product's text."""
    for package in ("keys", "gateway", "clients"):
        for file in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield from (f"{module}.{name}" for name in _functions(ast.parse(file.read_text()), ""))


def _functions(node: ast.AST, before: str) -> Iterator[str]:
    for child in getattr(node, "body", []):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{child.name}.")
        elif isinstance(child, ast.FunctionDef) and NAMED.match(child.name):
            given = [argument for argument in child.args.args if argument.arg not in {"self", "cls"}]
            if given and given[0].annotation is not None and ast.unparse(given[0].annotation) in {"bytes", "str"}:
                yield f"{before}{child.name}"


@cache
def readers() -> dict[int, tuple[str, Callable[[bytes], Any], Any]]:
    """Every strict reader of a record that stands in a module or on a shelf: name, reader and type, by the two bytes that choose it."""
    found: dict[int, tuple[str, Callable[[bytes], Any], Any]] = {}
    made, seen = reader(bytes).__qualname__, set[int]()
    for module in _modules():
        for name, value in sorted(vars(module).items()):
            read = value._read if isinstance(value, Shelf) else value
            if getattr(read, "__qualname__", "") == made and id(read) not in seen:
                seen.add(id(read))
                inside = dict(zip(read.__code__.co_freevars, read.__closure__ or (), strict=True))
                number = crc32(f"{module.__name__}.{name}".encode()) & 0xFFFF
                assert number not in found, "two readers under one number: take another checksum"
                found[number] = (f"{module.__name__}.{name}", read, inside["decoder"].cell_contents.type)
    return found


def _modules() -> Iterator[ModuleType]:
    """Those that make a reader, so that not the whole product is imported."""
    for package in ("keys", "gateway", "clients"):
        for file in sorted((ROOT / package).rglob("*.py")):
            if re.search(r"= (?:reader|Shelf)\(|\breader\([A-Z]", file.read_text()):
                yield importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def _read(data: bytes) -> Any:
    chosen = readers().get(int.from_bytes(data[:2], "big"))
    if chosen is None:
        raise Malformed("no such reader")
    return data[:2], chosen[1](data[2:])


class _Samples:
    """One value of each type, behind its number."""

    def __iter__(self) -> Iterator[bytes]:
        for number, (_, _, kind) in readers().items():
            yield number.to_bytes(2, "big") + encode(sample(kind))


RECORDS = Target(_read, (KeysError,), _Samples(), back=lambda value: value[0] + encode(value[1]), ahead=2)

FUZZED: dict[str, str] = {
    "keys.authority.read_invite": "invite",
    "keys.authority.read_request": "enrolment-request",
    "keys.authority.open_answer": "answer",
    "keys.body.read_receipt": "receipt",
    "keys.charter._open": "charter-inside",
    "keys.credential._decode_roles": "certificate",
    "keys.credential._load": "certificate",
    "keys.credential._read": "certificate",
    "keys.credential.read_certificate": "certificate",
    "keys.credential.read_root": "root",
    "keys.emergency.read_plan": "plan",
    "keys.envelope.Marking.parse": "alert-document",
    "keys.franking.open_application_data": "application-data",
    "keys.evidence.read": "evidence",
    "keys.ladder.read_ladder": "ladder",
    "keys.ladder.read_jump": "jump",
    "keys.mls.blocks.decode_block": "mls-tree-block",
    "keys.mls.codec.read_varint": "mls-message",
    "keys.mls.codec.Struct.decode": "mls-message",
    "keys.mls.external.Entrance.read": "mls-entrance",
    "keys.mls.framing.AuthenticatedContent.decode": "mls-content",
    "keys.mls.framing.read_private_content": "mls-private-content",
    "keys.mls.group.PendingCommit.decode": "mls-pending",
    "keys.mls.public.PublicGroup.decode": "mls-public-group",
    "keys.mls.public.PublicGroup.open_public": "mls-stage",
    "keys.mls.public.read_group_info": "mls-group-info",
    "keys.mls.secrettree.decode_nodes": "mls-secret-nodes",
    "keys.policy.text.parse": "charter-text",
    "keys.receipts.parse_receipts_path": "receipts-path",
    "keys.receipts.decode_receipts": "receipts-file",
    "keys.request.read_request": "gateway-request",
    "keys.retention.read_destruction": "destruction",
    "keys.retention.read_tombstone": "tombstone",
    "keys.revocation._read": "revocation-list",
    "keys.revocation.read_revocation_list": "revocation-list",
    "keys.statement.read_promise": "promise",
    "keys.tlog.checkpoint.TreeHead.decode": "checkpoint-text",
    "keys.tlog.checkpoint.TreeHead.decode_extended": "extended-head",
    "keys.tlog.checkpoint.open_checkpoint": "checkpoint",
    "keys.tlog.checkpoint.decode_decimal": "checkpoint-text",
    "keys.tlog.entry.decode_bundle": "bundle",
    "keys.tlog.merkle.Frontier.decode": "frontier",
    "keys.tlog.note.Signature.decode": "note",
    "keys.tlog.note.Note.decode": "note",
    "keys.tlog.note.VerifierKey.decode": "vkey",
    "keys.tlog.note.decode_base64": "note",
    "keys.tlog.policy.TrustPolicy.decode": "tlog-policy",
    "keys.tlog.policy.TrustPolicy.open": "tlog-policy-open",
    "keys.tlog.proof.TlogProof.decode": "tlog-proof",
    "keys.tlog.tile.parse_path": "tile-path",
    "keys.tlog.witness.AddCheckpoint.decode": "add-checkpoint",
    "keys.tlog.witness.decode_cosignatures": "cosignatures",
    "keys.tlog.witness.decode_size": "cosigned-size",
    "keys.unlock.open_unlock": "unlock",
    "gateway.config.Address.parse": "gateway-toml",
    "gateway.config.parse": "gateway-toml",
    "gateway.core.alerts._read": "draft",
    "gateway.roads.contacts.parse": "contacts",
    "clients.agent.move.read_plan": "journey-plan",
    "clients.auditor.stamp._read_info": "time-stamp",
    "clients.auditor.verify.heads.open_head": "outside-head",
    "clients.auditor.verify.state.read_state": "audit-state",
    "clients.authority.ceremony.read_proposal": "proposal",
    "clients.authority.house.read_organisation": "organisation-file",
    "clients.authority.keyfile.read_key_file": "key-file",
    "clients.core.cap.tree.parse": "cap",
    "clients.core.cap.verdict.open_alert": "alert-document",
    "clients.core.decoy.read_rooms": "decoy-rooms",
    "clients.core.ladder_file.read": "ladder-file",
    "clients.core.roster.read_commit": "commit-message",
    "clients.core.template_file.read": "template",
    "clients.moments.parse_duration": "duration",
    "clients.moments.parse_moment": "moment",
}

NOT_FUZZED: dict[str, str] = {
    "keys.mls.hpke.Kem.load_public": "a promise; those that keep it stand below",
    "keys.mls.hpke.Kem.load_private": "a promise; those that keep it stand below",
    "keys.mls.hpke.X25519Kem.load_public": "a key of one length (tests/keys/mls/test_hpke.py)",
    "keys.mls.hpke.X25519Kem.load_private": "a key of one length (tests/keys/mls/test_hpke.py)",
    "keys.mls.hpke.NistKem.load_public": "a key of one length (tests/keys/mls/test_hpke.py)",
    "keys.mls.hpke.NistKem.load_private": "a key of one length (tests/keys/mls/test_hpke.py)",
    "keys.mls.hpke.HybridKem.load_public": "a key of one length (tests/keys/mls/test_hpke_pq.py)",
    "keys.mls.hpke.HybridKem.load_private": "a key of one length (tests/keys/mls/test_hpke_pq.py)",
    "keys.mls.hpkesuite.Hpke.open": "decryption, which decodes nothing",
    "keys.mls.suites.Ed25519._load": "a key of one length",
    "keys.mls.suites.CipherSuite.open": "decryption, which decodes nothing",
    "gateway.audit.sequencer.LogKeys.open": "`open_checkpoint` with the log's keys",
    "gateway.config._read": "a value of `gateway.config.parse`",
    "gateway.ending._open": "`open_checkpoint` with the charter's keys",
    "clients.auditor.desk.open_package": "a command",
    "clients.core.proof._open": "`open_checkpoint` with the charter's keys",
    "clients.link.Link._read": "`wire.read_from_gateway`",
    "clients.slots.open_side": "decryption, then a reader of a record",
}
