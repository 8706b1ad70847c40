"""`outrider alert new`, and the drafts it keeps: composed and checked on this device, shown with everybody who would get it.

Nothing leaves here. `alert submit` freezes a draft and asks a second officer; update, cancel and all-clear are composed with the same
options (`composing_options`, `drafted`), and shown by `present`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from clients.core import cap, composing, playbook, records, release
from clients.core.cap.schema import CERTAINTY, RESPONSE_TYPE, SEVERITY, URGENCY
from clients.core.cap.values import Simple
from clients.core.composing import Wish
from clients.core.composition import shape
from clients.core.freezing import check_players
from clients.core.ladder_file import FILE_LIMIT
from clients.core.ladder_file import read as read_ladder_file
from clients.core.records import AlertDraft
from clients.core.templates import Template, Value, in_languages, missing, speaking
from clients.core.text import visible
from clients.device import SYNC, device, directory, marking, sync_for_channel
from clients.moments import Duration, Moment, now
from clients.officer.attempted import attempted
from clients.officer.drafts import present, rungs_of
from clients.officer.reach import look
from clients.officer.template import examples
from clients.shell import Verb, ask, asked, interactive, pick, read_bytes, run, tell
from clients.station import Station
from keys.alert import AlertType
from keys.canonical import encode
from keys.envelope import Kind
from keys.ladder import APP, read_ladder
from keys.ladder import check as check_ladder

__all__ = ["composing_options", "drafted", "new", "present"]

C = TypeVar("C", bound=Callable[..., Any])
IN_LANGUAGE: Final = re.compile(r"([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*):(.*)", re.DOTALL)


def _words(type_: Simple) -> Any:
    return click.Choice(type_.name.removeprefix("one of ").split(", "), case_sensitive=False)


OPTIONS: Final = (
    click.option("--template", metavar="NAME", help="A template of the mission: see `outrider alert template list`."),
    click.option("--template-version", "version", type=click.IntRange(1), metavar="N", help="That version of it."),
    click.option("--cap", "file", type=click.Path(path_type=Path), metavar="FILE", help="A CAP 1.2 document instead; its bytes are sent as they are."),
    click.option("--set", "slots", multiple=True, metavar="SLOT=TEXT", help="Fill a slot; es:SLOT=TEXT in that language. May be repeated."),
    click.option("--language", "languages", multiple=True, metavar="TAG[=human|machine]", help="Only in these, and how each was translated. May be repeated."),
    click.option("--to", "channels", multiple=True, metavar="CHANNEL", help="An alert channel, or the talk channel it stands beside. May be repeated."),
    click.option("--marking", metavar="LABEL", help="TLP label; otherwise as the template says, else TLP:AMBER."),
    click.option("--release", "reason", default="", metavar="REASON", help="Why people of other organisations may have it."),
    click.option("--area", "areas", multiple=True, metavar="SHAPE", help='"circle LAT,LON KM" or "polygon LAT,LON LAT,LON LAT,LON …".'),
    click.option("--place", default="", metavar="NAME", help="The area's name; otherwise the slot `place`."),
    click.option("--urgency", type=_words(URGENCY), help="Instead of the template's."),
    click.option("--severity", type=_words(SEVERITY), help="Instead of the template's."),
    click.option("--certainty", type=_words(CERTAINTY), help="Instead of the template's."),
    click.option("--response", "responses", type=_words(RESPONSE_TYPE), multiple=True, help="Instead of the template's. May be repeated."),
    click.option("--respond", multiple=True, metavar="REPLY", help='A reply to choose, such as "CORDON SET"; es:REPLY in that language. May be repeated.'),
    click.option("--lasts", type=Duration(), metavar="TIME", help="How long it holds, from when it is submitted: 90m, 4h, 2d."),
    click.option("--expires", type=Moment(), metavar="TIME", help="When it ends: 2027-03-31T12:00:00Z."),
    click.option("--exercise", default="", metavar="NAME", help="It is a drill of this name, and says so everywhere."),
    click.option("--note", default="", metavar="TEXT", help="A remark to go with it, in one line."),
    click.option("--ladder", type=click.Path(path_type=Path), metavar="FILE", help="Who is woken while it is not answered."),
)  # fmt: skip


def composing_options(command: C) -> C:
    """The options by which an alert is composed; `drafted` takes them by name."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command(cls=Verb)
@composing_options
@click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds for the gateway."
)
def new(timeout: float, **options: Any) -> int:
    """Compose an alert and keep it as a draft: from a template, or from a CAP file. Shows what it says, whom it would reach by
    name, who of them is out of reach, and what comes next. Nothing is sent.

    Example: outrider alert new --template crowd-threat --set place="Plaza Central" --set what="About 400 people, some throw
    stones." --set action="Stay inside." --to residence-alerts --area "circle 12.1015,-68.9336 0.4"
    """
    with device() as station, attempted(station, timeout):
        key, draft = drafted(station, AlertType.ALERT, b"", timeout, options)
        present(station, key, draft)
    return 0


# --- from options to a draft ---


def drafted(
    station: Station, type_: AlertType, ends: bytes, timeout: float, options: Mapping[str, Any], template: str = ""
) -> tuple[bytes, AlertDraft]:
    """Compose what the options ask for, and keep it; gives its id and the draft. `ends` is the root that it updates, cancels or
    clears, `template` what is used where none is named.

    Raises what `composing.compose` and `composing.keep` raise, and UsageErrors for options that don't fit together.
    """
    report = run(station.sync(timeout))  # who is in a channel may have changed
    if not report.connected:
        tell("outrider: gateway not reached; who is in the channels is as this device knows it")
    wish = _wish(station, type_, ends, timeout, options, template)
    draft = station.act(lambda work: composing.compose(work, wish))
    if draft.ladder:
        _check_ladder(station, draft)
    if wish.exercise:
        station.attempt(Kind.ALERT, lambda work: check_players(work, draft.channels))
    if wish.template is not None and not wish.languages and (left_out := speaking(wish.template, wish.values)[1]):
        tell(f"outrider: not in a language whose words are not whole: {visible('; '.join(left_out))}")
    return station.attempt(Kind.ALERT, lambda work: composing.keep(work, draft)), draft


def _wish(
    station: Station, type_: AlertType, ends: bytes, timeout: float, options: Mapping[str, Any], template: str
) -> Wish:
    named = options["template"] or ("" if options["file"] else template)
    if bool(named) == bool(options["file"]):
        raise click.UsageError("an alert is made from --template NAME, or from --cap FILE: give one of them")
    if options["lasts"] and options["expires"]:
        raise click.UsageError("--lasts and --expires say the same twice: give one of them")
    if options["file"]:
        _refuse_for_file(options)
    values = tuple(_value(text) for text in options["slots"])
    languages = tuple(_language(text) for text in options["languages"])
    chosen = _template(station, named, options["version"], values, languages) if named else None
    wish = Wish(
        type=type_,
        template=chosen[0] if chosen else None,
        file=read_bytes(options["file"], cap.LONGEST) if options["file"] else b"",
        values=chosen[1] if chosen else values,
        languages=languages,
        channels=tuple(_channel(station, name, timeout) for name in options["channels"]),
        marking=marking(options["marking"]),
        urgency=options["urgency"] or "",
        severity=options["severity"] or "",
        certainty=options["certainty"] or "",
        responses=tuple(options["responses"]),
        place=options["place"],
        shapes=tuple(map(shape, options["areas"])),
        lasts=options["lasts"] or 0,
        expires=options["expires"] or 0,
        exercise=options["exercise"],
        note=options["note"],
        release=options["reason"],
        ends=ends,
    )
    spoken = wish.template.languages if wish.template else ()
    replies = tuple(_reply(text, spoken) for text in options["respond"])
    ladder = _ladder(station, options["ladder"]) if options["ladder"] else b""
    return replace(wish, respond=replies, ladder=ladder)


def _refuse_for_file(options: Mapping[str, Any]) -> None:
    """A file's bytes are sent as they are, so nothing in them can be asked for otherwise."""
    fixed = {
        "slots": "--set", "languages": "--language", "areas": "--area", "place": "--place", "urgency": "--urgency",
        "severity": "--severity", "certainty": "--certainty", "responses": "--response", "respond": "--respond",
        "expires": "--expires", "exercise": "--exercise", "note": "--note", "version": "--template-version",
    }  # fmt: skip
    given = [flag for name, flag in fixed.items() if options[name]]
    if given:
        raise click.UsageError(f"a CAP file is sent as it is: {', '.join(given)} can't change it; change the file")


def _value(text: str) -> Value:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: write --set SLOT=TEXT")
    language, colon, slot = name.rpartition(":")
    return Value(slot.strip() if colon else name.strip(), value, language.strip())


def _language(text: str) -> tuple[str, str]:
    tag, _, translation = text.partition("=")
    return tag, translation


def _reply(text: str, languages: tuple[str, ...]) -> Value:
    """A reply; what stands before a colon is a language only where the alert speaks it."""
    form = IN_LANGUAGE.fullmatch(text)
    if form is not None and form[1].lower() in map(str.lower, languages):
        return Value("respond", form[2].strip(), form[1])
    return Value("respond", text.strip())


def _template(
    station: Station, name: str, version: int | None, values: tuple[Value, ...], languages: tuple[tuple[str, str], ...]
) -> tuple[Template, tuple[Value, ...]]:
    """The template, and the values; what is still empty is asked for where somebody sits there."""
    template = playbook.find(station.vault, name, version or 0, examples()).template
    if not interactive() or asked().json:
        return template, values
    for slot, language in missing(in_languages(template, languages), values):
        if not language:
            values = (*values, Value(slot.name, ask(slot.ask.rstrip("?"), f"--set {slot.name}=…")))
        elif languages:
            words = ask(f"{slot.ask} [{language}]", f"--set {language}:{slot.name}=…")
            values = (*values, Value(slot.name, words, language))
    return template, values


def _channel(station: Station, name: str, timeout: float) -> bytes:
    """The alert channel that is meant; of a talk channel the one beside it."""
    named = sync_for_channel(station, name, timeout)
    beside = [c for c, state in records.CHANNELS.scan(station.vault) if state.beside == named.id and not state.left]
    return beside[0] if len(beside) == 1 else named.id


def _ladder(station: Station, file: Path) -> bytes:
    """A ladder's file as it is frozen."""
    known = directory(station)

    def person(name: str) -> bytes:
        return pick(known, name, lambda p: (p.name, p.call_sign, p.person.hex()), "person").person

    # One person with several devices is one person.
    known = list({p.person: p for p in known if not p.revoked}.values())
    return encode(read_ladder_file(read_bytes(file, FILE_LIMIT), person))


def _check_ladder(station: Station, draft: AlertDraft) -> None:
    """Whether every rung can be reached, and its road is one of the gateway's; where that isn't reached, it refuses later."""
    ladder, frozen = read_ladder(draft.ladder), composing.freeze(draft, now())
    known = look(station, [])[1]
    roads = {APP, *((rung.road for rung in rungs_of(ladder)) if known is None else known)}
    people = station.act(lambda work: release.receivers(work, draft.channels))
    check_ladder(ladder, now(), frozen.not_after, roads, sum(1 for one in people if not one.you))
