"""What decisions see while they run: the view of the writer, which keeps at hand what nearly every one of them asks, and owes
the database what nearly every one of them changes.

There is one writer, and whatever changes these values goes through here: so a value at hand is the value in the database.

    at hand   streams, chains, members, standing of certificates, ages of lists, alerts: looked up once, changed with the row
    owed      new envelopes, and the last state of each stream that has changed and of each answer: written in one go at the
              end of the transaction (`settle`), however many decisions ran in it. One statement takes many rows, so that the
              interpreter is let go and taken back a few times a transaction, not ten times an envelope

Whatever is asked or changed in any other way finds it written first (`flush`). `forget` drops all, after a transaction that failed.
"""

from collections.abc import Mapping
from typing import Any, Final

import apsw
from msgspec.structs import replace

from gateway.core import effects as e
from gateway.core.broadcast import AlertRow, Asked
from gateway.core.rows import Chain, LogEnd, Member, Stream
from gateway.store import bulk
from gateway.store.changes import apply
from gateway.store.rows import Parsed, SqliteView
from keys.charter import Charter
from keys.envelope import Envelope
from keys.identity import ChannelId, receipt_stream

Place = tuple[bytes, bytes]  # a device, or a person, in a stream; or an alert in a channel

AT_HAND: Final = 16_384  # values of a kind
PEOPLE: Final = 65_536  # of all alerts at hand


class WriterView(SqliteView):
    """`core.view.View` over the writer's connection, and the way in for effects."""

    def __init__(self, connection: apsw.Connection, parsed: Parsed) -> None:
        super().__init__(connection, parsed)
        self._written = SqliteView(connection, parsed)  # the rows without what is owed
        self.forget()

    def forget(self) -> None:
        """A transaction was rolled back: nothing is known, and nothing is owed."""
        self._in_force: Charter | None = None
        self._end: LogEnd | None = None
        self._streams: dict[bytes, Stream] = {}
        self._rows_of: dict[bytes, int] = {}
        self._chains: dict[Place, Chain] = {}
        self._members: dict[Place, Member | None] = {}
        self._beside: dict[Place, Member | None] = {}
        self._revoked: dict[bytes, bool | None] = {}
        self._lists: dict[str, int | None] = {}
        self._alerts: dict[bytes, AlertRow] = {}
        self._stands: dict[Place, bool] = {}
        self._people: dict[bytes, dict[bytes, Asked]] = {}
        self._owe_nothing()

    def _owe_nothing(self) -> None:
        self._owing = False
        self._appended: list[e.Append] = []
        self._changed: dict[bytes, Stream] = {}
        self._answers: dict[Place, e.PutAnswer] = {}

    def flush(self) -> None:
        """Write what is owed."""
        if not self._owing:
            return
        self._owing = False  # or the first look-up below would ask for this again
        bulk.put_streams(self._db, self._changed.values())
        bulk.append(self._db, self._appended, self._row_of)
        bulk.put_answers(self._db, self._answers.values())
        self._owe_nothing()

    def settle(self) -> None:
        """The transaction is about to be committed."""
        self.flush()
        kept = self._streams, self._rows_of, self._chains, self._members, self._beside, self._revoked, self._alerts
        for values in (*kept, self._stands):
            if len(values) > AT_HAND:
                values.clear()
        if sum(map(len, self._people.values())) > PEOPLE:
            self._people.clear()

    # --- look-ups: what is not at hand finds everything written ---

    def _row(self, sql: str, *values: object) -> tuple | None:  # type: ignore[type-arg]
        self.flush()
        return super()._row(sql, *values)

    def _rows(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        self.flush()
        return super()._rows(sql, *values)

    def charter(self) -> Charter | None:
        if self._in_force is None:
            self._in_force = self._written.charter()
        return self._in_force

    def log_end(self) -> LogEnd:
        if self._end is None:
            self._end = self._written.log_end()
        return self._end

    def stream(self, channel: bytes) -> Stream | None:
        found = self._streams.get(channel)
        if found is None:
            found = self._written.stream(channel)
            if found is not None:
                self._streams[channel] = found
        return found

    def chain(self, channel: bytes, device: bytes) -> Chain:
        found = self._chains.get((channel, device))
        if found is None:
            found = self._chains[channel, device] = self._written.chain(channel, device)
        return found

    def member(self, channel: bytes, device: bytes) -> Member | None:
        try:
            return self._members[channel, device]
        except KeyError:
            found = self._members[channel, device] = self._written.member(channel, device)
            return found

    def member_beside(self, receipts: bytes, device: bytes) -> Member | None:
        try:
            return self._beside[receipts, device]
        except KeyError:
            found = self._beside[receipts, device] = self._written.member_beside(receipts, device)
            return found

    def revoked(self, certificate_hash: bytes) -> bool | None:
        try:
            return self._revoked[certificate_hash]
        except KeyError:
            found = self._revoked[certificate_hash] = self._written.revoked(certificate_hash)
            return found

    def list_made(self, organisation: str) -> int | None:
        try:
            return self._lists[organisation]
        except KeyError:
            found = self._lists[organisation] = self._written.list_made(organisation)
            return found

    def alert(self, root: bytes) -> AlertRow | None:
        found = self._alerts.get(root)
        if found is None:
            found = super().alert(root)
            if found is not None:
                self._alerts[root] = found
        return found

    def alert_stands(self, root: bytes, channel: bytes) -> bool:
        if not self._stands.get((root, channel)):
            self._stands[root, channel] = self._written.alert_stands(root, channel)
        return self._stands[root, channel]

    def asked(self, root: bytes, person: bytes) -> Asked | None:
        people = self._people.get(root)
        if people is None:  # who asks of one person asks of ten thousand
            people = self._people[root] = {asked.person: asked for asked in self.all_asked(root)}
        return people.get(person)

    # --- effects ---

    def apply(self, effect: e.Effect) -> None:
        """Do what one effect asks, now or with the rest of the transaction."""
        owe = _OWED.get(type(effect))
        if owe is not None:
            self._owing = True
            owe(self, effect)
            return
        if type(effect) not in _APART:
            self.flush()
        apply(self._db, effect)
        forget = _CHANGED.get(type(effect))
        if forget is not None:
            forget(self, effect)

    def _append(self, effect: e.Append) -> None:
        last = effect.run[-1]
        place = last.channel, last.device
        stream, before = self.stream(last.channel), self.chain(*place)
        assert stream is not None  # its row goes before its envelopes
        self._appended.append(effect)
        self._end = LogEnd(last.index + 1, last.time)
        self._streams[last.channel] = replace(stream, seq=last.seq, rolling=effect.rolling)
        self._chains[place] = Chain(last.number, Envelope(last.header, last.signature).link, before.refused)

    def _change(self, effect: e.PutStream) -> None:
        stream = effect.stream
        self._changed[stream.id] = self._streams[stream.id] = stream

    def _answer(self, effect: e.PutAnswer) -> None:
        row = self.alert(effect.root)
        assert row is not None  # it was answered
        self._answers[effect.root, effect.person] = effect
        if effect.root in self._people:
            self._people[effect.root][effect.person] = Asked(effect.person, effect.target, effect.time)
        if effect.target:
            self._alerts[effect.root] = replace(row, answered=row.answered + 1)

    def _forget_member(self, effect: e.PutMember | e.EndMember | e.ChangeLeaf) -> None:
        of = effect.member if isinstance(effect, e.PutMember) else effect
        self._members.pop((of.channel, of.device), None)
        self._beside.pop((receipt_stream(ChannelId(of.channel)), of.device), None)

    def _forget_chain(self, effect: e.RememberRefusal) -> None:
        self._chains.pop((effect.channel, effect.device), None)

    def _forget_certificate(self, effect: e.PutCertificate) -> None:
        self._revoked.pop(effect.row.hash, None)

    def _forget_standing(self, _: e.PutRevocations) -> None:
        self._streams, self._revoked, self._lists = {}, {}, {}

    def _forget_charter(self, _: e.PutCharter) -> None:
        self._in_force = None

    def _forget_alerts(self, _: e.Effect) -> None:
        self._alerts = {}

    def _forget_people(self, effect: e.PlaceAlert) -> None:
        self._alerts = {}
        self._people.pop(effect.root, None)

    def _row_of(self, channel: bytes) -> int:
        found = self._rows_of.get(channel)
        if found is None:
            found = self._rows_of[channel] = bulk.row_of(self._db, channel)
        return found


_OWED: Final[Mapping[type, Any]] = {
    e.Append: WriterView._append,
    e.PutStream: WriterView._change,
    e.PutAnswer: WriterView._answer,
}
"""Effects that are written with the rest of the transaction: what they change is looked up above, or found written first."""

_APART: Final = frozenset({e.PutExpiry, e.GiveBlob, e.PutPiece, e.DropUpload})
"""Effects that messages have, on rows that nothing owed touches: they are written at once, and leave the rest owed."""

_CHANGED: Final[Mapping[type, Any]] = {
    e.PutMember: WriterView._forget_member,
    e.EndMember: WriterView._forget_member,
    e.ChangeLeaf: WriterView._forget_member,
    e.RememberRefusal: WriterView._forget_chain,
    e.PutCertificate: WriterView._forget_certificate,
    e.PutRevocations: WriterView._forget_standing,
    e.PutCharter: WriterView._forget_charter,
    e.PutAlert: WriterView._forget_alerts,
    e.PlaceAlert: WriterView._forget_people,
    e.PutPosition: WriterView._forget_alerts,
    e.EndAlert: WriterView._forget_alerts,
    e.SetReview: WriterView._forget_alerts,
}
"""What another effect changes of the values at hand: they are looked up anew."""
