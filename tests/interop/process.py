"""A peer as a process: requests go in as lines, answers come back as lines."""

import base64
import json
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent


class Refused(Exception):
    """The peer's library refused what it was asked to do."""


class Cannot(Exception):
    """The peer has no way to do this; the text says why."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(reason)
        self.peer = peer


class Process(AbstractContextManager["Process"]):
    """One peer; close it, or use it in a `with`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._sent = 0
        self.name = command[-1]
        hello = self.ask("hello")
        self.name = str(hello["name"])
        suites = hello["suites"]
        assert isinstance(suites, list)
        self.suites: list[int] = suites

    def ask(self, op: str, **values: object) -> dict[str, object]:
        """The answer to one request; byte strings travel as base64. Raises `Refused`, `Cannot`."""
        process, self._sent = self._process, self._sent + 1
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            json.dumps({"id": self._sent, "op": op, **{k: _plain(v) for k, v in values.items()}}) + "\n"
        )
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise Refused(f"{self.name}: the process ended at {op}")
        answer = json.loads(line)
        assert answer["id"] == self._sent
        if "cannot" in answer:
            raise Cannot(self.name, answer["cannot"])
        if "error" in answer:
            raise Refused(f"{self.name}, {op}: {answer['error']}")
        return dict(answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
