"""What is fuzzed: every decoder of bytes that come from somewhere else (`decoders` holds the list against the code)."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from clients.auditor import archive
from clients.core import cap, content, ladder_file, template_file
from clients.core.cap import CapRefused, Refusal
from clients.core.errors import ClientError
from clients.core.templates import TemplateRefused
from clients.moments import parse_duration, parse_moment
from gateway import config, wire
from gateway.roads import contacts
from gateway.roads.base import RoadRefused
from gateway.web.guard import Guard
from keys import (
    alert,
    authority,
    body,
    credential,
    disclosure,
    emergency,
    envelope,
    evidence,
    ladder,
    policy,
    retention,
    sealing,
)
from keys.canonical import encode, reader
from keys.errors import KeysError
from keys.mls import MLSMessage
from keys.mls.errors import MLSError
from keys.tlog import cosignature, note, proof, tile, witness
from keys.tlog import entry as bundles
from keys.tlog import policy as trust
from keys.tlog.checkpoint import TreeHead
from keys.tlog.errors import TlogError
from tests.fuzz import plain, seeds
from tests.fuzz.decoders import RECORDS
from tests.fuzz.files import FILES
from tests.fuzz.groups import GROUPS
from tests.fuzz.target import Target, Unsound, record, text
from tests.shared import shared

# --- what needs more than a line ---


class _Sink:
    """Stands behind the guard: takes everything."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        return False, b""

    def feed_eof(self) -> None: ...


def _rendered(data: bytes) -> policy.Policy:
    """The policy by way of its one written form."""
    try:
        return policy.parse(policy.render(policy.parse(data)))
    except KeysError as error:
        raise ValueError(str(error)) from None


def _guarded(data: bytes) -> int:
    """The fault's code, whatever pieces the stream comes in; 0 for none."""
    codes = set()
    for size in (1, 7, len(data) or 1):
        guard = Guard(_Sink(), lambda: 0.0)
        for at in range(0, len(data), size):
            guard.feed_data(data[at : at + size])
        codes.add(guard.fault.code if guard.fault else 0)
    if len(codes) != 1:
        raise Unsound(f"the guard's word depends on the pieces: {codes} of {data.hex()}")
    return codes.pop()


def _unmasked(data: bytes) -> bool:
    return any(length < 0 for _, length in plain.frames(data)[:64])


def _cap_is_valid(data: bytes) -> bool:
    """Whether it is valid to our table, for documents that are CAP at all."""
    verdict = cap.check(data)
    if verdict.refusal not in {None, Refusal.SCHEMA, Refusal.TEXT_RULE} or b"xsi:" in data or b"Signature" in data:
        raise CapRefused(verdict.refusal or Refusal.MALFORMED, verdict.errors)
    return verdict.refusal is not Refusal.SCHEMA


_oasis: list[etree.XMLSchema] = []


def _oasis_is_valid(data: bytes) -> bool:
    if not _oasis:
        _oasis.append(etree.XMLSchema(etree.parse(shared("cap/CAP-v1.2.xsd"))))
    try:
        tree = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from None
    return bool(_oasis[0].validate(tree))


def _nobody(name: str) -> bytes:
    raise ladder_file.LadderFileRefused(f"nobody is called {name}")


TOMBSTONE = retention.Tombstone(bytes(32), bytes(16), retention.Rule.CLASS, 30, [retention.Span(1, 2, 3)], bytes(32))
CONFIG = (
    b'url = "https://gateway.example"\norigin = "log.example/one"\n'
    b'listen = "127.0.0.1:8440"\nmetrics = "127.0.0.1:8441"\ntls = "proxy"\n'
)

TARGETS: dict[str, Target] = {
    "wire-from-device": record(wire.read_from_device, "wire"),
    "wire-from-gateway": record(wire.read_from_gateway, "wire"),
    "envelope": Target(
        lambda data: envelope.read(reader(envelope.Envelope, limit=65_536)(data)),
        (KeysError,),
        seeds.goldens("envelopes"),
    ),
    "entry": record(envelope.read_entry, "keys", "envelopes"),
    "content": record(content.read_content, *content.Content.__args__),
    "receipt": record(body.read_receipt, "bodies"),
    "approval": record(body.read_approval, "bodies", "alerts"),
    "commit-body": record(body.read_commit, "bodies"),
    "channel-created": record(body.read_channel_created, "bodies"),
    "terms": record(body.read_terms, "bodies"),
    "ack": record(body.read_ack, "bodies"),
    "draft": record(reader(alert.Draft), "alerts"),
    "ladder": Target(ladder.read_ladder, (KeysError,), seeds.goldens("ladder"), back=encode),
    "plan": Target(
        emergency.read_plan, (KeysError,), (encode(emergency.Plan([10**12, 2 * 10**12], 60, bytes(16))),), back=encode
    ),
    "evidence": Target(evidence.read, (KeysError,), seeds.goldens(), back=evidence.write),
    "disclosure-request": record(disclosure.read_request, disclosure.Request),
    "package": record(disclosure.read_package, disclosure.Package),
    "tombstone": Target(retention.read_tombstone, (KeysError,), (encode(TOMBSTONE),), back=encode),
    "sealed": record(reader(sealing.Sealed), sealing.Sealed),
    "card": record(authority.read_card, "bodies"),
    "invite": Target(text(authority.read_invite), (KeysError,), seeds.goldens("keys")),
    "certificate": Target(credential.read_certificate, (KeysError,), seeds.goldens("keys")),
    "root": Target(credential.read_root, (KeysError,), seeds.goldens("keys")),
    "charter-text": Target(
        policy.parse,
        (KeysError,),
        seeds.goldens("keys"),
        second=_rendered,
    ),
    "mls-message": Target(MLSMessage.decode, (MLSError,), seeds.mls(), back=lambda message: message.encode()),
    "note": Target(
        note.Note.decode,
        (TlogError,),
        (seeds.NOTE, seeds.PROOF),
        back=lambda value: value.encode(),
        second=plain.note,
        compare=lambda value: (value.text, [(line.name, line.key_id + line.signature) for line in value.signatures]),
        stricter=True,
    ),
    "vkey": Target(text(note.VerifierKey.decode), (TlogError,), (seeds.VKEY,), back=lambda key: key.encode().encode()),
    "checkpoint-text": Target(
        text(TreeHead.decode), (TlogError,), (seeds.HEAD,), back=lambda head: head.encode().encode()
    ),
    "tlog-proof": Target(proof.TlogProof.decode, (TlogError,), (seeds.PROOF,), back=lambda value: value.encode()),
    "tlog-policy": Target(trust.TrustPolicy.decode, (TlogError,), (seeds.POLICY,)),
    "add-checkpoint": Target(witness.AddCheckpoint.decode, (TlogError,), (b"old 3\n\n" + seeds.NOTE,)),
    "cosignatures": Target(witness.decode_cosignatures, (TlogError,), (seeds.NOTE.split(b"\n\n")[1],)),
    "bundle": Target(
        lambda data: bundles.decode_bundle(data, 3),
        (TlogError,),
        (seeds.BUNDLE,),
        second=lambda data: plain.bundle(data, 3),
    ),
    "tile-path": Target(
        text(tile.parse_path),
        (TlogError,),
        seeds.PATHS,
        back=lambda resource: resource.path.encode(),
        second=text(plain.tile_path),
        compare=lambda r: (str(r.level) if isinstance(r, tile.Tile) else "entries", r.index, r.width),
        stricter=True,
    ),
    "log-key": Target(text(cosignature.verifier_of), (TlogError,), (seeds.VKEY,)),
    "guard": Target(_guarded, (), seeds.FRAMES, second=lambda data: _guarded(data) if not _unmasked(data) else 1002),
    "cap": Target(_cap_is_valid, (CapRefused,), (seeds.CAP,), second=_oasis_is_valid, stricter=True),
    "template": Target(
        template_file.read, (TemplateRefused,), [file.read_bytes() for file in sorted(seeds.EXAMPLES.glob("*.toml"))]
    ),
    "ladder-file": Target(lambda data: ladder_file.read(data, _nobody), (ClientError, KeysError), (seeds.LADDER,)),
    "gateway-toml": Target(lambda data: config.parse(data, Path("/nowhere")), (config.ConfigRefused,), (CONFIG,)),
    "contacts": Target(
        lambda data: contacts.parse(data, ["mail"]),
        (RoadRefused,),
        (b"[" * 3_000, b'[%s]\nmail = "a@x"\n' % (b"0" * 32)),
    ),
    "archive-piece": record(archive._read, archive.Manifest, archive.Part, archive.End),
    "duration": Target(text(parse_duration), (ValueError,), seeds.DURATIONS),
    "moment": Target(text(parse_moment), (ValueError,), seeds.DURATIONS),
    "records": RECORDS,
    **FILES,
    **GROUPS,
}
