"""Paths of tiles, the tiles of a tree, and the edge that grows them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.tlog.edge import Edge
from keys.tlog.errors import Malformed
from keys.tlog.merkle import MAX_SIZE, Frontier
from keys.tlog.tile import Bundle, Resource, Tile, bundles, parse_path, partials, tile_of, tiles
from tests.keys.tlog.logs import leaves, mth, only_own_errors

PATHS = [
    pytest.param("tile/0/000", Tile(0, 0), id="first tile"),
    pytest.param("tile/0/999", Tile(0, 999), id="last of one group"),
    pytest.param("tile/0/x001/000", Tile(0, 1000), id="first of two groups"),
    pytest.param("tile/2/x001/x234/067", Tile(2, 1234067), id="the example of the format"),
    pytest.param("tile/1/000.p/1", Tile(1, 0, 1), id="narrowest"),
    pytest.param("tile/0/x273/001.p/255", Tile(0, 273001, 255), id="widest partial"),
    pytest.param("tile/entries/000", Bundle(0), id="first bundle"),
    pytest.param("tile/entries/x001/234.p/17", Bundle(1234, 17), id="partial bundle"),
    pytest.param("tile/7/000.p/127", Tile(7, 0, 127), id="highest level"),
]


@pytest.mark.parametrize(("path", "resource"), PATHS)
def test_path_both_ways(path: str, resource: Resource) -> None:
    assert resource.path == path
    assert parse_path(path) == resource
    for end in range(len(path)):
        found = only_own_errors(lambda text: parse_path(text.decode()), path[:end].encode())
        assert found is None or found != resource


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/-1/000",
        "tile/8/000",
        "tile/63/000",
        "tile/0/x000/001",
        "tile/0/x001/x000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/X001/000",
        "tile/0/x-01/000",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1000",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/000\n",
        "/tile/0/000",
        "tile/0/../0/000",
        "tile/0/%30%30%30",
        "tile/0/٠٠٠",
        "tile/Entries/000",
        "tile/entries/" + "x999/" * 6 + "999",
        "tile/0/" + "x001/" * 3333 + "000",
        "tile/7/001",
    ],
)
def test_no_other_path(path: str) -> None:
    with pytest.raises(Malformed):
        parse_path(path)


@given(st.text(alphabet="tile/entris0179x.p-", max_size=40) | st.text(max_size=40))
def test_a_path_that_is_parsed_is_the_one(path: str) -> None:
    with contextlib.suppress(Malformed):
        assert parse_path(path).path == path


@given(st.integers(0, 7), st.integers(0, 2**55), st.integers(1, 256))
def test_every_tile_has_a_path(level: int, index: int, width: int) -> None:
    tile = only_own_errors(lambda _: Tile(level, index, width), b"")
    if isinstance(tile, Tile):
        assert parse_path(tile.path) == tile


def test_the_tiles_of_70000_entries() -> None:
    found = list(tiles(70_000))
    assert sum(t.level == 0 and t.width == 256 for t in found) == 273
    assert [t.path for t in found if t.width < 256] == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert [t.path for t in found if t.level == 1] == ["tile/1/000", "tile/1/001.p/17"]
    assert len(found) == 273 + 1 + 2 + 1


def test_256_entries_have_a_full_and_a_partial_tile() -> None:
    assert [t.path for t in tiles(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert [b.path for b in bundles(256)] == ["tile/entries/000"]


SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 70_000]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_new_is_what_was_not_there(size: int) -> None:
    for old in (s for s in SIZES if s <= size):
        assert set(tiles(size, old)) == set(tiles(size)) - set(tiles(old))
        assert set(bundles(size, old)) == set(bundles(size)) - set(bundles(old))
    assert partials(size) == [t for t in tiles(size) if t.width < 256]


def test_where_a_hash_lies() -> None:
    assert tile_of(0, 699, 700) == Tile(0, 2, 188)
    assert tile_of(0, 511, 700) == Tile(0, 1)
    assert tile_of(1, 1, 700) == Tile(1, 0, 2)


LEAVES = leaves(700)


@pytest.mark.parametrize("step", [1, 7, 255, 256, 257, 700])
def test_an_edge_grows_the_same_in_any_steps(step: int) -> None:
    edge, written = Edge(), dict[Tile, bytes]()
    while edge.size < 700:
        edge, done = edge.extend(b"".join(LEAVES[edge.size : edge.size + step]))
        written |= {data.tile: data.hashes for data in done}
        assert edge.frontier == Frontier().extend(LEAVES[: edge.size])
        assert edge.root == edge.frontier.root
    written |= {data.tile: data.hashes for data in edge.partials()}
    assert set(written) == set(tiles(700))
    assert written[Tile(0, 2, 188)] == b"".join(LEAVES[512:])
    assert written[Tile(1, 0, 2)] == mth(LEAVES[:256]) + mth(LEAVES[256:512])
    assert Edge.of_tiles(700, written) == edge


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_an_edge_on_three_levels(size: int) -> None:
    hashes = leaves(size)
    edge, done = Edge().extend(b"".join(hashes))
    assert {data.tile for data in done} | set(partials(size)) == set(tiles(size))
    assert edge.frontier == (frontier := Frontier().extend(hashes))
    assert edge.root == frontier.root


def test_an_edge_keeps_its_shape() -> None:
    edge, _ = Edge().extend(b"".join(LEAVES))
    with pytest.raises(Malformed):
        Edge(699, edge.levels)
    with pytest.raises(Malformed):
        Edge.of_tiles(700, {data.tile: data.hashes for data in edge.partials()[1:]})
    with pytest.raises(Malformed):
        edge.extend(b"\x00" * 31)
    assert MAX_SIZE == 2**63 - 1
