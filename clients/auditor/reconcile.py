"""`outrider audit reconcile`: receipts against envelopes: whom each was for, who says that he has it, and who never did."""

from collections.abc import Iterator
from dataclasses import dataclass

import click

from clients.auditor.accounts import Accounts, ChannelAccount, Got, Said, covers
from clients.auditor.question import Log, of_a_log, watching
from clients.auditor.standing import NO, YES, Standing
from clients.auditor.verify import Topic
from clients.moments import iso
from clients.shell import Verb, show, table


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One envelope: its audience, and who of it has never said that he got it, or could open it."""

    said: Said
    audience: int
    shown: int
    unread: tuple[bytes, ...]  # got, and not decrypted
    never: tuple[bytes, ...]

    @property
    def whole(self) -> bool:
        return not self.never and not self.unread


@click.command(cls=Verb)
@of_a_log
@click.option("--channel", default="", metavar="PREFIX", help="Only channels whose id begins so.")
@click.option("--every", is_flag=True, help="List every envelope, also those that everybody has.")
@click.option("--handshakes", is_flag=True, help="Commits and the like too, not content alone.")
@click.option(
    "--patience",
    type=click.IntRange(0, 31 * 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="What was logged within so many seconds of the log's end is not missed yet.",
)
def reconcile(log: Log, channel: str, every: bool, handshakes: bool, patience: int) -> None:
    """Hold every envelope in SOURCE against the receipts for it: its audience at that epoch, and who never said that he got it.

    Example: outrider audit reconcile oct.outrider --channel 9c0e
    """
    accounts = Accounts()
    verified = log.verified(watching(log.asked, accounts))
    standing = Standing.of(verified, (Topic.RECEIPTS, Topic.ROSTERS))
    due = accounts.end - patience * 1000
    found = [(account, list(reconciled(account, due, handshakes=handshakes))) for account in accounts.find(channel)]
    missing = any(not one.whole for _, rows in found for one in rows)
    show(
        {
            "channels": [_object(account, rows, every=every) for account, rows in found],
            "against": standing.objects(),
        },
        *(line for account, rows in found for line in _page(account, rows, every=every)),
        *([] if found else ["no such channel"]),
        *standing.lines(),
    )
    click.get_current_context().exit(standing.exit(NO if missing or (channel and not found) else YES))


def reconciled(account: ChannelAccount, due: int, *, handshakes: bool = False) -> Iterator[Reconciled]:
    """The envelopes of a channel that were logged until `due` (ms), each against the receipts."""
    joined = {device: account.joined(device) for epoch in account.epochs for device in epoch.seats}
    nothing = Got()
    for said in account.said:
        if said.time > due or not (handshakes or said.content):
            continue
        audience = [device for device in account.audience(said) if said.seq > joined[device]]
        got = {device: account.got.get(device, nothing) for device in audience}
        never = tuple(d for d, one in got.items() if not covers(one.received, said.seq))
        unread = tuple(
            d for d, one in got.items() if d not in never and said.content and not covers(one.decrypted, said.seq)
        )
        shown = sum(covers(one.shown, said.seq) for one in got.values())
        yield Reconciled(said, len(audience), shown, unread, never)


def _page(account: ChannelAccount, rows: list[Reconciled], *, every: bool) -> Iterator[str]:
    whole = sum(one.whole for one in rows)
    yield f"channel {account.id.hex()[:8]}  {len(rows)} envelopes, {whole} receipted by all they were for"
    listed = [one for one in rows if every or not one.whole]
    if listed:
        lines = [("  place", "entry", "kind", "time", "got", "never")]
        for one in listed:
            missing = [d.hex()[:8] for d in one.never] + [f"{d.hex()[:8]} unread" for d in one.unread]
            first, *rest = missing or [""]
            said = one.said
            got = f"{one.audience - len(one.never)}/{one.audience}"
            kind = said.kind.name.lower()[:11]
            lines.append((f"  {said.seq}", f"{said.index}", kind, iso(said.time), got, first))
            lines += [("", "", "", "", "", name) for name in rest]
        yield from table(lines)
    for device, seqs in sorted(_never(rows).items()):
        last = account.got[device].last if device in account.got else 0
        yield f"  {device.hex()[:8]} never receipted {len(seqs)} of them; last receipt {iso(last) if last else 'never'}"


def _never(rows: list[Reconciled]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for one in rows:
        for device in one.never:
            found.setdefault(device, []).append(one.said.seq)
    return found


def _object(account: ChannelAccount, rows: list[Reconciled], *, every: bool) -> dict[str, object]:
    return {
        "channel": account.id.hex(),
        "envelopes": len(rows),
        "whole": sum(one.whole for one in rows),
        "listed": [_row(one) for one in rows if every or not one.whole],
        "never": {device.hex(): len(seqs) for device, seqs in sorted(_never(rows).items())},
    }


def _row(one: Reconciled) -> dict[str, object]:
    return {
        "seq": one.said.seq,
        "index": one.said.index,
        "kind": one.said.kind.name.lower(),
        "time": iso(one.said.time),
        "device": one.said.device.hex(),
        "epoch": one.said.epoch,
        "audience": one.audience,
        "shown": one.shown,
        "unread": [d.hex() for d in one.unread],
        "never": [d.hex() for d in one.never],
    }
