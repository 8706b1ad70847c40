"""Questions that are open in a session: what was asked, so that it is not asked twice and its answer finds its way.

An errand is named by its kind and what it is about; the request id is only how the answer refers to it. When the session
ends all errands end with it: whoever still needs an answer asks again.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from clients.core.watch import ALL, Watch
from gateway.wire import PutKeyPackages

_ASKED: Final = "asked"


@dataclass(frozen=True, slots=True)
class Errand:
    """A question: its kind, what it is about, and what its answer needs: of a run the number of its first envelope, and how many there are."""

    kind: str
    key: bytes
    number: int = 0
    frame: PutKeyPackages | None = None
    first: int = 0
    count: int = 0


@dataclass(slots=True)
class Errands:
    """The open ones, by request id. Who asks about them, and what is opened and closed, is reported to the `watch`."""

    watch: Watch
    asked: dict[int, Errand] = field(default_factory=dict)
    _last: int = 0

    def open(self, errand: Errand) -> int:
        """A request id for it."""
        self._last = self._last % (2**32 - 1) + 1
        self.asked[self._last] = errand
        self.watch.changed(_ASKED, errand.kind.encode())
        return self._last

    def close(self, request: int) -> Errand | None:
        """The errand that an answer belongs to; None where nothing was asked."""
        errand = self.asked.pop(request, None)
        if errand is not None:
            self.watch.changed(_ASKED, errand.kind.encode())
        return errand

    def full(self, most: int) -> bool:
        """Whether as many are open as may be."""
        if len(self.asked) < most:
            return False
        self.watch.looked(_ASKED, ALL)
        return True

    def is_open(self, errand: Errand) -> bool:
        self.watch.looked(_ASKED, errand.kind.encode())
        return any((e.kind, e.key) == (errand.kind, errand.key) for e in self.asked.values())

    def covers(self, kind: str, key: bytes) -> bool:
        """Whether an open errand of this kind is about `key`, alone or among others."""
        self.watch.looked(_ASKED, kind.encode())
        return any(e.kind == kind and key in e.key for e in self.asked.values())

    def kinds(self) -> set[str]:
        return {e.kind for e in self.asked.values()}


def fits(data: bytes, expected: bytes) -> bool:
    """Whether a fetched body is the one that was named."""
    return sha256(data).digest() == expected
