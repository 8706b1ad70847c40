"""The two-person rule, break-glass, and who may end an alert: each check has a row that fails without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_

from keys.alert import LIFE, AlertType, check_alert
from keys.approval import Approved, check_follows, check_rule, check_signed
from keys.charter import Charter
from keys.credential import issue_device
from keys.errors import BadSignature, Expired, KeysError, NotPermitted
from keys.policy import DEFAULT_ROLES, Distinct, Verb
from tests.keys.alerts import MINUTE, Made, made
from tests.keys.mission import DAY, NOW, Device, Mission

MISSION = Mission(12)
ROLES = (
    *DEFAULT_ROLES,
    ("watch", frozenset({Verb.SEND, Verb.ALERT})),
    ("deputy", frozenset({Verb.SEND, Verb.APPROVE_ALERT})),
)


def device(*roles: str, **changes: Any) -> Device:
    return MISSION.device(*roles, **changes)


MISSION.policy = replace(
    MISSION.policy,
    roles=ROLES,
    organisations=tuple(
        replace(o, roles=frozenset({"agent", "leader", "officer", "watch", "deputy", "guest"}))
        for o in MISSION.policy.organisations
    ),
)
MISSION.charter = Charter(MISSION.policy, b"")
CHEN, DARA = device("officer"), device("officer")
CHENS_PHONE = device("officer", person=CHEN.certified.person)
WATCH, DEPUTY, AGENT, BOTH = device("watch"), device("deputy"), device("agent"), device("watch", "deputy")
THEIRS = device("officer", house=MISSION.partner)
ENDED = device("officer", life=(NOW - DAY, NOW - 1))
CHANNEL, TAG = b"1" * 16, b"t" * 32


def charter(**changes: Any) -> Charter:
    return Charter(replace(MISSION.policy, **changes), b"")


def passed(
    writer: Device = CHEN,
    approver: Device | None = DARA,
    *,
    rules: Charter | None = None,
    alert: Made | None = None,
    **changes: Any,
) -> Approved:
    """The whole way of a recipient."""
    alert = alert or made(MISSION, writer, approver, [(CHANNEL, TAG)], **changes)
    fields = alert.fields(CHANNEL)
    addressed = check_alert(fields, CHANNEL, TAG)
    signed = check_signed(
        addressed, fields.writer, fields.approval, writer.certified, approver.certified if approver else None
    )
    return check_rule(rules or MISSION.charter, signed)


def test_two_people() -> None:
    approved = passed()
    assert not approved.alone
    assert approved.sender == DARA.certified
    assert passed(WATCH, DEPUTY).writer == WATCH.certified


def test_one_alone_where_the_charter_allows_it() -> None:
    approved = passed(approver=None)
    assert approved.alone
    assert approved.sender == CHEN.certified


def late() -> Made:
    return made(MISSION, CHEN, DARA, [(CHANNEL, TAG)], deadline=NOW + MINUTE - 1)


REFUSED = [
    pytest.param({"writer": AGENT}, NotPermitted, "may not alert", id="an agent writes"),
    pytest.param({"writer": DEPUTY}, NotPermitted, "may not alert", id="who may only approve writes"),
    pytest.param({"approver": AGENT}, NotPermitted, "approve-alert", id="an agent approves"),
    pytest.param({"approver": WATCH}, NotPermitted, "approve-alert", id="who may only write approves"),
    pytest.param({"approver": CHEN}, NotPermitted, "of his own", id="the writer approves"),
    pytest.param({"approver": CHENS_PHONE}, NotPermitted, "of his own", id="the writer's other device approves"),
    pytest.param({"writer": ENDED}, Expired, "valid only", id="a writer whose certificate had ended"),
    pytest.param({"approver": ENDED}, Expired, "valid only", id="an approver whose certificate had ended"),
    pytest.param({"alert": late()}, Expired, "deadline", id="approved after the deadline"),
    pytest.param({"deadline": NOW + 5 * MINUTE + 1}, NotPermitted, "waits for", id="a deadline beyond the charter's"),
    pytest.param({"not_after": NOW + LIFE + 1}, NotPermitted, "30 days", id="an alert without an end"),
    pytest.param(
        {"approver": None, "rules": charter(break_glass=False)}, NotPermitted, "nobody", id="alone where nobody may"
    ),
    pytest.param({"rules": charter(alert_distinct=Distinct.ROLE)}, NotPermitted, "a role that", id="two of one role"),
    pytest.param(
        {"writer": BOTH, "approver": DEPUTY, "rules": charter(alert_distinct=Distinct.ROLE)},
        NotPermitted,
        "a role that",
        id="a role that the writer holds as well",
    ),
    pytest.param(
        {"rules": charter(alert_distinct=Distinct.ORGANISATION)},
        NotPermitted,
        "another organisation",
        id="two of one organisation",
    ),
]


@pytest.mark.parametrize(("case", "error", "why"), REFUSED)
def test_refused(case: dict[str, Any], error: type[KeysError], why: str) -> None:
    with pytest.raises(error, match=why):
        passed(**case)


def test_distinct_as_the_charter_counts() -> None:
    assert passed(WATCH, DEPUTY, rules=charter(alert_distinct=Distinct.ROLE))
    assert passed(CHEN, THEIRS, rules=charter(alert_distinct=Distinct.ORGANISATION))


def test_a_certificate_is_the_one_that_signed() -> None:
    alert = made(MISSION, CHEN, DARA, [(CHANNEL, TAG)])
    fields = alert.fields(CHANNEL)
    addressed = check_alert(fields, CHANNEL, TAG)
    renewed = device("officer", person=CHEN.certified.person)
    wrong: list[tuple[Any, ...]] = [
        (fields.writer, fields.approval, DARA.certified, DARA.certified),
        (fields.writer, fields.approval, renewed.certified, DARA.certified),
        (fields.writer, fields.approval, CHEN.certified, CHEN.certified),
        (fields.writer, fields.approval, CHEN.certified, None),
        (fields.writer, None, CHEN.certified, DARA.certified),
        (fields.approval, fields.approval, DARA.certified, DARA.certified),
        (with_(fields.writer, signature=bytes(64)), fields.approval, CHEN.certified, DARA.certified),
        (fields.writer, with_(fields.approval, signature=bytes(64)), CHEN.certified, DARA.certified),
        (fields.writer, with_(fields.approval, time=NOW), CHEN.certified, DARA.certified),
    ]
    for writing, approval, writer, approver in wrong:
        with pytest.raises(BadSignature):
            check_signed(addressed, writing, approval, writer, approver)


def again(device: Device) -> Device:
    """The same person, device and key under a certificate issued anew."""
    registrar, old = MISSION.home.registrars[0], device.certified
    der = issue_device(
        registrar.der,
        registrar.key,
        old.public_key,
        old.person,
        old.device,
        old.roles,
        (NOW - DAY, NOW + DAY),
        MISSION.random,
    )
    return Device(device.key, MISSION.charter.verify_certificate(der))


@pytest.mark.parametrize("who", ["writer", "approver"])
def test_a_certificate_is_the_one_named_and_no_other_of_the_same_key(who: str) -> None:
    """A renewal, or what was revoked, never stands in for what was signed with."""
    fields = made(MISSION, CHEN, DARA, [(CHANNEL, TAG)]).fields(CHANNEL)
    addressed = check_alert(fields, CHANNEL, TAG)
    writer, approver = (again(d) if who == w else d for w, d in (("writer", CHEN), ("approver", DARA)))
    with pytest.raises(BadSignature, match="another certificate"):
        check_signed(addressed, fields.writer, fields.approval, writer.certified, approver.certified)


def test_who_is_alone_has_signed() -> None:
    fields = made(MISSION, CHEN, None, [(CHANNEL, TAG)]).fields(CHANNEL)
    addressed = check_alert(fields, CHANNEL, TAG)
    with pytest.raises(BadSignature):
        check_signed(addressed, with_(fields.writer, signature=bytes(64)), None, CHEN.certified, None)


def following(before: Approved, writer: Device = CHEN, approver: Device | None = DARA, **changes: Any) -> Approved:
    changes = {"type": AlertType.CANCEL, "references": [before.root], **changes}
    return passed(writer, approver, **changes)


FIRST = passed()
ALONE = passed(approver=None)
LOW = passed(WATCH, None)
PLAY = passed(exercise=True)
PARTNERS = passed(THEIRS, None)

FOLLOWS = [
    pytest.param(FIRST, following(FIRST), id="two end what two sent"),
    pytest.param(FIRST, following(FIRST, DARA, CHEN), id="the other way round"),
    pytest.param(ALONE, following(ALONE, approver=None), id="one alone ends what one alone sent"),
    pytest.param(ALONE, following(ALONE), id="two end what one sent"),
    pytest.param(LOW, following(LOW, CHEN, None), id="a higher role"),
    pytest.param(PLAY, following(PLAY, exercise=True), id="play ends play"),
    pytest.param(PARTNERS, following(PARTNERS), id="the mission ends a partner's"),
]


@pytest.mark.parametrize(("before", "after"), FOLLOWS)
def test_who_may_end_an_alert(before: Approved, after: Approved) -> None:
    check_follows(MISSION.policy, after, before)


FALSE = [
    pytest.param(FIRST, following(FIRST, approver=None), "takes two", id="attack-05 one alone stands down two"),
    pytest.param(FIRST, following(ALONE), "does not name", id="attack-05 another alert's cancel"),
    pytest.param(FIRST, following(FIRST, exercise=True), "play", id="attack-05 play ends a real alert"),
    pytest.param(PLAY, following(PLAY), "play", id="a real cancel ends play"),
    pytest.param(ALONE, following(ALONE, WATCH, None), "authority", id="attack-05 a lower role"),
    pytest.param(ALONE, following(ALONE, THEIRS, None), "not for", id="attack-05 a partner ends the mission's"),
]


@pytest.mark.parametrize(("before", "after", "why"), FALSE)
def test_a_false_stand_down(before: Approved, after: Approved, why: str) -> None:
    with pytest.raises(NotPermitted, match=why):
        check_follows(MISSION.policy, after, before)
