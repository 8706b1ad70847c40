"""The processes of the demo: the gateway, one a party, and commands that run to their end.

All are forked from one server process that has imported the code of both commands once: a demo of twenty processes would otherwise
spend its ten seconds on imports. Each is a real process with its own memory, files and sockets; what it runs is what the installed
commands run.
"""

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import socket
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

STARTING: Final = 120.0  # s that a process may take until it is up
LINE_LIMIT: Final = 4 * 1024 * 1024
GATEWAY: Final = "gateway.main"
OUTRIDER: Final = "clients.main"
PAUSE: Final = 0.01  # s between two looks

_fork = multiprocessing.get_context("forkserver")
Process = multiprocessing.context.ForkServerProcess


def prepare() -> None:
    """Name what the server imports before it forks; before the first process."""
    _fork.set_forkserver_preload([GATEWAY, OUTRIDER, "clients.demo.party", "clients.shell", "clients.auditor.commands"])


class Failed(Exception):
    """A process of the demo did not do what it was told; the message names it and what it said."""


def _command(module: str, arguments: list[str], out: str, err: str) -> None:
    """In the new process: be one of the two commands, with its output in files."""
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [module, *arguments]
    import_module(module).main()


def _party(line: socket.socket, arguments: list[str]) -> None:
    """In the new process: be a party, told what to do over `line`."""
    import_module("clients.demo.party").main(line, *map(Path, arguments))


@dataclass(slots=True)
class Company:
    """Everybody who runs, and the folder for what they write."""

    folder: Path
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def _start(self, module: str, arguments: list[str]) -> tuple[Process, Path, Path]:
        steps = self.folder / "steps"
        steps.mkdir(exist_ok=True)
        name = f"{next(self.numbers):02}-{module.split('.')[0]}-{arguments[0]}"
        out, err = steps / f"{name}.out", steps / f"{name}.err"
        process = _fork.Process(target=_command, args=(module, arguments, str(out), str(err)))
        process.start()
        return process, out, err

    async def run(self, module: str, *arguments: object, expect: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """Run a command to its end; its exit status and what it wrote on stdout.

        Raises:
            Failed: another exit status than expected; the message holds what it wrote on stderr.
        """
        words = [str(a) for a in arguments]
        process, out, err = self._start(module, words)
        await ended(process)
        status = process.exitcode or 0
        if status not in expect:
            raise Failed(f"{' '.join(words)}: exit {status}\n{_text(err)}")
        return status, _text(out)

    async def start_gateway(self, config: Path) -> tuple[Process, str]:
        """The gateway's process, once it listens, and its address."""
        process, out, err = self._start(GATEWAY, ["run", "--config", str(config)])
        for _ in range(int(STARTING / PAUSE)):  # a file rings no bell
            if not process.is_alive() or "\n" in _text(out):
                break
            await asyncio.sleep(PAUSE)
        line = _text(out).split("\n")[0]
        if not line.startswith("listening "):
            raise Failed(f"the gateway did not start: {_text(err)}")
        return process, line.split()[1]

    async def start_party(self, name: str, profile: Path, frames: Path, passphrase: Path) -> "Party":
        """A party's process, ready to be told."""
        ours, theirs = socket.socketpair()
        process = _fork.Process(target=_party, args=(theirs, [str(profile), str(frames), str(passphrase)]))
        process.start()
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
        return Party(name, process, reader, writer)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


async def ended(process: Process) -> None:
    """Wait for a process without holding the loop. Only the loop's thread ever looks at a process: its end is told once."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(process.sentinel, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


@dataclass(slots=True)
class Party:
    """A party's process: say a verb, get its answer. One verb at a time."""

    name: str
    process: Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def do(self, verb: str, **said: Any) -> Any:
        """What the party answered.

        Raises:
            Failed: it couldn't, or its process has ended.
        """
        async with self.turn:
            with contextlib.suppress(ConnectionError):
                self.writer.write(json.dumps({"do": verb, **said}).encode() + b"\n")
                await self.writer.drain()
            line = await self.reader.readline()
        answer = json.loads(line) if line else {"error": "its process has ended"}
        if "error" in answer:
            raise Failed(f"{self.name}, told to {verb}: {answer['error']}")
        return answer["ok"]

    async def end(self) -> Self:
        """Let it finish, or end it."""
        with contextlib.suppress(Failed, TimeoutError):
            async with asyncio.timeout(5):
                await self.do("leave")
        self.writer.close()
        await stop(self.process)
        return self


async def stop(process: Process, seconds: float = 8.0) -> None:
    """Ask a process to end, wait a little, then end it."""
    if not process.is_alive():
        return
    process.terminate()
    try:
        async with asyncio.timeout(seconds):
            await ended(process)
    except TimeoutError:
        process.kill()
        await ended(process)


def free_port() -> int:
    """A port on loopback where nobody listens, and that nobody else is given while this process runs: it stays bound here, which
    keeps whoever asks for any port off it, and no gateway from listening there."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = int(held.getsockname()[1])
    held.detach()
    return port


def write_secret(path: Path, text: str) -> None:
    """A file for its owner's eyes only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
