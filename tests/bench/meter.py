"""What a stretch of work costs: CPU of the gateway and of the generator, what others use, and a yardstick to compare runs by."""

import time
from collections.abc import Sequence

import psutil

from keys.identity import SigningKey, verify
from tests.bench.fleet import Fleet

Row = dict[str, float | int | str | None]


def yardstick(times: int = 200) -> float:
    """CPU us of one Ed25519 verification here and now: 53 where the peers were measured. A busy core's neighbour makes
    everything dearer, this as well, so figures of two runs compare by their ratio to it."""
    key = SigningKey(bytes(32))
    signature = key.sign("bench", bytes(300))
    began = time.thread_time()
    for _ in range(times):
        verify(key.public, "bench", bytes(300), signature)
    return 1e6 * (time.thread_time() - began) / times


class Meter:
    """CPU of the gateway (by thread), of this generator, and of everybody else on the machine."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._before = self._read()
        self._threads = fleet.cpu_by_thread()

    def _read(self) -> tuple[float, float, float, float, float]:
        times = psutil.cpu_times()
        busy = times.user + times.nice + times.system + getattr(times, "irq", 0) + getattr(times, "softirq", 0)
        stolen = getattr(times, "steal", 0.0)  # what a virtual machine was not given although it had work
        return self._fleet.cpu(), time.process_time(), busy, stolen, time.monotonic()

    def so_far(self) -> float:
        """CPU seconds of the gateway since the start."""
        return self._fleet.cpu() - self._before[0]

    def stop(self) -> "Meter":
        """The end of what is measured."""
        after = self._read()
        gone = [b - a for a, b in zip(self._before, after, strict=True)]
        self.server, self.client, busy, stolen, self.seconds = gone
        self.others = max(0.0, (busy - self.server - self.client) / self.seconds)
        self.stolen = stolen / self.seconds
        threads = self._fleet.cpu_by_thread()
        self.loop = threads[self._fleet.pid] - self._threads[self._fleet.pid]
        return self

    def row(self, count: int) -> Row:
        """The figures for `count` operations."""
        return {
            "server_us": 1e6 * self.server / count,
            "loop_us": 1e6 * self.loop / count,
            "threads_us": 1e6 * (self.server - self.loop) / count,
            "client_us": 1e6 * self.client / count,
            "server_cores": self.server / self.seconds,
            "others": self.others,
            "stolen": self.stolen,
        }


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
