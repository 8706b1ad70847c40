"""What a decision costs: CPU of `decide_submit` for runs of application envelopes, and where it goes.

    python -m tests.bench.decide [envelopes]

Measured without disk: an in-memory database, the effects applied in a transaction of their own after each decision is timed.
"""

import cProfile
import pstats
import sys
import time
from collections.abc import Sequence

from gateway import wire
from gateway.store.changes import apply
from keys.envelope import Envelope, Kind, seal
from keys.franking import application_data, franking_tag
from keys.identity import SigningKey, verify
from tests.gateway.core.world import Party, World

RUNS = (1, 32)


def runs_of(author: Party, channel: bytes, length: int, count: int) -> list[wire.Submit]:
    """`count` frames of `length` chained envelopes each, the last of each signed."""
    frames = []
    number, link = author.numbers[channel]
    for _ in range(count):
        parts = []
        for position in range(length):
            author.numbers[channel] = (number, link)
            envelope, data = _message(author, channel, last=position == length - 1)
            number, link = number + 1, envelope.link
            parts.append(wire.Sealed(envelope.header, envelope.signature, data))
        frames.append(wire.Submit(1, parts))
    author.numbers[channel] = (number, link)
    return frames


def _message(author: Party, channel: bytes, *, last: bool) -> tuple[Envelope, bytes]:
    group, text, salt = author.groups[channel], b"vehicle clear at the east gate", author.world.random(16)
    context = author.context(Kind.APPLICATION, channel, epoch=group.epoch, franking=franking_tag(salt, text))
    author.groups[channel], data = group.protect(
        application_data(salt, text),
        authenticated_data=context.authenticated_data(),
        padding=128,
        random=author.world.random,
    )
    return seal(context, data, author.device.key if last else None), data


def measure(world: World, author: Party, frames: Sequence[wire.Submit]) -> tuple[float, float]:
    """Seconds of CPU in decisions, and in applying their effects."""
    decided = applied = 0.0
    who = author.identity
    for frame in frames:
        with world.db:
            begun = time.process_time_ns()
            outcome = world.decide(who, frame)
            middle = time.process_time_ns()
            for effect in outcome.effects:
                apply(world.db, effect)
            decided += middle - begun
            applied += time.process_time_ns() - middle
        assert isinstance(outcome.answer, wire.Accepted), outcome.answer
    return decided / 1e9, applied / 1e9


def verification() -> float:
    """µs of CPU for one signature check: what the machine is worth at the moment."""
    key = SigningKey(bytes(32))
    signature = key.sign("bench", bytes(300))
    begun = time.process_time_ns()
    for _ in range(2_000):
        verify(key.public, "bench", bytes(300), signature)
    return (time.process_time_ns() - begun) / 2_000_000


def main() -> None:
    envelopes = int(sys.argv[1]) if len(sys.argv) > 1 else 3_200
    print(f"one Ed25519 verification: {verification():.1f} µs here; the figures go by it")
    world = World()
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    channel = officer.create_channel()
    officer.add(channel, agent)
    for length in RUNS:
        measure(world, officer, runs_of(officer, channel, length, 8))
        frames = runs_of(officer, channel, length, envelopes // length)
        decided, applied = measure(world, officer, frames)
        count = length * len(frames)
        print(
            f"run of {length}: decide {decided / count * 1e6:.1f} µs, effects {applied / count * 1e6:.1f} µs an envelope"
        )
        frames = runs_of(officer, channel, length, max(1, envelopes // length // 4))
        profile = cProfile.Profile()
        profile.enable()
        measure(world, officer, frames)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
