"""The MLS groups of a device, between the ledger and the turns that use them.

A `Group` is a frozen value. It is loaded from its parts once, kept while the process lives, and written back at the end of
each turn that changed it, only the parts that differ: a message rewrites its ratchets, not a tree of a megabyte. A turn that
fails drops its values with the whole machine, so what is used next is again what is durable.
"""

from dataclasses import dataclass, field
from typing import Final

from clients.core import records
from clients.core.ledger import Draft, View
from clients.core.records import Epoch, Roster, Seat
from clients.core.trust import Trust, certificate_of
from clients.core.turn import Turn
from clients.core.watch import Watch
from keys.body import TERMS_EXTENSION, ChannelTerms, read_terms
from keys.envelope import Marking
from keys.errors import KeysError, NotPermitted
from keys.mls.group import Group
from keys.mls.secrettree import Limits
from keys.policy import ChannelClass, Policy

LIMITS: Final = Limits(resumption_epochs=0)
"""MLS's own, but for resumption PSKs of past epochs (RFC 9420 section 8.6): nothing here uses one, so none is kept."""


@dataclass(slots=True)
class Groups:
    """What is loaded, and what of it this turn has changed."""

    trust: Trust
    watch: Watch
    _loaded: dict[bytes, Group] = field(default_factory=dict)
    _written: dict[bytes, dict[str, bytes]] = field(default_factory=dict)
    _changed: set[bytes] = field(default_factory=set)

    def get(self, view: View, channel: bytes) -> Group | None:
        """This device's group of a channel, or None where it is in none."""
        self.watch.looked(records.GROUPS, channel)
        if channel not in self._loaded:
            parts = {key[16:].decode(): data for key, data in view.scan(records.GROUPS, channel, b"")}
            if not parts:
                return None
            self._loaded[channel] = Group.load(parts, self.trust, limits=LIMITS)
            self._written[channel] = parts
        return self._loaded[channel]

    def put(self, channel: bytes, group: Group) -> None:
        """The group's next value; durable with this turn."""
        self._loaded[channel] = group
        self._changed.add(channel)
        self.watch.changed(records.GROUPS, channel)

    def drop(self, draft: Draft, channel: bytes) -> None:
        """This device is out: its secrets go."""
        for name in self._written.pop(channel, {}):
            draft.delete(records.GROUPS, channel + name.encode())
        self._loaded.pop(channel, None)
        self._changed.discard(channel)
        self.watch.changed(records.GROUPS, channel)

    def save(self, draft: Draft) -> None:
        """Write the parts that this turn changed."""
        for channel in self._changed:
            before, parts = self._written.get(channel, {}), dict(self._loaded[channel].parts())
            for name in before.keys() - parts.keys():
                draft.delete(records.GROUPS, channel + name.encode())
            for name, data in parts.items():
                if before.get(name) != data:
                    draft.put(records.GROUPS, channel + name.encode(), data)
            self._written[channel] = parts
        self._changed.clear()


def seats(group: Group, trust: Trust) -> Roster:
    """Who sits at which leaf."""
    rows = []
    for member in group.members:
        certificate = certificate_of(member.credential)
        certified = trust.certified(certificate)
        assert certified is not None, "the group validated every leaf"
        rows.append(Seat(member.leaf_index, certified.device, certificate))
    return Roster(rows)


def note_roster(turn: Turn, channel: bytes, epoch: int, roster: Roster) -> None:
    """Who is in the channel from this epoch on; where nothing changed the record of before still tells."""
    before = roster_at(turn.draft, channel, epoch)
    if before is None or before != roster:
        records.ROSTERS.put(turn.draft, channel + epoch.to_bytes(8, "big"), roster)


def roster_at(view: View, channel: bytes, epoch: int) -> Roster | None:
    """The members in an epoch."""
    found = None
    for key, roster in records.ROSTERS.scan(view, channel):
        if int.from_bytes(key[16:], "big") > epoch:
            break
        found = roster
    return found


def seat_of(view: View, channel: bytes, epoch: int, device: bytes) -> Seat | None:
    """A device's leaf in an epoch."""
    roster = roster_at(view, channel, epoch)
    return next((s for s in roster.seats if s.device == device), None) if roster else None


def epoch_at(turn: Turn, channel: bytes, seq: int) -> tuple[int, Epoch | None]:
    """The epoch in force at a place, and how it began."""
    number, found = 0, None
    for key, epoch in records.EPOCHS.scan(turn.draft, channel):
        if epoch.seq >= seq:
            break
        number, found = int.from_bytes(key[16:], "big"), epoch
    return number, found


def terms_of(group: Group) -> ChannelTerms:
    """What all members agree on by signature; raises KeysError where it is not there."""
    data = group.context.extension(TERMS_EXTENSION)
    if data is None:
        raise NotPermitted("this group has no terms: it is no channel of a mission")
    return read_terms(data)


def check_terms(policy: Policy, terms: ChannelTerms, suite: int) -> ChannelClass:
    """The class of these terms, if the charter allows such a channel.

    Raises:
        KeysError: no such class, a ceiling above its own, or another cipher suite than the class asks for (no client goes
            below it).
    """
    kind = policy.channel_class(terms.channel_class)
    if terms.ceiling > kind.ceiling:
        raise NotPermitted(f"channels of class {kind.name} go up to {kind.ceiling.label}")
    if terms.beside is not None and not kind.alerts:
        raise NotPermitted("an alert channel alone stands beside another")
    if kind.suite != suite:
        raise NotPermitted(f"channels of class {kind.name} use cipher suite {kind.suite:#06x}, not {suite:#06x}")
    return kind


def may_join(turn: Turn, organisation: str, ceiling: Marking) -> bool:
    """Whether devices of an organisation may be in a channel with this ceiling now."""
    try:
        return turn.charter.policy.may_see(organisation, ceiling, turn.now)
    except KeysError:
        return False
