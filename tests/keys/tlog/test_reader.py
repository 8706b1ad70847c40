"""A stored log of 700 entries in which something is wrong: it is always found, and named.

The log is built once; each case changes a file and compares what the reader reports. Whatever is damaged, no entry comes out
that is not the one that was logged. `OUTRIDER_THOROUGH=1` flips and cuts a bundle at more places.
"""

from __future__ import annotations

import os
import random

import pytest

from keys.tlog.checkpoint import TreeHead, absent_keys, check_same_log, open_checkpoint
from keys.tlog.edge import Edge
from keys.tlog.entry import encode_bundle
from keys.tlog.errors import BadSignature, Cause, Damaged, Fault, Malformed, ProofFailed, UnknownKey
from keys.tlog.merkle import Frontier, check_consistency, consistency_proof, leaf_hash, leaf_hashes
from keys.tlog.reader import LogReader
from keys.tlog.tile import Bundle, Tile, parse_path, tiles
from tests.keys.tlog.logs import LOG_KEYS, ORIGIN, Files, build, entries, entry, flip, sign

SIZE = 700
FLIPS, APART = (150, 131) if os.environ.get("OUTRIDER_THOROUGH") == "1" else (30, 523)
CONTENT = entries(SIZE)
LOG = build(CONTENT)
CHECKPOINT = LOG.checkpoint
TILES = [path for path in LOG.files if path.startswith("tile/") and "entries" not in path]
BUNDLES = [path for path in LOG.files if "entries" in path]


def faults_of(log: Files, start: int = 0) -> list[Fault]:
    """What a reader reports of a log; whatever it gives out must be right."""
    found: list[Fault] = []
    reader = LogReader(log.fetch, CHECKPOINT, found.append)
    for run in reader.entries(start):
        assert run.entries == CONTENT[run.first : run.first + len(run.entries)]
    return found


def place_of(index: int) -> int:
    """Where an entry's length starts in its bundle."""
    return sum(2 + len(e) for e in CONTENT[index // 256 * 256 : index])


def index_at(path: str, place: int) -> int:
    """The entry that a byte of a bundle belongs to."""
    bundle = parse_path(path)
    assert isinstance(bundle, Bundle)
    return max(i for i in range(bundle.start, bundle.start + bundle.width) if place_of(i) <= place)


def test_a_sound_log() -> None:
    reader = LogReader(LOG.fetch, CHECKPOINT)
    runs = list(reader.entries())
    assert [run.first for run in runs] == [0, 256, 512]
    assert [e for run in runs for e in run.entries] == CONTENT
    assert reader.check_rest(LOG.files) == ["checkpoint"]
    reader.check_tiles()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 513])
def test_sound_logs_of_other_sizes(size: int) -> None:
    log = build(CONTENT[:size])
    reader = LogReader(log.fetch, log.checkpoint)
    assert [e for run in reader.entries() for e in run.entries] == CONTENT[:size]
    reader.check_tiles()


@pytest.mark.parametrize("start", [0, 1, 255, 256, 300, 512, 699, 700])
def test_reading_from_the_middle(start: int) -> None:
    runs = list(LogReader(LOG.fetch, CHECKPOINT).entries(start))
    assert [e for run in runs for e in run.entries] == CONTENT[start:]
    assert all(run.first == start or run.first % 256 == 0 for run in runs)


# ---------------------------------------------------------------- one flipped byte


def places(data: bytes, many: int) -> list[int]:
    """Both ends of a file and a sample between, the same in every run."""
    inner = random.Random(len(data)).sample(range(len(data)), min(many, len(data)))
    return sorted({0, 1, 2, 31, 32, len(data) - 1, *inner} & set(range(len(data))))


@pytest.mark.parametrize("path", TILES)
def test_a_flipped_byte_in_a_tile(path: str) -> None:
    for place in places(LOG.files[path], 40):
        found = faults_of(LOG.changed(path, flip(LOG.files[path], place, 1 << place % 8)))
        assert [(f.tile, f.index, f.cause) for f in found] == [(path, None, Cause.ALTERED)]
        assert f"hash {place // 32} " in found[0].why


@pytest.mark.parametrize("path", BUNDLES)
def test_a_flipped_byte_in_an_entry(path: str) -> None:
    for place in places(LOG.files[path], FLIPS):
        found = faults_of(LOG.changed(path, flip(LOG.files[path], place, 1 << place % 8)))
        assert [(f.tile, f.index, f.cause) for f in found] == [(path, index_at(path, place), Cause.ALTERED)]


@pytest.mark.parametrize("index", [0, 100, 255, 256, 511, 512, 600, 699])
@pytest.mark.parametrize("byte", [0, 1])
@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_a_length_costs_one_entry(index: int, byte: int, bit: int) -> None:
    path = Bundle(index // 256, 256 if index < 512 else 188).path
    log = LOG.changed(path, flip(LOG.files[path], place_of(index) + byte, 1 << bit))
    assert [(f.index, f.cause) for f in faults_of(log)] == [(index, Cause.ALTERED)]


def test_a_flipped_byte_in_the_checkpoint() -> None:
    data = LOG.files["checkpoint"]
    for place in places(data, 400):
        try:
            checkpoint = open_checkpoint(flip(data, place), LOG_KEYS, ORIGIN)
        except (Malformed, UnknownKey, BadSignature):
            continue
        assert absent_keys(checkpoint, LOG_KEYS)


def test_the_first_fault_is_raised_where_nobody_collects_them() -> None:
    for path in (*TILES, *BUNDLES):
        reader = LogReader(LOG.changed(path, flip(LOG.files[path], 5)).fetch, CHECKPOINT)
        for _ in range(2):  # asked again it is no better
            with pytest.raises(Damaged) as raised:
                list(reader.entries())
            assert (raised.value.tile, raised.value.cause) == (path, Cause.ALTERED)
            assert raised.value.index == (None if path in TILES else index_at(path, 5))


# ---------------------------------------------------------------- what else can happen to a file


@pytest.mark.parametrize("path", [*TILES, *BUNDLES])
def test_a_missing_file(path: str) -> None:
    first = 256 * int(path[13:16]) if path in BUNDLES else None
    found = faults_of(LOG.changed(path, None))
    assert [(f.tile, f.index, f.cause) for f in found] == [(path, first, Cause.MISSING)]


@pytest.mark.parametrize("path", TILES)
def test_a_cut_tile(path: str) -> None:
    for end in (0, 1, 31, 32, len(LOG.files[path]) - 1):
        found = faults_of(LOG.changed(path, LOG.files[path][:end]))
        assert [(f.tile, f.index, f.cause) for f in found] == [(path, None, Cause.CUT)]


@pytest.mark.parametrize("path", BUNDLES)
def test_a_cut_bundle(path: str) -> None:
    data = LOG.files[path]
    for end in range(0, len(data), APART):
        found = faults_of(LOG.changed(path, data[:end]))
        assert [(f.tile, f.index, f.cause) for f in found] == [(path, index_at(path, end), Cause.CUT)]


@pytest.mark.parametrize("path", [*TILES, *BUNDLES])
def test_a_stray_byte_at_the_end(path: str) -> None:
    found = faults_of(LOG.changed(path, LOG.files[path] + b"\x00"))
    assert [(f.tile, f.index, f.cause) for f in found] == [(path, None, Cause.ALTERED)]


def test_two_entries_changed_places() -> None:
    swapped = [*CONTENT[256:300], CONTENT[301], CONTENT[300], *CONTENT[302:512]]
    found = faults_of(LOG.changed("tile/entries/001", encode_bundle(swapped)))
    assert [(f.index, f.cause) for f in found] == [(300, Cause.REORDERED)]


def test_an_entry_replaced_by_a_longer_one() -> None:
    other = [*CONTENT[:9], b"another entry, longer than any that was there before" * 3, *CONTENT[10:256]]
    found = faults_of(LOG.changed("tile/entries/000", encode_bundle(other)))
    assert [(f.tile, f.index, f.cause) for f in found] == [("tile/entries/000", 9, Cause.ALTERED)]


def test_an_entry_taken_out() -> None:
    other = [*CONTENT[:9], *CONTENT[10:256]]
    found = faults_of(LOG.changed("tile/entries/000", encode_bundle(other)))
    assert (found[0].index, found[0].cause) == (9, Cause.REORDERED)


def test_junk_for_a_tile_beside_the_way() -> None:
    """The tile that a client passed over in CVE-2026-56865: right-edge hashes of several levels, one tile never checked."""
    for path in TILES:
        junk = random.Random(1).randbytes(len(LOG.files[path]))
        found = faults_of(LOG.changed(path, junk))
        assert [(f.tile, f.cause) for f in found] == [(path, Cause.ALTERED)]


@pytest.mark.parametrize("path", BUNDLES)
def test_junk_for_a_bundle_gives_no_entry(path: str) -> None:
    found = faults_of(LOG.changed(path, random.Random(2).randbytes(len(LOG.files[path]))))
    assert found
    assert found[0].index == parse_path(path).index * 256
    assert {f.tile for f in found} == {path}


def test_a_tile_and_an_entry_below_it() -> None:
    for path, bundle in (("tile/0/001", "tile/entries/001"), ("tile/0/002.p/188", "tile/entries/002.p/188")):
        log = LOG.changed(path, flip(LOG.files[path], 32 * 7)).changed(bundle, flip(LOG.files[bundle], 500))
        found = [(f.tile, f.index) for f in faults_of(log)]
        assert found == [(path, None), (bundle, index_at(bundle, 500))]


def test_tiles_on_two_levels() -> None:
    log = LOG.changed("tile/0/001", flip(LOG.files["tile/0/001"], 9))
    log = log.changed("tile/1/000.p/2", flip(LOG.files["tile/1/000.p/2"], 60))
    assert [f.tile for f in faults_of(log)] == ["tile/1/000.p/2", "tile/0/001"]


def test_all_tiles_gone() -> None:
    """The entries are all there: every tile is named and every entry is still checked."""
    log = Files({path: data for path, data in LOG.files.items() if path not in TILES})
    found: list[Fault] = []
    runs = list(LogReader(log.fetch, CHECKPOINT, found.append).entries())
    assert {f.tile for f in found} == set(TILES)
    assert [e for run in runs for e in run.entries] == CONTENT


def test_a_tile_and_its_bundle_gone() -> None:
    log = LOG.changed("tile/0/001", None).changed("tile/entries/001", None)
    assert [(f.tile, f.cause) for f in faults_of(log)] == [
        ("tile/0/001", Cause.MISSING),
        ("tile/entries/001", Cause.MISSING),
    ]


def test_too_much_in_doubt_names_the_tile_and_vouches_for_nothing() -> None:
    junk = random.Random(3).randbytes(8192)
    log = LOG.changed("tile/0/001", junk).changed("tile/entries/001", flip(LOG.files["tile/entries/001"], 3))
    assert [(f.tile, f.cause) for f in faults_of(log)] == [("tile/0/001", Cause.ALTERED)]


def test_another_tree_altogether() -> None:
    """Entries, tiles and hashes agree with each other; only the signature was not theirs."""
    other = build([*CONTENT[:50], b"instead", *CONTENT[51:]])
    found: list[Fault] = []
    assert list(LogReader(other.fetch, CHECKPOINT, found.append).entries()) == []
    assert [(f.tile, f.cause) for f in found] == [("checkpoint", Cause.FORKED)]


# ---------------------------------------------------------------- sizes beyond one level


BIG = 65_536 + 300


def test_a_log_on_three_levels() -> None:
    content = [b"%d" % i for i in range(BIG)]
    log = build(content)
    checkpoint = log.checkpoint
    assert sum(len(run.entries) for run in LogReader(log.fetch, checkpoint).entries()) == BIG
    damaged = {
        "tile/0/000": log.changed("tile/0/000", flip(log.files["tile/0/000"], 3)),
        "tile/0/255": log.changed("tile/0/255", None),
        "tile/0/256": log.changed("tile/0/256", random.Random(4).randbytes(8192)),
        "tile/0/257.p/44": log.changed("tile/0/257.p/44", None),
        "tile/1/000": log.changed("tile/1/000", flip(log.files["tile/1/000"], 3)),
        "tile/1/001.p/1": log.changed("tile/1/001.p/1", bytes(32)),
        "tile/2/000.p/1": log.changed("tile/2/000.p/1", None),
    }
    for path, changed in damaged.items():
        found: list[Fault] = []
        LogReader(changed.fetch, checkpoint, found.append).check_tiles()
        assert [f.tile for f in found] == [path]
    both = log.changed("tile/1/000", None).changed("tile/0/007", flip(log.files["tile/0/007"], 100))
    found = []
    LogReader(both.fetch, checkpoint, found.append).check_tiles()
    assert [(f.tile, f.cause) for f in found] == [("tile/1/000", Cause.MISSING), ("tile/0/007", Cause.ALTERED)]


# ---------------------------------------------------------------- older checkpoints, and files that none calls for


def test_an_older_checkpoint_after_its_partial_tiles_were_swept() -> None:
    """Partial tiles on level 1 are still there: their full one is far off."""
    before = build(CONTENT[:600]).files
    old = before["checkpoint"]
    later = build(entries(800)).changed("tile/1/000.p/2", before["tile/1/000.p/2"])
    found: list[Fault] = []
    reader = LogReader(later.fetch, open_checkpoint(old, LOG_KEYS, ORIGIN), found.append)
    assert [e for run in reader.entries() for e in run.entries] == CONTENT[:600]
    assert found == []
    bundle = "tile/entries/002"
    altered = later.changed(bundle, flip(later.files[bundle], 700))
    reader = LogReader(altered.fetch, open_checkpoint(old, LOG_KEYS, ORIGIN), found.append)
    list(reader.entries())
    assert [(f.tile, f.index) for f in found] == [(bundle, index_at(bundle, 700))]


def older_partials() -> Files:
    """The log with the partial files of a checkpoint of 530 entries, as a gateway keeps them."""
    old = build(CONTENT[:530]).files
    return Files({**{path: data for path, data in old.items() if ".p/" in path}, **LOG.files})


def test_partial_tiles_of_earlier_checkpoints_are_checked_as_well() -> None:
    log = older_partials()
    extra = set(log.files) - set(LOG.files)
    assert extra == {"tile/0/002.p/18", "tile/entries/002.p/18"}
    assert LogReader(log.fetch, CHECKPOINT).check_rest(log.files) == ["checkpoint"]
    for path in extra:
        for place in places(log.files[path], 60):
            found: list[Fault] = []
            changed = log.changed(path, flip(log.files[path], place))
            LogReader(changed.fetch, CHECKPOINT, found.append).check_rest(sorted(log.files))
            index = None if path.startswith("tile/0") else index_at(path, place)
            assert [(f.tile, f.index, f.cause) for f in found] == [(path, index, Cause.ALTERED)]
        for data, cause in ((log.files[path][:-1], Cause.CUT), (log.files[path] + b"\x00", Cause.ALTERED)):
            found = []
            LogReader(log.changed(path, data).fetch, CHECKPOINT, found.append).check_rest(sorted(log.files))
            assert [(f.tile, f.cause) for f in found] == [(path, cause)]


def test_what_lies_beyond_the_checkpoint_is_named_and_not_vouched_for() -> None:
    beyond = ["tile/0/002", "tile/0/002.p/189", "tile/entries/003.p/1", "tile/2/000.p/1", "tile/0/.new-002", "tile/x"]
    assert LogReader(LOG.fetch, CHECKPOINT).check_rest([*LOG.files, *beyond]) == ["checkpoint", *beyond]


def test_an_older_tree_is_recognised() -> None:
    reader = LogReader(LOG.fetch, CHECKPOINT)
    leaves = [leaf_hash(e) for e in CONTENT]
    for old in (0, 1, 255, 256, 300, 512, 699, 700):
        frontier = Frontier().extend(leaves[:old])
        assert reader.frontier(old) == frontier
        proof = consistency_proof(old, SIZE, reader.hash_at)
        check_consistency(old, frontier.root, SIZE, CHECKPOINT.root, proof)
    with pytest.raises(ProofFailed):
        reader.frontier(701)
    with pytest.raises(ProofFailed):
        reader.hash_at(0, 700)
    check_same_log(CHECKPOINT, CHECKPOINT)


def test_no_hash_from_what_could_not_be_checked() -> None:
    log = LOG.changed("tile/0/001", None).changed("tile/entries/001", None)
    reader = LogReader(log.fetch, CHECKPOINT, lambda _: None)
    assert reader.hash_at(0, 5) == leaf_hash(entry(5))
    with pytest.raises(Damaged):
        reader.hash_at(0, 300)


def test_the_reader_keeps_to_its_checkpoint_s_size() -> None:
    """It asks for what the tree of that size has, and for the full tile only where the partial one is not there."""
    asked: list[str] = []

    def fetch(path: str) -> bytes:
        asked.append(path)
        return LOG.fetch(path)

    list(LogReader(fetch, CHECKPOINT).entries())
    assert sorted(asked) == sorted([t.path for t in tiles(SIZE)] + BUNDLES)
    edge, _ = Edge().extend(leaf_hashes(CONTENT))
    assert TreeHead(ORIGIN, SIZE, edge.root) == CHECKPOINT.head
    assert Tile(0, 2, 188).path in asked
    assert open_checkpoint(sign(CHECKPOINT.head), LOG_KEYS, ORIGIN).head == CHECKPOINT.head
