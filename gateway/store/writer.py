"""What decisions see while they run: the view of the writer, which keeps at hand what nearly every one of them asks.

There is one writer, and whatever changes these values goes through here: so a value at hand is the value in the database, and
the state of a stream or the count of an alert's answers is written once a transaction, however many envelopes moved it. `flush`
writes what is owed; `forget` drops all, after a transaction that failed.
"""

from dataclasses import replace
from typing import Final

import apsw

from gateway.core import effects as e
from gateway.core.broadcast import AlertRow
from gateway.core.view import LogEnd, Stream
from gateway.store.broadcasts import count_answers, keep_answer
from gateway.store.changes import apply
from gateway.store.rows import Parsed, SqliteView
from keys.charter import Charter

AT_HAND: Final = 1_024  # values of a kind
_COUNTED: Final = (e.PutRevocations, e.PutAlert, e.PlaceAlert, e.PutPosition, e.EndAlert, e.SetReview, e.PutAnswer)
"""Effects that count or write, in the database, what may be owed to it: that is written first."""


class WriterView(SqliteView):
    """`core.view.View` over the writer's connection, and the way in for effects."""

    def __init__(self, connection: apsw.Connection, parsed: Parsed) -> None:
        super().__init__(connection, parsed)
        self.forget()

    def forget(self) -> None:
        """A transaction was rolled back, or too much is at hand."""
        self._in_force: Charter | None = None
        self._end: LogEnd | None = None
        self._streams: dict[bytes, Stream] = {}
        self._alerts: dict[bytes, AlertRow] = {}
        self._stands: set[tuple[bytes, bytes]] = set()
        self._moved: dict[bytes, Stream] = {}
        self._answers: dict[bytes, int] = {}

    def flush(self) -> None:
        """Write what is owed, before anything asks for it by other ways than those below."""
        for stream in self._moved.values():
            apply(self._db, e.PutStream(stream))
        for root, count in self._answers.items():
            count_answers(self._db, root, count)
        self._moved, self._answers = {}, {}

    def settle(self) -> None:
        """The transaction is about to be committed."""
        self.flush()
        if max(len(self._streams), len(self._alerts), len(self._stands)) > AT_HAND:
            self.forget()

    # --- look-ups ---

    def charter(self) -> Charter | None:
        if self._in_force is None:
            self._in_force = super().charter()
        return self._in_force

    def log_end(self) -> LogEnd:
        if self._end is None:
            self._end = super().log_end()
        return self._end

    def stream(self, channel: bytes) -> Stream | None:
        found = self._streams.get(channel)
        if found is None:
            found = super().stream(channel)
            if found is not None:
                self._streams[bytes(channel)] = found
        return found

    def alert(self, root: bytes) -> AlertRow | None:
        found = self._alerts.get(root)
        if found is None:
            self.flush()
            found = super().alert(root)
            if found is not None:
                self._alerts[bytes(root)] = found
        return found

    def alert_of(self, alert: bytes) -> AlertRow | None:
        self.flush()
        return super().alert_of(alert)

    def plan(self, channel: bytes, device: bytes) -> AlertRow | None:
        self.flush()
        return super().plan(channel, device)

    def ladder_due(self, now: int) -> AlertRow | None:
        self.flush()
        return super().ladder_due(now)

    def alert_stands(self, root: bytes, channel: bytes) -> bool:
        if (root, channel) in self._stands:
            return True
        stands = super().alert_stands(root, channel)
        if stands:  # for good
            self._stands.add((bytes(root), bytes(channel)))
        return stands

    # --- effects ---

    def apply(self, effect: e.Effect) -> None:
        """Do what one effect asks."""
        if type(effect) is e.PutStream:
            self._move(effect)
            return
        if type(effect) is e.PutAnswer and effect.target:
            self._answered(effect)
            return
        if isinstance(effect, _COUNTED):
            self.flush()
        apply(self._db, effect)
        match effect:
            case e.Append(stored):
                self._end = LogEnd(stored.index + 1, stored.time)
            case e.PutCharter():
                self._in_force = None
        if isinstance(effect, e.PutRevocations):
            self._streams = {}
        elif isinstance(effect, _COUNTED):
            self._alerts = {}

    def _move(self, effect: e.PutStream) -> None:
        known = self.stream(effect.stream.id) is not None
        self._streams[effect.stream.id] = effect.stream
        if known:
            self._moved[effect.stream.id] = effect.stream
        else:
            apply(self._db, effect)  # its envelopes need the row

    def _answered(self, effect: e.PutAnswer) -> None:
        row = self.alert(effect.root)
        assert row is not None  # it was answered
        keep_answer(self._db, effect)
        self._answers[effect.root] = self._answers.get(effect.root, 0) + 1
        self._alerts[effect.root] = replace(row, answered=row.answered + 1)
