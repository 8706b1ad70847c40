"""The log as such: signed, every byte of it, against a head from outside."""

from functools import cache

import pytest

from clients.auditor.verify import Asked, Cause, Outcome, Topic, Verdict, Verified, log_keys, open_head, verify_log
from clients.auditor.verify.claims import WHERE_THERE_IS_ONE
from keys.tlog.checkpoint import TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import MlDsa44Cosigner
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Signer, Note
from tests.clients.auditor.logs import Book, Files, honest
from tests.keys.tlog.logs import flip


@cache
def log() -> Book:
    return honest()


@cache
def files() -> Files:
    return log().files()


@cache
def long_log() -> Book:
    """Three bundles, so that there are full tiles."""
    book = Book()
    while len(book.leaves) < 600:
        book.filler()
    return book


@cache
def short_log() -> Files:
    book = Book()
    book.leaves = book.leaves[:3]
    return Files({path: data for path, data in book.files().files.items() if not path.startswith("body/")})


KEYS = log_keys(honest().mission.log.verifier_key.encode())


def check(found: Files, *, head: bytes | None = None, log_only: bool = True, now: int | None = None) -> Verified:
    outside = None if head is None else open_head(head, KEYS)
    asked = Asked(keys=KEYS, now=log().now if now is None else now, head=outside, log_only=log_only)
    return verify_log(found.fetch, found.paths(), asked)


def failures(verified: Verified) -> list[tuple[Topic, int | None, str | None, Cause | None]]:
    return [(c.claim, c.index, c.tile, c.cause) for c in verified.claims if c.outcome is Outcome.FAIL]


def test_an_honest_log_is_consistent_and_against_a_head_whole() -> None:
    assert check(files()).verdict is Verdict.CONSISTENT
    verified = check(files(), head=log().head(), log_only=False)
    assert verified.verdict is Verdict.WHOLE
    assert {c.outcome for c in verified.claims} == {Outcome.PASS}
    assert [c.claim for c in verified.claims] == [t for t in Topic if t is Topic.HEAD or t not in WHERE_THERE_IS_ONE]


@pytest.mark.parametrize("size", [0, 1, 7, None])
def test_an_older_head_is_a_prefix(size: int | None) -> None:
    assert check(files(), head=log().head(size)).verdict is Verdict.WHOLE


def test_a_head_may_be_three_lines_on_paper() -> None:
    bare = Note.decode(log().head()).text.encode()
    assert check(files(), head=bare).verdict is Verdict.WHOLE


@pytest.mark.parametrize("name", sorted(short_log().files))
def test_one_flipped_bit_anywhere_is_found_and_its_file_named(name: str) -> None:
    data = short_log().files[name]
    for place in range(len(data)):
        verified = check(short_log().changed(name, flip(data, place)))
        assert verified.verdict is Verdict.FAIL, place
        assert name in {tile for _, _, tile, _ in failures(verified)}, place


def test_a_flipped_entry_is_named_and_what_follows_is_not_judged() -> None:
    path = "tile/entries/000.p/30"
    place = files().files[path].index(log().leaves[12][40:])
    verified = check(files().changed(path, flip(files().files[path], place)), log_only=False)
    assert failures(verified) == [(Topic.TREE, 12, path, Cause.ALTERED)]
    unread = [c for c in verified.claims if c.outcome is Outcome.UNCHECKED]
    assert {c.index for c in unread} == {12}


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        pytest.param("tile/entries/001", Cause.MISSING, id="a bundle is gone"),
        pytest.param("tile/0/001", Cause.MISSING, id="a tile is gone"),
        pytest.param("tile/1/000.p/2", Cause.MISSING, id="a tile above is gone"),
        pytest.param("checkpoint", Cause.MISSING, id="the checkpoint is gone"),
    ],
)
def test_what_is_gone_is_named(path: str, cause: Cause) -> None:
    verified = check(long_log().files().changed(path, None))
    assert (path, cause) in {(tile, found) for _, _, tile, found in failures(verified)}


def test_when_the_last_entry_is_altered_the_content_is_not_whole() -> None:
    path = "tile/entries/000.p/30"
    data = files().files[path]
    verified = check(files().changed(path, flip(data, len(data) - 1)), log_only=False)
    assert failures(verified) == [(Topic.TREE, 29, path, Cause.ALTERED)]
    assert {c.index for c in verified.claims if c.outcome is Outcome.UNCHECKED} == {29}


def test_files_that_the_checkpoint_says_nothing_about_are_counted() -> None:
    stored = Files({**files().files, "tile/entries/007": b"", "tile/notes.txt": b""})
    verified = check(stored)
    assert verified.verdict is Verdict.CONSISTENT
    assert "2 files are not of this checkpoint" in verified.claims[1].rule


def test_keys_of_two_logs_are_not_one_s() -> None:
    other = Ed25519Signer.from_seed("elsewhere.test/log", bytes(32)).verifier_key.encode()
    with pytest.raises(TlogError):
        log_keys(f"{other}\n{KEYS[0].key.encode()}\n")  # type: ignore[attr-defined]


def test_two_entries_that_changed_places_are_told_from_altered_ones() -> None:
    stored, leaves = long_log().files(), long_log().leaves
    path = "tile/entries/000"
    first, second = (len(leaf).to_bytes(2, "big") + leaf for leaf in leaves[20:22])
    data = stored.files[path].replace(first + second, second + first)
    assert failures(check(stored.changed(path, data))) == [(Topic.TREE, 20, path, Cause.REORDERED)]


def test_older_partial_files_that_still_lie_there_are_checked_too() -> None:
    older = Book()
    older.leaves = long_log().leaves[:100]
    stored = Files({**older.files().files, **long_log().files().files})
    assert check(stored).verdict is Verdict.CONSISTENT
    old = "tile/entries/000.p/100"
    assert failures(check(stored.changed(old, flip(stored.files[old], 50))))[0][2] == old


def test_a_log_that_was_cut_back_is_sound_but_for_the_head() -> None:
    shorter = Book()
    shorter.leaves = long_log().leaves[:300]
    assert check(shorter.files()).verdict is Verdict.CONSISTENT
    verified = check(shorter.files(), head=long_log().head())
    assert failures(verified) == [(Topic.HEAD, 300, "checkpoint", Cause.CUT)]


@pytest.mark.parametrize("size", [600, 300], ids=["of the same size", "of an older size"])
def test_a_log_that_was_rewritten_is_sound_but_for_the_head(size: int) -> None:
    other = Book()
    other.leaves = [*long_log().leaves]
    other.change(250, nonce=bytes(16))
    assert check(other.files()).verdict is Verdict.CONSISTENT
    verified = check(other.files(), head=long_log().head(size))
    assert failures(verified) == [(Topic.HEAD, None, "checkpoint", Cause.FORKED)]


def test_a_head_of_another_log_decides_nothing() -> None:
    head = TreeHead("elsewhere.test/log", 1, bytes(32)).encode().encode()
    verified = check(files(), head=head)
    assert verified.verdict is Verdict.UNCHECKED
    assert not verified.whole


def test_a_head_that_the_log_has_not_signed_is_none() -> None:
    stranger = Ed25519Signer.from_seed("log.test/meridian", bytes(32))
    head = sign_checkpoint(TreeHead("log.test/meridian", 1, bytes(32)), [stranger]).encode()
    with pytest.raises(TlogError):
        open_head(head, KEYS)


def test_a_checkpoint_by_another_key_is_refused() -> None:
    stranger = Ed25519Signer.from_seed("log.test/meridian", bytes(32))
    head = open_checkpoint(files().files["checkpoint"], KEYS, "log.test/meridian").head
    forged = sign_checkpoint(head, [stranger]).encode()
    verified = check(files().changed("checkpoint", forged), log_only=False)
    assert failures(verified) == [(Topic.CHECKPOINT, None, "checkpoint", Cause.BAD_SIGNATURE)]
    assert {c.outcome for c in verified.claims} == {Outcome.FAIL, Outcome.UNCHECKED}


def test_without_a_key_nothing_is_decided() -> None:
    verified = verify_log(files().fetch, files().paths(), Asked(keys=(), now=log().now))
    assert verified.verdict is Verdict.UNCHECKED
    assert {c.outcome for c in verified.claims} == {Outcome.UNCHECKED}


class TestTwoKeys:
    """A log that signs with ML-DSA-44 as well."""

    second = MlDsa44Cosigner.from_seed("log.test/meridian", bytes(32))

    def signed(self) -> Files:
        checkpoint = open_checkpoint(files().files["checkpoint"], KEYS, "log.test/meridian")
        note = checkpoint.note.with_signatures([self.second.cosign(checkpoint.head, 1_790_000_000)])
        return files().changed("checkpoint", note.encode())

    def both(self) -> Asked:
        keys = log_keys(f"{KEYS[0].key.encode()}\n{self.second.verifier_key.encode()}\n")  # type: ignore[attr-defined]
        return Asked(keys=keys, now=log().now, log_only=True)

    def test_both_lines_hold(self) -> None:
        assert verify_log(self.signed().fetch, (), self.both()).verdict is Verdict.CONSISTENT

    def test_one_line_alone_is_not_enough(self) -> None:
        assert verify_log(files().fetch, (), self.both()).verdict is Verdict.FAIL

    def test_with_one_key_the_other_line_is_passed_over_and_said(self) -> None:
        verified = check(self.signed())
        assert verified.verdict is Verdict.CONSISTENT
        assert "1 lines by keys not given" in verified.claims[0].rule

    def test_a_line_that_reads_otherwise_than_it_was_kept_outside_is_altered(self) -> None:
        kept = self.signed().files["checkpoint"]
        changed = flip(kept, len(kept) - 100, 2)
        assert changed != kept
        verified = check(self.signed().changed("checkpoint", changed), head=kept)
        assert failures(verified) == [(Topic.CHECKPOINT, None, "checkpoint", Cause.ALTERED)]
