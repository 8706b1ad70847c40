"""`outrider audit gaps`: what is missing: numbers of a device's chain, places of a channel, receipts of those who were to get something."""

from collections.abc import Iterator

import click

from clients.auditor.accounts import Accounts, ChainGap, PlaceGap, Silence, silences
from clients.auditor.question import Log, of_a_log, watching
from clients.auditor.standing import NO, YES, Standing
from clients.auditor.verify import Topic
from clients.moments import iso
from clients.shell import Verb, show, table


@click.command(cls=Verb)
@of_a_log
@click.option(
    "--patience",
    type=click.IntRange(0, 31 * 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="What was logged within so many seconds of the log's end is not missed yet.",
)
def gaps(log: Log, patience: int) -> None:
    """Say what is missing in the log in SOURCE: per device chain, per channel, and whose receipts since when.

    Example: outrider audit gaps oct.outrider --patience 300
    """
    accounts = Accounts()
    verified = log.verified(watching(log.asked, accounts))
    standing = Standing.of(verified, (Topic.RECEIPTS, Topic.ROSTERS))
    due = accounts.end - patience * 1000
    silent = [one for account in accounts.channels.values() for one in silences(account, due)]
    silent.sort(key=lambda one: (one.since, one.device))
    found = bool(accounts.chain_gaps or accounts.place_gaps or silent)
    show(
        {
            "chains": [_chain_object(gap) for gap in accounts.chain_gaps],
            "places": [_place_object(gap) for gap in accounts.place_gaps],
            "receipts": [_silence_object(one) for one in silent],
            "against": standing.objects(),
        },
        *_page(accounts, silent),
        *standing.lines(),
    )
    click.get_current_context().exit(standing.exit(NO if found else YES))


def _page(accounts: Accounts, silent: list[Silence]) -> Iterator[str]:
    chains, places = accounts.chain_gaps, accounts.place_gaps
    yield f"chains    {len(chains)} gaps"
    if chains:
        yield from table(
            [
                ("  device", "stream", "numbers", "shows at", "time"),
                *(
                    (f"  {_short(g.device)}", _short(g.stream), _span(g.first, g.last), f"{g.index}", iso(g.time))
                    for g in chains
                ),
            ]
        )
    yield f"places    {len(places)} gaps"
    if places:
        yield from table(
            [
                ("  stream", "places", "shows at", "time"),
                *((f"  {_short(g.stream)}", _span(g.first, g.last), f"{g.index}", iso(g.time)) for g in places),
            ]
        )
    yield f"receipts  {len(silent)} devices owe some"
    if silent:
        yield from table([("  device", "channel", "owes", "places", "since", "last receipt"), *map(_owing, silent)])


def _owing(one: Silence) -> tuple[str, ...]:
    last = iso(one.last_receipt) if one.last_receipt else "never"
    places = _span(one.first, one.last)
    return f"  {_short(one.device)}", _short(one.channel), f"{one.missing}", places, iso(one.since), last


def _short(identity: bytes) -> str:
    return identity.hex()[:8]


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"


def _chain_object(gap: ChainGap) -> dict[str, object]:
    return {
        "device": gap.device.hex(),
        "stream": gap.stream.hex(),
        "first": gap.first,
        "last": gap.last,
        "index": gap.index,
        "time": iso(gap.time),
    }


def _place_object(gap: PlaceGap) -> dict[str, object]:
    return {
        "stream": gap.stream.hex(),
        "first": gap.first,
        "last": gap.last,
        "index": gap.index,
        "time": iso(gap.time),
    }


def _silence_object(one: Silence) -> dict[str, object]:
    return {
        "device": one.device.hex(),
        "channel": one.channel.hex(),
        "missing": one.missing,
        "first": one.first,
        "last": one.last,
        "since": iso(one.since),
        "last_receipt": iso(one.last_receipt) if one.last_receipt else None,
        "unread_receipts": one.absent,
    }
