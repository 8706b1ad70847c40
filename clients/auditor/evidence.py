"""`outrider audit evidence` and `excerpt`: a file of evidence judged by itself, and files of evidence made out of a log that does not hold.

Judging needs nothing but the file: no profile, no gateway, no log. Whose keys it is good against stands in the charter that it brings; a
charter given from outside, or the profile's, has to name the same keys.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

import click

from clients.auditor.excerpts import excerpts
from clients.auditor.question import Log, charter_of, of_a_log
from clients.auditor.standing import NO, WIDTH, YES
from clients.auditor.verify.excerpt import Said, judge
from clients.core.text import visible
from clients.shell import Verb, read_bytes, show, tell
from keys import evidence as files
from keys.charter import Charter, reopen
from keys.errors import CharterRefused, KeysError
from keys.evidence import Evidence, NoEvidence

_FILE = click.Path(path_type=Path)


@click.command(cls=Verb)
@click.argument("file", type=_FILE)
@click.option("--charter", "charter_file", type=_FILE, metavar="FILE", help="The mission's charter, from elsewhere.")
def evidence(file: Path, charter_file: Path | None) -> None:
    """Judge a FILE of evidence by itself: PASS where it proves what it says, FAIL where it does not.

    Example: outrider audit evidence 1f9c2b7e.evidence
    """
    outside = charter_of(charter_file)
    found: Evidence | None = None
    charter: Charter | None = None
    said: list[Said] = []
    why = ""
    try:
        found = files.read(read_bytes(file, files.LIMIT))
        charter = reopen(found.charter)
        if outside is not None and not _same(charter, outside):
            raise NoEvidence("the charter in it names other keys than the one from outside")
        said = judge(found, charter)
    except (KeysError, CharterRefused) as error:
        why = str(error)
    show(_object(found, charter, said, why, outside), *_page(found, charter, said, why, outside))
    click.get_current_context().exit(YES if said else NO)


def _same(one: Charter, other: Charter) -> bool:
    """Whether they name one mission's log and gateway; versions may differ."""
    return (one.policy.log_origin, one.policy.log_key, one.policy.gateway_key) == (
        other.policy.log_origin,
        other.policy.log_key,
        other.policy.gateway_key,
    )


def _page(
    found: Evidence | None, charter: Charter | None, said: list[Said], why: str, outside: Charter | None
) -> Iterator[str]:
    if found is not None and charter is not None:
        policy = charter.policy
        yield from wrap(f"{found.kind.name} against {visible(policy.mission)}, log {visible(policy.log_origin)}", WIDTH)
        known = (
            "the charter from outside names it too"
            if outside is not None
            else "compare that charter with the mission's"
        )
        yield from wrap(f"log key {visible(policy.log_key)}", WIDTH)
        yield from wrap(f"by charter {charter.hash.hex()}, version {policy.version}: {known}", WIDTH)
    for one in said:
        place = "" if one.index is None else f"entry {one.index}: "
        yield from wrap(f"PASS  {one.cause}: {place}{visible(one.rule)}", WIDTH, subsequent_indent=" " * 6)
    if not said:
        yield from wrap(f"FAIL  it proves nothing: {visible(why)}", WIDTH, subsequent_indent=" " * 6)


def _object(
    found: Evidence | None, charter: Charter | None, said: list[Said], why: str, outside: Charter | None
) -> dict[str, object]:
    return {
        "outcome": "PASS" if said else "FAIL",
        "kind": None if found is None else found.kind.name.lower(),
        "name": None if found is None else found.name.hex(),
        "mission": None if charter is None else charter.policy.mission,
        "origin": None if charter is None else charter.policy.log_origin,
        "log_key": None if charter is None else charter.policy.log_key,
        "charter": None if charter is None else charter.hash.hex(),
        "charter_from_outside": outside is not None,
        "says": [{"cause": one.cause, "index": one.index, "rule": one.rule} for one in said],
        "why": why,
    }


@click.command(cls=Verb)
@of_a_log
@click.option("--out", type=_FILE, required=True, metavar="DIR", help="Where the files go; made if it is not there.")
def excerpt(log: Log, out: Path) -> None:
    """Write evidence out of the log in SOURCE: for each finding the entries that show it by themselves.

    Example: outrider audit excerpt gateway/log --charter charter --out evidence
    """
    charter = log.asked.charter
    if charter is None:
        raise click.UsageError("evidence brings its charter: give it with --charter")
    verified, made = excerpts(log, charter)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for claim, found, said in made:
        file = out / f"{found.name.hex()[:16]}.evidence"
        write_evidence(file, files.write(found))
        rows.append({"file": str(file), "claim": claim.claim, "index": claim.index, "says": [one.rule for one in said]})
    lines = [f"{row['file']}" for row in rows]
    show({"files": rows, "verdict": verified.verdict}, *lines)
    if not rows:
        tell(f"nothing was written: {verified.verdict}, and no finding that entries show by themselves")
    click.get_current_context().exit(YES if rows else NO)


def write_evidence(file: Path, data: bytes) -> None:
    """Put a file in place whole."""
    passing = file.with_name(f".new-{file.name}")
    with passing.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    passing.replace(file)
