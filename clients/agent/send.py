"""`outrider send`: a message is kept on this device first, then handed to the gateway."""

import sys
from typing import Final

import click

from clients.core.content import TEXT_LIMIT
from clients.device import PRECEDENCES, SYNC, device, marking, not_reached, precedence, sync_for_channel
from clients.moments import Duration, now
from clients.shell import Verb, run, show, tell

REFUSED: Final = 6


@click.command(cls=Verb)
@click.option("--to", "channel", required=True, metavar="CHANNEL", help="Its purpose, or the beginning of its id.")
@click.option(
    "--precedence", "urgency", type=PRECEDENCES, default="routine", show_default=True, help="What goes first."
)
@click.option("--marking", "label", metavar="TLP", help="TLP 2.0 label; else the channel's ceiling.")
@click.option("--ask-ack", is_flag=True, help="Ask everyone for an answer.")
@click.option("--expires", type=Duration(), metavar="24h", help="When the body may be destroyed, from now.")
@click.option("--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait.")
@click.argument("text", default="-")
def send(
    channel: str, urgency: str, label: str | None, ask_ack: bool, expires: int | None, timeout: float, text: str
) -> int:
    """Send TEXT (or standard input, with -) to a channel.

    Example: outrider send --to motorcade --precedence priority "Crowd at the fountain, taking BRAVO"
    """
    if text == "-" and sys.stdin.isatty():
        tell("write the message; Ctrl-D on a line of its own ends it")
    words = sys.stdin.read(TEXT_LIMIT + 1).removesuffix("\n") if text == "-" else text
    if not words or len(words) > TEXT_LIMIT:
        raise click.UsageError(f"a message has 1 to {TEXT_LIMIT} characters")
    with device() as station:
        target = sync_for_channel(station, channel, timeout)
        item = station.send(
            target.id,
            words,
            precedence=precedence(urgency),
            marking=marking(label),
            ask_ack=ask_ack,
            expires=now() + expires if expires else 0,
        )
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
    show(
        {
            "item": item.hex(),
            "channel": target.id.hex(),
            "state": delivery.state,
            "seq": delivery.seq,
            "refused": delivery.refused,
        },
        f"{delivery.state.upper()}{f' #{delivery.seq}' if delivery.seq else ''}",
    )
    if delivery.refused:
        tell(f"outrider: refused: {delivery.refused}")
        return REFUSED
    return not_reached(report.error, "kept in the outbox, and goes next time") if delivery.state == "kept" else 0
