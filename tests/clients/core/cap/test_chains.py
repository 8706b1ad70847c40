"""Which alert holds: the table of what may happen to a chain, and properties over any set of messages in any order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.core.cap import Alert, open_alert
from clients.core.cap.chains import Doubt, Held, Standing, expires_at, is_all_clear, open_chain, standings
from clients.core.cap.writing import timestamp
from tests.clients.core.documents import alert, information

T0 = 1_791_992_520_000
MINUTE = 60_000
LATER = T0 + 100 * MINUTE
CLEAR = "<responseType>AllClear</responseType>"


def sent(minute: int) -> str:
    return timestamp(T0 + minute * MINUTE)


def name(identifier: str, minute: int, sender: str = "mso@mission.example") -> str:
    return f"{sender},{identifier},{sent(minute)}"


def message(
    identifier: str,
    minute: int,
    *names: str,
    kind: str = "Update",
    sender: str = "mso@mission.example",
    status: str = "Actual",
    info: str = "",
    note: str = "",
) -> Alert:
    between = f"<note>{note or 'n'}</note>" + (f"<references>{' '.join(names)}</references>" if names else "")
    return open_alert(
        alert(
            info,
            identifier=identifier,
            sent=sent(minute),
            sender=sender,
            status=status,
            msg_type=kind,
            between=between,
        ).encode()
    )


def first(identifier: str = "A", minute: int = 0, **changes: str) -> Alert:
    return message(identifier, minute, kind="Alert", **changes)


def clear(identifier: str, minute: int, *names: str, **changes: str) -> Alert:
    """An Update whose one block is AllClear and Past."""
    cleared = alert(
        identifier=identifier,
        sent=sent(minute),
        msg_type="Update",
        between=f"<references>{' '.join(names)}</references>",
        last=information().replace("</event>", f"</event>{CLEAR}"),
        **changes,
    )
    return open_alert(cleared.encode())


def told(alerts: Sequence[Alert], at: int = LATER) -> dict[str, str]:
    """What each message is, with whoever made it so and what is doubtful: `replaced by B`, `current ! fork`."""
    return {one.alert.identifier: said(one) for one in standings(alerts, at)}


def said(held: Held) -> str:
    by = f" by {held.by.identifier}" if held.by else ""
    doubts = "".join(f" ! {doubt}" for doubt in sorted(held.doubts))
    return f"{held.standing}{by}{doubts}"


A = first()
B = message("B", 1, name("A", 0))
CASES = [
    pytest.param([A], {"A": "current"}, id="one alert"),
    pytest.param([], {}, id="nothing"),
    pytest.param([A, B], {"A": "replaced by B", "B": "current"}, id="an update replaces"),
    pytest.param(
        [A, message("X", 1, name("A", 0), kind="Cancel")],
        {"A": "cancelled by X", "X": "notice"},
        id="a cancel withdraws",
    ),
    pytest.param([A, clear("C", 1, name("A", 0))], {"A": "cleared by C", "C": "notice"}, id="an all-clear ends"),
    pytest.param(
        [A, B, message("C", 2, name("B", 1))],
        {"A": "replaced by B", "B": "replaced by C", "C": "current"},
        id="an update of an update",
    ),
    pytest.param(
        [A, B, clear("C", 2, name("A", 0), name("B", 1))],
        {"A": "cleared by C", "B": "cleared by C", "C": "notice"},
        id="an all-clear names the whole chain",
    ),
    pytest.param(
        [A, B, message("X", 2, name("B", 1), kind="Cancel")],
        {"A": "replaced by B", "B": "cancelled by X", "X": "notice"},
        id="cancelling an update does not revive what it replaced",
    ),
    pytest.param(
        [A, message("X", 1, name("A", 0), kind="Cancel"), message("Y", 2, name("X", 1), kind="Cancel")],
        {"A": "cancelled by X", "X": "notice", "Y": "notice"},
        id="cancelling a cancel revives nothing",
    ),
    pytest.param(
        [A, message("X", 1, name("A", 0), kind="Cancel"), message("C", 2, name("A", 0))],
        {"A": "cancelled by X", "X": "notice", "C": "current ! ended"},
        id="an update of what was cancelled holds, and is doubted",
    ),
    pytest.param(
        [A, clear("X", 1, name("A", 0)), message("C", 2, name("X", 1))],
        {"A": "cleared by X", "X": "notice", "C": "current ! ended"},
        id="an update of an all-clear",
    ),
    pytest.param(
        [A, B, message("X", 2, name("A", 0), kind="Cancel")],
        {"A": "cancelled by X", "B": "current ! fork", "X": "notice"},
        id="a cancel that had not heard of the update",
    ),
    pytest.param(
        [A, B, message("C", 2, name("A", 0))],
        {"A": "replaced by B", "B": "current ! fork", "C": "current ! fork"},
        id="a fork: both hold",
    ),
    pytest.param(
        [A, B, message("C", 2, name("A", 0)), message("D", 3, name("B", 1), name("C", 2))],
        {"A": "replaced by B", "B": "replaced by D ! fork", "C": "replaced by D ! fork", "D": "current"},
        id="a fork that was joined",
    ),
    pytest.param(
        [A, B, message("C", 2, name("A", 0), name("B", 1)), message("D", 3, name("A", 0), name("C", 2))],
        {"A": "replaced by B", "B": "replaced by C", "C": "replaced by D", "D": "current"},
        id="each names those before it: no fork",
    ),
    pytest.param([B], {"B": "current ! missing"}, id="what it names isn't here"),
    pytest.param(
        [A, message("C", 2, name("B", 1))],
        {"A": "current", "C": "current ! missing"},
        id="a link of the chain is missing",
    ),
    pytest.param(
        [A, message("C", 2, name("A", 1))], {"A": "current", "C": "current ! missing"}, id="named with another time"
    ),
    pytest.param(
        [A, message("C", 2, name("A", 0).replace("-00:00", "+00:00"))],
        {"A": "replaced by C", "C": "current"},
        id="named with another offset for the same moment",
    ),
    pytest.param(
        [message("E", 5, name("F", 5)), message("F", 5, name("E", 5))],
        {"E": "current ! loop", "F": "current ! loop"},
        id="a loop ends nothing",
    ),
    pytest.param(
        [A, message("E", 5, name("F", 5), name("A", 0)), message("F", 5, name("E", 5))],
        {"A": "replaced by E", "E": "current ! loop", "F": "current ! loop"},
        id="a loop is cut, what it names besides is replaced",
    ),
    pytest.param(
        [message("E", 5, name("F", 6)), first("F", 6)],
        {"E": "current ! not-earlier", "F": "current"},
        id="what was sent later can't be ended",
    ),
    pytest.param(
        [A, message("X", 1, name("A", 0), kind="Cancel", sender="other@else.example")],
        {"A": "current", "X": "notice ! not-theirs"},
        id="another sender's cancel",
    ),
    pytest.param(
        [A, message("X", 1, name("A", 0), kind="Cancel", status="Exercise")],
        {"A": "current", "X": "notice ! other-status"},
        id="a drill ends no real alert",
    ),
    pytest.param(
        [first(status="Exercise"), message("X", 1, name("A", 0), kind="Cancel")],
        {"A": "current", "X": "notice ! other-status"},
        id="nor the other way round",
    ),
    pytest.param(
        [A, message("K", 1, name("A", 0), kind="Ack"), message("L", 1, name("A", 0), kind="Error")],
        {"A": "current", "K": "notice", "L": "notice"},
        id="ack and error end nothing",
    ),
    pytest.param([A, A], {"A": "current"}, id="the same bytes twice"),
    pytest.param([first(info=f"<expires>{sent(10)}</expires>")], {"A": "expired"}, id="run out by itself"),
    pytest.param(
        [
            first(info=f"<expires>{sent(10)}</expires>"),
            message("B", 1, name("A", 0), info=f"<expires>{sent(20)}</expires>"),
        ],
        {"A": "replaced by B", "B": "expired"},
        id="replaced stays replaced when what replaced it has run out",
    ),
]


@pytest.mark.parametrize(("alerts", "expected"), CASES)
def test_what_each_message_is(alerts: list[Alert], expected: dict[str, str]) -> None:
    assert told(alerts) == expected
    assert told(alerts[::-1]) == expected


def test_two_documents_of_one_name_are_doubted_and_both_ended() -> None:
    twin = first(note="another text")
    held = standings([A, twin, message("B", 1, name("A", 0))], LATER)
    assert [said(one) for one in held] == ["current", "replaced by B ! double", "replaced by B ! double"]


def test_time_is_asked_for_and_nothing_is_known_before_it_was_sent() -> None:
    alerts = [
        first(info=f"<expires>{sent(3)}</expires>"),
        message("B", 1, name("A", 0), info=f"<expires>{sent(5)}</expires>"),
    ]
    assert told(alerts, T0 - 1) == {}
    assert told(alerts, T0) == {"A": "current"}
    assert told(alerts, T0 + MINUTE) == {"A": "replaced by B", "B": "current"}
    assert told(alerts, T0 + 5 * MINUTE - 1) == {"A": "replaced by B", "B": "current"}
    assert told(alerts, T0 + 5 * MINUTE) == {"A": "replaced by B", "B": "expired"}


def test_an_alert_without_an_end_holds_as_long_as_the_receiver_says() -> None:
    (held,) = standings([A], T0 + MINUTE, lasts=MINUTE)
    assert held.standing is Standing.EXPIRED
    assert told([A], 10**15) == {"A": "current"}
    half = open_alert(alert(f"<expires>{sent(1)}</expires>", last=information()).encode())
    assert expires_at(half) is None


def test_authority_may_be_asked_of_somebody_who_knows_it() -> None:
    other = message("X", 1, name("A", 0), kind="Cancel", sender="head@mission.example")
    held = standings([A, other], LATER, may_end=lambda ending, ended: ending.sender.startswith("head"))
    assert [said(one) for one in held] == ["notice", "cancelled by X"]
    same = message("X", 1, name("A", 0), kind="Cancel")
    assert Doubt.NOT_THEIRS in standings([A, same], LATER, may_end=lambda ending, ended: False)[0].doubts


@pytest.mark.parametrize(
    ("status", "actionable"),
    [("Actual", True), ("Exercise", True), ("Test", False), ("System", False), ("Draft", False)],
)
def test_tests_and_drafts_are_not_acted_on(status: str, actionable: bool) -> None:
    (held,) = standings([first(status=status)], LATER)
    assert held.actionable is actionable


def test_an_all_clear_is_one_in_every_block() -> None:
    one = information().replace("</event>", f"</event>{CLEAR}")
    names = f"<references>{name('A', -5)}</references>"
    assert is_all_clear(open_alert(alert(last=one * 2, msg_type="Update", between=names).encode()))
    assert not is_all_clear(open_alert(alert(last=one + information(), msg_type="Update", between=names).encode()))
    assert not is_all_clear(open_alert(alert(last=one).encode()))
    urgent = one.replace("Past", "Expected")
    assert not is_all_clear(open_alert(alert(last=urgent, msg_type="Update", between=names).encode()))
    assert not is_all_clear(open_alert(alert(msg_type="Update", between=names).encode()))


def test_what_an_end_has_to_name() -> None:
    expired = first("O", -50, info=f"<expires>{sent(-10)}</expires>")
    c = message("C", 2, name("B", 1))
    other = first("Z", 1)
    drill = message("D", 3, name("B", 1), status="Exercise")
    cancel = message("X", 2, name("B", 1), kind="Cancel")
    found = open_chain([c, other, A, expired, drill, cancel, message("O2", -5, name("O", -50))], B, LATER)
    assert [one.identifier for one in found] == ["A", "B", "C"]
    assert [one.identifier for one in open_chain([], A, LATER)] == ["A"]
    assert open_chain([], expired, LATER) == []


IDENTIFIERS = st.sampled_from("ABCDE")
MESSAGES = st.builds(
    lambda identifier, minute, names, kind, status: (
        message(
            identifier,
            minute,
            *(name(i, m) for i, m in names),
            kind=kind if names and (identifier, minute) not in names else "Alert",
            status=status,
        )
        if identifier not in {i for i, _ in names}
        else first(identifier, minute)
    ),
    IDENTIFIERS,
    st.integers(0, 3),
    st.lists(st.tuples(IDENTIFIERS, st.integers(0, 3)), max_size=3),
    st.sampled_from(["Update", "Cancel", "Ack"]),
    st.sampled_from(["Actual", "Actual", "Exercise"]),
)


@given(st.lists(MESSAGES, max_size=8), st.randoms(use_true_random=False))
def test_order_of_arrival_changes_nothing_and_more_messages_revive_nothing(alerts: list[Alert], random: object) -> None:
    shuffled = list(alerts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    whole = standings(alerts, LATER)
    assert whole == standings(shuffled, LATER)
    ended = {Standing.CANCELLED, Standing.CLEARED, Standing.REPLACED}
    for one in whole:
        assert (one.standing in ended) == (one.by is not None)
        if one.by is not None:  # nothing is ended but by a later message of the same status that names it
            assert one.by.sent_at >= one.alert.sent_at
            assert one.by.status == one.alert.status
            assert one.alert.identifier in {r.identifier for r in one.by.references}
    if alerts and not any(Doubt.LOOP in one.doubts for one in whole):
        fewer = standings(alerts[:-1], LATER)
        over = {one.alert.original for one in fewer if one.standing in ended}
        assert over <= {one.alert.original for one in whole if one.standing in ended}


@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_somebody_always_holds_among_those_who_speak_of_danger(alerts: list[Alert]) -> None:
    """Updates alone never leave nothing: whatever replaces a message holds itself, or is replaced by one that does."""
    updates = [a for a in alerts if a.msg_type in ("Alert", "Update")]
    held = standings(updates, LATER)
    assert not updates or any(one.standing is Standing.CURRENT for one in held)
