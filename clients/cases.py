"""How a request for a disclosure is shown: to who votes, to who could answer it, and to the auditor who made it."""

from typing import Final

import click

from clients.core.disclosures import Case
from clients.core.text import visible, visible_name
from clients.device import short
from clients.moments import iso
from clients.station import Station

SEARCHED: Final = 100_000  # messages of a channel among which the one meant is looked for


def case_object(station: Station, case: Case) -> dict[str, object]:
    """A request as `--json` prints it."""
    said = case.asked
    return {
        "request": case.hash.hex(),
        "channel": said.channel.hex(),
        "seq": said.seq,
        "message": said.header_hash.hex(),
        "auditor": said.device.hex(),
        "time": iso(said.time),
        "case": said.case,
        "reason": said.reason,
        "agreed": [vote.person.hex() for vote in said.votes if vote.agrees],
        "against": [vote.person.hex() for vote in said.votes if not vote.agrees],
        "quorum": station.charter.policy.disclosure_quorum,
        "disclosed": [answer.device.hex() for answer in said.answers if not answer.refused],
        "refused": [answer.device.hex() for answer in said.answers if answer.refused],
    }


def case_lines(station: Station, case: Case) -> list[str]:
    """A request for people: what, by whom, why, how it stands, and what you can do."""
    said, quorum = case.asked, station.charter.policy.disclosure_quorum
    channel = next((c.purpose for c in station.channels() if c.id == said.channel), "") or short(said.channel)
    lines = [
        f"{short(case.hash)}  {iso(said.time)}  auditor {_name(station, said.device)}",
        f"  asks for message #{said.seq} in {visible(channel)}",
    ]
    if said.case:
        lines.append(f"  case {visible(said.case)}: {visible(said.reason)}")
    lines += [f"  {'agreed' if v.agrees else 'against'}: {_name(station, v.device)}" for v in said.votes]
    lines += [f"  {'refused' if a.refused else 'disclosed'} by {_name(station, a.device)}" for a in said.answers]
    agreed = len(case.ballot.agreed)
    lines.append(f"  {agreed} of {quorum} have agreed" + (": it may be disclosed" if agreed >= quorum else ""))
    return [*lines, *_next(station, case)]


def _next(station: Station, case: Case) -> list[str]:
    """What this person can do about it."""
    quorum, me = station.charter.policy.disclosure_quorum, station.identity
    if any(answer.device == me.device for answer in case.asked.answers):
        return []
    holds = any(message.id == case.asked.header_hash for message in station.history(case.asked.channel, SEARCHED))
    if holds and len(case.ballot.agreed) >= quorum:
        return [f"  next: outrider disclose give {short(case.hash)}, or refuse"]
    if case.asked.case and not any(vote.person == me.person for vote in case.asked.votes):
        return [f"  next: outrider disclose approve {short(case.hash)}, or reject"]
    return []


def _name(station: Station, of: bytes) -> str:
    return visible_name(station.name(of)) or short(of)


def begins(request: str) -> bytes:
    """The beginning of an id, in bytes: an odd digit at the end is left out."""
    try:
        return bytes.fromhex(request[: len(request) // 2 * 2])
    except ValueError:
        raise click.UsageError(f"{request!r} is no beginning of a request's id") from None
