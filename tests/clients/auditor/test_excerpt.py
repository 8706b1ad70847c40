"""Entries that contradict each other, as a file of evidence: each rule convicts, and an honest log gives nothing to convict by."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.verify.claims import Cause
from clients.auditor.verify.excerpt import Said, judge
from clients.main import run
from keys import evidence as files
from keys.body import Confirmed, Range, Receipt
from keys.canonical import encode
from keys.envelope import NOTHING, Heard, Kind, Precedence
from keys.evidence import Evidence, NoEvidence, Proved
from keys.identity import ChannelId, SigningKey, receipt_stream
from keys.tlog.merkle import inclusion_proof, leaf_hash, node_hash
from tests.clients.auditor.logs import Book, Party, honest

MINUTE = 60_000


class Talk:
    """Bea and Ayo in a channel."""

    def __init__(self) -> None:
        self.book = Book()
        self.bea, self.ayo = self.book.enrolled("leader"), self.book.enrolled("agent")
        self.channel = self.bea.found("narrow")
        self.bea.add(self.channel, self.ayo)
        self.ayo.message(self.channel, b"one")
        self.bea.message(self.channel, b"two")

    def receipt(self, by: Party, part: Range) -> int:
        data = encode(Receipt(self.channel, [part], [part], [], None, Confirmed(1, bytes(32))))
        return by.say(Kind.RECEIPT, receipt_stream(ChannelId(self.channel)), data, heard=Heard(0, bytes(32)))


def excerpt(book: Book, indices: Sequence[int] = (), note: bytes = b"") -> Evidence:
    """The entries at these places, or all, with receipts and certificates by their bodies."""
    leaves = book.leaves

    def hash_at(level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash(leaves[index])
        return node_hash(hash_at(level - 1, 2 * index), hash_at(level - 1, 2 * index + 1))

    def proved(index: int) -> Proved:
        claimed = files.claimed(leaves[index])
        tells = claimed.context.kind in (Kind.RECEIPT, Kind.CERTIFICATE)
        body = book.bodies.get(f"body/{claimed.header.body_hash.hex()}") if tells else None
        return Proved(index, leaves[index], list(inclusion_proof(index, len(leaves), hash_at)), body)

    chosen = indices or range(len(leaves))
    return files.excerpt(book.charter.note, note or book.head(), [proved(index) for index in chosen])


def said(made: Evidence, book: Book) -> list[Said]:
    return judge(files.read(files.write(made)), book.charter)


def dated_back(t: Talk) -> None:
    t.book.change(-1, time=t.book.now - 60 * MINUTE)


def place_twice(t: Talk) -> None:
    t.ayo.message(t.channel, b"three")
    t.book.change(-1, seq=4)


def swapped(t: Talk) -> None:
    """Two of Ayo's, in the other order; places and times as they were."""
    t.ayo.message(t.channel, b"three")
    t.ayo.message(t.channel, b"four")
    one, two = t.book.entry(-2), t.book.entry(-1)
    t.book.change(-2, header=two.header, signature=two.signature)
    t.book.change(-1, header=one.header, signature=one.signature)


def other_link(t: Talk) -> None:
    """A header that its successor does not name: the one that stands there was put in its place."""
    t.ayo.numbers[t.channel] = (t.ayo.numbers[t.channel][0], bytes([1]) * 32)
    t.ayo.message(t.channel, b"three")


def left_out(t: Talk) -> None:
    t.ayo.message(t.channel, b"dropped")
    t.book.leaves.pop()
    t.book.seqs[t.channel] -= 1
    t.ayo.message(t.channel, b"four", heard=Heard(0, NOTHING))


def heard_otherwise(t: Talk) -> None:
    t.ayo.message(t.channel, b"three", heard=Heard(3, bytes([1]) * 32))


def got_otherwise(t: Talk) -> None:
    t.receipt(t.ayo, Range(3, 4, bytes([1]) * 32))


def forged(t: Talk) -> None:
    t.ayo.log(t.ayo.context(Kind.COMMIT_REFUSED, t.channel), b"", key=SigningKey.generate(t.book.random))


def ghost(t: Talk) -> None:
    registrar = t.book.registrars["Meridian"][1]
    device = t.book.mission.device("agent")
    context = registrar.context(Kind.CERTIFICATE, t.book.control)
    registrar.log(context, device.certified.der, key=t.book.mission.gateway)


def self_approved(t: Talk) -> None:
    """Signed by the very registrar who issued it: no second person."""
    t.book.registrars["Meridian"][0].say(Kind.CERTIFICATE, t.book.control, t.book.mission.device("agent").certified.der)


def another_gateway(t: Talk) -> None:
    t.ayo.say(Kind.FILLER, t.book.control, b"")


def withheld(t: Talk) -> None:
    """Ayo speaks twice, a minute apart, and has not heard the FLASH before."""
    before = t.book.heard(t.channel)
    t.bea.message(t.channel, b"get out", precedence=Precedence.FLASH)
    for _ in range(2):
        t.ayo.message(t.channel, b"all quiet", heard=before)
        t.book.now += 61_000


LIES = [
    pytest.param(dated_back, Cause.REORDERED, "stands in front of it", id="dated back"),
    pytest.param(place_twice, Cause.REORDERED, "comes after place", id="a place twice"),
    pytest.param(swapped, Cause.REORDERED, "comes after its number", id="numbers in the other order"),
    pytest.param(other_link, Cause.ALTERED, "another hash of entry", id="another header in its place"),
    pytest.param(left_out, Cause.MISSING, "are in no place before", id="a number left out"),
    pytest.param(heard_otherwise, Cause.FORKED, "given another history up to place 3", id="heard another history"),
    pytest.param(got_otherwise, Cause.RECEIPT_WITHOUT_ENTRY, "up to place 4", id="got what the log has not"),
    pytest.param(forged, Cause.BAD_SIGNATURE, "did not sign this COMMIT_REFUSED", id="a forged envelope"),
    pytest.param(ghost, Cause.BAD_SIGNATURE, "did not sign this CERTIFICATE", id="a forged approval"),
    pytest.param(self_approved, Cause.INJECTED, "a certificate that does not count", id="approved by nobody else"),
    pytest.param(another_gateway, Cause.INJECTED, "by another than the gateway", id="in the gateway's name"),
    pytest.param(withheld, Cause.MISSING, "had not been given APPLICATION at place 5", id="a FLASH withheld"),
]


@pytest.mark.parametrize(("lie", "cause", "rule"), LIES)
def test_each_lie_convicts(lie: Callable[[Talk], None], cause: Cause, rule: str) -> None:
    talk = Talk()
    lie(talk)
    found = said(excerpt(talk.book), talk.book)
    assert any(one.cause is cause and rule in one.rule for one in found), found


def test_an_honest_log_gives_nothing_to_convict_by() -> None:
    book = honest()
    with pytest.raises(NoEvidence, match="do not contradict"):
        said(excerpt(book), book)
    for indices in ([1], [3, 9, 20], range(10, 25)):
        with pytest.raises(NoEvidence):
            said(excerpt(book, indices), book)


@pytest.mark.parametrize(
    "once",
    [
        pytest.param(
            lambda t: t.ayo.message(t.channel, b"not yet", heard=t.book.heard(t.channel)), id="who has heard it"
        ),
        pytest.param(lambda t: None, id="who speaks once"),
    ],
)
def test_who_speaks_once_without_it_may_have_been_away(once: Callable[[Talk], Any]) -> None:
    talk = Talk()
    before = talk.book.heard(talk.channel)
    talk.bea.message(talk.channel, b"get out", precedence=Precedence.FLASH)
    talk.ayo.message(talk.channel, b"all quiet", heard=before)
    talk.book.now += 61_000
    once(talk)
    with pytest.raises(NoEvidence):
        said(excerpt(talk.book), talk.book)


def test_what_is_not_under_the_checkpoint_is_no_evidence() -> None:
    talk, other = Talk(), Book(2)
    dated_back(talk)
    with pytest.raises(NoEvidence, match="entry"):
        said(excerpt(talk.book, note=talk.book.head(len(talk.book.leaves) - 1)), talk.book)
    with pytest.raises(NoEvidence, match="did not sign"):
        said(excerpt(talk.book, note=other.head()), talk.book)


def test_a_body_that_is_not_the_one_named_is_no_evidence() -> None:
    talk = Talk()
    got_otherwise(talk)
    made = excerpt(talk.book)
    altered = [Proved(p.index, p.entry, p.path, b"x" if p.body else None) for p in made.entries]
    with pytest.raises(NoEvidence, match="body"):
        said(files.excerpt(talk.book.charter.note, talk.book.head(), altered), talk.book)


# ------------------------------------------------------------------ as typed


def test_evidence_out_of_a_log(tmp_path: Path) -> None:
    """The auditor's verb finds it, writes it small, and the other verb judges the file alone."""
    talk = Talk()
    for n in range(40):
        (talk.ayo if n % 2 else talk.bea).message(talk.channel, b"%d" % n)
    talk.book.change(-3, time=talk.book.now - 60 * MINUTE)
    talk.book.files().write(tmp_path / "log")
    (tmp_path / "charter").write_bytes(talk.book.charter.note)
    found, code = typed("excerpt", tmp_path / "log", "--out", tmp_path / "out", "--charter", tmp_path / "charter")
    assert code == 0
    assert found["verdict"] == "FAIL"
    (row,) = found["files"]
    assert (row["claim"], row["index"]) == ("times", len(talk.book.leaves) - 3)
    assert len(files.read(Path(row["file"]).read_bytes()).entries) <= 3, "no more than it takes"
    judged, code = typed("evidence", row["file"], "--profile", tmp_path / "nobody")
    assert (judged["outcome"], code, judged["says"][0]["cause"]) == ("PASS", 0, "reordered")


def test_of_a_sound_log_nothing_is_written(tmp_path: Path) -> None:
    Talk().book.files().write(tmp_path / "log")
    (tmp_path / "charter").write_bytes(Talk().book.charter.note)
    found, code = typed("excerpt", tmp_path / "log", "--out", tmp_path / "out", "--charter", tmp_path / "charter")
    assert (found["files"], found["verdict"], code) == ([], "CONSISTENT", 1)


def typed(verb: str, *words: object) -> tuple[dict[str, Any], int]:
    out = StringIO()
    with redirect_stdout(out):
        code = run(["audit", verb, *map(str, words), "--json"])
    return json.loads(out.getvalue()), code
