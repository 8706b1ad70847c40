"""`outrider sos`: call for help, at once and to everybody; and end it, which takes two people and the mission's word."""

import asyncio
import contextlib
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from clients.core.content import Position
from clients.core.errors import NotNow, Unknown
from clients.device import SYNC, device, not_reached, short
from clients.emergencies import emergency_lines, emergency_object
from clients.moments import iso
from clients.shell import Declined, Verb, agree, interactive, read_passphrase, run, show, tell
from clients.station import Station
from clients.views import EmergencyView

WINDOW: Final = 5  # s in which nothing has been sent yet
LOOK: Final = 0.2  # s
REFUSED: Final = 6
WORD_FILE = click.option(
    "--word-file", type=click.Path(path_type=Path, dir_okay=False), help="Read the word from this file's first line."
)
TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait."
)


@click.command(cls=Verb)
@click.argument("text", default="")
@click.option("--position", metavar="LAT,LON", help="Degrees, north and east positive: 40.4168,-3.7038.")
@click.option("--precision", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="In metres.")
@click.option("--age", type=click.IntRange(0, 86_400), default=0, show_default=True, help="How old it is, in seconds.")
@click.option("--no-position", is_flag=True, help="Say that no position is known (as without --position).")
@click.option("--now", "at_once", is_flag=True, help="Send without the five seconds in which it can be cancelled.")
@click.option(
    "--wait", type=click.FloatRange(0, 3600), default=30.0, show_default=True, help="Seconds to watch who sees it."
)
def call(
    text: str, position: str | None, precision: int, age: int, no_position: bool, at_once: bool, wait: float
) -> int:
    """Call for help: to everybody in your alert channels, before all else, until two people end it. For five seconds any key
    cancels it, and nothing was sent.

    Example: outrider sos --position 40.4168,-3.7038 --precision 15 "shots at the gate"
    """
    if position and no_position:
        raise click.UsageError("either --position or --no-position")
    where = _position(position, precision, age) if position else None
    with device() as station:
        if not at_once:
            _window()
        items = station.sos(text, where)
        return run(_watch(station, items, wait))


def _position(text: str, precision: int, age: int) -> Position:
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"{text!r} is no position: write 40.4168,-3.7038") from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise click.UsageError(f"{text!r} is nowhere: latitude first, then longitude")
    return Position.of(latitude, longitude, precision, age)


def _window(seconds: int = WINDOW) -> None:
    """Count down; any key, or Ctrl-C, and nothing was sent. Raises Declined."""
    try:
        with _keys() as pressed:
            for left in range(seconds, 0, -1):
                tell(f"SOS in {left} … any key cancels")
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    if pressed(min(0.1, max(0.0, end - time.monotonic()))):
                        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise Declined("cancelled: nothing was sent") from None


def _nothing(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Waits for a key at a terminal; elsewhere only waits."""
    if not interactive():
        yield _nothing
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        termios.tcflush(sys.stdin, termios.TCIFLUSH)  # the key that started it is none
        yield lambda seconds: bool(select.select([sys.stdin], [], [], seconds)[0])
    finally:
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def _watch(station: Station, items: list[bytes], seconds: float) -> int:
    """Say how far it has got: KEPT, TAKEN, SEEN by whom; until somebody has it in hand or the time is over."""
    link = asyncio.create_task(station.run())
    end, said = time.monotonic() + seconds, list[str]()
    try:
        while True:
            mine = _sent(station, items)
            for line in _progress(mine):
                if line not in said:
                    said.append(line)
                    show({"state": line.split()[0].lower(), "sos": [emergency_object(one) for one in mine]}, line)
                    sys.stdout.flush()
            refused = next((d.refused for d in map(station.delivery, items) if d.refused and not d.seq), "")
            if any(one.answered for one in mine) or time.monotonic() >= end or (refused and not mine):
                break
            if link.done():
                await link
            await asyncio.sleep(LOOK)
    finally:
        link.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await link
    if refused and not mine:
        tell(f"outrider: REFUSED: {refused}. Nobody has it: use another road")
        return REFUSED
    if not mine:
        return not_reached(
            "", "the SOS is KEPT and goes before all else as soon as there is a link: outrider read --follow"
        )
    tell(f"it goes on until two people end it: outrider sos end ({', '.join(short(one.root) for one in mine)})")
    return 0


def _sent(station: Station, items: list[bytes]) -> list[EmergencyView]:
    places = {(d.channel, d.seq) for d in map(station.delivery, items) if d.seq}
    found = [one for one in station.emergencies() if one.mine]
    records = {one.root: one for one in found}
    return [records[root] for root in station.roots_at(places) if root in records]


def _progress(mine: list[EmergencyView]) -> list[str]:
    lines = ["KEPT"]
    if mine:
        lines.append(f"TAKEN {iso(mine[0].placed)}")
    lines += [f"SEEN by {name}" for one in mine for name in one.seen]
    return lines + [f"ANSWERED by {name}: has it in hand" for one in mine for name in one.answered]


@click.command(cls=Verb)
@click.argument("person", metavar="[PERSON|SOS]", default="")
@WORD_FILE
@click.option(
    "--unchecked", is_flag=True, help="Confirm though this device could not check the word: you made sure by voice."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@TIMEOUT
def end(person: str, word_file: Path | None, unchecked: bool, yes: bool, timeout: float) -> int:
    """End an SOS. Its author answers the challenge, without PERSON; then somebody else who may alert or remove confirms, naming
    the author or the SOS. Only both end it.

    Example: outrider sos end ayo
    """
    with device() as station:
        run(station.sync(timeout))
        if person:
            return _confirm(station, person, timeout, unchecked=unchecked, yes=yes)
        if not any(one.mine and not one.ended for one in station.emergencies()):
            raise NotNow(f"you have called for no help that goes on{_others(station)}")
        items = station.ask_end(word(word_file))
        report = run(station.sync(timeout))
        kept = [d for d in map(station.delivery, items) if not d.seq]
    show({"state": "kept" if kept else "asked"}, "waiting for a second person: the SOS goes on until then")
    return not_reached(report.error, "it is kept, and goes next time") if kept else 0


def _others(station: Station) -> str:
    """Whose end could be confirmed instead."""
    named = [f"outrider sos end {short(one.root)}" for one in station.emergencies() if not one.ended and not one.mine]
    return f"; to confirm another's end: {named[0]}" if named else ""


def word(file: Path | None) -> str:
    """The mission's word, never shown and never said to be right or wrong."""
    if file is not None:
        return read_passphrase(file)
    if not interactive():
        raise click.UsageError("no terminal to ask for the word: use --word-file")
    return str(click.prompt("The word", hide_input=True, default="", show_default=False, err=True))


def _confirm(station: Station, wanted: str, timeout: float, *, unchecked: bool, yes: bool) -> int:
    found = _meant(station, wanted)
    for one in found:
        for line in emergency_lines(one):
            tell(line)
    if not any(one.asked for one in found):
        raise NotNow("its author has not asked for its end: `outrider sos end` there")
    if not yes:
        agree("End it?", "--yes")
    asked = [one.root for one in found if one.asked]
    items = station.confirm_end(asked, unchecked=unchecked)
    report = run(station.sync(timeout))
    sent = [station.delivery(item) for item in items]
    after = [one for one in station.emergencies() if one.root in asked]
    refused = next((d.refused for d in sent if d.refused), "")
    for one in after:
        show(emergency_object(one), *emergency_lines(one))
    if refused:
        tell(f"outrider: refused: {refused}")
        return REFUSED
    if all(one.ended for one in after):
        return 0
    return not_reached(report.error, "the confirmation is kept, and goes next time")


def _meant(station: Station, wanted: str) -> list[EmergencyView]:
    """Every open SOS of the one person named, or the one whose id begins so. Raises Unknown."""
    opened = [one for one in station.emergencies() if not one.ended and not one.mine]
    people = {p.device: p for p in station.directory()}
    found = []
    for one in opened:
        known = people.get(one.device)
        names = {one.name.casefold(), *((known.name.casefold(), known.call_sign.casefold()) if known else ())}
        if wanted.casefold() in names - {""} or one.root.hex().startswith(wanted.lower()):
            found.append(one)
    if len({one.person for one in found}) != 1:
        raise Unknown(f"{'several' if found else 'no'} open SOS of {wanted}: see `outrider alert list`")
    return found


@click.command(cls=Verb)
@WORD_FILE
@TIMEOUT
def words(word_file: Path | None, timeout: float) -> int:
    """Set the mission's no-duress word: asked for when an SOS is to end and with every check-in. It is told to people by voice;
    their devices get only what it takes to compare it. Set it again after officers or leaders have joined.

    Example: outrider sos words
    """
    with device() as station:
        run(station.sync(timeout))
        if word_file is None and interactive():
            said = str(click.prompt("The new word", hide_input=True, confirmation_prompt=True, err=True))
        else:
            said = word(word_file)
        items = station.set_word(said)
        report = run(station.sync(timeout))
        kept = [d for d in map(station.delivery, items) if not d.seq]
    show({"state": "kept" if kept else "set", "channels": len(items)}, f"set in {len(items)} alert channels")
    return not_reached(report.error, "it is kept, and goes next time") if kept else 0
