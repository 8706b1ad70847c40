"""What of the disk is read once more while the gateway runs: all of it, a part a second, and again the next day.

Who reads seldom finds out last. A page, a body or a tile that has rotted is named in the journal and counted in
`outrider_rotted`, while there is a copy to mend it from; and nothing of it is given to anybody (`gateway.store.database`).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Final

from gateway.audit import scrub as of_log
from gateway.audit.tiles import LogFolder
from gateway.store import scrub as of_store
from gateway.store.scrub import Part, Reader
from keys.tlog.edge import Edge

FIRST: Final = 60.0  # s after the start, when everybody comes back
PAUSE: Final = 1.0  # s between two parts
REST: Final = 86_400.0  # s between the end of one reading and the next
NAMED: Final = 100  # findings that one reading names

_log = logging.getLogger(__name__)


def everything(database: Path, reader: Reader, folder: LogFolder, size: int, root: bytes) -> Iterator[Part]:
    """All that a gateway keeps, in parts; what is wrong with each. The log up to a tree that was signed for."""
    return chain(of_store.pages(database), of_store.bodies(reader), of_log.log(reader, folder, size, root))


class Scrubbing:
    """Reads everything, again and again. `edge` gives that of the tree that was signed for last."""

    def __init__(self, database: Path, folder: LogFolder, edge: Callable[[], Edge]) -> None:
        self._database = database
        self._folder = folder
        self._edge = edge
        self.pause = PAUSE
        self.found = 0
        """Findings of the newest reading that has come to its end, or of this one where it has more."""

    async def run(self) -> None:
        """Serve for ever."""
        await asyncio.sleep(FIRST)
        while True:
            await self.read()
            await asyncio.sleep(REST)

    async def read(self) -> int:
        """Read everything once; gives how much is wrong."""
        found, loop = 0, asyncio.get_running_loop()
        reader = Reader(self._database)
        thread = ThreadPoolExecutor(1, "scrub")
        try:
            edge = self._edge()
            parts = everything(self._database, reader, self._folder, edge.size, edge.root)
            while (part := await loop.run_in_executor(thread, next, parts, None)) is not None:
                for line in part:
                    found += 1
                    if found <= NAMED:
                        _log.error("rotted: %s", line)
                self.found = max(self.found, found)
                await asyncio.sleep(self.pause)
        finally:
            thread.submit(reader.close)  # after what it may be reading still
            thread.shutdown(wait=False)
        self.found = found
        return found

    def remarks(self) -> list[str]:
        """For the operator."""
        return [f"{self.found} parts of the disk are not what was written: see the journal"] if self.found else []
