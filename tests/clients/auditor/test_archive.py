"""The evidence archive: written and read as a stream, the same findings as of the folder, and no byte of it that may be another."""

from __future__ import annotations

import io
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.auditor.archive import ArchiveSource, End, Manifest, NoArchive, Part, write_archive
from clients.auditor.exporting import Chosen, Exporting
from clients.auditor.verify import (
    Asked,
    Cause,
    Outcome,
    Topic,
    Verdict,
    Verified,
    log_keys,
    open_checkpoint_of,
    open_head,
    verify_log,
)
from keys.body import Range, Receipt
from keys.canonical import encode
from keys.disclosure import Package
from keys.envelope import Kind, Marking, read_entry
from keys.identity import ChannelId, receipt_stream
from keys.tlog.checkpoint import verify_checkpoint
from keys.tlog.edge import Edge
from keys.tlog.errors import NotFound
from keys.tlog.note import Note
from keys.tlog.proof import prove
from keys.tlog.reader import LogReader
from tests.clients.auditor.logs import Files
from tests.clients.auditor.test_content import Scene
from tests.keys.tlog.logs import flip


@cache
def talk() -> Scene:
    """A channel with a receipt whose body is known, and another channel."""
    scene = Scene()
    other = scene.chen.found("narrow", Marking.GREEN)
    scene.chen.add(other, scene.ayo)
    scene.chen.message(other)
    heard = scene.book.heard(scene.channel)
    ranges = [Range(1, heard.seq, heard.rolling)]
    body = encode(Receipt(scene.channel, ranges, ranges, [], None))
    stream = receipt_stream(ChannelId(scene.channel))
    scene.receipt = scene.chen.say(Kind.RECEIPT, stream, body, heard=heard)  # type: ignore[attr-defined]
    scene.other = other  # type: ignore[attr-defined]
    scene.opened = scene.bea.message(scene.channel, b"by the fountain", salt=b"s" * 16)  # type: ignore[attr-defined]
    return scene


@cache
def files() -> Files:
    return talk().book.published()


def keys() -> Any:
    return log_keys(talk().book.mission.log.verifier_key.encode())


def exported(chosen: Chosen = Chosen()) -> bytes:  # noqa: B008
    exporting = Exporting(files(), open_checkpoint_of(files().fetch, keys()), chosen)  # type: ignore[arg-type]
    file = io.BytesIO()
    write_archive(file, exporting.manifest, exporting.parts())
    assert not exporting.absent
    return file.getvalue()


def source(folder: Path, data: bytes) -> ArchiveSource:
    file = folder / "archive"
    file.write_bytes(data)
    return ArchiveSource(file)


def check(archive: ArchiveSource, **asked: Any) -> Verified:
    head = open_head(talk().book.head(), keys())
    values: dict[str, Any] = {"keys": keys(), "now": talk().book.now, "head": head, "export": archive.export, **asked}
    return verify_log(archive.fetch, archive.paths(), Asked(**values))


def against(verified: Verified) -> list[tuple[Topic, int | None, Cause | None]]:
    return [(c.claim, c.index, c.cause) for c in verified.claims if c.outcome is not Outcome.PASS]


def part_of(channel: bytes, *entries: int, **more: Any) -> Chosen:
    return Chosen(frozenset({channel}), frozenset(entries), **more)


# ---------------------------------------------------------------------- whole


def test_a_whole_archive_is_the_log(tmp_path: Path) -> None:
    verified = check(source(tmp_path, exported()))
    assert verified.verdict is Verdict.WHOLE, against(verified)
    folder = verify_log(
        files().fetch, files().paths(), Asked(keys(), talk().book.now, open_head(talk().book.head(), keys()))
    )
    assert verified.claims[1:] == folder.claims
    assert (verified.claims[0].claim, verified.state) == (Topic.ARCHIVE, folder.state)


def test_an_archive_has_nothing_that_the_log_has_not(tmp_path: Path) -> None:
    archive = source(tmp_path, exported())
    for path in files().files:
        assert archive.fetch(path) == files().fetch(path)
    with pytest.raises(NotFound):
        archive.fetch("tile/0/009")


def test_two_exports_are_the_same_bytes() -> None:
    assert exported() == exported()


def test_a_full_bundle_stands_for_a_partial_one_that_was_swept(tmp_path: Path) -> None:
    """As tlog-tiles lets a log do: the archive has the full one under its own path, and holds no less."""
    head, book = files().files["checkpoint"], talk().book
    leaves = list(book.leaves)
    while len(book.leaves) <= 256:
        book.filler()
    swept = {path: data for path, data in book.published().files.items() if ".p/" not in path or "tile/1" in path}
    book.leaves = leaves
    source_files = Files({**swept, "checkpoint": head})
    exporting = Exporting(source_files, open_checkpoint_of(source_files.fetch, keys()), Chosen())  # type: ignore[arg-type]
    written = io.BytesIO()
    write_archive(written, exporting.manifest, exporting.parts())
    assert not exporting.absent
    verified = check(source(tmp_path, written.getvalue()))
    assert verified.verdict is Verdict.WHOLE, against(verified)


# ---------------------------------------------------------------------- a part


def test_a_part_is_judged_as_far_as_it_goes_and_is_never_whole(tmp_path: Path) -> None:
    scene = talk()
    archive = source(tmp_path, exported(part_of(scene.channel)))
    verified = check(archive)
    assert verified.verdict is Verdict.CONSISTENT, against(verified)
    assert verified.state is None
    channels = {read_entry(archive.fetch(f"entry/{n}")).channel for n in archive.export.entries}
    assert channels == {scene.book.control, scene.channel, receipt_stream(ChannelId(scene.channel))}
    (read_receipts,) = [c.rule for c in verified.claims if c.claim is Topic.RECEIPTS]
    assert "1 read" in read_receipts
    assert not [path for path in archive.paths() if path.startswith("tile/entries")]


def test_a_single_entry_of_another_channel_is_only_placed(tmp_path: Path) -> None:
    scene = talk()
    index = next(n for n, leaf in enumerate(scene.book.leaves) if read_entry(leaf).channel == scene.other)  # type: ignore[attr-defined]
    archive = source(tmp_path, exported(part_of(scene.channel, index + 1)))
    assert index + 1 in archive.export.entries
    assert check(archive).verdict is Verdict.CONSISTENT


@pytest.mark.parametrize(
    ("place", "found"),
    [
        pytest.param("changed", (Topic.TREE, Cause.ALTERED), id="an entry that is not the one in the tree"),
        pytest.param("left out", (Topic.ORDER, Cause.MISSING), id="an entry left out of a channel"),
        pytest.param("elsewhere", (Topic.TREE, Cause.ALTERED), id="an entry at another place"),
    ],
)
def test_a_part_that_lies(place: str, found: tuple[Topic, Cause], tmp_path: Path) -> None:
    scene = talk()
    at = f"entry/{scene.first}"
    parts = {part.path: part.data for part in parts_of(part_of(scene.channel))}
    if place == "changed":
        parts[at] = flip(parts[at], 99)
    elif place == "left out":
        del parts[at]
    else:
        parts[at] = parts[f"entry/{scene.first - 1}"]
    verified = check(source(tmp_path, written(manifest_of(part_of(scene.channel)), parts)))
    assert found in {(claim, cause) for claim, _, cause in against(verified)}


def parts_of(chosen: Chosen) -> list[Part]:
    return list(Exporting(files(), open_checkpoint_of(files().fetch, keys()), chosen).parts())  # type: ignore[arg-type]


def manifest_of(chosen: Chosen) -> Manifest:
    return Exporting(files(), open_checkpoint_of(files().fetch, keys()), chosen).manifest  # type: ignore[arg-type]


def written(manifest: Manifest, parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    write_archive(file, manifest, [Part(path, data) for path, data in parts.items()])
    return file.getvalue()


# ---------------------------------------------------------------------- openings


def package(**changes: Any) -> Package:
    """What opens Bea's message: honest, but for the changes."""
    scene = talk()
    index = scene.opened  # type: ignore[attr-defined]
    checkpoint = verify_checkpoint(Note.decode(scene.book.head()), keys(), keys()[0].name)
    proof = prove(index, checkpoint, LogReader(files().fetch, checkpoint).hash_at).encode()
    values: dict[str, Any] = {
        "proof": proof,
        "entry": scene.book.leaves[index],
        "salt": b"s" * 16,
        "content": b"by the fountain",
        "links": [],
        "certificate": scene.bea.der,
    }
    return Package(**{**values, **changes})


def test_an_opening_is_checked_with_the_rest(tmp_path: Path) -> None:
    scene = talk()
    chosen = part_of(scene.channel, openings=((scene.opened, package()),))  # type: ignore[attr-defined]
    verified = check(source(tmp_path, exported(chosen)))
    assert verified.verdict is Verdict.CONSISTENT, against(verified)
    assert Topic.OPENINGS in {claim.claim for claim in verified.claims}


@pytest.mark.parametrize("what", ["content", "place", "form"])
def test_an_opening_that_does_not_match(what: str, tmp_path: Path) -> None:
    index = talk().opened  # type: ignore[attr-defined]
    parts = {part.path: part.data for part in parts_of(Chosen())}
    honest_one = encode(package())
    parts[f"opening/{index + (what == 'place') * -1}"] = {
        "content": encode(package(content=b"by the gate")),
        "place": honest_one,
        "form": honest_one + b"\x00",
    }[what]
    verified = check(source(tmp_path, written(manifest_of(Chosen()), parts)))
    assert [(claim, cause) for claim, _, cause in against(verified)] == [(Topic.OPENINGS, Cause.ALTERED)]


# ---------------------------------------------------------------------- the form


def test_whatever_bit_is_flipped_is_found(tmp_path: Path) -> None:
    data = exported()
    for place in range(0, len(data), 997):
        try:
            verified = check(source(tmp_path, flip(data, place)))
        except NoArchive:
            continue
        assert verified.verdict is Verdict.FAIL, place


@pytest.mark.parametrize("short", [1, 40, 41, 2_000])
def test_an_archive_that_was_cut(short: int, tmp_path: Path) -> None:
    verified = check(source(tmp_path, exported()[:-short]))
    assert (Topic.ARCHIVE, None, Cause.CUT) in against(verified)


def test_every_beginning_of_it_is_found_out(tmp_path: Path) -> None:
    data = exported()
    for length in [*range(120), *range(120, len(data), 1_511)]:
        try:
            archive = source(tmp_path, data[:length])
        except NoArchive:
            continue
        assert archive.export.faults


def test_something_behind_the_end(tmp_path: Path) -> None:
    verified = check(source(tmp_path, exported() + encode(Part("body/" + "00" * 32, b""))))
    assert {claim for claim, *_ in against(verified)} == {Topic.ARCHIVE}


def end_of(*pieces: bytes) -> bytes:
    return encode(End(len(pieces) - 1, sha256(b"".join(pieces)).digest()))


FIRST = encode(Manifest(1, "log.test", 0, Edge().root, True, []))


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([FIRST, FIRST], id="two manifests"),
        pytest.param([FIRST, encode(Part("body/../x", b""))], id="no path of a log"),
        pytest.param([FIRST, encode(Part("checkpoint", b"")), encode(Part("checkpoint", b""))], id="a part twice"),
        pytest.param([FIRST, encode(Part("body/" + "00" * 32, b"x"))], id="a body under another's name"),
        pytest.param([FIRST, encode(Part("entry/01", b""))], id="a number in another spelling"),
        pytest.param([FIRST, encode(Part("entry/1", bytes(65_536)))], id="longer than an entry"),
        pytest.param([FIRST, b"\x93\x02\xd9\x0acheckpoint\xc4\x00"], id="a second encoding"),
        pytest.param([FIRST, b"\x94\x02\xaacheckpoint\xc4\x00\xc0"], id="one field more"),
        pytest.param([FIRST, b"\xc0"], id="another value"),
    ],
)
def test_forms_that_are_none(pieces: list[bytes], tmp_path: Path) -> None:
    assert source(tmp_path, b"".join(pieces) + end_of(*pieces)).export.faults


def test_the_form_as_bytes(tmp_path: Path) -> None:
    """What an archive looks like, so that a change of the form is seen as one."""
    head = Edge().root
    manifest, part = Manifest(1, "log.test", 0, head, False, [b"c" * 16]), Part("entry/7", b"leaf")
    first = b"\x97\x01\x01\xa8log.test\x00\xc4\x20" + head + b"\xc2\x91\xc4\x10" + b"c" * 16
    second = b"\x93\x02\xa7entry/7\xc4\x04leaf"
    file = io.BytesIO()
    assert write_archive(file, manifest, [part]) == 1
    assert file.getvalue() == first + second + b"\x93\x03\x01\xc4\x20" + sha256(first + second).digest()
    archive = source(tmp_path, file.getvalue())
    assert (archive.manifest, archive.fetch("entry/7"), archive.export.faults) == (manifest, b"leaf", ())
    assert (archive.export.entries, archive.export.channels) == ((7,), {b"c" * 16})


def test_a_form_without_a_fault(tmp_path: Path) -> None:
    assert not source(tmp_path, FIRST + end_of(FIRST)).export.faults
    assert source(tmp_path, FIRST + encode(End(1, bytes(32)))).export.faults


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1", id="no msgpack"),
        pytest.param(b"hello", id="text"),
        pytest.param(encode(Part("checkpoint", b"")), id="no manifest first"),
        pytest.param(encode(Manifest(1, "log.test", 0, bytes(32), True, [])), id="no tree"),
    ],
)
def test_files_that_are_no_archive(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(NoArchive):
        source(tmp_path, data)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_one_way(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for begun in (data, FIRST + data):
        try:
            source(tmp_path_factory.getbasetemp(), begun)
        except NoArchive:
            continue


def test_a_manifest_of_another_checkpoint(tmp_path: Path) -> None:
    parts = {part.path: part.data for part in parts_of(Chosen())}
    verified = check(source(tmp_path, written(Manifest(1, "log.test", 0, Edge().root, True, []), parts)))
    assert against(verified) == [(Topic.ARCHIVE, None, Cause.ALTERED)]
