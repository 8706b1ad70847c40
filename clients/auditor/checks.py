"""`outrider audit check`: one question of an auditor's, answered with the entries to look at.

    two-person   every alert, and whether those signed it whom the charter asks for; what one sent alone, and its review
    receipts     what devices say they have got, against what the log has
    access       who was let in, by whom, and who was put out

The answers come from signatures, as `verify` has checked them, never from a field that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from clients.auditor.chronicle import Alert, Chronicle, Enrolment
from clients.auditor.looking import against_alert, alert_object, chronicled, standing
from clients.auditor.question import Log, of_a_log
from clients.auditor.verify import Claim, Outcome, Topic, Verified
from clients.moments import iso
from clients.shell import Verb, asked, show, table
from keys.ladder import duration

QUESTIONS: Final = ("two-person", "receipts", "access")
RESTS_ON: Final = {
    "two-person": (Topic.ALERTS, Topic.ESCALATION, Topic.CERTIFICATES),
    "receipts": (Topic.RECEIPTS, Topic.EPOCHS, Topic.HEARD, Topic.CHAINS),
    "access": (Topic.CERTIFICATES, Topic.REVOCATIONS, Topic.ROSTERS, Topic.MEMBERS, Topic.ROLES, Topic.REMOVALS),
}
"""The claims that answer each question, besides those on which any answer rests."""
EVERY_TIME: Final = (Topic.ARCHIVE, Topic.CHECKPOINT, Topic.TREE, Topic.SIGNATURES, Topic.CHARTER, Topic.BODIES)

EXIT: Final = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNCHECKED: 7}


@click.command("check", cls=Verb)
@click.argument("question", type=click.Choice(QUESTIONS))
@of_a_log
def check(log: Log, question: str) -> None:
    """Answer one question about the log in SOURCE: two-person, receipts or access.

    Example: outrider audit check two-person gateway/log --charter charter
    """
    chronicle, verified = chronicled(log)
    claims = answer(question, verified)
    outcome = worst(claims)
    if asked().json:
        for value in objects(question, chronicle, verified):
            show(value)
        found = [
            {"claim": c.claim, "outcome": c.outcome, "index": c.index, "rule": c.rule, "cause": c.cause} for c in claims
        ]
        show({"check": question, "outcome": outcome, "claims": found})
    else:
        for line in lines(question, chronicle, verified):
            click.echo(line)
        for claim in claims:
            if claim.outcome is not Outcome.PASS:
                place = "" if claim.index is None else f"entry {claim.index}: "
                click.echo(f"{claim.outcome}  {claim.claim}: {place}{claim.rule}")
        click.echo(f"{outcome}  {question}")
    click.get_current_context().exit(EXIT[outcome])


def answer(question: str, verified: Verified) -> list[Claim]:
    """The claims on which the answer rests."""
    topics = {*EVERY_TIME, *RESTS_ON[question]}
    return [claim for claim in verified.claims if claim.claim in topics]


def worst(claims: list[Claim]) -> Outcome:
    """FAIL beats UNCHECKED beats PASS."""
    found = {claim.outcome for claim in claims}
    return next((o for o in (Outcome.FAIL, Outcome.UNCHECKED) if o in found), Outcome.PASS)


def objects(question: str, chronicle: Chronicle, verified: Verified) -> Iterator[dict[str, object]]:
    """What the answer is about, for machines."""
    if question == "two-person":
        yield from (alert_object(one, chronicle, verified) for one in chronicle.alerts.values())
    elif question == "access":
        yield from (enrolment_object(one, chronicle) for one in chronicle.enrolments)


def lines(question: str, chronicle: Chronicle, verified: Verified) -> Iterator[str]:
    """The same for people."""
    if question == "two-person":
        yield from _two_person(chronicle, verified)
    elif question == "access":
        yield from _access(chronicle, verified)
    else:
        yield from (
            f"{claim.claim}: {claim.rule}" for claim in answer(question, verified) if claim.claim in RESTS_ON[question]
        )


# ---------------------------------------------------------------------- two people


def _two_person(chronicle: Chronicle, verified: Verified) -> Iterator[str]:
    alerts = list(chronicle.alerts.values())
    sound = [one for one in alerts if not against_alert(one, verified)]
    alone = [one for one in sound if one.fields.alone]
    yield f"{len(alerts)} alerts: {len(sound) - len(alone)} by two, {len(alone)} by one alone, {len(alerts) - len(sound)} not as asked"
    rows: list[tuple[str, ...]] = [("entry", "time", "signed by", "writer", "approver")]
    rows += [_alert_row(one, chronicle, verified) for one in alerts]
    yield from table(rows)


def _alert_row(one: Alert, chronicle: Chronicle, verified: Verified) -> tuple[str, ...]:
    fields = one.fields
    said = standing(one, verified)
    if one.review is not None:
        said += f" {duration(max(0, one.review[1] - one.time) // 1000)} later (entry {one.review[0]})"
    approver = "none" if fields.approval is None else chronicle.office(fields.approval.certificate)
    return str(one.index), iso(one.time), said, chronicle.office(fields.writer.certificate), approver


# ---------------------------------------------------------------------- access


def _access(chronicle: Chronicle, verified: Verified) -> Iterator[str]:
    enrolments = chronicle.enrolments
    refused = {c.index for c in verified.claims if c.claim is Topic.CERTIFICATES and c.outcome is Outcome.FAIL}
    once = [one for one in enrolments if consents(one, chronicle) < 2 or one.index in refused]
    yield f"{len(enrolments)} enrolments, {len(once) or 'none'} of them without two consents"
    rows = [("entry", "time", "device", "roles", "issued by", "approved by")]
    for one in enrolments:
        certified = one.certified
        roles = f"{', '.join(sorted(certified.roles))} of {certified.organisation}"
        people = (certified.issuer.hex()[:8], one.approver.hex()[:8])
        rows.append((str(one.index), iso(one.time), certified.device.hex()[:8], roles, *people))
    yield from table(rows)
    for act in chronicle.acts:
        if act.text.startswith("revocation list"):
            yield f"entry {act.index}: {act.text}"


def consents(one: Enrolment, chronicle: Chronicle) -> int:
    """How many people let this device in: who issued its certificate, and who approved it, neither of them its own."""
    people = {chronicle.people.get(device, device) for device in (one.certified.issuer, one.approver)}
    return len(people - {one.certified.person})


def enrolment_object(one: Enrolment, chronicle: Chronicle) -> dict[str, object]:
    """An enrolment for machines."""
    certified = one.certified
    return {
        "index": one.index,
        "time": iso(one.time),
        "device": certified.device.hex(),
        "person": certified.person.hex(),
        "organisation": certified.organisation,
        "roles": sorted(certified.roles),
        "until": iso(certified.not_after),
        "issuer": certified.issuer.hex(),
        "approver": one.approver.hex(),
        "consents": consents(one, chronicle),
    }
