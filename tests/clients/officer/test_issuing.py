"""Journey 2, steps 7 to 17 and 23: an alert by two people, its answers, its update and its end; each verb as its user types it."""

from __future__ import annotations

import csv
from io import StringIO

import pytest

from tests.clients.officer.conftest import Post
from tests.clients.officer.test_composing import CROWD, LIAISON, RESIDENCE, composed

RELEASE = ("--release", "joint cordon, agreement valid to 31 Dec")
REPLIES = ("--respond", "CORDON SET", "--respond", "DELAYED", "--respond", "CANNOT")


def submitted(post: Post, *arguments: object, who: str = "Chen") -> dict[str, str]:
    """A draft of Chen's on the desk: its root and words."""
    made = composed(post, *arguments)
    ran = post(who, "alert", "submit", made["draft"], "--json")
    assert ran.code == 0, ran.err
    return {"root": ran.object["root"], "words": ran.object["words"]}


def approved(post: Post, draft: dict[str, str], who: str = "Dara") -> str:
    ran = post(who, "alert", "approve", draft["root"][:8], "--words", draft["words"], "--json")
    assert ran.code == 0, ran.err
    return draft["root"]


def drafts(post: Post) -> set[object]:
    """Chen's, whose other tests leave some."""
    return {draft["draft"] for draft in post("Chen", "alert", "draft", "list", "--json").objects}


def test_a_broadcast_from_first_word_to_all_clear(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drafts(post)

    # 7, 8, 10: composed with a preview; 9 is with the composing
    made = composed(
        post,
        *CROWD,
        *RESIDENCE,
        *LIAISON,
        *RELEASE,
        *REPLIES,
        "--set",
        "es:what=Piedras.",
        "--set",
        "es:action=Adentro.",
    )

    # 11: submitted: who may approve, how long it waits, words
    ran = post("Chen", "alert", "submit", made["draft"])
    assert ran.code == 0, ran.err
    assert "needs one of: Dara. Expires in 4:5" in ran.out
    words = next(line.split()[1] for line in ran.out.splitlines() if line.startswith("words"))
    root = ran.out.split()[1].rstrip(",")
    own = post("Chen", "alert", "approve", root, "--words", words)
    assert (own.code, "nobody approves an alert of his own" in own.err) == (6, True)
    early = post("Emil", "alert", "list")
    assert "no alerts" in early.err

    # 12: Dara sees it all, compares the words, approves, and that sends it
    shown = post("Dara", "alert", "show", root)
    assert words in shown.out
    assert "written by Chen; needs one of: Dara" in shown.out
    assert "! OUTSIDE Hostpol (1): Emil" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 96  # but for the words, which are read aloud whole
    wrong = post("Dara", "alert", "approve", root, "--words", words[::-1])
    assert (wrong.code, "words differ" in wrong.err) == (4, True)
    sent = post("Dara", "alert", "approve", root, "--words", words.replace("-", " ").upper())
    assert sent.code == 0, sent.err
    assert f"SENT {root} to 2 channels" in sent.out

    # 13: the guest reads it in his own language, with both names and the choices
    monkeypatch.setenv("LANG", "es_ES.UTF-8")
    read = post("Emil", "read")
    assert "Multitud hostil en Plaza Central" in read.out
    assert "written by Chen, approved by Dara: both verified" in read.out
    assert "CORDON SET" in read.out
    monkeypatch.setenv("LANG", "C")
    assert post("Emil", "ack", root, "CORDON SET", "--text", "two units").code == 0
    assert [c["purpose"] for c in post("Emil", "channel", "list", "--json").objects] == ["liaison alerts"]

    # 14: the board: the silent first
    assert post("Ayo", "read").code == 0
    board = post("Chen", "alert", "show", root)
    assert board.code == 1
    assert "1 of 3 answered: 2 silent (1 seen, 1 kept), 1 CORDON SET" in board.out
    rows = [line.strip() for line in board.out.splitlines()]
    ayo, lena, emil = (
        next(n for n, row in enumerate(rows) if row.startswith(name)) for name in ("Ayo", "Lena", "! Emil")
    )
    assert max(ayo, lena) < emil
    assert "SILENT, kept for them" in rows[lena]
    assert "SILENT, has seen it" in rows[ayo]
    assert "two units" in rows[emil]
    watched = post("Chen", "alert", "watch", root, "--once")
    assert max(map(len, watched.out.splitlines())) <= 80
    assert "\x1b" not in watched.out
    table = list(csv.DictReader(StringIO(post("Chen", "alert", "watch", root, "--csv").out)))
    assert [(r["name"], r["state"], r["text"]) for r in table][-1] == ("Emil", "answered", "CORDON SET")
    data = post("Chen", "alert", "watch", root, "--once", "--json").object
    assert (len(data["targeted"]), len(data["silent"]), len(data["answered"])) == (3, 2, 1)

    # 16: an update by two: the first one is greyed; Lena, who was away, is shown what holds now
    ran = post(
        "Chen",
        "alert",
        "update",
        root,
        *CROWD[2:4],  # the template is the first one's
        "--set",
        "what=Dispersing.",
        "--set",
        "action=Wait.",
        *RELEASE,
        "--json",
    )
    assert ran.code == 0, ran.err
    second = approved(post, {"root": ran.object["root"], "words": ran.object["words"]})
    lena_sees = post("Lena", "read").out
    assert lena_sees.index(second[:8]) < lena_sees.index(f"REPLACED by {second[:8]}")
    assert "do not act on this one" in lena_sees
    late = post("Lena", "ack", root, "DELAYED")
    assert (late.code, "replaced" in late.err) == (1, True)
    assert post("Lena", "ack", second[:8]).code == 0

    # 17: all-clear, of the whole chain
    ran = post("Dara", "alert", "allclear", second[:8], "--json")
    assert ran.code == 0, ran.err
    clear = approved(post, {"root": ran.object["root"], "words": ran.object["words"]}, who="Chen")
    post.sync("Ayo", "Emil", "Dara")
    assert "  GUEST\n" in post("Emil", "read").out
    for who in ("Ayo", "Emil", "Dara"):
        standing = {a["root"]: a["standing"] for a in post(who, "alert", "list", "--json").objects if "standing" in a}
        assert standing[second] == "cleared"
        assert standing[clear] == "holds"
    for verb in ("allclear", "cancel", "update"):
        done = post("Chen", "alert", verb, second[:8], *(CROWD[2:4] if verb == "update" else ()))
        assert (done.code, f"was cleared by {clear[:8]}" in done.err) == (1, True), done.err
    assert drafts(post) == before, "what was sent or refused is no draft any more"
    over = post("Ayo", "ack", second[:8])
    assert (over.code, "cleared" in over.err) == (1, True)


def test_a_draft_that_is_withdrawn_is_not_approved(post: Post) -> None:
    draft = submitted(post, *CROWD, *RESIDENCE)
    assert post("Dara", "alert", "withdraw", draft["root"][:8]).code == 6
    assert post("Chen", "alert", "withdraw", draft["root"][:8]).code == 0
    ran = post("Dara", "alert", "approve", draft["root"][:8], "--words", draft["words"])
    assert (ran.code, "withdrawn" in ran.err) == (1, True)


def test_without_a_terminal_the_words_are_asked_for(post: Post) -> None:
    draft = submitted(post, *CROWD, *RESIDENCE)
    ran = post("Dara", "alert", "approve", draft["root"][:8])
    assert (ran.code, "--words" in ran.err) == (2, True)


def test_an_agent_submits_and_approves_nothing(post: Post) -> None:
    draft = submitted(post, *CROWD, *RESIDENCE)
    assert post("Ayo", "alert", "new", *CROWD, *RESIDENCE).code == 6
    ran = post("Ayo", "alert", "approve", draft["root"][:8], "--words", draft["words"])
    assert (ran.code, "alert list" in ran.err) == (2, True)


def test_one_alone_is_flagged_on_every_screen(post: Post) -> None:
    made = composed(post, *CROWD, *RESIDENCE)
    for options in ((), ("--alone",), ("--reason", "x")):
        assert post("Chen", "alert", "send", made["draft"], *options).code == 2
    ran = post("Chen", "alert", "send", made["draft"], "--alone", "--reason", "deputy not reachable")
    assert ran.code == 0, ran.err
    assert "!! ONE PERSON ALONE: everybody is told; it is to be reviewed by" in ran.out
    root = ran.out.split()[1]
    for who, verb in (("Ayo", ("read",)), ("Dara", ("alert", "show", root)), ("Dara", ("alert", "list"))):
        said = post(who, *verb).out
        assert "ALONE" in said, (who, verb)
    assert "deputy not reachable" in post("Lena", "read").out
    data = post("Dara", "alert", "show", root, "--json").object
    assert data["alone"] is True
    assert data["approver"] is None
    assert data["review_due"]


def test_what_was_sent_alone_is_reviewed(post: Post) -> None:
    made = composed(post, *CROWD, *RESIDENCE)
    ran = post("Chen", "alert", "send", made["draft"], "--alone", "--reason", "deputy not reachable")
    root = ran.out.split()[1]
    own = post("Chen", "alert", "review", root, "--finding", "all well")
    assert (own.code, "of his own" in own.err) == (6, True)
    done = post("Dara", "alert", "review", root, "--finding", "right: nobody else was there")
    assert (done.code, done.out) == (0, f"REVIEWED {root}\n")
    post.sync("Chen")
    assert "reviewed by Dara" in post("Chen", "alert", "show", root).out
    again = post("Dara", "alert", "review", root, "--finding", "once more")
    assert (again.code, "no review of this alert is owed" in again.err) == (6, True)


def test_watch_ends_when_the_time_is_over(post: Post) -> None:
    root = approved(post, submitted(post, *CROWD, *RESIDENCE))
    ran = post("Chen", "alert", "watch", root[:8], "--timeout", "2")
    assert (ran.code, "the time is over" in ran.err) == (5, True)
    none = post("Chen", "alert", "remind", root[:8], "--rung", "1", "--reason", "x", "--yes")
    assert (none.code, "no such rung" in none.err) == (2, True)
    unknown = post("Chen", "alert", "remind", root[:8], "Nobody", "--reason", "x", "--yes")
    assert (unknown.code, "silent: Ayo, Lena" in unknown.err) == (2, True)
    again = post("Chen", "alert", "remind", root[:8], "Lena", "--reason", "the convoy leaves", "--yes")
    assert (again.code, again.out) == (0, f"BROUGHT AGAIN {root[:8]}: Lena\n")
    soon = post("Chen", "alert", "remind", root[:8], "--reason", "x", "--yes")
    assert (soon.code, "wait 30 s" in soon.err) == (6, True)
    assert f"REMINDER: alert {root[:8]} waits for your answer" in post("Lena", "read").out
    board = post("Dara", "alert", "watch", root[:8], "--once").out
    assert "brought again by Chen: Lena, on their devices" in board


def test_a_draft_is_sent_once(post: Post) -> None:
    made = composed(post, *CROWD, *RESIDENCE)
    first = post("Chen", "alert", "submit", made["draft"], "--json").object
    draft = post("Chen", "alert", "submit", made["draft"], "--json").object  # again: the one before is taken back
    void = post("Dara", "alert", "approve", first["root"][:8], "--words", first["words"])
    assert (void.code, "withdrawn" in void.err) == (1, True)
    approved(post, {"root": draft["root"], "words": draft["words"]})
    assert post("Chen", "read").code == 0
    for again in (("submit", made["draft"]), ("send", made["draft"], "--alone", "--reason", "nobody there")):
        ran = post("Chen", "alert", *again)
        assert (ran.code, "this draft was sent" in ran.err) == (1, True)


def test_whoever_is_not_sent_the_answers_is_shown_none(post: Post) -> None:
    root = approved(post, submitted(post, *CROWD, *RESIDENCE))
    post.sync("Ayo")
    assert post("Ayo", "ack", root[:8], "need", "help").out.startswith(f"ANSWERED {root[:8]}: NEED HELP")
    seen = post("Ayo", "alert", "show", root[:8], "--json").object
    assert [(p["name"], p["state"]) for p in seen["people"]] == [("Ayo", "answered")]
    assert len(post("Dara", "alert", "show", root[:8], "--json").object["people"]) == 2
