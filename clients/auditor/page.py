"""The findings as one page: tables, and a timeline drawn as SVG. It needs nothing beside it: no script, no font, no network.

The page follows from the findings alone, so whoever has those can make it again and compare. All text in it that others wrote is shown
as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from clients.auditor.timeline import HOUR, Mark, svg

Findings = Mapping[str, Any]  # as `clients.auditor.findings` makes them, or as they were read from their JSON

VERDICTS: Final = {
    "WHOLE": "The log is whole. Nothing that the head kept outside covers was changed, moved or taken away.",
    "CONSISTENT": "The log is sound in itself. Whether its end was cut off only a head kept outside tells.",
    "UNCHECKED": "Nothing speaks against the log, but not everything could be checked.",
    "FAIL": "The log is not what it claims to be.",
}
ROWS: Final = ("alerts", "escalation", "enrolments", "revocations", "charters", "gateway", "other")
ROW_OF: Final = {
    "revocation_list": "revocations",
    "charter": "charters",
    "gateway_act": "gateway",
    "escalation": "escalation",
}

STYLE: Final = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #5b6570; --rule: #d5dae0; --good: #17693a; --bad: #a11622; --open: #8a5a00; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 28px 32px 48px; color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 22px; margin: 0 0 2px; } h2 { font-size: 17px; margin: 34px 0 8px; }
p { margin: 4px 0; } .soft { color: var(--soft); }
.verdict { margin: 18px 0; padding: 14px 18px; border-left: 8px solid; background: #f5f7f9; }
.verdict b { font-size: 20px; letter-spacing: .03em; }
.WHOLE, .CONSISTENT, .PASS { color: var(--good); } .FAIL { color: var(--bad); } .UNCHECKED { color: var(--open); }
.verdict span { color: var(--ink); display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; vertical-align: top; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: 12px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { background: #f5f7f9; padding: 10px 12px; white-space: pre-wrap; }
td.time { white-space: nowrap; }
td.out { font-weight: 700; white-space: nowrap; }
svg { width: 100%; height: auto; display: block; margin-top: 6px; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg text.small { fill: var(--soft); font-size: 10.5px; }
svg .bar { fill: #7f93a8; } svg .rule, svg .tick { stroke: var(--rule); stroke-width: 1; }
svg .mark { fill: #45617d; fill-opacity: .85; } svg .mark.alerts { fill: var(--bad); } svg .mark.escalation { fill: #c2571a; } svg .mark.revocations { fill: var(--open); }
@media print { body { padding: 0; max-width: none; } h2 { break-after: avoid; } tr { break-inside: avoid; } }
"""


def page(found: Findings) -> bytes:
    """The page's bytes."""
    log = found["log"] or {"origin": "no log could be opened", "size": 0, "root": "", "checkpoint": ""}
    verdict = found["verdict"]
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Audit of {_(log['origin'])}: {_(verdict)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>Audit of {_(log['origin'])}</h1>",
        f'<p class="soft">{_(_period(found))}{log["size"]} entries, root <code>{_(log["root"])}</code></p>',
        f'<div class="verdict {_(verdict)}"><b>{_(verdict)}</b><span>{VERDICTS.get(verdict, "")} {_(_asides(found))}</span></div>',
        "<h2>What was checked</h2>",
        _table(("", "claim", "finding", "entry"), [_claim(claim) for claim in found["claims"]], marked=True),
        "<h2>What happened, and when</h2>",
        _timeline(found),
        "<h2>Alerts</h2>",
        _alerts(found["alerts"]),
        "<h2>Who was let in</h2>",
        _enrolments(found["enrolments"]),
        "<h2>Charters, revocations, acts</h2>",
        _acts(found["acts"]),
        "<h2>Entries by kind</h2>",
        _table(("kind", "#entries"), [(kind.replace("_", " "), count) for kind, count in found["kinds"].items()]),
        "<h2>What this rests on</h2>",
        *_rests_on(found),
        f"<h2>The checkpoint</h2>\n<pre>{_(log['checkpoint'])}</pre>",
        f'<p class="soft">Made by {_(found["program"])} from report.json, which holds all of it. report.sig signs both files: a C2SP '
        "signed note with the SHA-256 of each.</p>",
        "</body>\n</html>\n",
    ]
    return "\n".join(parts).encode()


def _(text: object) -> str:
    return escape(str(text))


def _period(found: Findings) -> str:
    period = found["period"]
    return "" if period is None else f"{period['first']} to {period['last']}, "


def _asides(found: Findings) -> str:
    checks = ", ".join(f"{question} {outcome}" for question, outcome in found["checks"].items())
    return f"Questions: {checks}."


def _claim(claim: Mapping[str, Any]) -> tuple[object, ...]:
    rule = claim["rule"] if claim["cause"] is None else f"{claim['cause']}: {claim['rule']}"
    place = "" if claim["index"] is None else claim["index"]
    return claim["outcome"], claim["claim"], rule, place


def _timeline(found: Findings) -> str:
    hours = {_millis(hour) // HOUR: count for hour, count in found["hours"]}
    marks = [Mark("alerts", _millis(a["time"]), a["index"], f"{a['type']}, {a['standing']}") for a in found["alerts"]]
    marks += [Mark("enrolments", _millis(e["time"]), e["index"], ", ".join(e["roles"])) for e in found["enrolments"]]
    marks += [
        Mark(ROW_OF.get(act["kind"], "other"), _millis(act["time"]), act["index"], act["text"]) for act in found["acts"]
    ]
    return f'<div class="scroll">{svg(hours, marks, ROWS)}</div>'


def _millis(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


def _alerts(alerts: Sequence[Mapping[str, Any]]) -> str:
    if not alerts:
        return "<p>None.</p>"
    rows = []
    for one in alerts:
        what = one["type"] + (", drill" if one["exercise"] else "")
        review = one["review"]
        standing = one["standing"] + ("" if review is None else f", entry {review['index']}")
        answers = (len(one["channels"]), one["people"], one["answers"], len(one["rungs"]))
        rows.append(
            (one["index"], one["time"], what, one["marking"], one["writer"], one["approver"] or "", standing, *answers)
        )
    head = (
        "#entry",
        "time",
        "what",
        "marking",
        "written by",
        "approved by",
        "signed by",
        "#channels",
        "#people",
        "#answers",
        "#rungs",
    )
    return _table(head, rows)


def _enrolments(enrolments: Sequence[Mapping[str, Any]]) -> str:
    if not enrolments:
        return "<p>Nobody.</p>"
    rows = [
        (
            e["index"],
            e["time"],
            e["device"][:8],
            ", ".join(e["roles"]),
            e["organisation"],
            e["issuer"][:8],
            e["approver"][:8],
            e["consents"],
        )
        for e in enrolments
    ]
    head = ("#entry", "time", "device", "roles", "organisation", "issued by", "approved by", "#consents")
    return _table(head, rows)


def _acts(acts: Sequence[Mapping[str, Any]]) -> str:
    if not acts:
        return "<p>None.</p>"
    return _table(("#entry", "time", "what"), [(act["index"], act["time"], act["text"]) for act in acts])


def _rests_on(found: Findings) -> list[str]:
    against = found["against"]
    head, charter = against["head"], against["charter"]
    lines = [
        "A head kept outside: none was given, so that nothing was cut off is not known."
        if head is None
        else f"A head kept outside, of {head['size']} entries, root {head['root']}.",
        "No charter was given from outside: the log's own first one was taken at its word."
        if charter is None
        else f"Charter version {charter['version']}, hash {charter['hash']}.",
        f"Keys of the log: {', '.join(against['keys']) or 'none'}.",
    ]
    if not against["whole_log"]:
        lines.append("A part of the log: of the other entries only the leaf hashes were there.")
    return [f"<p>{_(line)}</p>" for line in lines]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], *, marked: bool = False) -> str:
    """A table; a column whose name begins with # holds numbers. With `marked` the first column is an outcome."""
    classes = [" class=number" if name.startswith("#") else " class=time" if name == "time" else "" for name in head]
    cells = "".join(f"<th{style}>{_(name.lstrip('#'))}</th>" for name, style in zip(head, classes, strict=True))
    lines = [f'<div class="scroll"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>']
    for row in rows:
        cells = "".join(f"<td{style}>{_(cell)}</td>" for cell, style in zip(row, classes, strict=True))
        if marked:
            cells = cells.replace("<td>", f'<td class="out {_(row[0])}">', 1)
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])
