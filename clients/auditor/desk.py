"""The auditor's own acts: asking for one message, and opening what was disclosed.

    outrider audit request N --log SOURCE --case CMP-44 --reason "…"     an entry of its own; others vote on it
    outrider audit requests                                                how each stands
    outrider audit open REQUEST --out 11873.disclose                       what a participant has opened for you
    outrider audit open 11873.disclose --log SOURCE                        by anybody, with no gateway

An auditor's device writes requests and nothing else, and sits in no channel.
"""

from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from clients.auditor.commands import charter_of, keys_of, source_of
from clients.auditor.question import check_covered
from clients.auditor.source import LogSource
from clients.auditor.verify.claims import Findings
from clients.auditor.verify.heads import check_checkpoint
from clients.cases import begins, case_lines, case_object
from clients.core.content import AlertContent, SosContent, Text, read_content
from clients.core.text import visible, visible_lines
from clients.device import SYNC, alert_headline, device, not_reached, short
from clients.moments import iso
from clients.shell import Verb, asked, read_bytes, run, show, tell, write_new
from keys.canonical import encode
from keys.charter import Charter
from keys.disclosure import CONTENT_LIMIT, Opened, Package, Why, check_package, read_package
from keys.envelope import ENCRYPTED, Entry, read, read_entry
from keys.errors import BadSignature, KeysError, Malformed
from keys.tlog.reader import LogReader

NO: Final = 1  # the answer is no: it does not match
REFUSED: Final = 6
UNCHECKED: Final = 7
_FILE: Final = click.Path(path_type=Path)
_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait."
)
_LOG = click.option("--log", "log", metavar="SOURCE", help="The log: a folder, an archive or a URL.")
_TOKEN = click.option("--token", "token_file", type=_FILE, metavar="FILE", help="The token, for a log by its URL.")
_CA = click.option("--ca", type=_FILE, metavar="FILE", help="Trust this authority for TLS.")


@click.command("request", cls=Verb)
@click.argument("number", metavar="N", type=click.IntRange(min=0))
@click.option("--log", "log", required=True, metavar="SOURCE", help="The log: a folder, an archive or a URL.")
@click.option("--case", "case", required=True, help="The case that it is for; only those who vote can read it.")
@click.option("--reason", required=True, help="Why; only those who vote can read it.")
@_TOKEN
@_CA
@_TIMEOUT
def request(
    number: int, log: str, case: str, reason: str, token_file: Path | None, ca: Path | None, timeout: float
) -> int:
    """Ask to see the message of log entry N. The request is an entry of its own; others of the mission vote on it.

    Example: outrider audit request 11873 --log oct/log --case CMP-44 --reason "complaint of the embassy"
    """
    if not 0 < len(case) <= 100 or not 0 < len(reason) <= 400:
        raise click.UsageError("a case has 1 to 100 characters, a reason 1 to 400")
    with device() as station:
        run(station.sync(timeout))
        entry = _entry(source_of(log, station.charter, token_file, ca), station.charter, number)
        _check_content(entry, number)
        header_hash = sha256(entry.header).digest()
        item = station.request_disclosure(number, entry, Why(case, reason))
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
        if delivery.refused:
            tell(f"outrider: refused: {visible(delivery.refused)}")
            return REFUSED
        made = [c.hash for c in station.cases() if c.asked.header_hash == header_hash]
        name = made[-1] if made else b""
    if delivery.state == "kept":
        show({"entry": number, "request": "", "state": delivery.state}, f"KEPT: a request for entry {number}")
        return not_reached(report.error, "the request is kept, and goes next time")
    show(
        {"entry": number, "request": name.hex(), "state": delivery.state},
        f"ASKED {short(name)}: the message of entry {number}",
        "next: outrider audit requests",
    )
    return 0


def _entry(source: LogSource, charter: Charter, number: int) -> Entry:
    """An entry, proved under the log's own checkpoint."""
    findings = Findings()
    checkpoint = check_checkpoint(source.fetch, [charter.log_verifier()], findings)
    if checkpoint is None:
        raise click.UsageError(
            "that log has no checkpoint signed by the charter's key: outrider audit verify tells why"
        )
    check_covered(number, checkpoint.size)
    run = next(LogReader(source.fetch, checkpoint).entries(number))
    return read_entry(run.entries[number - run.first])


def _check_content(entry: Entry, number: int) -> None:
    kind = read(entry.envelope).context.kind
    if kind not in ENCRYPTED:
        raise click.UsageError(f"entry {number} is a {kind.name.lower().replace('_', ' ')}, no message")


@click.command("requests", cls=Verb)
@_TIMEOUT
def requests(timeout: float) -> None:
    """List your requests and how each stands.

    Example: outrider audit requests
    """
    with device() as station:
        report = run(station.sync(timeout))
        cases = [case for case in station.cases() if case.asked.device == station.device]
        for case in cases:
            ready = any(not answer.refused for answer in case.asked.answers)
            lines = [f"  next: outrider audit open {short(case.hash)}"] if ready else []
            show(case_object(station, case), *case_lines(station, case), *lines)
    if not cases and not asked().json:
        tell("no requests: outrider audit request N")
    if report.error:
        tell(f"outrider: gateway not reached: {visible(report.error)}; this is what was known here")


@click.command("open", cls=Verb)
@click.argument("what", metavar="FILE|REQUEST")
@click.option("--out", type=_FILE, metavar="FILE", help="Keep the package that was disclosed to you in FILE.")
@click.option("--charter", "charter_file", type=_FILE, metavar="FILE", help="The charter; else the profile's.")
@click.option("--key", metavar="VKEY|FILE", help="The log's verifier key; else the charter's.")
@_LOG
@_TOKEN
@_CA
@_TIMEOUT
def open_package(
    what: str,
    out: Path | None,
    charter_file: Path | None,
    key: str | None,
    log: str | None,
    token_file: Path | None,
    ca: Path | None,
    timeout: float,
) -> int:
    """Open one disclosed message and check it against its log entry: a package in FILE, or what was disclosed on REQUEST.

    A package proves itself by the charter and the log's key alone; with --log the entry is looked up there as well.

    Example: outrider audit open 11873.disclose --charter charter --log oct/log
    """
    package, charter = _package(what, charter_file, timeout)
    if charter is None:
        tell("outrider: no charter to check it by: name one with --charter")
        return UNCHECKED
    try:
        opened = check_package(package, charter, keys_of(key, charter))
    except KeysError as error:
        show({"matches": False, "rule": str(error)}, f"NOT PROVED: {error}")
        return NO
    if log is not None and _entry(source_of(log, charter, token_file, ca), charter, opened.index) != opened.entry:
        rule = f"DOES NOT MATCH: entry {opened.index} of that log is another"
        show({"matches": False, "entry": opened.index, "rule": rule}, rule)
        return NO
    if out is not None:
        write_new(out, encode(package), secret=True)
    show(_object(opened), *_lines(opened, in_log=log is not None))
    return 0


def _package(what: str, charter_file: Path | None, timeout: float) -> tuple[Package, Charter | None]:
    """The package, and the charter to check it by. Raises UsageError for what is none."""
    file = Path(what)
    if file.is_file():
        try:
            return read_package(read_bytes(file, CONTENT_LIMIT + 256 * 1024)), charter_of(charter_file)
        except Malformed:
            raise click.UsageError(f"{file} is no disclosed message") from None
    with device() as station:
        run(station.sync(timeout))
        package = station.disclosed(begins(what))
        return package, charter_of(charter_file) if charter_file else station.charter


def _text(content: bytes) -> tuple[str, list[str]]:
    """What kind of content it is, and its words."""
    try:
        said = read_content(content)
    except (Malformed, BadSignature):
        return "content in no known form", [content.hex()]
    match said:
        case Text(text=text):
            return "message", [text]
        case AlertContent(cap=cap):
            return "alert", [alert_headline(cap)]
        case SosContent(text=text):
            return "sos", [text]
    return type(said).__name__, []


def _object(opened: Opened) -> dict[str, object]:
    kind, words = _text(opened.content)
    context = opened.context
    return {
        "matches": True,
        "entry": opened.index,
        "log_size": opened.checkpoint.size,
        "kind": kind,
        "text": "\n".join(words),
        "content": opened.content.hex(),
        "device": context.device.hex(),
        "person": opened.author.person.hex(),
        "organisation": opened.author.organisation,
        "roles": sorted(opened.author.roles),
        "channel": context.channel.hex(),
        "seq": opened.entry.seq,
        "epoch": context.epoch,
        "sealed": iso(context.time),
        "logged": iso(opened.entry.time),
        "marking": context.marking.label,
    }


def _lines(opened: Opened, *, in_log: bool) -> list[str]:
    kind, words = _text(opened.content)
    context, author = opened.context, opened.author
    said = [line for text in words for line in visible_lines(text)]
    where = "in that log" if in_log else f"under a checkpoint of {opened.checkpoint.size} entries"
    return [
        f"{kind} #{opened.entry.seq} in channel {short(context.channel)}, {context.marking.label}",
        *(f"  {line}" for line in said),
        f"by device {short(context.device)} of person {short(author.person)}",
        f"  {visible(author.organisation)}, {', '.join(sorted(author.roles))}",
        f"sealed {iso(context.time)}, logged {iso(opened.entry.time)}",
        f"content MATCHES entry {opened.index} {where}",
    ]
