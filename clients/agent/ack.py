"""`outrider ack`: a person's answer to an alert, or to a message that asked for one."""

from typing import Final

import click

from clients.core.errors import Unknown
from clients.core.text import visible
from clients.device import SYNC, answers_offered, device, not_reached, short
from clients.shell import Verb, run, show, tell
from clients.station import Station
from clients.views import AlertView

SEARCHED: Final = 1_000  # messages of a channel among which the one meant is looked for
REFUSED: Final = 6


@click.command(cls=Verb)
@click.argument("what", metavar="ALERT|MESSAGE")
@click.argument("words", metavar="[OPTION]", nargs=-1)
@click.option("--text", default="", help="Words to the answer, end to end; shown to the officers.")
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
def ack(what: str, words: tuple[str, ...], text: str, timeout: float) -> int:
    """Answer ALERT or MESSAGE, named by the beginning of its id; OPTION is the number or the words of an answer it offers.

    Example: outrider ack 3fa29c01 SAFE
    """
    with device() as station:
        run(station.sync(timeout))
        root = _meant(station, what)
        alert = _alert(station, root)
        choice = _option(alert, " ".join(words))  # NEED HELP, with or without quotes
        item = station.ack(root, choice, text)
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
    show(
        {"root": root.hex(), "option": choice, "state": delivery.state, "refused": delivery.refused},
        *([] if delivery.refused else _said(alert, root, choice, kept=delivery.state == "kept")),
    )
    if delivery.refused:
        tell(f"outrider: refused: {delivery.refused}")
        return REFUSED
    return not_reached(report.error, "the answer is kept, and goes next time") if delivery.state == "kept" else 0


def _said(alert: AlertView | None, root: bytes, choice: int, *, kept: bool) -> list[str]:
    """What was answered, in words; and that more can be said where nothing was chosen."""
    offered = {number: text for number, text, _ in answers_offered(alert)} if alert else {}
    head = f"{'KEPT' if kept else 'ANSWERED'} {short(root)}"
    if choice:
        return [f"{head}: {visible(offered.get(choice, str(choice)))}"]
    choices = " / ".join(visible(text) for text in offered.values())
    if not offered:
        return [head]
    asked = "It asks for a choice: until then you count as silent."
    return [f"{'KEPT' if kept else 'SEEN'} {short(root)}. {asked}", f"  outrider ack {short(root)} {choices}"]


def _meant(station: Station, what: str) -> bytes:
    """The alert's root or the message's id that begins so. Raises Unknown."""
    roots = [alert.root for alert in station.alerts()]
    messages = [m.id for c in station.channels() for m in station.history(c.id, SEARCHED) if m.ask_ack]
    fits = [i for i in dict.fromkeys([*roots, *messages]) if i.hex().startswith(what.lower())]
    if len(fits) != 1:
        raise Unknown(
            f"{len(fits)} alerts and messages begin with {what}: give more of it"
            if fits
            else f"no alert {what}, and no message {what} that asked for an answer: see `outrider alert list`"
        )
    return fits[0]


def _alert(station: Station, root: bytes) -> AlertView | None:
    return next((alert for alert in station.alerts() if alert.root == root), None)


def _option(alert: AlertView | None, option: str) -> int:
    """The number of an answer; 0, seen and acknowledged, where nothing is chosen."""
    offered = answers_offered(alert) if alert else []
    if not option:
        return 0
    for number, _, texts in offered:
        if option.casefold() in {str(number), *map(str.casefold, texts)}:
            return number
    if option == "0":
        return 0
    names = ", ".join(f"{number} {text}" for number, text, _ in offered) or "none: leave OPTION away"
    raise Unknown(f"no answer {option!r} is offered; offered: {names}")
