"""Each target under its seeds, under what was found, and under some hundred changes of them; a decoder that is not sound is told; no
decoder is without a target; and what helps a fuzzer, without a fuzzer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from zlib import crc32

import pytest

from gateway import wire
from keys.canonical import encode
from keys.errors import Malformed
from tests.fuzz import mutation, plain, planted, seeds, words
from tests.fuzz.decoders import FUZZED, NOT_FUZZED, decoders
from tests.fuzz.target import Target, Unsound, loose_reader, record
from tests.fuzz.targets import TARGETS

CHANGES = 150


def changed(data: bytes, chance: random.Random) -> bytes:
    """These bytes with a few cut, doubled, flipped or put in."""
    edited = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(edited) + 1)
        match chance.randrange(5):
            case 0 if edited:
                edited[at % len(edited)] ^= 1 << chance.randrange(8)
            case 1:
                edited[at:at] = chance.randbytes(chance.randint(1, 4))
            case 2:
                del edited[at : at + chance.randint(1, 8)]
            case 3:
                edited[at:at] = edited[at : at + chance.randint(1, 16)]
            case _ if edited:
                edited[at % len(edited)] = chance.choice([0, 1, 0x7F, 0x80, 0xC0, 0xC4, 0xCF, 0xFF])
    return bytes(edited)


def inputs(name: str, target: Target) -> Iterator[bytes]:
    first = [b"", *target.start, *seeds.found(name)]
    yield from first
    chance = random.Random(crc32(name.encode()))
    for _ in range(CHANGES):
        yield changed(chance.choice(first), chance)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_is_sound(name: str) -> None:
    target = TARGETS[name]
    for data in inputs(name, target):
        target.check(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_some_of_its_seeds(name: str) -> None:
    """Else it would be sound by refusing everything."""
    target, taken = TARGETS[name], 0
    for data in target.start:
        try:
            target.read(data)
        except target.errors:
            continue
        taken += 1
    assert taken


def test_a_decoder_without_the_canonical_check_is_told() -> None:
    loose = record(loose_reader(wire.Hello), wire.Hello)
    (hello,) = loose.start
    loose.check(hello)
    with pytest.raises(Unsound):
        loose.check(bytes([0xDC, 0, hello[0] & 15]) + hello[1:])


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(
            Target(lambda data: data.decode(), (ValueError,), back=lambda v: v.upper().encode()), id="another way back"
        ),
        pytest.param(Target(int, (ValueError,), second=lambda data: 1), id="another reading"),
        pytest.param(Target(lambda data: 1 / len(data), (ValueError,)), id="another error"),
    ],
)
def test_what_is_unsound_is_told(target: Target) -> None:
    with pytest.raises((Unsound, ZeroDivisionError)):
        all(target.check(data) is None for data in (b"7", b"a", b""))


def test_the_second_readings_read() -> None:
    """They are no echo of ours."""
    assert plain.note(seeds.NOTE)[0].startswith("log.example/one\n7\n")
    assert plain.bundle(seeds.BUNDLE, 3) == [b"abc", b"", b"z"]
    assert plain.tile_path("tile/1/x001/067.p/3") == ("1", 1067, 3)
    assert plain.message_pack(encode([1, b"x"])) == [1, b"x"]
    assert plain.frames(seeds.FRAMES[0]) == [(0x81, 5), (0x89, 0)]


# --- the list ---


def test_each_decoder_is_fuzzed_or_it_is_said_why_not() -> None:
    assert sorted(decoders()) == sorted([*FUZZED, *NOT_FUZZED])


def test_each_is_fuzzed_by_a_target_that_there_is() -> None:
    assert set(FUZZED.values()) <= set(TARGETS)


# --- what helps a fuzzer ---


def unchanged(data: bytes, longest: int) -> bytes:
    return data


def test_what_is_not_changed_is_the_same() -> None:
    for data in seeds.goldens("wire", "envelopes", "keys"):
        assert mutation._plain(mutation._tree(data)) == data


def test_changes_keep_a_record_a_record() -> None:
    mutator = mutation.by_structure(unchanged, ahead=2)
    (frame, *_) = (data for data in seeds.goldens("wire") if mutation.is_record(data))
    made = {mutator(b"ab" + frame, 1_000, seed) for seed in range(200)}
    assert len(made) > 60
    assert all(data[:2] == b"ab" and mutation.is_record(data[2:]) for data in made)


def test_the_dictionary_has_the_words_of_the_format() -> None:
    assert {b"rung", b"fallback"} <= words.of(TARGETS["ladder-file"].read)
    assert b"not-after" in words.of(TARGETS["charter-text"].read)
    assert words.dictionary([b'a"\n']) == '"\\x61\\x22\\x0a"\n'


def test_the_planted_bugs_are_bugs() -> None:
    """Each raises what no decoder may, and not for its seeds."""
    faults = (b"OUT\xff", b"outrider-planted:")
    for target in planted.PLANTED.values():
        for seed in target.start:
            target.check(seed)
        assert target.errors == (Malformed,)
    for target, data in zip(planted.PLANTED.values(), faults, strict=False):
        assert _raises_index_error(target, data)


def _raises_index_error(target: Target, data: bytes) -> bool:
    try:
        target.check(data)
    except IndexError:
        return True
    return False
