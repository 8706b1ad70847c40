"""What an auditor reads beside the claims: alerts, single entries, answers to questions, and reports."""

from __future__ import annotations

import json
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from clients.auditor.page import page
from clients.auditor.signing import signer_of
from clients.auditor.timeline import HOUR, MOST_BARS, Mark, svg
from clients.main import run
from keys.alert import AlertFields
from keys.authority import read_revocation_list
from keys.body import Review
from keys.canonical import encode
from keys.envelope import Kind, Marking, read, read_entry
from keys.errors import KeysError
from keys.tlog.cosignature import verifier_of
from keys.tlog.merkle import leaf_hash
from keys.tlog.proof import TlogProof
from tests.clients.auditor.logs import Book, Party, honest
from tests.keys.tlog.logs import flip


@cache
def log() -> Book:
    """The honest log, with an alert by two people in it, and the other one reviewed a day later."""
    book = honest()
    chen = book.parties[0]
    dara = book.enrolled("officer")
    alerts = chen.found("alert", Marking.AMBER, suite=0xF001)
    chen.add(alerts, dara, book.parties[1])
    dara.alert(alerts, marking=Marking.AMBER, written_by=chen, approved_by=dara)
    book.now += 22 * 3_600_000
    (alone,) = [e for n in range(len(book.leaves)) if (e := _alert(book, n)) is not None and e.alone]
    for name in book.registrars:
        book.publish_list(name, [] if name == "Meridian" else [_revoked(book)], 3)
    dara.say(Kind.REVIEW, book.control, encode(Review(alone.root, bytes(32))))
    return book


def _alert(book: Book, index: int) -> AlertFields | None:
    return read(book.entry(index).envelope).context.alert


def _revoked(book: Book) -> int:
    """Whom the honest log's second list of the partner has revoked."""
    lists = [read(leaf.envelope).header.body_hash for leaf in map(read_entry, book.leaves)]
    found = [book.bodies[f"body/{name.hex()}"] for name in lists if f"body/{name.hex()}" in book.bodies]
    for der in reversed(found):
        try:
            listed = read_revocation_list(der, book.charter.policy.issuers)
        except KeysError:
            continue
        if listed.serials:
            return min(listed.serials)
    raise AssertionError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTRIDER_HOME", str(tmp_path / "profile"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile").mkdir()
    log().published().write(tmp_path / "log")
    (tmp_path / "charter").write_bytes(log().charter.note)
    (tmp_path / "head").write_bytes(log().head())
    return tmp_path


def said(line: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert run([*line.split(), "--charter", "charter"]) == code
    return capsys.readouterr().out


def objects(line: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> list[dict[str, object]]:
    return [json.loads(one) for one in said(f"{line} --json", capsys, code).splitlines()]


# ---------------------------------------------------------------------- list, check, show


def test_alerts_are_listed_with_who_signed(capsys: pytest.CaptureFixture[str]) -> None:
    alone, two = objects("audit list log --alerts", capsys)
    assert (alone["standing"], two["standing"]) == ("one, reviewed", "two people")
    assert (two["people"], two["marking"], two["approver"] != two["writer"]) == (1, "TLP:AMBER", True)
    text = said("audit list log", capsys)
    assert "one, reviewed" in text
    assert "two people" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "shelter" not in text


def test_channels_are_listed_by_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert [one["class"] for one in objects("audit list log --channels", capsys)] == [
        "narrow",
        "narrow",
        "alert",
        "alert",
    ]


def test_two_people_or_one_and_a_review(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("audit check two-person log", capsys)
    assert "2 alerts: 1 by two, 1 by one alone, 0 not as asked" in text
    assert "reviewed 22 h" in text
    assert text.endswith("PASS  two-person\n")
    *_, last = objects("audit check two-person log", capsys)
    assert (last["check"], last["outcome"]) == ("two-person", "PASS")


def test_who_was_let_in_by_two(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("audit check access log", capsys)
    assert "5 enrolments, none of them without two consents" in text
    *enrolled, last = objects("audit check access log", capsys)
    assert [one["consents"] for one in enrolled] == [2] * 5
    assert last["outcome"] == "PASS"


def test_one_consent_is_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = honest()
    device = book.mission.device("agent")
    issuer = next(p for p in book.registrars["Meridian"] if p.id == device.certified.issuer)
    index = book.approve(Party(book, device), issuer)
    book.files().write(home / "log")
    text = said("audit check access log", capsys, 1)
    assert "1 of them without two consents" in text
    assert f"FAIL  certificates: entry {index}: " in text


def test_receipts_are_answered_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert said("audit check receipts log", capsys).endswith("PASS  receipts\n")


def test_an_entry_is_shown_and_proved(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = objects("audit show 9 log --proof proof", capsys)
    assert (one["index"], one["kind"], one["leaf_hash"]) == (9, "commit", leaf_hash(log().leaves[9]).hex())
    key = verifier_of(log().mission.log.verifier_key.encode())
    proof = TlogProof.decode((home / "proof").read_bytes())
    assert proof.check(leaf_hash(log().leaves[9]), [key], key.name).size == len(log().leaves)
    assert said("audit show 9 log", capsys).startswith("index           9\n")
    assert run(["audit", "show", "999", "log", "--charter", "charter"]) == 2
    assert "is covered a moment later; ask again" in " ".join(capsys.readouterr().err.split())


def test_an_altered_entry_is_not_shown(home: Path) -> None:
    bundle = next((home / "log" / "tile" / "entries").rglob("*/*"))
    bundle.write_bytes(flip(bundle.read_bytes(), 5_000))
    codes = {run(["audit", "show", str(n), "log", "--charter", "charter"]) for n in range(10, 25)}
    assert codes == {0, 1}


def test_an_entry_that_is_none_is_said_to_be_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = honest()
    book.leaves.append(b"not an entry")
    book.files().write(home / "bad")
    assert run(["audit", "show", str(len(book.leaves) - 1), "bad", "--charter", "charter"]) == 1
    assert "none that a gateway may write" in capsys.readouterr().err


def test_a_body_that_was_exchanged_tells_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = read(log().entry(5).envelope).header.body_hash.hex()
    (home / "log" / "body" / name).write_bytes(honest(2).parties[0].der)
    *enrolled, last = objects("audit check access log", capsys, 1)
    assert (len(enrolled), last["outcome"]) == (4, "FAIL")


def test_the_charter_that_was_given_stands_for_one_that_is_not_there(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = read(log().entry(0).envelope).header.body_hash.hex()
    (home / "log" / "body" / name).unlink()
    assert len(objects("audit check access log", capsys)) == 6


def test_what_an_unsound_log_tells_is_told_with_a_warning(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = next((home / "log" / "tile" / "entries").rglob("*/*"))
    bundle.write_bytes(flip(bundle.read_bytes(), 5_000))
    assert run(["audit", "list", "log", "--charter", "charter"]) == 1
    assert "not sound" in capsys.readouterr().err


# ---------------------------------------------------------------------- reports


def test_two_auditors_find_the_same(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = objects("audit report log --head head --out one --signer a.key", capsys)
    said("audit export log --out archive", capsys)
    (two,) = objects("audit report archive --head head --out two --signer b.key", capsys)
    assert one["verdict"] == two["verdict"] == "WHOLE"
    for name in ("report.json", "report.html"):
        assert (home / "one" / name).read_bytes() == (home / "two" / name).read_bytes()
    assert (home / "a.key").stat().st_mode & 0o077 == 0
    assert signer_of(home / "a.key").verifier_key.encode() == one["key"]
    assert run(["audit", "signed", "one", "--by", str(one["key"])]) == 0
    assert "WHOLE" in capsys.readouterr().out
    assert run(["audit", "signed", "one", "--by", str(two["key"])]) == 1


@pytest.mark.parametrize("name", ["report.json", "report.html", "report.sig"])
def test_a_report_that_was_changed_is_not_the_signed_one(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = objects("audit report log --out one --signer a.key", capsys)
    file = home / "one" / name
    file.write_bytes(file.read_bytes().replace(b"CONSISTENT", b"WHOLE"))
    assert run(["audit", "signed", "one", "--by", str(made["key"])]) != 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("PRIVATE+KEY+name+00000000+AAAA", id="too short"),
        pytest.param("PRIVATE+KEY+name+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", id="another key id"),
    ],
)
def test_a_key_that_is_none(text: str, home: Path) -> None:
    (home / "a.key").write_text(text)
    assert run(["audit", "report", "log", "--charter", "charter", "--out", "one", "--signer", "a.key"]) == 2


class Tags(HTMLParser):
    """Whether every tag that opens closes, in order, and what a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in ("src", "href", "action")]
        if tag not in ("meta", "line", "rect", "circle", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "rect", "circle"):
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said("audit report log --head head --out one --signer a.key", capsys)
    tags = Tags()
    tags.feed((home / "one" / "report.html").read_text())
    assert (tags.open, tags.fetched) == ([], [])


def test_what_others_wrote_is_only_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said("audit report log --head head --out one --signer a.key", capsys)
    found = json.loads((home / "one" / "report.json").read_bytes())
    hostile = "<script>alert(1)</script>\"'"
    found["log"]["origin"] = found["claims"][0]["rule"] = found["acts"][0]["text"] = hostile
    found["enrolments"][0]["roles"] = [hostile]
    found["alerts"][0]["writer"] = hostile
    assert b"<script" not in page(found)


# ---------------------------------------------------------------------- the timeline


@pytest.mark.parametrize("hours", [1, 2, 31 * 24, 3 * 365 * 24], ids=["an hour", "two", "a month", "three years"])
def test_a_timeline_is_a_picture_of_bounded_size(hours: int) -> None:
    begun = 500_000
    drawn = svg(
        {begun: 3, begun + hours - 1: 5}, [Mark("alerts", (begun + hours) * HOUR - 1, 7, "a<b")], ["alerts", "other"]
    )
    root = ElementTree.fromstring(drawn)
    name = "{http://www.w3.org/2000/svg}"
    bars = list(root.iter(f"{name}rect"))
    assert 1 <= len(bars) <= MOST_BARS
    assert all(110 <= float(bar.attrib["x"]) <= 960 and float(bar.attrib["height"]) <= 120 for bar in bars)
    (mark,) = root.iter(f"{name}circle")
    assert 110 <= float(mark.attrib["cx"]) <= 960
    assert [text.text for text in root.iter(f"{name}text")][-2:] == ["alerts", "other"]


def test_no_entries_no_picture() -> None:
    assert svg({}, [], ["alerts"]) == ""
