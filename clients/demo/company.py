"""The processes of the demo: the gateway, one a party, and commands that run to their end."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

STARTING: Final = 20.0  # s that a process may take until it is up
LINE_LIMIT: Final = 4 * 1024 * 1024
GATEWAY: Final = (sys.executable, "-m", "gateway.main")
OUTRIDER: Final = (sys.executable, "-m", "clients.main")


class Failed(Exception):
    """A process of the demo did not do what it was told; the message names it and what it said."""


async def run(command: Sequence[str], *arguments: object, expect: Sequence[int] = (0,)) -> tuple[int, str]:
    """Run a command to its end; its exit status and what it wrote on stdout.

    Raises:
        Failed: another exit status than expected; the message holds what it wrote on stderr.
    """
    words = [*command, *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    status = process.returncode or 0
    if status not in expect:
        shown = " ".join(words[3:])
        raise Failed(f"{shown}: exit {status}\n{err.decode(errors='replace').strip()}")
    return status, out.decode()


@dataclass(slots=True)
class Party:
    """A party's process: say a verb, get its answer. One verb at a time."""

    name: str
    process: asyncio.subprocess.Process
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def start(cls, name: str, profile: Path, frames: Path, passphrase: Path) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "clients.demo.party",
            *map(str, (profile, frames, passphrase)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        return cls(name, process)

    async def do(self, verb: str, **said: Any) -> Any:
        """What the party answered.

        Raises:
            Failed: it couldn't, or its process has ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        async with self.turn:
            self.process.stdin.write(json.dumps({"do": verb, **said}).encode() + b"\n")
            await self.process.stdin.drain()
            line = await self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process has ended"}
        if "error" in answer:
            raise Failed(f"{self.name}, told to {verb}: {answer['error']}")
        return answer["ok"]

    async def end(self) -> None:
        """Let it finish, or end it."""
        with contextlib.suppress(Failed, ConnectionError, asyncio.TimeoutError):
            async with asyncio.timeout(5):
                await self.do("leave")
        await stop(self.process)


async def start_gateway(config: Path) -> tuple[asyncio.subprocess.Process, str]:
    """The gateway's process, once it listens, and its address."""
    process = await asyncio.create_subprocess_exec(
        *GATEWAY, "run", "--config", str(config), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(STARTING):
            line = (await process.stdout.readline()).decode()
    except TimeoutError:
        line = ""
    if not line.startswith("listening "):
        process.kill()
        assert process.stderr is not None
        raise Failed(f"the gateway did not start: {(await process.stderr.read()).decode(errors='replace')[-2000:]}")
    return process, line.split()[1]


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ask a process to end, wait a little, then end it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def free_port() -> int:
    """A port that nobody listens on right now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def write_secret(path: Path, text: str) -> None:
    """A file for its owner's eyes only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
