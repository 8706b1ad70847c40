"""What a decision may look at: read-only rows of the open transaction, as frozen values (`gateway.core.rows`).

`View` is a port. The store implements it over a transaction (for decisions) and over a snapshot (for answers); a decision
sees what the decisions before it in the same transaction have done.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from gateway.core.broadcast import Broadcasts
from gateway.core.page import Page
from gateway.core.rows import (
    CertificateRow,
    Chain,
    Content,
    DestructionRow,
    DisclosureRow,
    End,
    Invitation,
    LogEnd,
    Member,
    Package,
    RefusedAttempt,
    Stored,
    Stream,
    Upload,
)
from keys.authority import RevocationList
from keys.charter import Charter
from keys.identity import ChannelId, DeviceId


class View(Broadcasts, Protocol):
    """Look-ups. None or an empty sequence where there is nothing; never an exception for that."""

    def charter(self) -> Charter | None: ...
    def charter_notes(self) -> Sequence[bytes]: ...
    def expired(self, now: int, limit: int) -> Sequence[Content]:
        """Content whose own end has passed (ms), by channel and seq."""
        ...

    def channels_kept(self) -> Sequence[tuple[ChannelId, str, int]]:
        """All channels: id, class, and the seq up to which their content was destroyed by the class's rule."""
        ...

    def content(self, channel: bytes, after: int, before: int, limit: int) -> Sequence[Content]:
        """A channel's content from the seq after `after` on, of entries older than `before` (ms), by seq."""
        ...

    def content_between(self, channel: bytes, first: int, last: int) -> Sequence[Content]:
        """A channel's content from seq first to last."""
        ...

    def destruction(self, order: bytes) -> DestructionRow | None: ...
    def disclosure(self, request: bytes) -> DisclosureRow | None: ...
    def disclosures_since(self, person: bytes, since: int) -> int:
        """How many requests a person has made since then (ms)."""
        ...

    def stream(self, channel: bytes) -> Stream | None: ...
    def chain(self, channel: bytes, device: bytes) -> Chain: ...
    def refused_attempts(self, channel: bytes, device: bytes, first: int, last: int) -> Mapping[int, RefusedAttempt]:
        """The last refused attempt of each of these numbers that a signed refusal lets the device seal again."""
        ...

    def envelope_at(self, channel: bytes, device: bytes, number: int) -> Stored | None: ...
    def envelopes(self, channel: bytes, after: int, limit: int, *, bodies: bool = True) -> Sequence[Stored]: ...
    def page(self, channel: bytes, after: int, limit: int) -> Page:
        """As `envelopes`, ready to be sent."""
        ...

    def envelope(self, channel: bytes, seq: int) -> Stored | None: ...
    def member(self, channel: bytes, device: bytes) -> Member | None:
        """The device's present membership, or its last one (then `left` is not 0)."""
        ...

    def members(self, channel: bytes) -> Sequence[Member]:
        """Present members by leaf."""
        ...

    def present_between(self, channel: bytes, first: int, last: int) -> Sequence[DeviceId]:
        """The devices that were in the channel at any of its places from seq first to last."""
        ...

    def member_beside(self, receipts: bytes, device: bytes) -> Member | None:
        """The device's latest membership of the channel that has this receipt stream beside it. Looked for among its own, so that
        it takes as long whether there is such a stream or not."""
        ...

    def memberships(self, device: bytes) -> Sequence[Member]:
        """Of every channel the device is or was in: its latest membership."""
        ...

    def share_channel(self, device: bytes, other: bytes) -> bool:
        """Whether both are in one channel now."""
        ...

    def shared_channel(self, device: bytes, other: bytes) -> bool:
        """Whether both are or were in one channel at the same time."""
        ...

    def channels_of(self, device: bytes) -> int:
        """How many channels the device is in."""
        ...

    def landmarks(self, channel: bytes, after: int, limit: int) -> Sequence[Stored]:
        """Commits, proposals, alerts and whatever is FLASH, by seq: what a FLASH may have to jump, and what it needs."""
        ...

    def authors(self, channel: bytes, first: int, last: int) -> frozenset[bytes]:
        """The devices with an envelope in the channel from seq first to last."""
        ...

    def group(self, channel: bytes) -> Mapping[str, bytes]:
        """The parts of the channel's PublicGroup."""
        ...

    def tree(self, channel: bytes, seq: int) -> tuple[bytes, int] | None:
        """Hash and length of the ratchet tree as it is named at `seq`, if it is still kept."""
        ...

    def resync(self, channel: bytes, device: bytes) -> int | None:
        """The epoch by whose end the device may come in again, if an officer has approved that."""
        ...

    def ends(self, channel: bytes) -> Mapping[bytes, End]:
        """When the certificate in each present member's leaf ends, by device id."""
        ...

    def certificate(self, certificate_hash: bytes) -> CertificateRow | None: ...
    def nearest_certificate(self, certificate_hash: bytes) -> CertificateRow | None:
        """The one with this hash, or else another that was found by the same steps; None where there are none at all."""
        ...

    def revoked(self, certificate_hash: bytes) -> bool | None:
        """Whether a certificate that counts is revoked; None for one that does not count."""
        ...

    def certificates(self, device: bytes) -> Sequence[CertificateRow]:
        """All of a device's, the newest first."""
        ...

    def directory(self, after: bytes, limit: int, near: bytes | None = None) -> Sequence[CertificateRow]:
        """The newest certificate of each device, by device id; of those that share a channel with `near`, where it is given."""
        ...

    def revocations(self, organisation: str) -> RevocationList | None: ...
    def list_made(self, organisation: str) -> int | None:
        """When the organisation's newest revocation list was made, in ms."""
        ...

    def invitation(self, invite: bytes) -> Invitation | None: ...
    def invite(self, invite: bytes) -> Invitation | None:
        """As `invitation`, but no renewal: those go by an id that others know, and are nobody's but the device's own."""
        ...

    def granted(self, certificate: bytes) -> Invitation | None:
        """The invitation for which a registrar has granted this certificate."""
        ...

    def invites_open(self, organisation: str, now: int) -> int:
        """How many of its invites have not ended and not been used."""
        ...

    def pending(self, organisation: str | None, granted: bool | None, ends: int, limit: int) -> Sequence[Invitation]:
        """Those with a request and no logged certificate yet, of one organisation or of all, whose end is not before `ends`;
        only those granted, or only those not, where `granted` is given."""
        ...

    def package(self, device: bytes, suite: int, now_seconds: int) -> Package | None:
        """The next one to hand out that has not ended: a one-time KeyPackage, or the last-resort one when there is none."""
        ...

    def package_known(self, package_hash: bytes) -> bool:
        """Whether this KeyPackage is there, or was and has been handed out."""
        ...

    def packages_left(self, device: bytes, suite: int | None = None, now_seconds: int = 0) -> int:
        """One-time KeyPackages that have not ended."""
        ...

    def claims_since(self, claimer: bytes, since: int, device: bytes | None = None) -> int:
        """How many KeyPackages it has claimed, of one device or of all."""
        ...

    def upload(self, body_hash: bytes) -> Upload | None: ...
    def uploads_open(self, device: bytes) -> Sequence[Upload]:
        """Bodies that the device has begun to put and that nobody was given yet, the oldest first."""
        ...

    def partial(self, body_hash: bytes) -> bytes:
        """What has been put of a body that is not whole yet."""
        ...

    def blob(self, body_hash: bytes, offset: int, length: int) -> bytes | None: ...
    def short_body(self, body_hash: bytes, device: bytes) -> bytes | None:
        """A body that is kept with its envelope, and longer than the least window: of a channel that the device is or was in."""
        ...

    def may_read(self, body_hash: bytes, device: bytes) -> bool:
        """Whether this blob was given to the device, to a channel that it was in at that place, or to everybody."""
        ...

    def published(self, body_hash: bytes) -> Stored | None:
        """An envelope of a published kind with this body."""
        ...

    def log_size(self) -> int: ...
    def log_end(self) -> LogEnd:
        """Where the next entry goes."""
        ...

    def entries(self, first: int, limit: int) -> Sequence[bytes]:
        """Encoded entries by log index."""
        ...

    def published_bodies(self, first: int, limit: int, most: int) -> Sequence[tuple[int, bytes]]:
        """Log index and body of the entries of published kinds among `limit` from index `first` on, in order; no more once
        they have `most` bytes together."""
        ...

    def receipt_bodies(self, first: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """Log index and body of the receipts among `limit` entries from index `first` on, in order."""
        ...

    def checkpoint(self) -> bytes | None: ...
