"""What one step takes into the log: entries by index, the bodies that are published with them, and the files of receipts."""

from collections.abc import Sequence
from typing import Final, Protocol

from keys.receipts import receipt_files
from keys.tlog.merkle import MAX_SIZE
from keys.tlog.tile import WIDTH

BATCH: Final = 4_096  # entries in one step
BATCH_BODIES: Final = 32 * 1024 * 1024  # bytes of published bodies after which a step takes no more entries


class Rows(Protocol):
    """The part of `gateway.core.view.View` that the sequencer reads."""

    def log_size(self) -> int: ...
    def entries(self, first: int, limit: int) -> Sequence[bytes]: ...
    def published_bodies(self, first: int, limit: int, most: int) -> Sequence[tuple[int, bytes]]: ...
    def receipt_bodies(self, first: int, limit: int) -> Sequence[tuple[int, bytes]]: ...
    def checkpoint(self) -> bytes | None: ...


def next_batch(
    rows: Rows, first: int, most: int = BATCH_BODIES, limit: int = MAX_SIZE
) -> tuple[Sequence[bytes], list[bytes]]:
    """Entries from index `first` on and before `limit`, and the bodies that are published with them: as many as one step takes."""
    entries = rows.entries(first, min(BATCH, limit - first))
    published = rows.published_bodies(first, len(entries), most)
    bodies = [body for _, body in published]
    if sum(map(len, bodies)) >= most:  # what comes after the last of them waits for the next step
        entries = entries[: published[-1][0] + 1 - first]
    return entries, bodies


def next_receipts(rows: Rows, since: int, size: int) -> list[tuple[str, bytes]]:
    """The files of receipts that a log of `size` entries has and one of `since` has not."""
    first = since // WIDTH * WIDTH  # the partial bundle of before is written anew, longer
    return list(receipt_files(dict(rows.receipt_bodies(first, size - first)), since, size))
