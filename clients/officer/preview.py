"""An alert before it goes out, as its writer and its approver see it: what it says, how urgent, where, to whom by name.

People of other organisations stand apart, after a mark that needs no colour. Readable at 80 columns.
"""

import os
import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import click

from clients.core.cap import Alert, Area, Info
from clients.core.declared import misdeclared
from clients.core.release import Receiver
from clients.core.text import visible, visible_name
from clients.moments import iso
from clients.places import area_lines
from keys import ladder as ladders
from keys.envelope import Marking, Precedence
from keys.ladder import Ladder

OUTSIDE: Final = "! OUTSIDE"
NARROW, WIDE = 60, 100  # columns between which lines are broken
SHORT_DISPLAY: Final = 160  # characters of a headline that a small screen shows (CAP 1.2 section 3.2.2)


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown. `receivers` as `release.receivers` gives them, `not_after` in ms; `home` is the writer's organisation."""

    alert: Alert
    receivers: Sequence[Receiver]
    home: str
    marking: Marking
    release: str
    ladder: Ladder | None
    not_after: int
    name: Callable[[bytes], str]
    """What to call a person, by id."""

    @property
    def precedence(self) -> Precedence:
        return Precedence.FLASH if self.alert.precedence_is_flash else Precedence.IMMEDIATE

    @property
    def outsiders(self) -> list[Receiver]:
        return [r for r in self.receivers if r.outside]


def lines(preview: Preview) -> list[str]:
    """The whole of it for people."""
    found = [*_head(preview), *_texts(preview.alert), *_where(preview.alert), *_people(preview)]
    if preview.release:
        found += wrapped("  released to them because: ", preview.release)
    if preview.ladder is not None:
        for line in ladders.words(preview.ladder, preview.name):
            found += _rung(line.strip()) if line.startswith(" ") else wrapped("  ", line)
    return found


def _rung(line: str) -> list[str]:
    """One rung of a ladder; what is broken off stands below the text, not below the rung's name."""
    name, gap, text = line.partition("  ")
    label = f"    {name}{gap}" if gap else "    "
    label += text[: len(text) - len(text.lstrip())]
    first, *further = wrapped(" " * len(label), text.strip() if gap else line)
    return [label + first.lstrip(), *further]


def _head(preview: Preview) -> list[str]:
    alert = preview.alert
    drill = [f"  EXERCISE EXERCISE EXERCISE: {visible(alert.note)}"] if alert.is_exercise else []
    how = [f"{i.urgency}, {i.severity}, {i.certainty}" for i in alert.infos[:1]]
    asked = [", ".join(i.response_types) for i in alert.infos[:1] if i.response_types]
    line = f"  {preview.precedence.name}  {preview.marking.label}  until {iso(preview.not_after)}"
    return [*drill, line, *(f"  {part}" for part in ("; ".join([*how, *asked]),) if part)]


def _texts(alert: Alert) -> list[str]:
    found: list[str] = []
    if not alert.infos and alert.note:
        found += wrapped("  note: ", alert.note)
    for info in alert.infos:
        found += _block(info)
    return found + [line for slip in misdeclared(alert) for line in wrapped("  ! ", slip)]


def _block(info: Info) -> list[str]:
    translated = f" ({info.translation} translation)" if info.translation else ""
    found = wrapped(f"  [{visible(info.language, 20)}]{visible(translated, 40)} ", info.headline or info.event)
    if len(info.headline) > SHORT_DISPLAY:
        found.append(f"    ! the headline has {len(info.headline)} characters: small screens cut it at {SHORT_DISPLAY}")
    for text in (info.description, info.instruction, info.contact):
        for line in text.split("\n") if text else ():
            found += wrapped("    ", line)
    if info.response_options:
        found += wrapped("    answers: ", " / ".join(info.response_options))
    return found


def _where(alert: Alert) -> list[str]:
    areas = [area for info in alert.infos[:1] for area in info.areas]
    return [line for area in areas for line in _area(area)]


def _area(area: Area) -> list[str]:
    name, *shapes = area_lines(area)
    return [*wrapped("  where: ", name), *(f"  {shape}" for shape in shapes)]


def _people(preview: Preview) -> list[str]:
    inside = [r for r in preview.receivers if not r.outside]
    channels = {channel for r in preview.receivers for channel in r.channels}
    outside = f", {len(preview.outsiders)} OUTSIDE {visible(preview.home, 40)}" if preview.outsiders else ""
    found = [f"  to {_count(len(preview.receivers), 'person')} in {_count(len(channels), 'channel')}{outside}"]
    found += wrapped(f"    {visible(preview.home, 40)} ({len(inside)}): ", ", ".join(map(_called, inside)) or "nobody")
    for organisation in dict.fromkeys(r.organisation for r in preview.outsiders):
        theirs = [r for r in preview.outsiders if r.organisation == organisation]
        name = visible(organisation, 40) or "organisation not known"
        found += map(loud, wrapped(f"  {OUTSIDE} {name} ({len(theirs)}): ", ", ".join(map(_called, theirs))))
    return found


def _called(receiver: Receiver) -> str:
    return f"{visible_name(receiver.name, 60)}{' (you)' if receiver.you else ''}"


def _count(number: int, noun: str) -> str:
    plural = {"person": "people"}.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


def loud(line: str) -> str:
    """A line in red where a terminal shows colours; the words say it without."""
    return line if os.environ.get("NO_COLOR") else click.style(line, fg="red", bold=True)


def columns() -> int:
    """How many characters a line has here."""
    return max(NARROW, min(WIDE, shutil.get_terminal_size((80, 24)).columns - 1))


def wrapped(label: str, text: str) -> list[str]:
    """A text of somebody else's after our label, made visible, broken at the terminal's width; what follows the first line is indented."""
    further = " " * (len(label) if not label.strip() else 6)
    parts = textwrap.wrap(text, columns(), initial_indent=label, subsequent_indent=further, break_on_hyphens=False)
    first, *others = parts or [label]
    return [label + visible(first.removeprefix(label)), *(further + visible(part.lstrip()) for part in others)]


def as_object(preview: Preview) -> dict[str, object]:
    """The same as `--json` prints it."""
    return {
        "precedence": preview.precedence.name.lower(),
        "marking": preview.marking.label,
        "status": preview.alert.status,
        "not_after": iso(preview.not_after),
        "release": preview.release,
        "doubtful_languages": list(misdeclared(preview.alert)),
        "texts": [
            {
                "language": info.language,
                "translation": info.translation,
                "headline": info.headline,
                "description": info.description,
                "instruction": info.instruction,
                "options": list(info.response_options),
            }
            for info in preview.alert.infos
        ],
        "people": len(preview.receivers),
        "outside": len(preview.outsiders),
        "receivers": [receiver_object(r) for r in preview.receivers],
        "ladder": ladders.words(preview.ladder, preview.name) if preview.ladder is not None else [],
    }


def receiver_object(receiver: Receiver) -> dict[str, object]:
    """A receiver as `--json` prints it."""
    return {
        "person": receiver.person.hex(),
        "name": receiver.name,
        "organisation": receiver.organisation,
        "outside": receiver.outside,
        "you": receiver.you,
        "devices": [device.hex() for device in receiver.devices],
        "channels": [channel.hex() for channel in receiver.channels],
    }


def echo(shown: Iterable[str]) -> None:
    """Lines on stdout; colours are left out where it is no terminal."""
    for line in shown:
        click.echo(line)
