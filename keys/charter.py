"""The charter: a mission's policy under the signatures of its authority keys, as a C2SP signed note.

Version n+1 follows n without a gap and carries a quorum of n's *and* of n+1's authority keys (as TUF roots do), so a stolen
key can't name its successor alone, and no version can be frozen, rolled back or skipped. A device pins the charter's hash at
enrolment and from then on takes only successors. The gateway is never an authority.

`Charter` is built by `found` and `succeed` alone (and by `reopen` from what one has stored): what is only proposed is a `Policy`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from keys.credential import Certified, verify_certificate
from keys.errors import CharterRefused, Expired, NotPermitted
from keys.identity import ChannelId, DeviceId, control_channel, gateway_device, unlock_stream
from keys.policy import Policy, Verb, parse
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Signer, Ed25519Verifier, Note, NoteVerifier, VerifierKey, open_note, sign_note
from keys.tlog.policy import TrustPolicy

NOTE_LIMIT: Final = 48 * 1024  # one frame of the protocol carries it whole


@dataclass(frozen=True, slots=True)
class Charter:
    """A policy in force, and the note that made it so."""

    policy: Policy
    note: bytes

    @property
    def text(self) -> bytes:
        return Note.decode(self.note).text.encode()

    @property
    def hash(self) -> bytes:
        """SHA-256 of the text, so that a signature more or less makes no other charter."""
        return sha256(self.text).digest()

    @property
    def control_channel(self) -> ChannelId:
        return control_channel(self.policy.log_origin)

    @property
    def unlock_stream(self) -> ChannelId:
        return unlock_stream(self.policy.log_origin)

    @property
    def control_streams(self) -> tuple[ChannelId, ChannelId]:
        """The streams whose names everybody knows who knows the charter."""
        return self.control_channel, self.unlock_stream

    @property
    def gateway_device(self) -> DeviceId:
        return gateway_device(self.policy.gateway_key)

    def log_verifier(self) -> Ed25519Verifier:
        """The key whose line every checkpoint has, also as devices are told of it."""
        return Ed25519Verifier(VerifierKey.decode(self.policy.log_key))

    @property
    def log_verifiers(self) -> list[NoteVerifier]:
        """Every key that signs a published checkpoint. Whoever audits asks for the line of each (`absent_keys`)."""
        return self.policy.log_verifiers

    @property
    def witness_policy(self) -> TrustPolicy:
        """Who cosigns checkpoints, and how many of them are enough: `witness_policy.witnessed(checkpoint)`."""
        return self.policy.witness_policy

    def verify_certificate(self, der: bytes) -> Certified:
        """A device or registrar of one of the mission's organisations; raises as `credential.verify_certificate`."""
        return verify_certificate(der, self.policy.issuers)

    def check_time(self, now: int) -> None:
        """Raises Expired past the charter's end (ms). A warning, never a stop: emergencies still work."""
        if now > self.policy.not_after:
            raise Expired(f"version {self.policy.version} of the charter has reached its end: a successor is due")

    def check_verb(self, certified: Certified, verb: Verb) -> None:
        """Raises NotPermitted when no role of this certificate may do that."""
        if not self.policy.permits(certified.roles, verb):
            held = ", ".join(sorted(certified.roles)) or "no role"
            raise NotPermitted(f"{held}: may not {verb.value}")


def sign(text: bytes, signers: Iterable[Ed25519Signer], signed: bytes | None = None) -> bytes:
    """Put signatures under a charter's text, beside those that `signed` (a note of the same text) already carries.

    Raises:
        CharterRefused: the text is no policy, or `signed` is a note of another text.
    """
    parse(text)
    try:
        fresh = sign_note(text.decode(), signers)
        if signed is None:
            return fresh.encode()
        earlier = Note.decode(signed)
        if earlier.text != fresh.text:
            raise CharterRefused("the note to add to holds another text")
        known = {(s.name, s.key_id) for s in earlier.signatures}
        return earlier.with_signatures(s for s in fresh.signatures if (s.name, s.key_id) not in known).encode()
    except TlogError as error:
        raise CharterRefused(str(error)) from None


def _open(note: bytes, authorities: Sequence[Policy]) -> Policy:
    """The policy in `note`, if it carries a quorum of each of `authorities`, the note's own policy included."""
    if len(note) > NOTE_LIMIT:
        raise CharterRefused(f"a charter with its signatures has at most {NOTE_LIMIT} bytes")
    try:
        decoded = Note.decode(note)
        policy = parse(decoded.text.encode())
        for authority in (policy, *authorities):
            verifiers = [Ed25519Verifier(VerifierKey.decode(key)) for key in authority.authority_keys]
            signers = {(s.name, s.key_id) for s in open_note(decoded, verifiers).verified}
            if len(signers) < authority.quorum:
                raise CharterRefused(
                    f"signed by {len(signers)} of the {authority.quorum} authority keys that version {authority.version} asks for"
                )
    except TlogError as error:
        raise CharterRefused(str(error)) from None
    return policy


def found(note: bytes) -> Charter:
    """The first charter of a mission: version 1, signed by its own quorum.

    Raises:
        CharterRefused: it isn't.
    """
    policy = _open(note, [])
    if policy.version != 1:
        raise CharterRefused("a mission begins with version 1")
    return Charter(policy, note)


def succeed(held: Charter, note: bytes) -> Charter:
    """The successor of the charter held.

    Raises:
        CharterRefused: a version skipped or repeated, another mission or log, or too few signatures of either version's keys.
    """
    policy = _open(note, [held.policy])
    if policy.version != held.policy.version + 1:
        raise CharterRefused(f"version {policy.version} can't follow version {held.policy.version}")
    if policy.mission != held.policy.mission:
        raise CharterRefused("a successor keeps the mission's name")
    _check_log(held.policy, policy)
    return Charter(policy, note)


def _check_log(before: Policy, after: Policy) -> None:
    """A successor keeps the log, or names it as the predecessor of another. It may add the second key, and drops none."""
    if (after.log_origin, after.log_key) == (before.log_origin, before.log_key):
        if before.log_key_pq not in ("", after.log_key_pq) or after.predecessor != before.predecessor:
            raise CharterRefused("a successor keeps the log's keys, and what it says of the log before")
        return
    ended = after.predecessor
    keys = tuple(key for key in (before.log_key, before.log_key_pq) if key)
    if ended is None or (ended.origin, ended.keys) != (before.log_origin, keys):
        raise CharterRefused("a successor keeps the mission's log, or names it as the predecessor of another")


def refounded(note: bytes) -> Charter:
    """The charter that begins another log of a mission, as that log's first entry holds it: with a predecessor.

    Its own quorum is checked. That it follows the charter of the old log is for who has that one: `succeed`.

    Raises:
        CharterRefused: it names no predecessor, or lacks its quorum.
    """
    policy = _open(note, [])
    if policy.predecessor is None or policy.version < 2:
        raise CharterRefused("a log begins with a mission's first charter, or with one that names the log before")
    return Charter(policy, note)


def pinned(notes: Sequence[bytes], pin: bytes) -> Charter:
    """The newest of a whole succession, for one who knows only the hash of some version of it (an invite's).

    It is the version pinned or descends from it. Versions before the one pinned are nobody's promise: they are dropped.

    Raises:
        CharterRefused: the succession is broken, or none of it has the hash.
    """
    charters = succession(notes)
    if all(c.hash != pin for c in charters):
        raise CharterRefused("this is not the charter that the invite names: ask the registrar for a new invite")
    return charters[-1]


def succession(notes: Sequence[bytes]) -> list[Charter]:
    """Every version from the first on, each checked against the one before; raises CharterRefused."""
    if not notes:
        raise CharterRefused("no charter")
    charters = [found(notes[0])]
    for note in notes[1:]:
        charters.append(succeed(charters[-1], note))
    return charters


def reopen(note: bytes) -> Charter:
    """A charter that this party has checked before and kept itself; its own quorum is checked again."""
    return Charter(_open(note, []), note)
