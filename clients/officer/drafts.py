"""Drafts of alerts: how they are shown, with everybody they would reach, and the verbs that list, show and drop them."""

from collections.abc import Mapping
from typing import Final

import click

from clients.core import cap, composing, playbook, release
from clients.core.composing import Frozen
from clients.core.composition import DRILL
from clients.core.errors import ClientError
from clients.core.records import AlertDraft
from clients.core.text import visible, visible_name
from clients.device import device, directory, short
from clients.moments import iso, now
from clients.officer import preview
from clients.officer.preview import Preview, columns
from clients.officer.reach import look, reach_object, warnings
from clients.officer.template import examples, origin
from clients.shell import Verb, asked, show, table, tell
from clients.station import Station
from keys.alert import AlertType
from keys.envelope import Marking
from keys.ladder import APP, Ladder, Rung, read_ladder

NAMES: Final = {
    AlertType.ALERT: "alert",
    AlertType.UPDATE: "update",
    AlertType.CANCEL: "cancel",
    AlertType.ALL_CLEAR: "all-clear",
}


def rungs_of(ladder: Ladder) -> list[Rung]:
    """All of them, the fallback last."""
    return [*ladder.rungs, *([ladder.fallback] if ladder.fallback else [])]


def previewed(station: Station, draft: AlertDraft, frozen: Frozen) -> Preview:
    """A draft as it would go out now."""
    receivers = station.act(lambda work: release.receivers(work, draft.channels))
    names = {p.person: p.name or p.call_sign for p in directory(station) if p.name or p.call_sign}
    return Preview(
        frozen.alert,
        receivers,
        station.identity.organisation,
        Marking(draft.marking),
        draft.release,
        read_ladder(draft.ladder) if draft.ladder else None,
        frozen.not_after,
        lambda person: names.get(person, person.hex()[:8]),
    )


def present(station: Station, key: bytes, draft: AlertDraft) -> None:
    """Show a kept draft: the preview, who is out of reach, and what comes next."""
    frozen = composing.freeze(draft, now())
    shown = previewed(station, draft, frozen)
    receivers = {one.person for one in shown.receivers if not one.you}
    woken = {person for rung in rungs_of(shown.ladder) for person in rung.people} if shown.ladder else set()
    everybody, roads = look(station, receivers | woken)
    found = [one for one in everybody if one.person in receivers]
    if roads is None:
        tell("outrider: gateway not reached; who is out of reach is as this device knows it")
    lines = [
        *_title(station, key, draft),
        *_ending(station, draft),
        *preview.lines(shown),
        *warnings(station, found, roads),
    ]
    absent = ", ".join(visible_name(station.name(one)) or short(one) for one in station.absent_officers(draft.channels))
    lines += preview.wrapped("  ! ", f"officers not in every channel of it yet: {absent}") if absent else []
    lines += _ladder_warnings(shown, {one.person: one.roads for one in everybody})
    lines += [f"  ! the document: {warning}" for warning in cap.check(frozen.cap).warnings]
    lines.append(f"next: outrider alert submit {composing.name_of(key)}")
    reached = {"reach": [reach_object(station, one) for one in found if one.lacks]}
    show(draft_object(key, draft) | preview.as_object(shown) | reached, *lines)


def _ending(station: Station, draft: AlertDraft) -> list[str]:
    """What it updates, cancels or clears."""
    ended = dict(composing.documents(station.vault))
    named = [(root, ended[root]) for root in draft.references if root in ended]
    verb = {AlertType.UPDATE: "updates", AlertType.CANCEL: "cancels", AlertType.ALL_CLEAR: "clears"}
    return [
        line
        for root, alert in named
        for line in preview.wrapped(f"  {verb[AlertType(draft.type)]} {short(root)}: ", headline(alert))
    ]


def headline(alert: cap.Alert) -> str:
    """An alert in one line: its first block's headline, or its note where it has no block."""
    return next((info.headline or info.event for info in alert.infos), alert.note)


def _ladder_warnings(shown: Preview, roads: Mapping[bytes, tuple[str, ...] | None]) -> list[str]:
    """What a ladder can't do: nobody behind its last rung, people whom its road doesn't lead to."""
    if shown.ladder is None:
        return ["  no ladder: nobody is woken who does not answer (--ladder FILE)"]
    found = []
    for rung in rungs_of(shown.ladder):
        for person in rung.people:
            leading = roads.get(person)
            if rung.road != APP and leading is not None and rung.road not in leading:
                name = visible_name(shown.name(person), 40)
                found.append(
                    f"  ! the ladder wakes {name} by {rung.road}, and the gateway has no {rung.road} of theirs"
                )
    if shown.ladder.fallback is None:
        found.append("  the ladder has no fallback: after its last rung nobody else is woken")
    return found


def _title(station: Station, key: bytes, draft: AlertDraft) -> list[str]:
    made = f"template {draft.template} version {draft.version}" if draft.template else "from a CAP file"
    title = f"DRAFT {composing.name_of(key)}  {NAMES[AlertType(draft.type)]}, {made}"
    try:
        entry = playbook.find(station.vault, draft.template, draft.version, examples()) if draft.template else None
    except ClientError:  # it was replaced, or is disputed meanwhile
        entry = None
    return [title, f"  the template: {origin(station, entry)}"] if entry is not None else [title]


def draft_object(key: bytes, draft: AlertDraft) -> dict[str, object]:
    """A draft as `--json` prints it."""
    return {
        "draft": composing.name_of(key),
        "type": NAMES[AlertType(draft.type)],
        "template": draft.template,
        "version": draft.version,
        "marking": Marking(draft.marking).label,
        "channels": [channel.hex() for channel in draft.channels],
        "references": [root.hex() for root in draft.references],
        "composed": iso(draft.composed),
        "root": draft.root.hex(),
    }


# --- drafts ---


@click.command("list", cls=Verb)
def list_drafts() -> None:
    """List the drafts kept here that were not sent yet. Needs no gateway.

    Example: outrider alert draft list
    """
    with device() as station:
        kept = [
            (key, draft) for key, draft in composing.drafts(station.vault) if not composing.sent(station.vault, draft)
        ]
        if asked().json:
            for key, draft in kept:
                show(draft_object(key, draft))
            return
        rows = [_row(key, draft) for key, draft in kept]
    for line in table(rows):
        click.echo(line if len(line) <= columns() else line[: columns() - 1] + "…")
    if not rows:
        tell("no drafts: `outrider alert new` makes one")


def _row(key: bytes, draft: AlertDraft) -> tuple[str, ...]:
    alert = cap.open_alert(draft.cap)
    state = f"submitted {short(draft.root)}" if draft.root else ""
    return (
        composing.name_of(key)[:8],
        iso(draft.composed)[5:16].replace("T", " "),
        NAMES[AlertType(draft.type)],
        Marking(draft.marking).label,
        state,
        f"{'DRILL ' if alert.is_exercise else ''}{visible(headline(alert).replace(DRILL, '').strip())}",
    )


@click.command("show", cls=Verb)
@click.argument("draft", metavar="DRAFT")
def show_draft(draft: str) -> None:
    """Show DRAFT, named by the beginning of its id: what it would say and whom it would reach, as things stand now.

    Example: outrider alert draft show 4f2a
    """
    with device() as station:
        key, kept = composing.find(station.vault, draft)
        present(station, key, kept)


@click.command("drop", cls=Verb)
@click.argument("draft", metavar="DRAFT")
def drop_draft(draft: str) -> None:
    """Throw DRAFT away. Needs no gateway; a draft that was submitted is withdrawn with `alert withdraw`.

    Example: outrider alert draft drop 4f2a
    """
    with device() as station:
        key, kept = composing.find(station.vault, draft)
        station.act(lambda work: composing.drop(work, key))
    show(draft_object(key, kept), f"DROPPED draft {composing.name_of(key)}")
