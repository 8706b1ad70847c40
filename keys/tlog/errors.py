"""What can be wrong with a log, split by what the caller does next.

| error | the caller |
|---|---|
| `Malformed`, `TooLarge` | refuses the bytes |
| `UnknownKey`, `WrongOrigin` | looks for another note, or for the right keys |
| `BadSignature` | refuses the whole note, and asks who altered it |
| `ProofFailed` | asks again; what was to be proved counts as unproved |
| `Inconsistent` | stops, and keeps both notes: they are evidence |
| `NotFound` | asks elsewhere, or reports it missing |
| `Damaged` | reports what is named there |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TlogError(Exception):
    """Root of everything this package raises."""


class Malformed(TlogError):
    """These bytes are not the format they claim to be, or not its one encoding."""


class TooLarge(TlogError):
    """Over a bound of the format: an entry of more than 65,535 bytes, a tree of more than 2^63 - 1 entries."""


class UnknownKey(TlogError):
    """No key that the caller trusts has signed the note."""


class BadSignature(TlogError):
    """A key that the caller trusts is named on a line whose signature fails."""


class WrongOrigin(TlogError):
    """A sound checkpoint, of another log."""


class ProofFailed(TlogError):
    """The proof does not lead from what is claimed to the root."""


class Inconsistent(TlogError):
    """Two trees of one log of which neither can have grown into the other."""


class NotFound(TlogError):
    """The log's storage has no such resource."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no {path}")
        self.path = path


class Cause(Enum):
    """Why a stored resource is refused."""

    ALTERED = "altered"
    MISSING = "missing"
    CUT = "cut"
    REORDERED = "reordered"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a stored log, named as exactly as the rest of the log allows.

    `tile` is the path of the file to blame; `index` the first log index to blame in it, where that can be told.
    """

    tile: str
    cause: Cause
    index: int | None
    why: str

    def __str__(self) -> str:
        place = self.tile if self.index is None else f"entry {self.index} in {self.tile}"
        return f"{place}: {self.cause.value}: {self.why}"


class Damaged(TlogError):
    """A stored log is not what its checkpoint says."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault

    @property
    def tile(self) -> str:
        """Path of the file to blame."""
        return self.fault.tile

    @property
    def index(self) -> int | None:
        """Log index of the entry to blame, where it is an entry."""
        return self.fault.index

    @property
    def cause(self) -> Cause:
        """What happened to it."""
        return self.fault.cause
