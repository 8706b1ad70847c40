"""Receipts held against the log, and the three looks at them: gaps, reconcile, members."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.verify import Asked, Cause, Claim, Outcome, Topic, Verdict, Verified, log_keys, verify_log
from clients.main import run as outrider
from keys import body
from keys.body import Confirmed, Range, Receipt, Seen, confirmation
from keys.canonical import encode
from keys.envelope import NOTHING, Heard, Kind, Marking, read_entry, rolling
from keys.identity import ChannelId, receipt_stream
from keys.receipts import receipt_files
from tests.clients.auditor.logs import Book, Files, Party

MINUTE = 60_000


@dataclass
class Talk:
    """Bea's channel with Ayo and Emil, a guest; four messages, all receipted by all. Then a minute passes."""

    book: Book
    bea: Party
    ayo: Party
    emil: Party
    channel: bytes

    def rolling(self, seq: int) -> bytes:
        """The rolling hash at a place."""
        found, place = NOTHING, 0
        for entry in map(read_entry, self.book.leaves):
            if entry.channel == self.channel and place < seq:
                found, place = rolling(found, entry.header), place + 1
        return found

    def confirmed(self, by: Party) -> Confirmed:
        group = by.groups[self.channel]
        return Confirmed(group.epoch, confirmation(self.channel, group.epoch, group.epoch_authenticator))

    def receipt(self, by: Party, first: int, last: int, **changes: Any) -> int:
        """A receipt for a range, all of it decrypted; gives its log index."""
        part = Range(first, last, changes.pop("rolling", None) or self.rolling(last))
        values = {"received": [part], "decrypted": [part], "shown": [], "seen": None, "confirmed": self.confirmed(by)}
        said = Receipt(self.channel, **{**values, **changes})
        heard = Heard(2, self.rolling(2))
        return by.say(Kind.RECEIPT, receipt_stream(ChannelId(self.channel)), encode(said), heard=heard)

    def verified(self, files: Files | None = None, **asked: Any) -> Verified:
        files = files or self.book.files()
        keys = log_keys(self.book.mission.log.verifier_key.encode())
        return verify_log(files.fetch, files.paths(), Asked(keys, self.book.now, **asked))

    def against(self, files: Files | None = None) -> list[Claim]:
        return [c for c in self.verified(files).claims if c.outcome is not Outcome.PASS]


@pytest.fixture
def talk() -> Talk:
    book = Book()
    chen = book.enrolled("officer")
    bea, ayo = book.enrolled("leader", by=chen), book.enrolled("agent", by=chen)
    emil = book.enrolled("guest", house=book.mission.partner)
    channel = bea.found("narrow", Marking.GREEN)
    bea.add(channel, ayo, emil)
    made = Talk(book, bea, ayo, emil, channel)
    for text in (b"one", b"two"):
        ayo.message(channel, text)
    for text in (b"three", b"four"):
        bea.message(channel, text)
    made.receipt(bea, 3, 4)
    made.receipt(ayo, 5, 6)
    made.receipt(emil, 3, 6)
    book.now += 2 * MINUTE
    book.filler()
    return made


def test_what_all_have_got_is_sound(talk: Talk) -> None:
    verified = talk.verified()
    assert verified.verdict is Verdict.CONSISTENT, talk.against()
    told = {c.claim: c.rule for c in verified.claims}
    assert "3 read" in told[Topic.RECEIPTS]
    assert "1 epochs confirmed" in told[Topic.EPOCHS]


LIES: list[Any] = [
    pytest.param(
        lambda t: t.receipt(t.emil, 3, 9, rolling=bytes(32)),
        Topic.RECEIPTS,
        Cause.RECEIPT_WITHOUT_ENTRY,
        "place 9",
        id="a place that the log has not",
    ),
    pytest.param(
        lambda t: t.receipt(t.emil, 3, 6, rolling=bytes(32)),
        Topic.RECEIPTS,
        Cause.RECEIPT_WITHOUT_ENTRY,
        "other envelopes up to place 6",
        id="other envelopes than the log has",
    ),
    pytest.param(
        lambda t: t.receipt(t.emil, 3, 6, seen=Seen(5, bytes(32))),
        Topic.HEARD,
        Cause.FORKED,
        "another log of 5 entries",
        id="another log of that size",
    ),
    pytest.param(
        lambda t: t.receipt(t.emil, 3, 6, seen=Seen(5_000, bytes(32))),
        Topic.HEARD,
        Cause.FORKED,
        "5000 entries",
        id="a log longer than this one was",
    ),
    pytest.param(
        lambda t: t.receipt(t.emil, 3, 6, confirmed=Confirmed(2, bytes(32))),
        Topic.EPOCHS,
        Cause.FORKED,
        "epoch 1 is in force",
        id="an epoch that has not begun",
    ),
    pytest.param(
        lambda t: t.emil.say(
            Kind.RECEIPT, receipt_stream(ChannelId(t.channel)), encode(Receipt(bytes(16), [], [], [], None))
        ),
        Topic.RECEIPTS,
        Cause.INJECTED,
        "another channel",
        id="about another channel",
    ),
]


@pytest.mark.parametrize(("lie", "topic", "cause", "rule"), LIES)
def test_what_a_receipt_contradicts(
    talk: Talk, lie: Callable[[Talk], int], topic: Topic, cause: Cause, rule: str
) -> None:
    index = lie(talk)
    (found,) = talk.against()
    assert (found.claim, found.outcome, found.cause, found.index) == (topic, Outcome.FAIL, cause, index)
    assert rule in found.rule
    assert talk.emil.id.hex()[:8] in found.rule or cause is Cause.INJECTED


def test_who_confirms_another_epoch_is_named(talk: Talk) -> None:
    index = talk.receipt(talk.emil, 5, 6, confirmed=Confirmed(1, bytes(32)))
    (found,) = talk.against()
    assert (found.claim, found.cause, found.index) == (Topic.EPOCHS, Cause.FORKED, index)
    assert talk.emil.id.hex()[:8] in found.rule


def test_of_two_who_confirm_different_epochs_both_are_named(talk: Talk) -> None:
    talk.bea.commit(talk.channel)
    talk.receipt(talk.emil, 3, 6)
    talk.receipt(talk.ayo, 5, 6, confirmed=Confirmed(2, bytes(32)))
    assert sorted(c.rule.split()[1] for c in talk.against()) == sorted(p.id.hex()[:8] for p in (talk.emil, talk.ayo))


def beside(talk: Talk) -> Files:
    """The log with its receipts in bundles, as a gateway keeps them."""
    files = talk.book.files()
    receipts = {}
    for index, leaf in enumerate(talk.book.leaves):
        entry = read_entry(leaf)
        name = f"body/{entry.header[-32:].hex()}"
        if entry.channel == receipt_stream(ChannelId(talk.channel)):
            receipts[index] = files.files[name]
            files = files.changed(name, None)
    for path, data in receipt_files(receipts, 0, len(talk.book.leaves)):
        files = files.changed(path, data)
    return files


def test_receipts_in_their_bundle(talk: Talk) -> None:
    assert not talk.against(beside(talk))


def test_the_full_bundle_in_place_of_a_partial_one(talk: Talk) -> None:
    """The log has grown between the auditor's checkpoint and his asking."""
    files = beside(talk)
    (path,) = (p for p in files.files if p.startswith("receipts/"))
    full = files.files[path] + bytes(2) * (256 - len(talk.book.leaves))
    assert not talk.against(files.changed(path, None).changed("receipts/000", full))


def test_every_flipped_bit_of_a_bundle_of_receipts_is_found(talk: Talk) -> None:
    files = beside(talk)
    (path,) = (p for p in files.files if p.startswith("receipts/"))
    data = files.files[path]
    first = next(n for n in range(0, len(data), 2) if data[n : n + 2] != b"\0\0")
    for place in (*range(6), *range(first, first + 40, 3), len(data) - 1):
        for bit in (0, 7):
            altered = bytearray(data)
            altered[place] ^= 1 << bit
            found = [c for c in talk.against(files.changed(path, bytes(altered))) if c.outcome is Outcome.FAIL]
            assert {(c.claim, c.cause) for c in found} == {(Topic.BODIES, Cause.ALTERED)}, (place, bit)


def test_without_its_receipts_it_is_unchecked(talk: Talk) -> None:
    files = beside(talk)
    (path,) = (p for p in files.files if p.startswith("receipts/"))
    found = talk.against(files.changed(path, None))
    assert {(c.claim, c.outcome) for c in found} == {
        (Topic.RECEIPTS, Outcome.UNCHECKED),
        (Topic.EPOCHS, Outcome.UNCHECKED),
    }


# ------------------------------------------------------------------ the three looks


@dataclass(frozen=True)
class Done:
    output: str
    exit_code: int


def run(talk: Talk, tmp_path: Path, verb: str, *words: str, files: Files | None = None) -> Done:
    (files or beside(talk)).write(tmp_path / "log")
    (tmp_path / "log.vkey").write_text(talk.book.mission.log.verifier_key.encode())
    (tmp_path / "charter").write_bytes(talk.book.charter.note)
    pins = ["--profile", str(tmp_path), "--key", str(tmp_path / "log.vkey"), "--charter", str(tmp_path / "charter")]
    out = StringIO()
    with redirect_stdout(out):
        code = outrider(["audit", verb, str(tmp_path / "log"), *words, *pins])
    if "--json" not in words:
        assert max(map(len, out.getvalue().splitlines()), default=0) <= 80, out.getvalue()
    return Done(out.getvalue(), code)


def said(talk: Talk, tmp_path: Path, verb: str, *words: str, **more: Any) -> tuple[dict[str, Any], int]:
    done = run(talk, tmp_path, verb, *words, "--json", **more)
    return json.loads(done.output), done.exit_code


@pytest.mark.parametrize("verb", ["gaps", "reconcile"])
def test_where_nothing_is_missing(talk: Talk, tmp_path: Path, verb: str) -> None:
    assert run(talk, tmp_path, verb).exit_code == 0
    found, code = said(talk, tmp_path, verb)
    assert code == 0
    assert not found["against"]
    assert found.get("channels", [{"listed": []}])[0]["listed"] == []


def test_whose_receipt_is_missing_since_when(talk: Talk, tmp_path: Path) -> None:
    index = talk.ayo.message(talk.channel, b"five")
    talk.receipt(talk.bea, 7, 7)
    talk.book.now += 2 * MINUTE
    talk.book.filler()
    found, code = said(talk, tmp_path, "gaps")
    assert code == 1
    (owing,) = found["receipts"]
    assert (owing["device"], owing["missing"], owing["first"]) == (talk.emil.id.hex(), 1, 7)
    assert talk.emil.id.hex()[:8] in run(talk, tmp_path, "gaps").output
    found, code = said(talk, tmp_path, "reconcile")
    assert code == 1
    (channel,) = found["channels"]
    (row,) = channel["listed"]
    assert (row["index"], row["audience"], row["never"]) == (index, 2, [talk.emil.id.hex()])
    assert channel["never"] == {talk.emil.id.hex(): 1}
    assert "1/2" in run(talk, tmp_path, "reconcile").output
    assert said(talk, tmp_path, "gaps", "--patience", "3600")[1] == 0, "it is not missed yet"
    assert said(talk, tmp_path, "reconcile", "--channel", "ffff")[1] == 1, "no such channel"


@pytest.mark.parametrize("part", [False, True], ids=["whole", "this channel alone"])
def test_the_same_from_an_archive(talk: Talk, tmp_path: Path, part: bool) -> None:
    talk.ayo.message(talk.channel, b"five")
    talk.receipt(talk.bea, 7, 7)
    talk.book.now += 2 * MINUTE
    talk.book.filler()
    archive = tmp_path / "one.outrider"
    chosen = ["--channel", talk.channel.hex()] if part else []
    assert run(talk, tmp_path, "export", "--json", "--out", str(archive), *chosen).exit_code in (0, 7)
    pins = ["--key", str(tmp_path / "log.vkey"), "--charter", str(tmp_path / "charter"), "--profile", str(tmp_path)]
    for verb in ("gaps", "reconcile"):
        from_folder, _ = said(talk, tmp_path, verb)
        out = StringIO()
        with redirect_stdout(out):
            assert outrider(["audit", verb, str(archive), "--json", *pins]) == 1
        found = json.loads(out.getvalue())
        key = "receipts" if verb == "gaps" else "channels"
        assert found[key] == from_folder[key]
    out = StringIO()
    with redirect_stdout(out):
        assert outrider(["audit", "members", str(archive), talk.channel.hex(), "1", *pins]) == 0
    assert "3 could read it" in out.getvalue()


def test_what_was_got_and_could_not_be_read(talk: Talk, tmp_path: Path) -> None:
    talk.ayo.message(talk.channel, b"five")
    talk.receipt(talk.bea, 7, 7)
    talk.receipt(talk.emil, 7, 7, decrypted=[])
    talk.book.now += 2 * MINUTE
    talk.book.filler()
    (channel,) = said(talk, tmp_path, "reconcile")[0]["channels"]
    assert [(row["never"], row["unread"]) for row in channel["listed"]] == [([], [talk.emil.id.hex()])]


def test_who_has_left_owes_nothing_after(talk: Talk, tmp_path: Path) -> None:
    from tests.clients.auditor.logs import removal

    talk.bea.commit(talk.channel, [removal(talk.bea, talk.channel, talk.emil)])
    talk.ayo.message(talk.channel, b"without him")
    talk.receipt(talk.bea, 8, 8)
    talk.receipt(talk.ayo, 7, 7)
    talk.book.now += 2 * MINUTE
    talk.book.filler()
    assert run(talk, tmp_path, "gaps").exit_code == 0
    assert run(talk, tmp_path, "reconcile", "--handshakes", "--every").exit_code == 0


def test_a_number_and_a_place_that_are_not_there(talk: Talk, tmp_path: Path) -> None:
    del talk.book.leaves[-5]  # Bea's second message
    found, code = said(talk, tmp_path, "gaps", files=talk.book.files())
    assert code == 1
    assert not found["chains"], "nothing of hers comes after it"
    assert [(g["first"], g["last"]) for g in found["places"]] in ([], [(6, 6)])
    talk.bea.message(talk.channel, b"five")
    found, _ = said(talk, tmp_path, "gaps", files=talk.book.files())
    assert [(g["device"], g["first"], g["last"]) for g in found["chains"]] == [(talk.bea.id.hex(), 4, 4)]
    assert [(g["stream"], g["first"], g["last"]) for g in found["places"]] == [(talk.channel.hex(), 6, 6)]
    assert talk.bea.id.hex()[:8] in run(talk, tmp_path, "gaps", files=talk.book.files()).output


def test_who_could_read_and_who_confirmed(talk: Talk, tmp_path: Path) -> None:
    found, code = said(talk, tmp_path, "members", talk.channel.hex()[:8], "1")
    assert code == 0
    listed = {m["device"]: m for m in found["members"]}
    assert set(listed) == {p.id.hex() for p in (talk.bea, talk.ayo, talk.emil)}
    guest = listed[talk.emil.id.hex()]
    assert (guest["organisation"], guest["roles"], guest["guest"], guest["confirmed"]) == (
        "Hostpol",
        ["guest"],
        True,
        "yes",
    )
    assert not listed[talk.bea.id.hex()]["guest"]
    assert [m["device"] for m in said(talk, tmp_path, "members", talk.channel.hex(), "0")[0]["members"]] == [
        talk.bea.id.hex()
    ]
    page = run(talk, tmp_path, "members", talk.channel.hex()[:8], "1")
    assert "3 could read it" in page.output
    assert "GUEST" in page.output
    assert run(talk, tmp_path, "members", talk.channel.hex(), "7").exit_code == 2
    assert run(talk, tmp_path, "members", "zz", "1").exit_code == 2


def test_the_odd_one_is_named(talk: Talk, tmp_path: Path) -> None:
    talk.bea.commit(talk.channel)
    talk.receipt(talk.bea, 3, 4)
    talk.receipt(talk.ayo, 5, 6)
    talk.receipt(talk.emil, 3, 6, confirmed=Confirmed(2, bytes(32)))
    found, code = said(talk, tmp_path, "members", talk.channel.hex(), "2")
    assert (code, found["differ"]) == (1, [talk.emil.id.hex()])
    assert "DIFFERS" in run(talk, tmp_path, "members", talk.channel.hex(), "2").output


def test_without_the_channels_beginning_it_is_unchecked(talk: Talk, tmp_path: Path) -> None:
    files = beside(talk)
    for path in [p for p in files.files if p.startswith("body/")]:
        files = files.changed(path, None)
    done = run(talk, tmp_path, "members", talk.channel.hex(), "1", files=files)
    assert done.exit_code == 7, done.output
    assert body.read_receipt  # the receipts are there, who was in is not known
