"""A gateway's process whose disk fails when it is told to: from then on each write or sync of the database does, with EIO.

It is the gateway's own code over a VFS that lies below the checksums. Where `fiu-run -x` has started the mission, any of libfiu's points
can be named in its place (`posix/io/sync/fsync` is the log's folder, which no VFS sees).
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import apsw

from gateway.exits import UNREACHABLE
from gateway.main import main as gateway_main
from tests.e2e.mission import RealMission
from tests.waiting import PATIENCE, until

MODULE: Final = "tests.crash.failing"
TOLD: Final = "disk-fails"
"""The file beside the gateway's folder that says what fails from now on."""

FAULTS: Final = ("sync", "write")
POINTS: Final = ("posix/io/sync/fdatasync", "posix/io/sync/fsync", "posix/io/rw/pwrite")
_VFS: Final = "failing"


class _Disk(apsw.VFS):
    """The system's VFS, until something fails."""

    def __init__(self) -> None:
        super().__init__(_VFS, "unix")
        self.fails = ""

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def obey(self, told: Path) -> None:
        """Wait to be told. In a thread."""
        while not told.exists():
            time.sleep(0.01)
        self.fails = told.read_text()
        if self.fails.startswith("posix/"):
            ctypes.CDLL("libfiu.so.0").fiu_enable(self.fails.encode(), 1, ctypes.c_void_p(errno.EIO), 0)


class _File(apsw.VFSFile):
    def __init__(self, disk: _Disk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk

    def xWrite(self, data: Any, offset: int) -> None:
        if self._disk.fails == "write":
            raise apsw.IOError("EIO")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._disk.fails == "sync":
            raise apsw.IOError("EIO")
        super().xSync(flags)


def main() -> None:
    """Be `outrider-gateway`."""
    disk = _Disk()
    apsw.set_default_vfs(_VFS)
    told = Path(sys.argv[-1]).parent.parent / TOLD
    threading.Thread(target=disk.obey, args=(told,), daemon=True).start()
    gateway_main()


class FailingMission(RealMission):
    """A mission whose gateway is not killed: its disk fails. What then becomes of it is counted in `ends`."""

    faults: Iterator[str] = cycle(FAULTS)
    patience = PATIENCE

    def __init__(self, folder: Path, tap: Any = None) -> None:
        super().__init__(folder, tap)
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def start(self) -> None:
        told = self.folder / TOLD
        told.unlink(missing_ok=True)
        words = ["run", "--config", str(self.config)]
        self.process, out, self._said = self.company._start(MODULE, words)
        await until(lambda: out.exists() and "listening" in out.read_text(), "the gateway listens")

    async def kill(self) -> None:
        """Let the disk fail, and see that the process ends by itself, with its code and a line that says why."""
        assert self.process is not None
        fault = next(self.faults)
        (self.folder / "fault").write_text(fault)
        (self.folder / "fault").rename(self.folder / TOLD)
        process = self.process
        try:
            await asyncio.wait_for(_ended(process), self.patience)
        except TimeoutError:
            self.wrong.append(f"{fault}: it goes on")
            await super().kill()
            return
        lines = self._said.read_text().splitlines() or [""]
        self.ends[f"{fault}: exit {process.exitcode}, {lines[-1]}"] += 1
        if process.exitcode != UNREACHABLE or not lines[-1].startswith("outrider-gateway: "):
            self.wrong.append(f"{fault}: exit {process.exitcode}, {lines[-5:]}")


async def _ended(process: Any) -> None:
    while process.is_alive():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
