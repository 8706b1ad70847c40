"""`outrider audit export`, `report`, `signed` and `stamp`: what is handed on to others, and what others hand on."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from cryptography import x509

from clients.auditor.archive import write_archive
from clients.auditor.commands import EXITS
from clients.auditor.exporting import Chosen, Exporting
from clients.auditor.findings import as_json, findings
from clients.auditor.looking import chronicled
from clients.auditor.page import page
from clients.auditor.question import Log, check_covered, of_a_log
from clients.auditor.signing import SIGNATURE, check_signed, signed, signer_of, statement
from clients.auditor.stamp import LIMIT as STAMP_LIMIT
from clients.auditor.stamp import StampRefused, check, query
from clients.auditor.verify import open_checkpoint_of
from clients.core.text import visible
from clients.shell import Verb, profile, read_bytes, read_text, show, tell
from keys.disclosure import CONTENT_LIMIT, Package, check_package, read_package
from keys.errors import KeysError
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import TlogError
from keys.tlog.merkle import EMPTY_ROOT

NO: Final = 1
SIGNER: Final = "auditor.key"  # in the profile
REPORT_LIMIT: Final = 256 * 1024 * 1024
_FILE: Final = click.Path(path_type=Path)


@click.command("export", cls=Verb)
@of_a_log
@click.option("--out", type=_FILE, required=True, metavar="FILE", help="The archive to write.")
@click.option("--channel", "channels", multiple=True, metavar="ID", help="Only this channel, in hex; may be repeated.")
@click.option(
    "--entry", "entries", multiple=True, type=click.IntRange(min=0), metavar="N", help="This entry by itself."
)
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
    for index in entries:
        check_covered(index, checkpoint.size)
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


# ---------------------------------------------------------------------- report


@click.command("report", cls=Verb)
@of_a_log
@click.option("--out", type=_FILE, required=True, metavar="DIR", help="Where report.json, .html and .sig are written.")
@click.option("--signer", type=_FILE, metavar="FILE", help="The key to sign with; made there if there is none.")
def report(log: Log, out: Path, signer: Path | None) -> None:
    """Verify the log in SOURCE and write what was found: JSON, the same as a page, and a signature over both.

    Two auditors who check the same log against the same head and charter get the same JSON and page, byte by byte.

    Example: outrider audit report oct.outrider --charter charter --head head --out report
    """
    chronicle, verified = chronicled(log)
    found = findings(chronicle, verified, log.asked)
    data = as_json(found)
    files = {"report.json": data, "report.html": page(json.loads(data))}
    key = signer_of(signer or profile() / SIGNER)
    head = verified.checkpoint
    origin, size, root = ("none", 0, EMPTY_ROOT) if head is None else (head.origin, head.size, head.root)
    files[SIGNATURE] = signed(statement(origin, size, root, verified.verdict, files), key)
    out.mkdir(parents=True, exist_ok=True)
    for name, written in files.items():
        (out / name).write_bytes(written)
    show(
        {"verdict": verified.verdict, "files": [str(out / name) for name in files], "key": key.verifier_key.encode()},
        f"{verified.verdict}  {out / 'report.html'}",
        f"signed by {key.verifier_key.encode()}",
    )
    click.get_current_context().exit(EXITS[verified.verdict])


@click.command("signed", cls=Verb)
@click.argument("folder", type=_FILE)
@click.option("--by", required=True, metavar="VKEY|FILE", help="The key of the auditor who is to have signed.")
def signed_report(folder: Path, by: str) -> None:
    """Check that the report in FOLDER is the one that an auditor has signed, and say what verdict he signed.

    Example: outrider audit signed report --by auditor-1f2e3d4c+11aa22bb+AZ…
    """
    files = {name: read_bytes(folder / name, REPORT_LIMIT) for name in ("report.json", "report.html")}
    try:
        key = verifier_of((read_text(Path(by)) if Path(by).is_file() else by).strip())
        verdict = check_signed(read_bytes(folder / SIGNATURE, 64 * 1024), files, key)
    except TlogError as error:
        tell(f"not signed by that key: {error}")
        click.get_current_context().exit(NO)
    show({"signed": True, "by": key.name, "verdict": verdict}, f"signed by {key.name}: {verdict}")


# ---------------------------------------------------------------------- time-stamps


@click.command("stamp", cls=Verb)
@of_a_log
@click.option("--query", "asking", type=_FILE, metavar="FILE", help="Write a request for the authority (.tsq).")
@click.option("--reply", type=_FILE, metavar="FILE", help="Check the authority's reply (.tsr) against the checkpoint.")
@click.option("--root", type=_FILE, metavar="FILE", help="The authority's root certificate (PEM), for --reply.")
def stamp(log: Log, asking: Path | None, reply: Path | None, root: Path | None) -> None:
    """Have the checkpoint of the log in SOURCE stamped by a time-stamp authority (RFC 3161), or check that it was.

    The request is sent by any means, as with curl --data-binary @now.tsq -H 'Content-Type: application/timestamp-query' URL.

    Example: outrider audit stamp gateway/log --charter charter --reply now.tsr --root tsa.pem
    """
    head = _checkpoint(log).head
    if (asking is None) == (reply is None) or (reply is None) != (root is None):
        raise click.UsageError("either --query FILE, or --reply FILE with --root FILE")
    if asking is not None:
        asking.write_bytes(query(head))
        show(
            {"query": str(asking), "size": head.size},
            f"{asking}: a request to stamp the checkpoint of {head.size} entries",
        )
    if reply is None or root is None:
        return
    try:
        roots = x509.load_pem_x509_certificates(read_bytes(root, STAMP_LIMIT))
        stamped = check(read_bytes(reply, STAMP_LIMIT), head, roots)
    except StampRefused as error:
        tell(f"not stamped: {error}")
        click.get_current_context().exit(NO)
    except ValueError:
        raise click.UsageError(f"{root} holds no certificate") from None
    time = stamped.time.isoformat().replace("+00:00", "Z")
    show(
        {"stamped": time, "by": stamped.authority, "serial": str(stamped.serial), "size": head.size},
        f"the checkpoint of {head.size} entries was there at {time}, says {visible(stamped.authority)}",
    )
