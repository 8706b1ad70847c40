"""`outrider audit members CHANNEL EPOCH`: who could read a channel in an epoch, by the commits that made it and the certificates of then."""

from collections.abc import Iterator

import click

from clients.auditor.accounts import Accounts, ChannelAccount, Epoch
from clients.auditor.question import Log, of_a_log, watching
from clients.auditor.standing import NO, YES, Standing
from clients.auditor.verify import Topic
from clients.auditor.verify.receipts import Epoch as Confirmations
from clients.auditor.verify.receipts import odd
from clients.auditor.verify.rosters import Seat
from clients.core.text import visible
from clients.moments import iso
from clients.shell import Verb, show, table
from keys.charter import Charter

FOREVER = 2**53


@click.command(cls=Verb)
@of_a_log
@click.argument("channel")
@click.argument("epoch", type=click.IntRange(0, 2**53))
def members(log: Log, channel: str, epoch: int) -> None:
    """Say who could read CHANNEL (its id in hex, or how that begins) in EPOCH, and who of them confirmed the epoch.

    Example: outrider audit members oct.outrider 9c0e 3
    """
    accounts = Accounts()
    verified = log.verified(watching(log.asked, accounts))
    standing = Standing.of(verified, (Topic.ROSTERS, Topic.CERTIFICATES))
    found = accounts.find(channel)
    if len(found) != 1:
        raise click.UsageError(f"{len(found)} channels of this log begin with {channel}")
    (account,) = found
    roster = account.epoch(epoch)
    if roster is None:
        known = f"0 to {account.epochs[-1].number}" if account.epochs else "none"
        if standing.against:
            show({"channel": account.id.hex(), "epoch": epoch, "against": standing.objects()}, *standing.lines())
            click.get_current_context().exit(standing.exit(YES))
        raise click.UsageError(f"that channel has no epoch {epoch}: known are {known}")
    confirmed = confirmations(account, roster)
    differ = {device for device, _ in odd(confirmed)}
    show(
        _object(account, roster, confirmed, differ, log.asked.charter) | {"against": standing.objects()},
        *_page(account, roster, confirmed, differ, log.asked.charter),
        *standing.lines(),
    )
    click.get_current_context().exit(standing.exit(NO if differ else YES))


def confirmations(account: ChannelAccount, epoch: Epoch) -> Confirmations:
    """What the members of an epoch have confirmed of it."""
    found = Confirmations()
    for device in epoch.seats:
        got = account.got.get(device)
        if got is not None and epoch.number in got.confirmed:
            digest, index = got.confirmed[epoch.number]
            found.said.setdefault(digest, []).append((device, index))
    return found


def _status(device: bytes, confirmed: Confirmations, differ: set[bytes]) -> str:
    if device in differ:
        return "DIFFERS"
    return "yes" if any(device == one for who in confirmed.said.values() for one, _ in who) else "not yet"


def _guest(seat: Seat, charter: Charter | None) -> bool:
    home = charter.policy.home.name if charter is not None else None
    return seat.certified.organisation != home if home is not None else seat.until < FOREVER


def _page(
    account: ChannelAccount, epoch: Epoch, confirmed: Confirmations, differ: set[bytes], charter: Charter | None
) -> Iterator[str]:
    yield f"channel {account.id.hex()}"
    yield f"class {visible(epoch.channel_class)}, up to {epoch.ceiling.label}"
    yield f"epoch {epoch.number}, from place {epoch.seq} (entry {epoch.index}) on, {iso(epoch.time)},"
    yield f"begun by device {epoch.author.hex()[:8]}. {len(epoch.seats)} could read it:"
    rows = [("  device", "person", "organisation", "roles", "until", "confirmed")]
    for device, seat in epoch.seats.items():
        one = seat.certified
        roles = ", ".join(sorted(one.roles)) + (" GUEST" if _guest(seat, charter) else "")
        until = iso(min(one.not_after, seat.until))[:10]
        status = _status(device, confirmed, differ)
        rows.append(
            (
                f"  {device.hex()[:8]}",
                one.person.hex()[:8],
                visible(one.organisation)[:16],
                visible(roles)[:20],
                until,
                status,
            )
        )
    yield from table(rows)
    for device in sorted(differ):
        yield f"device {device.hex()[:8]} was led into another group: it confirms another epoch {epoch.number}"


def _object(
    account: ChannelAccount, epoch: Epoch, confirmed: Confirmations, differ: set[bytes], charter: Charter | None
) -> dict[str, object]:
    return {
        "channel": account.id.hex(),
        "class": epoch.channel_class,
        "ceiling": epoch.ceiling.label,
        "epoch": epoch.number,
        "index": epoch.index,
        "seq": epoch.seq,
        "time": iso(epoch.time),
        "device": epoch.author.hex(),
        "members": [
            {
                "device": device.hex(),
                "person": seat.certified.person.hex(),
                "organisation": seat.certified.organisation,
                "roles": sorted(seat.certified.roles),
                "guest": _guest(seat, charter),
                "leaf": seat.leaf,
                "certificate_until": iso(seat.certified.not_after),
                "sees_until": iso(seat.until) if 0 <= seat.until < FOREVER else None,
                "confirmed": _status(device, confirmed, differ),
            }
            for device, seat in epoch.seats.items()
        ],
        "differ": [device.hex() for device in sorted(differ)],
    }
