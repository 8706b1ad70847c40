"""`outrider retention`: how long content is kept, and destroying some of it before, by order of two people.

    outrider retention show                          what each class of channel keeps, by the charter
    outrider retention destroy CHANNEL#SEQ …         ask for it; nothing happens yet
    outrider retention list                          orders, and what has been carried out
    outrider retention confirm ORDER                 another person: destroyed at the gateway and on every device

The entry in the log stays for ever, and a tombstone beside it says who destroyed the text, when and by which rule. Whoever copied
it elsewhere still has it: nobody can prove that no copy is left.
"""

import click

from clients.cases import begins
from clients.core import retention
from clients.core.errors import Unknown
from clients.core.records import Destroying
from clients.core.text import visible, visible_name
from clients.device import SYNC, device, not_reached, short, the_channel
from clients.moments import iso
from clients.shell import Verb, asked, run, show, table, tell
from clients.station import Station
from keys.retention import read_destruction

REFUSED = 6
_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait."
)


@click.command("show", cls=Verb)
def show_classes() -> None:
    """Show how many days each class of channel keeps its content. Needs no gateway.

    Example: outrider retention show
    """
    with device() as station:
        classes = station.charter.policy.classes
    if asked().json:
        for kind in classes:
            show({"class": kind.name, "days": kind.retention_days})
        return
    for line in table([(kind.name, f"{kind.retention_days} days") for kind in classes]):
        click.echo(line)


@click.command("list", cls=Verb)
@_TIMEOUT
def list_orders(timeout: float) -> None:
    """List orders to destroy messages.

    Example: outrider retention list
    """
    with device() as station:
        report = run(station.sync(timeout))
        found = retention.orders(station.vault)
        for name, order in found:
            show(_object(name, order), *_lines(station, name, order))
    if not found and not asked().json:
        tell("no orders")
    if report.error:
        tell(f"outrider: gateway not reached: {visible(report.error)}; this is what was known here")


def _object(name: bytes, order: Destroying) -> dict[str, object]:
    said = read_destruction(order.order)
    return {
        "order": name.hex(),
        "device": order.device.hex(),
        "person": order.person.hex(),
        "time": iso(order.time),
        "channel": said.channel.hex(),
        "messages": [f"{span.first}-{span.last}" for span in said.spans],
        "done": order.done,
    }


def _lines(station: Station, name: bytes, order: Destroying) -> list[str]:
    said = read_destruction(order.order)
    channel = next((c.purpose for c in station.channels() if c.id == said.channel), "") or short(said.channel)
    which = ", ".join(f"#{s.first}" if s.first == s.last else f"#{s.first} to #{s.last}" for s in said.spans)
    who = visible_name(station.name(order.device)) or short(order.device)
    lines = [f"{short(name)}  {iso(order.time)}  {who}", f"  destroy {which} in {visible(channel)}"]
    if order.done:
        return [*lines, "  DONE: destroyed by order of two people"]
    if order.person == station.identity.person:
        return [*lines, "  waits for another person"]
    return [*lines, f"  next: outrider retention confirm {short(name)}"]


@click.command(cls=Verb)
@click.argument("messages", metavar="CHANNEL#SEQ", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; it stays here, and the log keeps a salted hash of it.")
@_TIMEOUT
def destroy(messages: tuple[str, ...], reason: str, timeout: float) -> int:
    """Ask that messages of one channel be destroyed, everywhere. Nothing is until another person confirms it.

    Example: outrider retention destroy "LANCE detail#14" --reason "a name that must not stand there"
    """
    with device() as station:
        run(station.sync(timeout))
        channel, seqs = _named(station, messages)
        item = station.act(lambda work: retention.order(work, channel, seqs, reason.encode()))
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
        if delivery.refused:
            tell(f"outrider: refused: {visible(delivery.refused)}")
            return REFUSED
        if delivery.state == "kept":
            show({"state": "kept"}, "KEPT: an order to destroy")
            return not_reached(report.error, "the order is kept, and goes next time")
        name, order = retention.orders(station.vault)[-1]
        show({**_object(name, order), "state": delivery.state}, *_lines(station, name, order))
    return 0


def _named(station: Station, messages: tuple[str, ...]) -> tuple[bytes, list[int]]:
    """The one channel, and the places in it. Raises UsageError, Unknown."""
    channels, seqs = set[bytes](), list[int]()
    for wanted in messages:
        purpose, _, seq = wanted.rpartition("#")
        if not purpose or not seq.isdecimal():
            raise click.UsageError(f"{wanted!r}: name a message as CHANNEL#SEQ, as `outrider read` shows it")
        channels.add(the_channel(station, purpose).id)
        seqs.append(int(seq))
    if len(channels) != 1:
        raise Unknown("one order names messages of one channel")
    return channels.pop(), seqs


@click.command(cls=Verb)
@click.argument("order", metavar="ORDER")
@_TIMEOUT
def confirm(order: str, timeout: float) -> int:
    """Confirm another person's ORDER: its messages are destroyed at the gateway and on every device.

    Example: outrider retention confirm 4f2a
    """
    with device() as station:
        run(station.sync(timeout))
        name, _ = retention.find(station.vault, begins(order))
        item = station.act(lambda work: retention.confirm(work, name))
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
        if delivery.refused:
            tell(f"outrider: refused: {visible(delivery.refused)}")
            return REFUSED
        found = retention.find(station.vault, name)
        show({**_object(*found), "state": delivery.state}, *_lines(station, *found))
    return not_reached(report.error, "it is kept, and goes next time") if delivery.state == "kept" else 0
