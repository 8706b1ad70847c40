"""Published bodies: those of charters, certificates, lists, commits and what else everybody who checks must read.

They lie beside the tiles under `body/<hex SHA-256>`. A header names its body by hash, so a body is the right one or it is not;
one that is absent leaves unchecked what it would have told.
"""

from collections.abc import Mapping

from clients.auditor.verify.claims import Cause, Findings, Topic
from clients.auditor.verify.entries import Placed
from clients.auditor.verify.heads import Fetch
from keys.envelope import check_body
from keys.errors import BadSignature
from keys.tlog.errors import NotFound


class Bodies:
    """Hands out bodies by what an entry's header names; `kept` are some that the auditor has from elsewhere, by hash."""

    def __init__(self, fetch: Fetch, findings: Findings, kept: Mapping[bytes, bytes]) -> None:
        self._fetch = fetch
        self._findings = findings
        self._kept = kept
        self._first_absent: int | None = None
        self._absent = 0
        self._read = 0

    def get(self, placed: Placed) -> bytes | None:
        """The body of this entry, checked; None where it is absent, or altered and reported."""
        name = placed.claimed.header.body_hash
        path = f"body/{name.hex()}"
        try:
            body = self._kept[name] if name in self._kept else self._fetch(path)
            check_body(placed.claimed, body)
        except NotFound:
            self._absent += 1
            self._first_absent = placed.index if self._first_absent is None else self._first_absent
            return None
        except BadSignature:
            rule = "the body stored under this name is not the one that the entry's header names"
            self._findings.fail(Topic.BODIES, Cause.ALTERED, rule, placed.index, path)
            return None
        self._read += 1
        return body

    def end(self) -> None:
        """What was read, and what was not there."""
        if self._absent:
            rule = f"{self._absent} published bodies are not here: export them with the log (body/<hash>)"
            self._findings.unchecked(Topic.BODIES, rule, self._first_absent)
        self._findings.note(Topic.BODIES, f"{self._read} read")
