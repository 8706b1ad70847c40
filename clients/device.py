"""A device's profile opened for one verb: what the shells of agents and officers share.

    with device() as station:
        report = run(station.sync(SYNC))

A verb changes what is durable first and then talks to the gateway; where that isn't reached the change is kept, the verb says so
and ends with exit code 3, and any later verb takes it along.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Final

import click
from msgspec import Meta

from clients import moments
from clients.core.cap import CapRefused, open_alert
from clients.core.errors import Unknown
from clients.core.ledger import Draft, Shelf
from clients.core.text import visible, visible_lines, visible_name
from clients.moments import iso, now
from clients.places import area_lines, position_object, position_text
from clients.shell import narrow, passphrase, pick, profile, run, tell
from clients.station import Station
from clients.unlocking import opened
from clients.vault import Vault
from clients.views import AlertView, ChannelInfo, PersonInfo, Shown
from keys.alert import AlertType
from keys.canonical import Record
from keys.envelope import Kind, Marking, Precedence
from keys.errors import KeysError

SYNC: Final = moments.SYNC  # seconds that a verb gives the gateway
SHORT_ID: Final = 8  # digits of an id that people are shown


@contextmanager
def device() -> Iterator[Station]:
    """This profile's device. Raises as `Station.open`."""
    station = opened(Vault.open(profile(), passphrase()), narrow=narrow())
    try:
        yield station
    finally:
        station.close()


def short(identifier: bytes) -> str:
    """An id as people are shown it; its beginning is enough to name it."""
    return identifier.hex()[:SHORT_ID]


def the_channel(station: Station, wanted: str) -> ChannelInfo:
    """The channel that a person means: by its purpose, or by the beginning of its id."""
    return pick(station.channels(), wanted, lambda c: (c.purpose, c.id.hex()), "channel")


def sync_for_channel(station: Station, wanted: str, seconds: float) -> ChannelInfo:
    """The channel that a person means, also one to which this device was added since it last looked."""
    try:
        return the_channel(station, wanted)
    except click.UsageError:
        run(station.sync(seconds))
        return the_channel(station, wanted)


class Label(Record, frozen=True, array_like=True):
    """What whoever sits here calls a device until its card has come: a note of their own, shown to nobody else."""

    name: Annotated[str, Meta(max_length=100)]
    call_sign: Annotated[str, Meta(max_length=100)]


LABELS: Final = Shelf("label", Label)  # device


def label(station: Station, labelled: bytes, name: str, call_sign: str) -> None:
    """Call a device so from now on, until its card has come."""
    draft = Draft(station.vault)
    LABELS.put(draft, labelled, Label(name, call_sign))
    station.vault.apply(draft.changes())


def directory(station: Station) -> list[PersonInfo]:
    """The devices that this one knows of: with their cards' names, else with what they are called here."""
    return [_named(station, person) for person in station.directory()]


def _named(station: Station, person: PersonInfo) -> PersonInfo:
    own = LABELS.get(station.vault, person.device)
    if own is None or person.name or person.call_sign:
        return person
    return replace(person, name=own.name, call_sign=own.call_sign)


def people(station: Station, wanted: Iterable[str]) -> list[bytes]:
    """The devices that a person means: by name or call sign (all devices of that person), or by the beginning of an id."""
    known = [p for p in directory(station) if not p.revoked]
    found: list[bytes] = []
    for name in wanted:
        named = [p for p in known if name.casefold() in (p.name.casefold(), p.call_sign.casefold())]
        if len({p.person for p in named}) > 1:
            raise Unknown(f"{len(named)} people are called {name!r}: name one by the beginning of the device's id")
        found += [p.device for p in named] or [pick(known, name, lambda p: (p.device.hex(),), "device").device]
    return list(dict.fromkeys(found))


def marking(label: str | None) -> Marking | None:
    """A TLP label as an option gives it, `TLP:` left out or not. Raises a UsageError."""
    if label is None:
        return None
    try:
        return Marking.parse(label if label.startswith("TLP:") else f"TLP:{label}")
    except KeysError as error:
        raise click.UsageError(str(error)) from None


def precedence(name: str) -> Precedence:
    """A precedence by its name."""
    return Precedence[name.upper()]


PRECEDENCES: Final = click.Choice([p.name.lower() for p in Precedence], case_sensitive=False)


def person_object(person: PersonInfo) -> dict[str, object]:
    """A device and its person as `--json` prints them."""
    return {
        "device": person.device.hex(),
        "person": person.person.hex(),
        "organisation": person.organisation,
        "roles": list(person.roles),
        "name": person.name,
        "call_sign": person.call_sign,
        "revoked": person.revoked,
        "not_after": iso(person.not_after),
    }


def person_row(person: PersonInfo) -> tuple[str, ...]:
    """A device and its person as a row for people."""
    state = "REVOKED" if person.revoked else f"until {iso(person.not_after)}"
    return (
        short(person.device),
        visible_name(person.call_sign) or "-",
        visible_name(person.name) or "(no card yet)",
        visible(person.organisation),
        ", ".join(map(visible, person.roles)),
        state,
    )


def channel_object(channel: ChannelInfo) -> dict[str, object]:
    """A channel as `--json` prints it."""
    return {
        "channel": channel.id.hex(),
        "class": channel.channel_class,
        "marking": channel.marking.label,
        "purpose": channel.purpose,
        "epoch": channel.epoch,
        "seq": channel.seq,
        "unread": channel.unread,
        "members": channel.members,
        "halted": channel.halted,
        "left": channel.left,
    }


def shown_object(shown: Shown) -> dict[str, object]:
    """A message as `--json` prints it."""
    return {
        "channel": shown.channel.hex(),
        "seq": shown.seq,
        "id": shown.id.hex(),
        "device": shown.device.hex(),
        "name": shown.name,
        "kind": shown.kind.name.lower(),
        "text": shown.text,
        "precedence": shown.precedence.name.lower(),
        "marking": shown.marking.label,
        "sealed": iso(shown.sealed),
        "placed": iso(shown.placed),
        "ask_ack": shown.ask_ack,
        "reason": shown.reason,
        "alert": alert_object(shown.alert) if shown.alert else None,
        "warnings": list(shown.warnings),
        **({"position": position_object(shown.position)} if shown.position else {}),
    }


def alert_object(view: AlertView) -> dict[str, object]:
    """An alert as `--json` prints it: its root is what answers name."""
    return {
        "root": view.root.hex(),
        "words": view.words,
        "alert": view.alert.hex(),
        "type": view.type.name.lower(),
        "cap": view.cap.decode(errors="replace"),
        "exercise": view.exercise,
        "marking": view.marking.label,
        "writer": {"device": view.writer.hex(), "name": view.writer_name},
        "approver": {"device": view.approver.hex(), "name": view.approver_name} if view.approver else None,
        "alone": view.alone,
        "reason": view.reason,
        "review_due": iso(view.review_due) if view.review_due else None,
        "reviewed_by": view.reviewed or None,
        "not_after": iso(view.not_after),
        "references": [root.hex() for root in view.references],
        "standing": view.how or "holds",
        "ended_by": view.ended_by.hex() or None,
        "play_frozen": view.frozen or None,
        "actionable": view.actionable,
        "options": [{"option": number, "text": text} for number, text in view.options],
    }


def shown_lines(shown: Shown, channel: str) -> list[str]:
    """A message for people: who, when, how urgent, under which marking, and what."""
    head = f"{iso(shown.placed)} {visible(channel)} #{shown.seq} {visible_name(shown.name) or short(shown.device)}"
    urgent = f" {shown.precedence.name}" if shown.precedence is not Precedence.ROUTINE else ""
    lines = [f"{head}{urgent} {shown.marking.label}"]
    lines += [f"  ! {visible(warning)}" for warning in shown.warnings]
    if shown.reason:
        lines.append(f"  (not shown: {visible(shown.reason)})")
    elif shown.alert is not None:
        lines += alert_lines(shown.alert)
    elif shown.kind is Kind.SOS:
        lines += ["  !!! SOS !!!", *(f"  {line}" for line in visible_lines(shown.text) if line.strip())]
        lines.append(f"  {position_text(shown.position)}")
    else:
        lines += [f"  {line}" for line in visible_lines(shown.text)]
    if shown.ask_ack:
        lines.append(f"  asks for an answer: outrider ack {short(shown.id)}")
    return lines


ENDS: Final = {
    AlertType.ALERT: "about",
    AlertType.UPDATE: "replaces",
    AlertType.CANCEL: "cancels",
    AlertType.ALL_CLEAR: "clears",
}


def alert_lines(view: AlertView) -> list[str]:
    """An alert for people. One that holds no longer is one line and what to look at instead: nothing in it is to be acted on."""
    kind = "" if view.type is AlertType.ALERT else f" {view.type.name.replace('_', '-')}"
    guest = "  GUEST" if view.guest else ""
    head = f"ALERT {short(view.root)}{kind} {view.marking.label}, until {iso(view.not_after)}{guest}"
    if view.how:
        return [
            f"  ({head})",
            f"  ({alert_standing(view)}: do not act on this one. It said: {alert_headline(view.cap)})",
        ]
    lines = [f"  {head}", f"  {alert_signatures(view)}"]
    lines += [f"  {ENDS[view.type]} {', '.join(short(root) for root in view.references)}"] if view.references else []
    lines += [f"  reason: {visible(view.reason)}"] if view.reason else []
    try:
        document = open_alert(view.cap)
    except CapRefused as error:
        return [*lines, f"  (not a CAP document: {visible(str(error))})"]
    chosen = document.chosen(languages())
    if chosen is not None:
        lines += [f"  ({visible(chosen.fallback)})"] if chosen.fallback else []
        for info in chosen.blocks:
            lines += [f"  ({visible(info.translation)} translation)"] if info.translation else []
            lines.append(f"  {visible(info.headline or info.event)}")
            for text in (info.description, info.instruction, info.contact):
                lines += [f"  {line}" for line in visible_lines(text) if line.strip()]
            for area in info.areas:
                name, *shapes = area_lines(area)
                lines += [f"  where: {name}", *(f"  {shape}" for shape in shapes)]
    if view.frozen:
        lines.append(f"  PLAY IS FROZEN: {visible(view.frozen)}")
    else:
        lines += [f"  answer {number}: {visible(text)}" for number, text, _ in answers_offered(view)]
        lines.append(f"  outrider ack {short(view.root)} {'OPTION' if view.options else ''}".rstrip())
    return _played(lines) if view.exercise else lines


def answers_offered(view: AlertView) -> list[tuple[int, str, frozenset[str]]]:
    """The answers that an alert offers: number, what it is called in the reader's language, and in every language."""
    try:
        document = open_alert(view.cap)
    except CapRefused:
        return []
    texts = document.options_for(languages())
    own = dict(zip((number for number, _ in view.options), texts, strict=False))
    found = []
    for n, (number, text) in enumerate(view.options):
        said = (info.response_options[n] for info in document.infos if n < len(info.response_options))
        found.append((number, own.get(number, text), frozenset({text, *said})))
    return found


def alert_signatures(view: AlertView) -> str:
    """Who stands behind an alert, as every recipient has verified it."""
    writer = visible_name(view.writer_name) or short(view.writer)
    if view.alone:
        return f"!! ONE PERSON ALONE: {writer} sent it without a second; {_review(view)}"
    return f"written by {writer}, approved by {visible_name(view.approver_name) or short(view.approver)}: both verified"


def _review(view: AlertView) -> str:
    if view.reviewed:
        return f"reviewed by {visible(view.reviewed)}"
    return f"review {'OVERDUE since' if now() > view.review_due else 'due by'} {iso(view.review_due)}"


def alert_standing(view: AlertView) -> str:
    """What became of an alert, in words; empty while it holds."""
    if not view.how:
        return ""
    return f"{view.how.upper()} by {short(view.ended_by)}" if view.ended_by else "ITS TIME IS OVER"


def alert_headline(document: bytes) -> str:
    """An alert in a line, in the reader's language."""
    try:
        info = open_alert(document).info_for(languages())
    except CapRefused:
        return "(not a CAP document)"
    return visible(info.headline or info.event) if info is not None else ""


def _played(lines: list[str]) -> list[str]:
    """Play looks like nothing else: hatched, and said in words at both ends."""
    fence = "  /// EXERCISE EXERCISE EXERCISE ///"
    return [fence, *(f"  / {line.strip()}" for line in lines), fence]


def languages() -> list[str]:
    """The reader's languages as CAP writes them, from the environment: LANG=es_ES.UTF-8 is es-ES, then es."""
    chosen = next((os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "")
    name = chosen.split(".")[0].split("@")[0].replace("_", "-")
    return [] if name in ("", "C", "POSIX") else list(dict.fromkeys([name, name.split("-")[0]]))


def not_reached(error: str, kept: str) -> int:
    """Say that the gateway wasn't reached and what was kept; gives exit code 3."""
    tell(f"outrider: gateway not reached{f': {visible(error)}' if error else ''}; {kept}")
    return 3
