"""`outrider audit export` and `outrider audit report`: what is handed on to others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from clients.auditor.archive import write_archive
from clients.auditor.exporting import Chosen, Exporting
from clients.auditor.question import Log, of_a_log
from clients.auditor.verify import open_checkpoint_of
from clients.shell import Verb, read_bytes, show, tell
from keys.disclosure import CONTENT_LIMIT, Package, check_package, read_package
from keys.errors import KeysError
from keys.tlog.checkpoint import Checkpoint

UNCHECKED: Final = 7
_FILE: Final = click.Path(path_type=Path)


@click.command("export", cls=Verb)
@of_a_log
@click.option("--out", type=_FILE, required=True, metavar="FILE", help="The archive to write.")
@click.option("--channel", "channels", multiple=True, metavar="ID", help="Only this channel, in hex; may be repeated.")
@click.option("--entry", "entries", multiple=True, type=click.IntRange(min=0), metavar="N", help="This entry by itself.")
@click.option("--opening", "openings", multiple=True, type=_FILE, metavar="FILE", help="A disclosed message with it.")
def export(
    log: Log, out: Path, channels: tuple[str, ...], entries: tuple[int, ...], openings: tuple[Path, ...]
) -> None:
    """Write the log in SOURCE as one file that can be checked without a network: whole, or the part that is chosen.

    A part has the chosen channels with their receipts, the control channel, and of all other entries the leaf hash.

    Example: outrider audit export gateway/log --charter charter --out october.outrider
    """
    checkpoint = _checkpoint(log)
    chosen = Chosen(frozenset(map(_channel, channels)), frozenset(entries), tuple(_opened(log, f) for f in openings))
    if beyond := [index for index in entries if index >= checkpoint.size]:
        raise click.UsageError(f"the log has no entry {beyond[0]}: it has {checkpoint.size}")
    exporting = Exporting(log.source, checkpoint, chosen)
    passing = out.with_name(f".new-{out.name}")
    try:
        with passing.open("wb") as file:
            parts = write_archive(file, exporting.manifest, exporting.parts())
        passing.replace(out)
    finally:
        with suppress(FileNotFoundError):
            passing.unlink()
    if exporting.absent:
        tell(f"{exporting.absent} parts of the log were not there; what they would show can't be checked")
    size = out.stat().st_size
    what = "whole" if chosen.whole else f"{len(channels)} channels and {len(entries)} entries by themselves"
    show(
        {"file": str(out), "bytes": size, "parts": parts, "size": checkpoint.size, "absent": exporting.absent},
        f"{out}: {checkpoint.size} entries, {what}; {size} bytes\nCheck it with: outrider audit verify {out}",
    )


def _checkpoint(log: Log) -> Checkpoint:
    if not log.asked.keys:
        raise click.UsageError("which log this is only its key tells: --key, or a charter that names it")
    return open_checkpoint_of(log.source.fetch, log.asked.keys)


def _channel(text: str) -> bytes:
    try:
        channel = bytes.fromhex(text)
    except ValueError:
        channel = b""
    if len(channel) != 16:
        raise click.UsageError(f"{text!r} is no channel: 32 hex digits, as `audit list --channels` shows them")
    return channel


def _opened(log: Log, file: Path) -> tuple[int, Package]:
    charter = log.asked.charter
    if charter is None:
        raise click.UsageError("a disclosed message is checked against the charter: --charter")
    try:
        package = read_package(read_bytes(file, CONTENT_LIMIT + 256 * 1024))
        return check_package(package, charter, charter.policy.log_verifiers).index, package
    except KeysError as error:
        raise click.UsageError(f"{file} opens no message of this log: {error}") from None
