"""`outrider disclose`: an auditor asks for one message; others agree, a participant opens it or refuses; anybody proves his own.

outrider disclose list                 requests, and what you can do about each
outrider disclose approve REQUEST      agree (reject: do not); never about a message of your own
outrider disclose give REQUEST         open the message for that auditor, as somebody who has it (refuse: do not)
outrider disclose prove MESSAGE        write a package that shows one message to anybody who trusts the charter
"""

from pathlib import Path
from typing import Final

import click

from clients.cases import SEARCHED, begins, case_lines, case_object
from clients.core.disclosures import Case
from clients.core.errors import Unknown
from clients.core.text import visible
from clients.device import SYNC, device, not_reached, short
from clients.shell import Verb, asked, run, show, tell, write_new
from clients.station import Station
from keys.canonical import encode

REFUSED: Final = 6

_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=SYNC, show_default=True, help="Seconds to wait."
)


@click.command("list", cls=Verb)
@_TIMEOUT
def list_requests(timeout: float) -> None:
    """List the requests for a disclosure that concern you.

    Example: outrider disclose list
    """
    with device() as station:
        report = run(station.sync(timeout))
        cases = station.cases()
        for case in cases:
            show(case_object(station, case), *case_lines(station, case))
    if not cases and not asked().json:
        tell("no requests")
    if report.error:
        tell(f"outrider: gateway not reached: {visible(report.error)}; this is what was known here")


def _vote(request: str, timeout: float, *, agrees: bool) -> int:
    with device() as station:
        run(station.sync(timeout))
        case = station.case(begins(request))
        item = station.vote(case.hash, agrees=agrees)
        return _told(station, case, item, timeout, "AGREED to" if agrees else "AGAINST")


@click.command(cls=Verb)
@click.argument("request", metavar="REQUEST")
@_TIMEOUT
def approve(request: str, timeout: float) -> int:
    """Agree to REQUEST, named by the beginning of its id.

    Example: outrider disclose approve 4f2a
    """
    return _vote(request, timeout, agrees=True)


@click.command(cls=Verb)
@click.argument("request", metavar="REQUEST")
@_TIMEOUT
def reject(request: str, timeout: float) -> int:
    """Vote against REQUEST.

    Example: outrider disclose reject 4f2a
    """
    return _vote(request, timeout, agrees=False)


@click.command(cls=Verb)
@click.argument("request", metavar="REQUEST")
@_TIMEOUT
def give(request: str, timeout: float) -> int:
    """Open the message of REQUEST for the auditor who asked, and nobody else. Possible once enough have agreed.

    Example: outrider disclose give 4f2a
    """
    with device() as station:
        run(station.sync(timeout))
        case = station.case(begins(request))
        item = run(station.disclose(case.hash))
        return _told(station, case, item, timeout, "DISCLOSED")


@click.command(cls=Verb)
@click.argument("request", metavar="REQUEST")
@_TIMEOUT
def refuse(request: str, timeout: float) -> int:
    """Say that you will not open the message of REQUEST. The refusal is in the log.

    Example: outrider disclose refuse 4f2a
    """
    with device() as station:
        run(station.sync(timeout))
        case = station.case(begins(request))
        item = station.refuse_disclosure(case.hash)
        return _told(station, case, item, timeout, "REFUSED")


def _told(station: Station, case: Case, item: bytes, timeout: float, what: str) -> int:
    """Send it, and say how it stands."""
    report = run(station.sync(timeout))
    delivery = station.delivery(item)
    if delivery.refused:
        tell(f"outrider: refused: {visible(delivery.refused)}")
        return REFUSED
    after = station.case(case.hash)
    show(
        {**case_object(station, after), "state": delivery.state},
        f"{'KEPT' if delivery.state == 'kept' else what} {short(case.hash)}",
        *case_lines(station, after)[2:],
    )
    return not_reached(report.error, "it is kept, and goes next time") if delivery.state == "kept" else 0


@click.command(cls=Verb)
@click.argument("message", metavar="MESSAGE")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where the package goes.")
def prove(message: str, out: Path) -> None:
    """Write a package that shows MESSAGE, named as CHANNEL#SEQ or by the beginning of its id, to whoever trusts the charter.

    The package opens this one message and holds no key. Its text is readable in FILE: hand it on with care.

    Example: outrider disclose prove "LANCE detail#14" --out message.disclose
    """
    with device() as station:
        found = _message(station, message)
        package = run(station.prove(found))
    write_new(out, encode(package), secret=True)
    show({"message": found.hex(), "file": str(out)}, f"WRITTEN {out}: anybody can check it with `outrider audit open`")


def _message(station: Station, wanted: str) -> bytes:
    """The id of the message that a person means. Raises Unknown."""
    purpose, _, seq = wanted.rpartition("#")
    every = [(c, m) for c in station.channels() for m in station.history(c.id, SEARCHED)]
    if purpose and seq.isdecimal():
        fits = [
            m.id for c, m in every if m.seq == int(seq) and (c.purpose == purpose or c.id.hex().startswith(purpose))
        ]
    else:
        fits = [m.id for _, m in every if m.id.hex().startswith(wanted.lower())]
    if len(fits) != 1:
        raise Unknown("several messages are called so" if fits else f"no message {wanted!r} here")
    return fits[0]
