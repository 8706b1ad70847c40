"""Gita checks October on a machine with no network, from a stick and a note of the head (JOURNEYS 3): steps 1 to 7, 15 and 16.

All of it by the commands, on real files. Steps 9 to 13, a message disclosed and one destroyed, take a gateway and its officers and are
in `tests/e2e/test_disclosure.py`; what they leave behind in a log stands in `Month.disclosed`, so that the rest is checked with it.
Then each damage of CLI.md, one by one: found at its entry, by its cause, and nothing else is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.archive import ArchiveSource
from clients.auditor.verify import Cause, Topic
from clients.main import run
from keys.body import Range, Receipt, Review
from keys.canonical import encode
from keys.disclosure import Request, Vote
from keys.envelope import Kind, Marking, read
from keys.identity import ChannelId, receipt_stream
from keys.sealing import Sealed
from tests.clients.auditor.logs import HOUR, Party
from tests.clients.auditor.test_escalations import Ladders
from tests.keys.tlog.logs import flip
from tests.restored import restored

DAY = 24 * HOUR


class Month(Ladders):
    """October: talk, receipts, an alert by two with its ladder obeyed, one alone and reviewed, a guest let in and put out."""

    def __init__(self) -> None:
        super().__init__()
        self.wait(120)
        self.fire(0)
        self.ack(self.bea)
        self.ack(self.ayo)
        self.alone = self.chen.alert(self.alerts, marking=Marking.AMBER)
        self.talk(3)
        self.later(22)
        fields = read(self.book.entry(self.alone).envelope).context.alert
        assert fields is not None
        self.reviewed = self.dara.say(Kind.REVIEW, self.book.control, encode(Review(fields.root, bytes(32))))
        self.disclosed()
        self.talk(300)
        self.september = len(self.book.leaves)

    def later(self, hours: int) -> None:
        """Time goes by; lists are made anew, since they last a day."""
        self.book.now += hours * HOUR
        self.lists = getattr(self, "lists", 1) + 1
        for name in self.book.registrars:
            self.book.publish_list(name, (), self.lists)

    def talk(self, messages: int) -> None:
        for n in range(messages):
            self.ayo.message(self.channel)
            for last in (False, True) if n % 3 else ():
                self.bea.message(self.channel, signed=last)
            if n % 10 == 0:
                self.received(self.chen, self.channel)

    def received(self, by: Party, channel: bytes, **changes: Any) -> int:
        heard = self.book.heard(channel)
        ranges = changes.pop("ranges", [Range(1, heard.seq, heard.rolling)])
        body = encode(Receipt(channel, ranges, ranges, [], None))
        return by.say(Kind.RECEIPT, receipt_stream(ChannelId(channel)), body, heard=heard)

    def disclosed(self) -> None:
        """Gita asked for Ayo's first message, and one of two agreed: steps 9 and 10 as the log has them."""
        gita = self.book.enrolled("auditor")
        entry = self.book.entry(self.first)
        names = {
            "certificate": gita.device.certified.hash,
            "channel": entry.channel,
            "index": self.first,
            "seq": entry.seq,
        }  # type: ignore[union-attr]
        values = {**names, "header_hash": sha256(entry.header).digest(), "key": bytes(32), "why": Sealed([], b"")}
        asked = Request(**{name: values[name] for name in Request.__struct_fields__})
        at = gita.say(Kind.DISCLOSURE_REQUEST, self.book.control, encode(asked))
        request = sha256(self.book.entry(at).header).digest()
        vote = Vote(self.dara.device.certified.hash, request, True)  # type: ignore[union-attr]
        self.dara.say(Kind.DISCLOSURE_VOTE, self.book.control, encode(vote))


@restored
def october() -> Month:
    """The same month for each test, its own copy."""
    return Month()


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "profile"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile").mkdir()
    return tmp_path


def put(month: Month, desk: Path, name: str = "log") -> None:
    """What Farid's gateway has on its disk, and beside it what Gita has from elsewhere."""
    month.book.published().write(desk / name)
    (desk / "charter").write_bytes(month.book.charter.note)


def audit(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    code = run(["audit", *line.split(), "--charter", "charter", "--json"])
    return code, [json.loads(one) for one in capsys.readouterr().out.splitlines()]


def failed(lines: list[dict[str, Any]]) -> list[tuple[str, int | None, str]]:
    return [(one["claim"], one["index"], one["cause"]) for one in lines if one.get("outcome") == "FAIL"]


def test_a_month(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    month = october()
    size = len(month.book.leaves)
    put(month, desk)
    (desk / "head").write_bytes(month.book.head())

    # 1, 2: the export on a stick, the head from the officers' meeting: whole, and nothing else is needed
    assert audit("export log --out oct.outrider", capsys)[0] == 0
    code, lines = audit("verify oct.outrider --head head --save october.state", capsys)
    assert (code, lines[-1]["verdict"], lines[-1]["size"]) == (0, "WHOLE", size), failed(lines)
    assert {line["outcome"] for line in lines[:-1]} == {"PASS"}
    assert run(["audit", "verify", "oct.outrider", "--head", "head", "--charter", "charter"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "WHOLE" in printed

    # 3: one byte flipped at an entry: that entry, and everything before and after still stated
    data = (desk / "oct.outrider").read_bytes()
    place = data.index(month.book.leaves[301])
    (desk / "flipped").write_bytes(flip(data, place + 40))
    code, lines = audit("verify flipped --head head", capsys)
    assert (code, failed(lines)) == (1, [("archive", None, "altered"), ("tree", 301, "altered")])
    passed = {line["claim"] for line in lines[:-1] if line["outcome"] == "PASS"}
    assert {"checkpoint", "head"} <= passed

    # 4: the last hour is gone: the head promises more than is there
    short = october()
    short.book.leaves = short.book.leaves[: size - 11]
    put(short, desk, "short")
    assert audit("export short --out short.outrider", capsys)[0] == 0
    code, lines = audit("verify short.outrider --head head", capsys)
    assert (code, failed(lines)) == (1, [("head", size - 11, "cut")])

    # 5: the alerts, without a word of theirs
    code, lines = audit("list oct.outrider --alerts", capsys)
    assert (code, [line["standing"] for line in lines]) == (0, ["two people", "one, reviewed"])
    assert lines[0]["answers"] == 2
    assert len(lines[0]["rungs"]) == 1

    # 6: two people, from signatures
    assert run(["audit", "check", "two-person", "oct.outrider", "--charter", "charter"]) == 0
    assert "2 alerts: 1 by two, 1 by one alone, 0 not as asked" in (said := capsys.readouterr().out)
    assert f"(entry {month.reviewed})" in said

    # 7: who was let in
    assert run(["audit", "check", "access", "oct.outrider", "--charter", "charter"]) == 0
    assert "6 enrolments, none of them without two consents" in capsys.readouterr().out

    # 9 to 13: see `Month.disclosed`; the claim is made, and a part for a partner holds no other channel
    channel = month.channel.hex()
    assert audit(f"export oct.outrider --channel {channel} --out part.outrider", capsys)[0] == 0
    code, lines = audit("verify part.outrider --head head", capsys)
    assert (code, lines[-1]["verdict"]) == (0, "CONSISTENT"), failed(lines)
    part = ArchiveSource(desk / "part.outrider")
    assert month.sent not in part.export.entries
    assert month.first in part.export.entries
    assert month.made.draft.alert not in (desk / "part.outrider").read_bytes()  # nor who else was warned

    # 15: a second auditor finds the same, byte by byte
    for who in ("gita", "hostpol"):
        assert audit(f"report oct.outrider --head head --out {who} --signer {who}.key", capsys)[0] == 0
    for name in ("report.json", "report.html"):
        assert (desk / "gita" / name).read_bytes() == (desk / "hostpol" / name).read_bytes()

    # 16: back online: November goes on from October
    month.later(20)
    month.talk(20)
    put(month, desk, "now")
    (desk / "november").write_bytes(month.book.head())
    code, lines = audit("verify now --since october.state --head november", capsys)
    assert (code, lines[-1]["verdict"]) == (0, "WHOLE"), failed(lines)
    assert {line["outcome"] for line in lines[:-1]} == {"PASS"}
    code, lines = audit("verify flipped --since october.state", capsys)
    assert code == 1


# ---------------------------------------------------------------------- each damage, by its cause

Found = tuple[Topic, int | None, Cause]
Damage = Callable[[Month, Path], Found]


def bundle(desk: Path, number: int = 0) -> Path:
    return desk / "log" / "tile" / "entries" / f"{number:03d}"


def altered(month: Month, desk: Path) -> Found:
    file = bundle(desk)
    data = file.read_bytes()
    file.write_bytes(flip(data, data.index(month.book.leaves[120]) + 5))
    return Topic.TREE, 120, Cause.ALTERED


def missing(month: Month, desk: Path) -> Found:
    bundle(desk, 1).unlink()
    return Topic.TREE, 256, Cause.MISSING


def reordered(month: Month, desk: Path) -> Found:
    file = bundle(desk)
    data, one, two = file.read_bytes(), framed(month, 120), framed(month, 121)
    file.write_bytes(data.replace(one + two, two + one))
    return Topic.TREE, 120, Cause.REORDERED


def framed(month: Month, index: int) -> bytes:
    leaf = month.book.leaves[index]
    return len(leaf).to_bytes(2, "big") + leaf


def cut(month: Month, desk: Path) -> Found:
    size = len(month.book.leaves) - 40
    month.book.leaves = month.book.leaves[:size]
    rewrite(month, desk)
    return Topic.HEAD, size, Cause.CUT


def forked(month: Month, desk: Path) -> Found:
    month.book.change(len(month.book.leaves) - 3, nonce=bytes(16))
    rewrite(month, desk)
    return Topic.HEAD, None, Cause.FORKED


def bad_signature(month: Month, desk: Path) -> Found:
    index = month.ayo.message(month.channel)
    month.book.change(index, signature=bytes(64))
    rewrite(month, desk)
    return Topic.SIGNATURES, index, Cause.BAD_SIGNATURE


def future_time(month: Month, desk: Path) -> Found:
    index = month.book.filler()
    month.book.change(index, time=month.book.now + 20 * 365 * DAY)
    rewrite(month, desk)
    return Topic.TIMES, index, Cause.FUTURE_TIME


def injected(month: Month, desk: Path) -> Found:
    """A device of nobody's speaks in the channel: its message is signed, and by no member."""
    stranger = month.book.enrolled("agent")
    stranger.groups[month.channel] = month.ayo.groups[month.channel]
    index = stranger.message(month.channel)
    rewrite(month, desk)
    return Topic.MEMBERS, index, Cause.INJECTED


def receipt_without_entry(month: Month, desk: Path) -> Found:
    """Chen has got a message that the log has not: it was kept out of it."""
    seq = month.book.heard(month.channel).seq
    index = month.received(month.chen, month.channel, ranges=[Range(1, seq + 1, b"r" * 32)])
    rewrite(month, desk)
    return Topic.RECEIPTS, index, Cause.RECEIPT_WITHOUT_ENTRY


def self_approval(month: Month, desk: Path) -> Found:
    text = b"shelter"
    index = month.chen.alert(month.alerts, written_by=month.chen, approved_by=month.chen, marking=Marking.AMBER)
    assert text
    rewrite(month, desk)
    return Topic.ALERTS, index, Cause.SELF_APPROVAL


def escalation_skipped(month: Month, desk: Path) -> Found:
    month.made = month.prepared(alert=b"second alert 16b")
    month.announce()
    index = month.send()
    month.wait(900)
    rewrite(month, desk)
    return Topic.ESCALATION, index, Cause.ESCALATION_SKIPPED


def rewrite(month: Month, desk: Path) -> None:
    """The gateway itself lies, with its own key."""
    for file in (desk / "log").rglob("*"):
        if file.is_file():
            file.unlink()
    put(month, desk)


DAMAGES = (
    altered,
    missing,
    reordered,
    cut,
    forked,
    bad_signature,
    future_time,
    injected,
    receipt_without_entry,
    self_approval,
    escalation_skipped,
)


def test_every_cause_has_a_damage() -> None:
    assert {damage.__name__.replace("_", "-") for damage in DAMAGES} == {cause.value for cause in Cause}


@pytest.mark.parametrize("damage", [pytest.param(d, id=d.__name__.replace("_", " ")) for d in DAMAGES])
def test_each_damage_is_found_where_it_is(damage: Damage, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    month = october()
    put(month, desk)
    (desk / "head").write_bytes(month.book.head())
    topic, index, cause = damage(month, desk)
    code, lines = audit("verify log --head head", capsys)
    assert code == 1
    assert failed(lines) == [(topic, index, cause)]
    assert lines[-1]["verdict"] == "FAIL"
