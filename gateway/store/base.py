"""The promise that every store keeps, in the words of what durable means.

One module of contract tests (`tests/gateway/store`) holds each implementation to it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol, TypeVar

from gateway.core.effects import Outcome
from gateway.core.rows import Stored
from gateway.core.view import View

T = TypeVar("T")
Decision = Callable[[View], Outcome[T]]
Settle = Callable[[T | None, BaseException | None], None]
"""Takes a decision's answer, or what it has raised (then the answer is None)."""
Watcher = Callable[[Sequence[Stored]], None]
Urgent = bytes | None
"""The person whose share of the reserve a decision uses up, OURS for the gateway itself; None: it is not urgent."""

OURS: Final = b""


class StoreError(Exception):
    """The store can't be used as it is."""


class WrongStore(StoreError):
    """No database there, one of a newer version, or one that another process holds. The message says what to do."""


class DiskFull(StoreError):
    """Nothing was taken; trying again later may work."""


class Broken(StoreError):
    """A write or fsync failed in a way after which nothing may be believed: the process must stop and start anew."""


class Damaged(StoreError):
    """What is read is not what was written: a bit has flipped on the disk. It is given to nobody; what else is there still holds."""


class Conflict(StoreError):
    """Somebody else moved the checkpoint: decide anew from what is there."""


class Store(Protocol):
    """What the gateway must never forget.

    When `decide` returns, the outcome's effects survive a power cut, all or none, and no decision of another call stands
    between what this one saw and what it did. Decisions run in the order of the calls (but for the patient). If a decision raises, nothing of it
    is kept and the others of its batch are not touched. Envelopes get gap-free log indices and gap-free seqs per stream.
    """

    async def decide(self, decision: Decision[T], *, patient: bool = False, urgent: Urgent = None) -> T:
        """Run a decision in the next transaction and give its answer once that is durable. The patient let others go before them:
        a few of them run in each transaction, among themselves in the order of the calls, so neither waits for ever. While the disk
        is full the urgent alone are taken, as far as a reserve goes that is kept for them, and the share of it that is theirs.

        Raises:
            DiskFull, Broken, and whatever the decision raises.
        """
        ...

    def submit(
        self,
        decision: Decision[T],
        settle: Settle[T],
        *,
        patient: bool = False,
        urgent: Urgent = None,
        ahead: Callable[[], None] | None = None,
    ) -> None:
        """As `decide`, without a task that waits: `settle` is called in the event loop once the answer is durable, after the watchers.
        For what comes by the thousand. `ahead` is what of the decision needs no view: where many wait, it may be called before, on
        another thread; it raises nothing, and the decision does itself what was not done.

        Raises:
            Broken: then it was not asked.
        """
        ...

    def snapshot(self) -> AbstractContextManager[View]:
        """A consistent, durable state to read from. Leave it soon; never across an await."""
        ...

    async def swap_checkpoint(self, old_size: int, new_size: int, note: bytes) -> None:
        """Replace the checkpoint of `old_size` (0: none) by a larger or equal one, durably.

        Raises:
            Conflict: the checkpoint held is of another size.
        """
        ...

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` in the event loop after each batch, with its envelopes in log order, before their `decide` returns."""
        ...

    async def close(self) -> None:
        """Finish what was asked, then let go of the files."""
        ...
