"""Programs of ours as processes that are forked from one which has the code loaded: each is spared a second of imports, and is a
process like any other, with its own memory, files and sockets."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from subprocess import TimeoutExpired

from clients.demo.company import prepare
from tests.waiting import wait

ROOT = Path(__file__).resolve().parents[1]
_fork = get_context("forkserver")


class Forked:
    """A running program: the `main` of a module with these arguments. What it prints is added to two files.

    It has the methods of `subprocess.Popen`, as far as they are needed.
    """

    def __init__(self, module: str, arguments: Sequence[object], out: Path, err: Path) -> None:
        prepare()
        self.out = out
        self._read = out.stat().st_size if out.exists() else 0
        words = [str(argument) for argument in arguments]
        self._process = _fork.Process(target=_be, args=(module, words, str(out), str(err)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    def readline(self) -> str:
        """The next line that it prints on its output; "" where it has ended without."""

        def look() -> bytes:
            ended = self.poll() is not None
            data = self.out.read_bytes()[self._read :] if self.out.exists() else b""
            line, end, _ = data.partition(b"\n")
            return line + end if end or ended else b""

        wait(lambda: look() or self.poll() is not None, "a line")
        line = look()
        self._read += len(line)
        return line.decode()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutExpired(str(self.out), timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def _be(module: str, arguments: list[str], out: str, err: str) -> None:
    """In the new process: be this program."""
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(ROOT)
    sys.argv = [module, *arguments]
    import_module(module).main()
