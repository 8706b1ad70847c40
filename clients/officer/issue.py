"""`outrider alert submit, approve, withdraw, send, update, cancel, allclear`: from a draft to an alert, by two people.

A draft is frozen when it is submitted: from then on its root, read aloud as words, stands for every byte of it, and any change is
another draft. The approver compares the words, sees everything that would happen, and approves; that sends it. One officer alone
sends where the charter allows it, with a reason that everybody reads and that is reviewed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import click

from clients.core import cap, composing
from clients.core.errors import ClientError, NotAllowed, NotNow, Unknown
from clients.core.text import visible, visible_name
from clients.device import SYNC, device, not_reached, short, sync_for_channel
from clients.moments import iso, now
from clients.officer.alert import find, waiting_lines, waiting_object
from clients.officer.attempted import attempted
from clients.officer.compose import composing_options, drafted
from clients.shell import Verb, WordsDiffer, interactive, read_bytes, run, same_words, show, tell
from clients.station import AlertSent, Station, Waiting
from keys.alert import AlertType

REFUSED: Final = 6
COMING: Final = 8.0  # s for which officers are waited for who come into a channel
ROUND: Final = 2.0
LOOK: Final = 0.2
_timeout = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait."
)
_alone = click.option("--alone", is_flag=True, help="You send it without a second officer; everyone is told so.")
_reason = click.option(
    "--reason", "why", default="", metavar="TEXT", help="Why alone: it is shown with the alert, and reviewed."
)


# --- by two ---


@click.command(cls=Verb)
@click.argument("draft", metavar="DRAFT")
@_timeout
def submit(draft: str, timeout: float) -> int:
    """Freeze DRAFT and put it before the other officers. It shows the words that you and the approver compare.

    Example: outrider alert submit 4f2a
    """
    with device() as station, attempted(station, timeout):
        run(station.sync(timeout))
        _officers_in(station, composing.find(station.vault, draft)[1].channels, timeout)
        return _submit(station, lambda: station.submit_draft(draft), timeout)


def _officers_in(station: Station, channels: Sequence[bytes], timeout: float) -> None:
    """Wait a moment for officers who are just coming into a target channel: what is sent before would miss them."""
    end = monotonic() + min(timeout, COMING)
    while (absent := station.absent_officers(channels)) and monotonic() < end:
        if not run(station.sync(min(ROUND, max(0.1, end - monotonic())))).connected:
            break
        sleep(LOOK)
    if absent:
        names = ", ".join(visible_name(station.name(one)) or short(one) for one in absent)
        tell(f"outrider: not in every channel of this alert yet, so it may miss them: {names} (officers)")


def _submit(station: Station, freeze: Callable[[], bytes], timeout: float) -> int:
    root = freeze()
    report = run(station.sync(timeout))
    waiting = next(w for w in station.waiting() if w.root == root)
    left = max(0, waiting.deadline - now()) // 1000
    names = ", ".join(visible_name(station.name(one)) or short(one) for one in waiting.approvers)
    show(
        waiting_object(waiting) | {"connected": report.connected},
        f"{'SUBMITTED' if report.connected else 'KEPT HERE'} {short(root)}, {len(waiting.receivers)} people, {waiting.marking.label}",
        f"needs one of: {names}. Expires in {left // 60}:{left % 60:02}.",
        f"words  {waiting.words}",
        f"read them the words; next, there: outrider alert show {short(root)}",
    )
    return 0 if report.connected else not_reached(report.error, "the draft is kept and goes first")


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option("--words", help="The words as its writer reads them out; without them you are asked.")
@_timeout
def approve(root: str, words: str | None, timeout: float) -> int:
    """Approve the draft ALERT, named by the beginning of its id, and send it: after everything in it was checked again, and its
    words compared with its writer.

    Example: outrider alert approve 3fa29c01
    """
    with device() as station, attempted(station, timeout):
        run(station.sync(timeout))
        draft = find(station, root)
        if not isinstance(draft, Waiting):
            raise Unknown(f"{short(draft.root)} has been sent: see `outrider alert show {short(draft.root)}`")
        if not draft.mine:
            _compare(station, draft, words)
        sent = station.approve_alert(draft.root)
        return _sent(station, sent, timeout)


def _compare(station: Station, draft: Waiting, words: str | None) -> None:
    """The words are the writer's. Raises WordsDiffer, UsageError."""
    if words is not None:
        if "-".join(words.lower().split()) != draft.words:
            raise WordsDiffer("the words differ: what you were sent is not what its writer froze. Nothing was sent.")
        return
    if interactive():
        for line in waiting_lines(station, draft):
            click.echo(line, err=True)
        click.echo(f"words  {draft.words}", err=True)  # again: what stood above may have left the screen
    writer = visible_name(station.name(draft.writer)) or short(draft.writer)
    try:
        same_words(f"Does {writer} read the same words, and is it to go out so?", "--words")
    except WordsDiffer:
        raise WordsDiffer(
            f"not approved: nothing was sent. If the words differ, it is not what {writer} froze: call a registrar."
        ) from None


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@_timeout
def withdraw(root: str, timeout: float) -> int:
    """Take back the draft ALERT of your own, so that nobody approves it any more.

    Example: outrider alert withdraw 3fa29c01
    """
    with device() as station:
        run(station.sync(timeout))
        draft = find(station, root)
        if not isinstance(draft, Waiting):
            raise NotAllowed("it has been sent: end it with `outrider alert cancel`")
        station.withdraw(draft.root)
        report = run(station.sync(timeout))
    show({"root": draft.root.hex(), "connected": report.connected}, f"WITHDRAWN {short(draft.root)}")
    return 0 if report.connected else not_reached(report.error, "it is kept, and goes next time")


# --- alone ---


@click.command(cls=Verb)
@click.argument("draft", metavar="[DRAFT]", required=False)
@_alone
@_reason
@click.option("--cap", "file", type=click.Path(path_type=Path), metavar="FILE", help="A CAP 1.2 document instead.")
@click.option(
    "--to", "channels", multiple=True, metavar="CHANNEL", help="With --cap: an alert channel; may be repeated."
)
@_timeout
def send(draft: str | None, alone: bool, why: str, file: Path | None, channels: tuple[str, ...], timeout: float) -> int:
    """Send DRAFT, or the CAP document in FILE, as one officer alone, where the charter allows it.

    Example: outrider alert send 4f2a --alone --reason "deputy not reachable"
    """
    if not alone or not why:
        raise click.UsageError(
            "an alert by one officer needs both --alone and --reason; by two: `outrider alert submit`"
        )
    if (draft is None) == (file is None) or (file is not None) != bool(channels):
        raise click.UsageError("name a draft, or a document by --cap and its channels by --to")
    with device() as station, attempted(station, timeout):
        run(station.sync(timeout))
        if draft is not None:
            return _sent(station, station.send_draft_alone(draft, why), timeout)
        assert file is not None
        document = read_bytes(file, cap.LONGEST)
        targets = [sync_for_channel(station, name, timeout).id for name in channels]
        return _sent(station, station.alert_alone(targets, document, why), timeout)


def _sent(station: Station, sent: AlertSent, timeout: float) -> int:
    """Tell what became of an alert that was handed over."""
    report = run(station.sync(timeout))
    deliveries = [station.delivery(item) for item in sent.items]
    kept = [d for d in deliveries if d.state == "kept" and not d.refused]
    refused = list(dict.fromkeys(d.refused for d in deliveries if d.refused))
    view = next((a for a in station.alerts() if a.root == sent.root), None)
    lines = (
        []
        if refused
        else [f"{'KEPT' if kept else 'SENT'} {short(sent.root)} to {len(deliveries)} channels, {iso(now())}"]
    )
    if view is not None and view.alone and not refused:
        lines.append(f"!! ONE PERSON ALONE: everybody is told; it is to be reviewed by {iso(view.review_due)}")
    if not refused:
        lines.append(f"watch the answers: outrider alert watch {short(sent.root)}")
    show(
        {
            "root": sent.root.hex(),
            "alert": sent.alert.hex(),
            "channels": [
                {"channel": d.channel.hex(), "state": d.state, "seq": d.seq, "refused": d.refused} for d in deliveries
            ],
            "review_due": iso(view.review_due) if view is not None and view.review_due else None,
        },
        *lines,
    )
    for reason in refused:
        tell(f"outrider: refused: {visible(reason)}")
    if refused:
        return REFUSED
    return not_reached(report.error, "the alert is kept and goes first") if kept else 0


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@click.option("--finding", required=True, metavar="TEXT", help="What you found; it goes to the officers, end to end.")
@_timeout
def review(root: str, finding: str, timeout: float) -> int:
    """Review ALERT, which one officer sent alone: another one says so in the log, and to the desk what was found.

    Example: outrider alert review 3fa29c01 --finding "right: both deputies were in the air"
    """
    with device() as station:
        run(station.sync(timeout))
        found = find(station, root)
        if isinstance(found, Waiting) or not found.alone:
            raise Unknown("two people stand behind it: no review is owed")
        item = station.review(found.root, finding)
        report = run(station.sync(timeout))
        delivery = station.delivery(item)
    done = [] if delivery.refused else [f"{'KEPT' if delivery.state == 'kept' else 'REVIEWED'} {short(found.root)}"]
    show({"root": found.root.hex(), "state": delivery.state, "refused": delivery.refused}, *done)
    if delivery.refused:
        tell(f"outrider: refused: {visible(delivery.refused)}")
        return REFUSED
    return not_reached(report.error, "the review is kept, and goes next time") if delivery.state == "kept" else 0


# --- update, cancel, all-clear ---


def _following(type_: AlertType, root: str, template: str, options: dict[str, Any]) -> int:
    """Compose what ends an alert, and submit it (or send it alone)."""
    timeout, alone, why = options.pop("timeout"), options.pop("alone"), options.pop("why")
    if alone != bool(why):
        raise click.UsageError("who acts alone needs both --alone and --reason")
    with device() as station, attempted(station, timeout):
        run(station.sync(timeout))
        found = find(station, root)
        if isinstance(found, Waiting):
            raise Unknown(f"{short(found.root)} is a draft that nobody was sent: withdraw it")
        if found.how in ("cancelled", "cleared"):
            raise NotNow(
                f"{short(found.root)} was {found.how} by {short(found.ended_by)}: nothing of it holds any more"
            )
        options["reason"] = options["reason"] or station.released(found.root)
        template = template or composing.template_of(cap.open_alert(found.cap))
        key, draft = drafted(station, type_, found.root, timeout, options, template)
        name = composing.name_of(key)
        try:
            if alone:
                return _sent(station, station.send_draft_alone(name, why), timeout)
            _officers_in(station, draft.channels, timeout)
            return _submit(station, lambda: station.submit_draft(name), timeout)
        except ClientError:  # it is composed anew: what was refused is not kept as a draft
            if not composing.find(station.vault, name)[1].root:
                station.act(lambda work: composing.drop(work, key))
            raise


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@composing_options
@_alone
@_reason
@_timeout
def update(root: str, **options: Any) -> int:
    """Replace ALERT: compose what holds now, and submit it. The first one is greyed on every device once this is sent.

    It is composed with the first one's template, unless you name another.

    Example: outrider alert update 3fa29c01 --set place="Plaza Central" --set what="Dispersing." --set action="Stay inside."
    """
    return _following(AlertType.UPDATE, root, "", options)


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@composing_options
@_alone
@_reason
@_timeout
def cancel(root: str, **options: Any) -> int:
    """Withdraw ALERT, which was issued in error: compose the cancel, and submit it. Nothing of it wakes anybody any more.

    Example: outrider alert cancel 3fa29c01 --note "wrong street"
    """
    return _following(AlertType.CANCEL, root, "cancelled", options)


@click.command(cls=Verb)
@click.argument("root", metavar="ALERT")
@composing_options
@_alone
@_reason
@_timeout
def allclear(root: str, **options: Any) -> int:
    """The danger of ALERT is over: clear it and all that hangs together with it. Nothing of it wakes anybody any more.

    Example: outrider alert allclear 3fa29c01
    """
    return _following(AlertType.ALL_CLEAR, root, "all-clear", options)
