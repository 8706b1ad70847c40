"""`outrider audit prove` and `audit proof`: one entry's place in the log as a file that needs nothing else (c2sp.org/tlog-proof).

The file holds the entry itself as its extra data, which nobody vouches for: it counts because it hashes to the leaf that is proved. Tools by
others check the same file, given the entry. The checkpoint in it is the newest that witnesses have cosigned, where that covers the entry.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from clients.auditor.question import Log, charter_of, keys_of, of_a_log
from clients.auditor.source import CHECKPOINT, WITNESSED, LogSource
from clients.core.text import visible
from clients.shell import Verb, read_bytes, show, write_new
from keys.envelope import read, read_entry
from keys.errors import Malformed
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.errors import NotFound, ProofFailed, TlogError
from keys.tlog.merkle import leaf_hash
from keys.tlog.note import NoteVerifier, VerifierKey
from keys.tlog.policy import MAX_POLICY, TrustPolicy, Witnessed
from keys.tlog.policy import Log as PolicyLog
from keys.tlog.proof import MAX_TLOG_PROOF, TlogProof
from keys.tlog.proof import prove as prove_entry
from keys.tlog.reader import LogReader

NO: Final = 1
UNCHECKED: Final = 7
_FILE: Final = click.Path(path_type=Path)


@click.command("prove", cls=Verb)
@of_a_log
@click.argument("index", type=click.IntRange(0))
@click.option("--out", type=_FILE, required=True, metavar="FILE", help="Where the proof is written (.tlog-proof).")
def prove(log: Log, index: int, out: Path) -> None:
    """Write a proof that entry INDEX stands in the log of SOURCE, for whoever has the log's key and nothing else.

    Example: outrider audit prove gateway/log 17 --key log.vkey --out 17.tlog-proof
    """
    keys = log.asked.keys
    if not keys:
        raise click.UsageError("the log's key was not given: --key, or a charter that names it")
    checkpoint = _covering(log.source, keys, index)
    reader = LogReader(log.source.fetch, checkpoint)
    [entry] = next(reader.entries(index)).entries[:1]
    proof = prove_entry(index, checkpoint, reader.hash_at, entry)
    write_new(out, proof.encode())
    show(
        {"file": str(out), "index": index, "size": checkpoint.size, "origin": checkpoint.origin},
        f"written  {out}: entry {index} of {checkpoint.size} of {checkpoint.origin}",
    )


def _covering(source: LogSource, keys: Sequence[NoteVerifier], index: int) -> Checkpoint:
    """The newest cosigned checkpoint, or the newest of all where that one does not cover the entry; raises TlogError."""
    for path in (WITNESSED, CHECKPOINT):
        try:
            checkpoint = open_checkpoint(source.fetch(path), keys, keys[0].name)
        except NotFound:
            continue
        if index < checkpoint.size:
            return checkpoint
    raise ProofFailed(f"no checkpoint covers an entry {index}")


@click.command("proof", cls=Verb)
@click.argument("file", type=_FILE)
@click.option("--key", metavar="VKEY|FILE", help="The log's verifier key; else the charter's or the profile's.")
@click.option("--charter", type=_FILE, metavar="FILE", help="A charter that names the log's keys and its witnesses.")
@click.option("--policy", type=_FILE, metavar="FILE", help="Who must have cosigned (tlog-policy); else the charter's.")
def proof(file: Path, key: str | None, charter: Path | None, policy: Path | None) -> None:
    """Check the proof in FILE: its checkpoint, its cosignatures, and that its entry stands there. Exit 1 where it does not hold.

    Example: outrider audit proof 17.tlog-proof --key log.vkey
    """
    named = charter_of(charter)
    keys = keys_of(key, named)
    if not keys:
        raise click.UsageError("the log's key was not given: --key, or a charter that names it")
    trusted = TrustPolicy.decode(read_bytes(policy, MAX_POLICY)) if policy else named.witness_policy if named else None
    try:
        given = TlogProof.decode(read_bytes(file, MAX_TLOG_PROOF))
        if given.extra is None:
            raise ProofFailed("the entry is not in the file")
        checkpoint = given.check(leaf_hash(given.extra), keys, keys[0].name)
        cosigned = trusted.witnessed(checkpoint) if trusted and trusted.witnesses else None
    except TlogError as error:
        show({"file": str(file), "holds": False, "why": str(error)}, f"FAIL     {visible(str(error))}")
        click.get_current_context().exit(NO)
    late = cosigned is not None and not cosigned.reached
    show(_object(given, checkpoint, cosigned), *_lines(given, checkpoint, cosigned))
    click.get_current_context().exit(UNCHECKED if late else 0)


def _object(given: TlogProof, checkpoint: Checkpoint, cosigned: Witnessed | None) -> dict[str, object]:
    return {
        "holds": True,
        "index": given.index,
        "size": checkpoint.size,
        "origin": checkpoint.origin,
        "entry": _entry(given.extra or b""),
        "witnesses": None if cosigned is None else {"names": list(cosigned.names), "quorum": cosigned.reached},
    }


def _lines(given: TlogProof, checkpoint: Checkpoint, cosigned: Witnessed | None) -> list[str]:
    lines = [f"PASS     entry {given.index} of {checkpoint.size} of {visible(checkpoint.origin)}"]
    if (entry := _entry(given.extra or b"")) is not None:
        lines.append(
            f"         {entry['kind']} of device {entry['device']}, logged {entry['time']}, place {entry['seq']}"
        )
    if cosigned is not None:
        names = ", ".join(map(visible, cosigned.names)) or "nobody"
        lines.append(f"{'PASS     ' if cosigned.reached else 'UNCHECKED'} cosigned by {names}")
    return lines


def _entry(leaf: bytes) -> dict[str, object] | None:
    """What the entry says of itself, if it is one of ours."""
    try:
        entry = read_entry(leaf)
        context = read(entry.envelope).context
    except Malformed:
        return None
    moment = datetime.fromtimestamp(entry.time // 1000, tz=UTC)
    return {
        "kind": context.kind.name.lower().replace("_", "-"),
        "channel": entry.channel.hex(),
        "seq": entry.seq,
        "device": context.device.hex(),
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@click.command("policy", cls=Verb)
@click.option("--charter", type=_FILE, metavar="FILE", help="The charter; else the profile's pin.")
def trust_policy(charter: Path | None) -> None:
    """Print the charter's log, witnesses and quorum as a C2SP tlog-policy, for tools by others.

    Example: outrider audit policy --charter charter.note > policy
    """
    named = charter_of(charter)
    if named is None:
        raise click.UsageError("no charter was given, and the profile has none: --charter FILE")
    logs = (PolicyLog(VerifierKey.decode(named.policy.log_key)),)
    text = replace(named.witness_policy, logs=logs).encode().decode("utf-8", "surrogateescape")
    show({"policy": text}, *text.splitlines())
