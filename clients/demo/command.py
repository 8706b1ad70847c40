"""`outrider demo`: the whole of Outrider in a few seconds, on this machine, with real processes and real sockets."""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from clients.core.cap import CapRefused, open_alert
from clients.core.text import visible
from clients.demo import cast
from clients.demo.company import Failed
from clients.demo.play import Play
from clients.demo.search import Hit

EXAMPLE = """A guided demo: a real gateway, six parties, an alert, an auditor.

Everything runs on this machine and is removed at the end, unless --keep says where to leave it.

\b
Example: outrider demo --keep demo-folder --cap my-alert.cap
"""


@dataclass(slots=True)
class Report:
    """What the run has shown; and the same as one JSON object."""

    started: float = field(default_factory=time.monotonic)
    plaintexts: int = 0
    hits: list[Hit] = field(default_factory=list)
    control_found: bool = False
    log_size: int = 0
    root: str = ""
    audit_exit: int = 70
    tampered: bool = False

    @property
    def ok(self) -> bool:
        return not self.hits and self.control_found and self.audit_exit == 0

    def as_object(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "ok": self.ok,
            "seconds": round(time.monotonic() - self.started, 2),
            "plaintexts": self.plaintexts,
            "hits": len(self.hits),
            "control_found": self.control_found,
            "log_size": self.log_size,
            "root": self.root,
        }


class Page:
    """The page that a newcomer reads, line by line as it happens; silent with --json."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._started = time.monotonic()

    def title(self, text: str) -> None:
        self.line("")
        self.line(click.style(text, bold=True))

    def did(self, text: str) -> None:
        self.line(f"  {click.style('✓', fg='green')} {text}")

    def failed(self, text: str) -> None:
        self.line(f"  {click.style('✗', fg='red')} {text}")

    def line(self, text: str) -> None:
        if not self._silent:
            click.echo(text)


async def perform(play: Play, page: Page, report: Report, *, tamper: bool) -> None:
    """The acts in their order, each told once it has been seen to hold."""
    page.title("A mission is founded")
    await play.found()
    page.did(
        f"{cast.MISSION}: a gateway, two organisations ({cast.HOME}, {cast.PARTNER}), a charter signed by 2 of 3 keys"
    )
    await play.enrol()
    page.did("five people enrolled; each was let in by two others, who compared words with them:")
    for person in cast.PEOPLE:
        page.line(f"      {person.name:<18} {person.call_sign:<11} {person.described} ({person.organisation})")
    await play.form()
    page.did("a detail with its alert channel; a liaison channel with the police, and one for their alerts")

    page.title("They talk, and one of them loses the link")
    await play.talk()
    page.did(f"Ayo to the detail: “{cast.FIRST_TEXT}”; everyone it is for has read it, once")
    page.did("Emil, a guest, sees the two channels that he is in, and no other")
    missed = await play.cut_off()
    page.did(
        f"Ayo was cut off for {len(missed)} messages and {cast.MISSED_REKEYS} changes of keys, came back, and has all of it in order"
    )

    await _alert(play, page)

    page.title("What the gateway holds")
    report.log_size = await play.settle()
    texts = play.plaintexts(missed)
    report.plaintexts = len(texts)
    report.hits, report.control_found = play.look(texts)
    for hit in report.hits:
        page.failed(f"{visible(hit.text)!r} stands in {hit.path.name} at byte {hit.offset} ({hit.coat})")
    if not report.hits:
        page.did(
            f"{len(texts)} texts, names and purposes searched for in its folder and in every frame, in 24 coats each: 0 found"
        )
    told = page.did if report.control_found else page.failed
    told("the planted control, a channel's id, was found by the same search")

    await _audit(play, page, report, tamper=tamper)


async def _alert(play: Play, page: Page) -> None:
    alert = open_alert(play.cap)
    page.title("An alert, and who has answered")
    found = await play.alert()
    headline = next((i.headline for i in alert.infos if i.headline), alert.identifier)
    page.did(f"Chen wrote “{visible(headline)}”, Dara compared its words and approved it: {play.words}")
    page.did("it went to two channels; every device has verified both names, the guest's too")
    for answer in found["answered"]:
        page.line(f"      {visible(answer['name']):<18} {visible(answer['option'])}")
    for name in found["silent"]:
        page.line(f"      {visible(name):<18} silent")


async def _audit(play: Play, page: Page, report: Report, *, tamper: bool) -> None:
    page.title("The auditor, offline, with no key that reads anything")
    report.audit_exit, claims = await play.audit()
    last = claims[-1]
    report.root = last["root"]
    counts = {o: sum(c.get("outcome") == o for c in claims) for o in ("PASS", "FAIL", "UNCHECKED")}
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    (page.did if report.audit_exit == 0 else page.failed)(f"{last['size']} entries: {last['verdict']} ({told})")
    for claim in claims[:-1]:
        if claim["outcome"] != "PASS":
            page.line(f"      {claim['outcome']} {claim['claim']}: {claim.get('rule') or claim.get('cause')}")
    if not tamper:
        return
    report.tampered = True
    page.title("One byte of the stored log is flipped")
    offset = play.tamper()
    report.audit_exit, claims = await play.audit()
    for claim in claims[:-1]:
        if claim["outcome"] == "FAIL":
            place = claim["tile"] if claim["index"] is None else f"entry {claim['index']}"
            page.failed(f"FAIL {claim['claim']}: {place} ({claim['cause']})")
    page.line(f"  byte {offset} of a bundle of entries was changed; the auditor's check exits {report.audit_exit}")


@click.command(help=EXAMPLE)
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Leave everything in DIR."
)
@click.option(
    "--tamper", is_flag=True, help="Flip one byte of the stored log afterwards: the auditor finds it, exit 1."
)
@click.option("--serve", is_flag=True, help="Stay up afterwards, until interrupted.")
@click.option(
    "--cap", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The alert: a CAP 1.2 file."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def demo(keep: Path | None, tamper: bool, serve: bool, cap: Path | None, as_json: bool) -> None:
    """The verb."""
    data = _alert_file(cap)
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"{keep} is not empty: name a new folder")
    folder = keep or Path(tempfile.mkdtemp(prefix="outrider-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    report, page = Report(), Page(silent=as_json)
    try:
        asyncio.run(_run(Play(folder.resolve(), data, page.line), page, report, tamper=tamper, serve=serve))
        if keep is not None:
            (keep / "demo.json").write_text(json.dumps(report.as_object()) + "\n")
    except Failed as error:
        click.echo(f"the demo failed: {error}", err=True)
        sys.exit(70)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        click.echo(json.dumps(report.as_object()))
    else:
        _close(report, keep)
    sys.exit(0 if report.ok else 1)


def _alert_file(cap: Path | None) -> bytes:
    """The alert's original bytes: the file named, or the sample that is part of the demo."""
    try:
        data = cap.read_bytes() if cap else files("clients.demo").joinpath("sample.cap").read_bytes()
        open_alert(data)
    except OSError as error:
        click.echo(f"{cap}: {error.strerror or error}", err=True)
        sys.exit(7)
    except CapRefused as error:
        click.echo(f"{cap}: not an alert that may be sent: {error}. `outrider alert check` tells more.", err=True)
        sys.exit(1)
    return data


async def _run(play: Play, page: Page, report: Report, *, tamper: bool, serve: bool) -> None:
    try:
        await perform(play, page, report, tamper=tamper)
        if serve:
            await play.serve(page.line)
    finally:
        await play.end()


def _close(report: Report, keep: Path | None) -> None:
    seconds = time.monotonic() - report.started
    if report.tampered:
        verdict = "as it should: the altered log was found out" if report.audit_exit == 1 else "it was NOT found out"
    else:
        verdict = "all of it holds" if report.ok else "NOT all of it holds"
    click.echo(f"\n{seconds:.1f} s; {verdict}.")
    if keep is not None:
        click.echo(f"Left in {keep}: gateway/, log.vkey, head, charter, frames.bin, profiles/, demo.json.")
        click.echo(
            f"Try: outrider audit verify {keep}/gateway/log --head {keep}/head --key {keep}/log.vkey --charter {keep}/charter"
        )
