"""`outrider alert check FILE`: whether a file is an alert that may be issued. Needs no profile and no gateway.

Exit 0 accepted (warnings or not), 1 refused, 7 the file couldn't be read.
"""

import json
import sys
from pathlib import Path

import click

from clients.core import cap
from clients.core.text import visible

REFUSED = 1
NOT_CHECKED = 7


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(file: Path, as_json: bool) -> None:
    """Check FILE against CAP 1.2: the schema, and the rules of its text.

    Example: outrider alert check evacuation.cap --json
    """
    try:
        data = _beginning(file)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        click.echo(f"{visible(str(file))}: not checked: {_reason(error)}", err=True)
        sys.exit(NOT_CHECKED)
    verdict = cap.check(data)
    click.echo(as_object(verdict) if as_json else as_text(verdict, str(file)))
    sys.exit(REFUSED if verdict.refusal else 0)


def as_object(verdict: cap.Verdict) -> str:
    """The verdict as one line of JSON in ASCII; what the document doesn't say of itself is left out."""
    said: dict[str, object] = {
        "schema": 1,
        "verdict": verdict.verdict,
        "class": verdict.refusal,
        "errors": verdict.errors,
        "warnings": verdict.warnings,
        "details": verdict.details,
    }
    if header := verdict.header:
        texts = {
            "identifier": header.identifier,
            "sender": header.sender,
            "sent": header.sent,
            "status": header.status,
            "msgType": header.msg_type,
            "scope": header.scope,
        }
        said |= {name: text for name, text in texts.items() if text is not None}
        said |= {"infos": header.infos, "languages": header.languages, "references": header.references}
    return json.dumps(said)


def as_text(verdict: cap.Verdict, name: str) -> str:
    """The verdict in a few lines for a person."""
    title = f"{visible(name)}: {verdict.verdict}"
    lines = [f"{title} ({verdict.refusal})" if verdict.refusal else title]
    if header := verdict.header:
        lines.append(
            f"  {_shown(header.identifier)} from {_shown(header.sender)}, sent {_shown(header.sent)}: "
            f"{_shown(header.status)} {_shown(header.msg_type)}, {_shown(header.scope)}"
        )
        lines.append(f"  languages: {visible(', '.join(header.languages)) or 'none'}")
    lines += [f"  error: {code}" for code in verdict.errors]
    lines += [f"  warning: {code}" for code in verdict.warnings]
    lines += [f"  {visible(detail)}" for detail in verdict.details]
    return "\n".join(lines)


def _shown(text: str | None) -> str:
    return "(missing)" if text is None else visible(text)


def _beginning(file: Path) -> bytes:
    """As much of the file as decides: one byte past the limit is enough to refuse it."""
    with file.open("rb") as opened:
        return opened.read(cap.LONGEST + 1)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
