"""Somebody at a terminal of 80 columns without colour, who types `outrider`: each verb is a process of its own.

The processes are forked from one server that has the code loaded, as the demo's are: a story of fifty verbs would otherwise spend
its minutes on imports.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from clients.demo.company import ended
from tests.e2e.processes import Ended

_fork = get_context("forkserver")
_numbers = itertools.count()


def _type(words: list[str], language: str, out: str, err: str) -> None:
    """In the new process: run one verb, with its output in files."""
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name in ("LC_ALL", "LC_MESSAGES", "OUTRIDER_HOME", "OUTRIDER_LINK"):
        os.environ.pop(name, None)
    os.environ.update(LANG=language, COLUMNS="80")
    sys.argv = ["outrider", *words]
    from clients.main import main

    main()


@dataclass
class Terminal:
    """A person's profile and language; `said` is all that was ever shown there."""

    profile: Path
    passphrase: Path
    language: str = "C"
    said: list[str] = field(default_factory=list)

    async def __call__(self, *arguments: object) -> Ended:
        """Run a verb to its end."""
        shared = ["--profile", self.profile, "--passphrase-file", self.passphrase]
        base = self.passphrase.parent / f"verb-{next(_numbers)}"
        out, err = base.with_suffix(".out"), base.with_suffix(".err")
        process = _fork.Process(
            target=_type, args=([str(a) for a in (*arguments, *shared)], self.language, str(out), str(err))
        )
        process.start()
        await ended(process)
        said = Ended(process.exitcode or 0, *(f.read_text() if f.exists() else "" for f in (out, err)))
        self.said += [said.out, said.err]
        return said

    async def do(self, *arguments: object) -> str:
        """What a verb that has to succeed shows."""
        ran = await self(*arguments)
        assert ran.code == 0, f"{arguments}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran.out

    async def ask(self, *arguments: object, codes: tuple[int, ...] = (0,)) -> Any:
        """The one object that a verb prints with --json."""
        ran = await self(*arguments, "--json")
        assert ran.code in codes, f"{arguments}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return json.loads(ran.out)

    async def refused(self, code: int, *arguments: object) -> str:
        """What a verb says that has to end with this exit code; never a traceback."""
        ran = await self(*arguments)
        assert ran.code == code, f"{arguments}: exit {ran.code}, not {code}\n{ran.out}\n{ran.err}"
        assert "Traceback" not in ran.err
        return " ".join(ran.err.split())
