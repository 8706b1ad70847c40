"""The line protocol, from the side that answers: one JSON request per line in, one JSON answer per line out."""

import base64
import builtins
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keys.mls import MLSError, Unsupported

Json = dict[str, object]


class Cannot(Exception):
    """Something this peer has no way to do; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One line, read strictly."""

    values: Mapping[str, object]

    def text(self, name: str) -> str:
        value = self.values[name]
        if not isinstance(value, str):
            raise TypeError(f"{name} is not a string")
        return value

    def number(self, name: str) -> int:
        value = self.values[name]
        if type(value) is not int:
            raise TypeError(f"{name} is not a number")
        return value

    def bytes(self, name: str) -> bytes:
        return base64.b64decode(self.text(name), validate=True)

    def many(self, name: str) -> "list[builtins.bytes]":
        values = self.values.get(name, [])
        if not isinstance(values, list):
            raise TypeError(f"{name} is not a list")
        return [base64.b64decode(value, validate=True) for value in values]

    def flag(self, name: str) -> bool:
        return self.values.get(name) is True


def b64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def answer(peer: object, line: str) -> Json:
    """The answer to one line; a mistake in the request is an answer too."""
    number: object = None
    try:
        values = json.loads(line)
        number = values["id"]
        name = values["op"]
        method: Callable[[Request], Json] | None = None if name.startswith("_") else getattr(peer, name, None)
        if method is None:
            raise Cannot(f"no such request here: {name}")
        return {"id": number, **method(Request(values))}
    except (Cannot, Unsupported) as error:
        return {"id": number, "cannot": str(error)}
    except MLSError as error:
        return {"id": number, "error": f"{type(error).__name__}: {error}"}
    except (KeyError, TypeError, ValueError) as error:
        return {"id": number, "error": f"a bad request: {error!r}"}


def serve(peer: object) -> None:
    """Answer with the methods of `peer` until the input ends."""
    for line in sys.stdin:
        print(json.dumps(answer(peer, line)), flush=True)
