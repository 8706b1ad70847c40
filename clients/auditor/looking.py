"""`outrider audit list` and `show`: what a log tells of alerts, channels and single entries, without a word of content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from clients.auditor.chronicle import Alert, Chronicle
from clients.auditor.commands import EXITS
from clients.auditor.question import Log, check_covered, of_a_log, watching
from clients.auditor.verify import Claim, Outcome, Verdict, Verified, open_checkpoint_of
from clients.auditor.verify.export import entry_path
from clients.moments import iso
from clients.shell import Verb, asked, table, tell
from clients.shell import show as shown
from keys.envelope import PUBLISHED, Claimed, Entry, read, read_entry
from keys.errors import Malformed
from keys.identity import control_channel, unlock_stream
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.errors import Damaged, ProofFailed
from keys.tlog.merkle import check_inclusion, inclusion_proof, leaf_hash
from keys.tlog.proof import prove
from keys.tlog.reader import LogReader

NO: Final = 1


# ---------------------------------------------------------------------- list


@click.command("list", cls=Verb)
@of_a_log
@click.option(
    "--alerts", "what", flag_value="alerts", default=True, help="Every alert (what is listed without options)."
)
@click.option("--channels", "what", flag_value="channels", help="Every channel, by its id and class.")
def list_acts(log: Log, what: str) -> None:
    """List the alerts of the log in SOURCE: number, time, kind, offices, recipients, marking, answers; no text.

    Example: outrider audit list gateway/log --alerts --charter charter
    """
    chronicle, verified = chronicled(log)
    rows: list[tuple[str, ...]]
    if what == "channels":
        rows = [("channel", "class", "from entry")]
        rows += [(channel.hex(), name, str(index)) for channel, (index, name) in chronicle.channels.items()]
        listed: list[Mapping[str, object]] = [
            {"channel": channel.hex(), "class": name, "index": index}
            for channel, (index, name) in chronicle.channels.items()
        ]
    else:
        rows = alert_rows(chronicle, verified)
        listed = [alert_object(one, chronicle, verified) for one in chronicle.alerts.values()]
    for value in listed if asked().json else ():
        shown(value)
    for line in () if asked().json else table(rows):
        click.echo(line.rstrip())
    tell_of(verified)
    click.get_current_context().exit(EXITS[verified.verdict])


def chronicled(log: Log) -> tuple[Chronicle, Verified]:
    """Verify the log, and write down what happens in it."""
    chronicle = Chronicle(log.source.fetch, log.asked.charter)
    return chronicle, log.verified(watching(log.asked, chronicle))


def tell_of(verified: Verified) -> None:
    """Beside a list: whether the log that tells it is sound."""
    if verified.verdict is Verdict.FAIL:
        tell("The log is not sound, so this may not be either: outrider audit verify says what is wrong.")
    elif verified.verdict is Verdict.UNCHECKED:
        tell("Not everything in the log could be checked: outrider audit verify says what.")


def alert_rows(chronicle: Chronicle, verified: Verified) -> list[tuple[str, ...]]:
    """A table of alerts, with a header: for how many people in how many channels, and how many answers stand beside it."""
    rows: list[tuple[str, ...]] = [("entry", "time (UTC)", "what", "marking", "signed by", "for", "answers")]
    for one in chronicle.alerts.values():
        what = one.fields.draft.type.name.lower().replace("_", "-") + (", drill" if one.fields.draft.exercise else "")
        time = iso(one.time)[:16].replace("T", " ")
        reach = f"{len(one.people)} in {len(one.channels)}"
        rows.append((str(one.index), time, what, one.marking.label, standing(one, verified), reach, str(one.answers)))
    return rows


def standing(one: Alert, verified: Verified) -> str:
    """By how many people, from what the signatures showed."""
    if against_alert(one, verified):
        return "NOT AS ASKED"
    if not one.fields.alone:
        return "two people"
    return "one, reviewed" if one.review else "one, not reviewed"


def against_alert(one: Alert, verified: Verified) -> list[Claim]:
    """What the verification says against an alert, at any of its entries."""
    entries = {one.index, *one.channels.values()}
    return [c for c in verified.claims if c.outcome is Outcome.FAIL and c.index in entries]


def alert_object(one: Alert, chronicle: Chronicle, verified: Verified) -> dict[str, object]:
    """An alert for machines."""
    fields, draft = one.fields, one.fields.draft
    return {
        "index": one.index,
        "time": iso(one.time),
        "root": one.root.hex(),
        "type": draft.type.name.lower(),
        "exercise": draft.exercise,
        "marking": one.marking.label,
        "references": [root.hex() for root in draft.references],
        "writer": chronicle.office(fields.writer.certificate),
        "approver": None if fields.approval is None else chronicle.office(fields.approval.certificate),
        "channels": [channel.hex() for channel in one.channels],
        "entries": list(one.channels.values()),
        "people": len(one.people),
        "answers": one.answers,
        "rungs": one.rungs,
        "review": None if one.review is None else {"index": one.review[0], "time": iso(one.review[1])},
        "ends": iso(draft.not_after),
        "standing": standing(one, verified),
        "against": [claim.rule for claim in against_alert(one, verified)],
    }


# ---------------------------------------------------------------------- show


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that is under the log's checkpoint at this index."""

    index: int
    leaf: bytes
    entry: Entry
    claimed: Claimed
    checkpoint: Checkpoint


@click.command("show", cls=Verb)
@click.argument("index", type=click.IntRange(min=0))
@of_a_log
@click.option("--proof", type=click.Path(path_type=Path), metavar="FILE", help="Write the proof of it (tlog-proof).")
def show(log: Log, index: int, proof: Path | None) -> None:
    """Show entry INDEX of the log in SOURCE: its header and its place, proved under the checkpoint. There is no content in it.

    Example: outrider audit show 9120 gateway/log --charter charter
    """
    if not log.asked.keys:
        raise click.UsageError("which log this is only its key tells: --key, or a charter that names it")
    checkpoint = open_checkpoint_of(log.source.fetch, log.asked.keys)
    check_covered(index, checkpoint.size)
    reader = LogReader(log.source.fetch, checkpoint, report=lambda _fault: None)
    leaf = _leaf(log, reader, checkpoint, index)
    if leaf is None:
        tell(f"entry {index} is not the one that the checkpoint vouches for: outrider audit verify says what is wrong")
        click.get_current_context().exit(NO)
    try:
        found = Found(index, leaf, entry := read_entry(leaf), read(entry.envelope), checkpoint)
    except Malformed as error:
        tell(f"entry {index} is in the log, and is none that a gateway may write: {error}")
        click.get_current_context().exit(NO)
    if proof is not None:
        proof.write_bytes(prove(index, checkpoint, reader.hash_at).encode())
    value = dict(_facts(found))
    shown(value, *table([(name.replace("_", " "), _text(fact)) for name, fact in value.items()]))


def _leaf(log: Log, reader: LogReader, checkpoint: Checkpoint, index: int) -> bytes | None:
    """The entry at an index, proved by its path to the root; None where what is stored there is another."""
    export = log.asked.export
    if export is not None and not export.whole:
        if index not in export.entries:
            raise click.UsageError(f"entry {index} is not in this part of the log, but for its leaf hash")
        leaf = log.source.fetch(entry_path(index))
    else:
        run = next((run for run in reader.entries(index)), None)
        if run is None or run.first != index:
            return None
        leaf = run.entries[0]
    try:
        path = inclusion_proof(index, checkpoint.size, reader.hash_at)
        check_inclusion(leaf_hash(leaf), index, checkpoint.size, path, checkpoint.root)
    except (Damaged, ProofFailed):
        return None
    return leaf


def _facts(found: Found) -> Iterator[tuple[str, object]]:
    entry, context, header = found.entry, found.claimed.context, found.claimed.header
    yield "index", found.index
    yield "leaf_hash", leaf_hash(found.leaf).hex()
    yield "checkpoint", found.checkpoint.size
    yield "time", iso(entry.time)
    yield "kind", context.kind.name.lower().replace("_", " ")
    yield "channel", entry.channel.hex()
    yield "stream", _stream(found)
    yield "seq", entry.seq
    yield "device", context.device.hex()
    yield "number", context.number
    yield "attempt", context.attempt
    yield "sealed", iso(context.time)
    yield "epoch", context.epoch
    yield "heard", context.heard.seq
    yield "precedence", context.precedence.name
    yield "marking", context.marking.label
    yield "signed", "itself" if entry.signature else "by the end of its run"
    yield "franking_tag", context.franking.hex() or None
    yield "body_bytes", header.body_length
    yield "body_hash", header.body_hash.hex()
    yield "body_published", context.kind in PUBLISHED
    yield "alert", None if context.alert is None else context.alert.root.hex()


def _stream(found: Found) -> str:
    origin, channel = found.checkpoint.origin, found.entry.channel
    names: dict[bytes, str] = {control_channel(origin): "control channel", unlock_stream(origin): "unlocks"}
    return names.get(channel, "a channel, or what stands beside one")


def _text(fact: object) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return "none" if fact is None else str(fact)
