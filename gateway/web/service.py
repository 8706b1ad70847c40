"""What every connection shares: the store, the log, the gateway's keys, the clock, and the charter in force."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.sequencer import Sequencer
from gateway.store.base import Store
from gateway.web.metrics import Metrics
from gateway.web.outbox import Outbox
from keys.charter import Charter
from keys.identity import Random, SigningKey

DRAWN: Final = 4_096  # bytes

_log = logging.getLogger(__name__)


class Drawn:
    """Random bytes for decisions, drawn many at a time: a system call for each nonce lets go of the interpreter each time. Decisions
    run one after another, and so may use it; nobody else."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._held = b""
        self._at = 0

    def __call__(self, length: int) -> bytes:
        if self._at + length > len(self._held):
            self._held, self._at = self._random(max(length, DRAWN)), 0
        start, self._at = self._at, self._at + length
        return self._held[start : self._at]


@dataclass(slots=True)
class Service:
    """The running gateway, as its connections see it."""

    store: Store
    sequencer: Sequencer
    key: SigningKey
    now: Callable[[], int]  # ms
    random: Random
    stop: Callable[[BaseException], None]
    """Ends the process: what has failed can't be believed any more."""

    disk_free: Callable[[], int]
    """Bytes that the gateway may still write."""

    drawn: Random = field(init=False)
    """For decisions, in place of `random`."""

    outbox: Outbox = field(default_factory=Outbox)
    metrics: Metrics = field(default_factory=Metrics)
    charter: Charter | None = None
    draining: bool = False
    remarks: Callable[[], list[str]] = list
    """What does not keep the gateway from its work, and should be looked at."""

    def __post_init__(self) -> None:
        self.drawn = Drawn(self.random)

    def take_charter(self) -> None:
        """Read the charter in force from the store."""
        with self.store.snapshot() as view:
            self.charter = view.charter()

    def fault(self, error: BaseException) -> None:
        """A bug of ours: its trace goes to the log, without the error's text, which may hold what somebody sent."""
        self.metrics.faults.inc()
        trace = "".join(traceback.format_tb(error.__traceback__))
        _log.error("fault: %s\n%s", type(error).__name__, trace)
