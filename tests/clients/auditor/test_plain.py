"""Plain entries are taken in one go, and no entry is that its judges would object to.

Each row changes one thing in an entry that is plain. The log is read twice: as it is read, and by the judges alone. What is found
must be the same, and where each chain, stream and clock stands as well.
"""

from __future__ import annotations

import os
from functools import cache

import pytest

from clients.auditor.verify import Topic, log_keys
from clients.auditor.verify.claims import OF_THE_ENTRIES, Claim, Findings, Outcome
from clients.auditor.verify.columns import columns
from clients.auditor.verify.reading import Reading
from clients.auditor.verify.state import state_of
from keys.canonical import encode
from keys.envelope import Context, Entry, Envelope, Header, Heard, Kind, Marking, Precedence, read, read_entry
from keys.tlog.merkle import Frontier
from tests.clients.auditor.logs import HOUR, Book, honest
from tests.clients.auditor.test_content import Scene

OTHER = b"x" * 16
THOROUGH = os.environ.get("OUTRIDER_THOROUGH") == "1"


class Talk(Scene):
    """The scene, and plain entries of every sort behind it: alone, in runs, receipts, fillers. `plain` are their places."""

    def __init__(self) -> None:
        super().__init__()
        self.chen.receipt(self.channel)
        self.book.filler()
        self.bea.message(self.channel)
        begun = len(self.book.leaves)
        self.ayo.message(self.channel)
        for last in (False, False, True):
            self.bea.message(self.channel, signed=last)
        self.chen.receipt(self.channel)
        self.book.filler()
        self.ayo.message(self.channel, heard=Heard(2, self.book.rolling_at(self.channel, 2)))
        self.ayo.message(self.channel, heard=Heard(0, bytes(32)))
        self.plain = range(begun, len(self.book.leaves))


@cache
def shared() -> Talk:
    """For tests that leave the book as it was."""
    return Talk()


def reading_of(book: Book) -> tuple[Reading, Findings]:
    findings, files = Findings(), book.files()
    findings.size = len(book.leaves)
    keys = log_keys(book.mission.log.verifier_key.encode())
    return Reading(files.fetch, keys, findings, book.now, pinned=None, every_signature=False), findings


def found(book: Book, *, judges_alone: bool) -> tuple[list[Claim], bytes, int]:
    """What speaks against the log, where everything stands in the end, and how many entries were plain."""
    reading, findings = reading_of(book)
    if judges_alone:
        for index, leaf in enumerate(book.leaves):
            reading.judge(index, leaf)
        reading.read = len(book.leaves)
    else:
        reading.take(0, book.leaves, 0)
    plain = reading.plain.taken
    reading.end(len(book.leaves))
    claims = findings.claims(OF_THE_ENTRIES)
    said = [c for c in claims if c.outcome is not Outcome.PASS or c.claim is Topic.MEMBERS]
    return said, state_of(reading, book.mission.log.name, Frontier()), plain


def test_plain_entries_are_taken_as_such() -> None:
    talk = Talk()
    claims, state, plain = found(talk.book, judges_alone=False)
    assert plain == len(talk.plain)
    assert (claims, state) == found(talk.book, judges_alone=True)[:2]


@pytest.mark.parametrize("seed", [1, 2])
def test_an_honest_log_reads_the_same(seed: int) -> None:
    book = honest(seed)
    assert found(book, judges_alone=False)[:2] == found(book, judges_alone=True)[:2]


IN_THE_CONTEXT = [
    *(("kind", kind) for kind in (Kind if THOROUGH else (Kind.APPLICATION, Kind.RECEIPT, Kind.COMMIT, Kind.FILLER))),
    ("device", OTHER),
    ("channel", OTHER),
    ("epoch", 0),
    ("epoch", 2),
    ("number", 1),
    ("number", 99),
    ("attempt", 1),
    ("previous", bytes(32)),
    ("previous", b"x" * 32),
    ("heard", Heard(0, bytes(32))),
    ("heard", Heard(0, b"x" * 32)),
    ("heard", Heard(1, bytes(32))),
    ("heard", Heard(1, b"x" * 32)),
    ("heard", Heard(99, b"x" * 32)),
    ("time", 0),
    ("time", 2**45),
    ("precedence", Precedence.FLASH),
    ("marking", Marking.RED),
    ("franking", b""),
    ("franking", b"x" * 31),
    ("franking", b"x" * 32),
]
OF_THE_ENTRY = [
    ("time", -1),
    ("time", -1_500),
    ("time", -HOUR),
    ("time", HOUR),
    ("time", 400 * 24 * HOUR),
    ("seq", 1),
    ("seq", -1),
    ("channel", OTHER),
    ("signature", b""),
    ("signature", b"x" * 63),
    ("signature", b"x" * 64),
    ("nonce", OTHER),
]
PLACES = range(8) if THOROUGH else (2, 4)  # the end of a run, and a receipt


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_changed_in_the_header(place: int) -> None:
    talk = shared()
    index = talk.plain[place]
    entry = read_entry(talk.book.leaves[index])
    claimed = read(entry.envelope)
    for name, value in IN_THE_CONTEXT:
        values = {field: getattr(claimed.context, field) for field in Context.__struct_fields__}
        context = encode(Context(**{**values, name: value}))
        header = encode(Header(context, claimed.header.body_length, claimed.header.body_hash))
        talk.book.change(index, header=header)
        same(talk.book, f"{name} {value!r}")
        talk.book.leaves[index] = encode(entry)


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_changed_in_the_entry(place: int) -> None:
    talk = shared()
    index = talk.plain[place]
    entry = read_entry(talk.book.leaves[index])
    for name, value in OF_THE_ENTRY:
        new = value if isinstance(value, bytes) else max(1, getattr(entry, name) + value)
        talk.book.change(index, **{name: new})
        same(talk.book, f"{name} {value!r}")
        talk.book.leaves[index] = encode(entry)


@pytest.mark.parametrize("place", PLACES)
def test_an_entry_taken_out_or_put_in_again(place: int) -> None:
    talk = Talk()
    leaf = talk.book.leaves.pop(talk.plain[place])
    same(talk.book, "taken out")
    talk.book.leaves.append(leaf)
    same(talk.book, "moved to the end")
    talk.book.leaves.insert(talk.plain[place], leaf)
    same(talk.book, "there twice")


def test_what_changes_who_counts_takes_passes_away() -> None:
    for change in ("revoked", "removed", "charter"):
        talk = Talk()
        if change == "revoked":
            talk.revoke(talk.ayo)
        elif change == "removed":
            talk.bea.commit(talk.channel)
        else:
            talk.book.successor()
        talk.ayo.message(talk.channel, epoch=1)
        talk.chen.receipt(talk.channel)
        same(talk.book, change)


def same(book: Book, what: str) -> None:
    assert found(book, judges_alone=False)[:2] == found(book, judges_alone=True)[:2], what


def test_a_run_over_the_limit() -> None:
    talk = Talk()
    for _ in range(65):
        talk.ayo.message(talk.channel, signed=False)
    talk.ayo.message(talk.channel)
    claims, _, _ = found(talk.book, judges_alone=False)
    assert [claim.claim for claim in claims if claim.outcome is Outcome.FAIL] == [Topic.CHAINS]
    same(talk.book, "a run of 66")


# ---------------------------------------------------------------------- columns


def test_columns_are_the_entries_read_one_by_one() -> None:
    leaves = honest().leaves
    rows = columns(leaves)
    assert rows is not None
    assert rows[0] == [read_entry(leaf) for leaf in leaves]
    assert rows[1] == [read(read_entry(leaf).envelope).context for leaf in leaves]
    assert columns([]) == ([], [])


def test_a_boundary_that_is_moved_is_no_column() -> None:
    one, two = honest().leaves[:2]
    for cut in (1, len(one) - 1):
        assert columns([one[:cut], one[cut:] + two]) is None
    assert columns([one + two, b""]) is None
    assert columns([b"", one + two]) is None


@pytest.mark.parametrize("width", [1, 15, 16, 17, 40])
def test_a_second_encoding_anywhere_is_no_column(width: int) -> None:
    leaves = (honest().leaves * 2)[:width]
    assert columns(leaves) is not None
    entry = read_entry(leaves[-1])
    header = read(entry.envelope).header
    in_context = header.context[:1] + b"\xcc\x01" + header.context[2:]
    in_header = encode(Header(in_context, header.body_length, header.body_hash))
    context_length = entry.header.index(header.context)
    longer = entry.header[:1] + b"\xc5" + len(header.context).to_bytes(2, "big") + entry.header[context_length:]
    for bad in (
        leaves[-1][:1] + b"\xcc\x01" + leaves[-1][2:],
        _with(entry, in_header),
        _with(entry, longer),
        leaves[-1] + b"\x00",
        leaves[-1][:-1],
    ):
        assert columns([*leaves[:-1], bad]) is None


def _with(entry: Entry, header: bytes) -> bytes:
    values = {name: getattr(entry, name) for name in Entry.__struct_fields__}
    return encode(Entry(**{**values, "header": Envelope(header, b"").header}))
