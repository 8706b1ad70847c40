"""A board on paper, on a screen and as data: counts are lists of names, the silent first, readable at 80 columns and without colour."""

import csv
from io import StringIO
from typing import Final

from clients.board import Board, Reached, Row
from clients.core.reaching import Lack
from clients.core.text import visible, visible_name
from clients.device import alert_headline, alert_signatures, alert_standing, short
from clients.moments import iso
from clients.officer.preview import wrapped
from clients.shell import table
from clients.station import Station
from keys.ladder import APP, Escalated, Why, duration

STATES: Final = {
    Reached.UNREACHABLE: "SILENT, UNREACHABLE",
    Reached.KEPT: "SILENT, kept for them",
    Reached.DELIVERED: "SILENT, delivered",
    Reached.SHOWN: "SILENT, has seen it",
}
WHY: Final = {
    Why.DUE: "due",
    Why.JUMP: "an officer jumped",
    Why.FALLBACK: "the fallback",
    Why.MISSED: "missed",
    Why.ASKED: "asked for",
}
IN_THE_WAY: Final[dict[str, str]] = {
    Lack.REVOKED: "every device revoked",
    Lack.NO_DEVICE: "no device",
    Lack.NO_CHANNEL: "no longer in a channel",
    Lack.NEVER_SEEN: "never seen",
    Lack.SILENT: "not seen for a day",
    Lack.NO_SECOND_ROAD: "no second road",
}
COLUMNS: Final = ("person", "name", "organisation", "outside", "state", "option", "text", "words", "time", "why")


def screen(station: Station, board: Board) -> list[str]:
    """The whole board: what it is about, who is silent, who answered what, and how far the ladder is."""
    alert = board.alert
    play = "EXERCISE EXERCISE EXERCISE  " if alert.exercise else ""
    state = alert_standing(alert) or f"until {iso(alert.not_after)}"
    lines = [f"{play}ALERT {short(alert.root)}  {alert.marking.label}  {state}"]
    lines += wrapped("  ", alert_headline(alert.cap))
    lines.append(f"  {alert_signatures(alert)}")
    return [*lines, *summary(board), *lines_of(board), *ladder_lines(station, board)]


def lines(station: Station, board: Board) -> list[str]:
    """Below an alert's own text."""
    return [*summary(board), *lines_of(board), *ladder_lines(station, board)]


def summary(board: Board) -> list[str]:
    """How many, in one line; who they are stands below."""
    given = [f"{len(rows)} {visible(text)}" for text, rows in board.by_option() if rows]
    far = [
        (Reached.SHOWN, "seen"),
        (Reached.DELIVERED, "delivered"),
        (Reached.KEPT, "kept"),
        (Reached.UNREACHABLE, "UNREACHABLE"),
    ]
    counts = [(sum(r.reached is reached for r in board.silent), word) for reached, word in far]
    silent = ", ".join(f"{count} {word}" for count, word in counts if count)
    parts = [f"{len(board.silent)} silent{f' ({silent})' if silent else ''}", *given]
    return wrapped("  ", f"{len(board.answered)} of {len(board.rows)} answered: {', '.join(parts)}")


def lines_of(board: Board) -> list[str]:
    """A line a person: silent first, then by answer."""
    rows = [
        (_name(r), STATES[r.reached], "", ", ".join(map(_in_words, r.why)) or visible(r.words)) for r in board.silent
    ]
    for _, answered in board.by_option():
        rows += [(_name(r), visible(r.text) or "seen", iso(r.time)[11:19], visible(r.words)) for r in answered]
    found = []
    for line in table(rows):
        found += wrapped("    ", line) if len(line) > 74 else [f"    {line}"]
    return found


def _in_words(why: str) -> str:
    """What is in somebody's way."""
    return IN_THE_WAY.get(why) or why.replace("-failed", " failed")


def _name(row: Row) -> str:
    return ("! " if row.outside else "") + visible_name(row.name, 30)


def ladder_lines(station: Station, board: Board) -> list[str]:
    """The rungs fired, and what comes next as far as it can be known here."""
    found: list[tuple[int, list[str]]] = []
    for time, fired in board.fired:
        people = ", ".join(person_name(station, p) for p in fired.people) or "everybody silent"
        road = "on their devices" if fired.road == APP else f"by {fired.road}"
        missed = f", {fired.unreached} without a way" if fired.unreached else ""
        said = f"{people}, {road}; {fired.woken} woken{missed}"
        found.append((time, wrapped(f"  {iso(time)[11:19]} rung {fired.rung + 1} ({WHY[fired.why]}): ", said)))
    for time, by, jump in board.resent:
        people = ", ".join(person_name(station, p) for p in jump.people) or "everybody silent"
        who = visible_name(station.name(by)) or short(by)
        found.append((time, wrapped(f"  {iso(time)[11:19]} brought again by ", f"{who}: {people}, on their devices")))
    lines = [line for _, said_then in sorted(found, key=lambda one: one[0]) for line in said_then]
    if board.ladder is None or board.alert.how or not board.silent:
        return lines
    following = board.fired[-1][1].rung + 1 if board.fired else 0
    rung = board.ladder.rung(following)
    if rung is not None:
        lines.append(
            f"  next: rung {following + 1}, {duration(rung.after)} after {'the last' if board.fired else 'the alert'}"
        )
    return lines


def person_name(station: Station, person: bytes) -> str:
    """What to call a person, by id."""
    name = next(
        (p.name or p.call_sign for p in station.directory() if p.person == person and (p.name or p.call_sign)), ""
    )
    return visible_name(name) or person.hex()[:8]


def as_object(board: Board) -> dict[str, object]:
    """The board as `--json` prints it: lists of names are lists of strings, each person by id."""
    return {
        "placed": iso(board.placed) if board.placed else None,
        "targeted": [r.person.hex() for r in board.rows],
        "delivered": [r.person.hex() for r in board.at_least(Reached.DELIVERED)],
        "shown": [r.person.hex() for r in board.at_least(Reached.SHOWN)],
        "silent": [r.person.hex() for r in board.silent],
        "unreachable": [r.person.hex() for r in board.unreachable],
        "answered": [_answer(r) for r in board.answered],
        "by_option": [{"text": text, "people": [r.person.hex() for r in rows]} for text, rows in board.by_option()],
        "people": [_person(r) for r in board.rows],
        "ladder": [_fired(time, fired) for time, fired in board.fired],
        "brought_again": [
            {"time": iso(time), "by": by.hex(), "people": [person.hex() for person in jump.people]}
            for time, by, jump in board.resent
        ],
    }


def _answer(row: Row) -> dict[str, object]:
    return {
        "person": row.person.hex(),
        "device": row.devices[0].hex(),
        "name": row.name,
        "option": row.option,
        "text": row.text,
        "time": iso(row.time),
        "words": row.words,
    }


def _person(row: Row) -> dict[str, object]:
    return {
        "person": row.person.hex(),
        "name": row.name,
        "organisation": row.organisation,
        "outside": row.outside,
        "state": row.reached.name.lower(),
        "why": list(row.why),
        "devices": [one.hex() for one in row.devices],
    }


def _fired(time: int, fired: Escalated) -> dict[str, object]:
    return {
        "time": iso(time),
        "firing": fired.firing,
        "rung": fired.rung + 1,
        "road": fired.road,
        "why": fired.why.name.lower(),
        "people": [person.hex() for person in fired.people],
        "woken": fired.woken,
        "unreached": fired.unreached,
    }


def as_csv(board: Board) -> str:
    """The board as a table for a spreadsheet (RFC 4180): a person a row, the silent first. What would begin a formula there
    is written so that it does not."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for r in board.rows:
        cells = (r.name, r.organisation, "yes" if r.outside else "no", r.reached.name.lower())
        answer = (
            (r.option, r.text, r.words, iso(r.time), "") if not r.silent else ("", "", r.words, "", " ".join(r.why))
        )
        writer.writerow([r.person.hex(), *map(_cell, (*cells, *answer))])
    return out.getvalue()


def _cell(value: str | int) -> str:
    text = str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
