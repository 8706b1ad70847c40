"""What every connection shares: the store, the log, the gateway's keys, the clock, and the charter in force."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.audit.sequencer import Sequencer
from gateway.store.base import Store
from gateway.web.metrics import Metrics
from gateway.web.outbox import Outbox
from keys.charter import Charter
from keys.identity import Random, SigningKey

_log = logging.getLogger(__name__)


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

    outbox: Outbox = field(default_factory=Outbox)
    metrics: Metrics = field(default_factory=Metrics)
    charter: Charter | None = None
    draining: bool = False
    remarks: Callable[[], list[str]] = list
    """What does not keep the gateway from its work, and should be looked at."""

    def take_charter(self) -> None:
        """Read the charter in force from the store."""
        with self.store.snapshot() as view:
            self.charter = view.charter()

    def fault(self, error: BaseException) -> None:
        """A bug of ours: its trace goes to the log, without the error's text, which may hold what somebody sent."""
        self.metrics.faults.inc()
        trace = "".join(traceback.format_tb(error.__traceback__))
        _log.error("fault: %s\n%s", type(error).__name__, trace)
