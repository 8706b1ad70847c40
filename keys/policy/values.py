"""A mission's policy as values: organisations, channel classes, roles, and the questions that others ask of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from keys.credential import Issuers
from keys.emergency import REPEAT, ROADS_AFTER
from keys.envelope import Marking
from keys.errors import CharterRefused
from keys.tlog.cosignature import MlDsa44Verifier
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Verifier, NoteVerifier, VerifierKey
from keys.tlog.policy import TrustPolicy
from keys.tlog.succession import Predecessor

T = TypeVar("T")
DESK: Final = "desk"  # the class of the channel in which officers keep drafts and reasons among themselves
SUITES: Final = frozenset({1, 3, 0xF001})  # those whose leaves sign with Ed25519, as our certificates do
QUORUM: Final = 2  # of a disclosure, where the charter names none


class Verb(StrEnum):
    """What a role may do. Reading, receipts and acknowledgements come with membership and are no verbs."""

    SEND = "send"
    CREATE_CHANNEL = "create-channel"
    ADD = "add"
    REMOVE = "remove"
    ALERT = "alert"
    APPROVE_ALERT = "approve-alert"
    APPROVE_ENROLMENT = "approve-enrolment"
    CHARTER = "charter"
    DIRECTORY = "directory"
    DISCLOSE = "disclose"
    DESTROY = "destroy"
    AUDIT = "audit"


class Distinct(StrEnum):
    """How far writer and approver of an alert stand apart. They are two people always."""

    PERSON = "person"
    ROLE = "role"
    ORGANISATION = "organisation"


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation: its trust roots, what they may grant, and how much may be shown to it until when."""

    name: str
    home: bool
    root: bytes
    registrars: tuple[bytes, ...]
    roles: frozenset[str]
    ceiling: Marking
    until: int  # ms since the epoch: end of the agreement; nothing to the home organisation, which writes 0
    agreement: str = ""  # what people call it; the home organisation has none
    drills: bool = False  # takes part in exercises: nothing of one reaches it otherwise

    @property
    def issuers(self) -> Issuers:
        return Issuers(self.name, self.root, self.registrars, self.roles)


@dataclass(frozen=True, slots=True)
class ChannelClass:
    """What every channel of this class keeps to."""

    name: str
    suite: int
    ceiling: Marking
    alerts: bool  # carries alerts and their answers, and nothing else
    receipts: str  # "delivered", or "shown" within one organisation
    retention_days: int
    grace_seconds: int  # how long messages of the epoch before are still taken


@dataclass(frozen=True, slots=True)
class Policy:
    """A charter's text as values. Not yet anybody's policy: `keys.charter` says whose signatures it carries."""

    mission: str
    version: int
    not_after: int
    authority_keys: tuple[str, ...]  # C2SP verifier keys
    quorum: int
    log_origin: str
    log_key: str  # C2SP verifier key
    gateway_key: bytes
    gateway_url: str
    tls_keys: tuple[bytes, ...]  # SHA-256 of each SubjectPublicKeyInfo that may stand before the gateway
    crl_hours: int  # a revocation list older than this stops adds, channel creation and certificates
    crl_message_hours: int  # and, older than this, messages too
    break_glass: bool
    organisations: tuple[Organisation, ...]
    classes: tuple[ChannelClass, ...]
    roles: tuple[tuple[str, frozenset[Verb]], ...]
    auditors: tuple[str, ...]
    witnesses: tuple[str, ...]  # lines of a C2SP tlog-policy, without any for the log: none, or with a quorum line
    alert_distinct: Distinct = Distinct.PERSON
    alert_deadline_seconds: int = 300  # that a submitted alert may wait for its approval
    alert_review_hours: int = 24  # within which an alert sent alone is reviewed
    sos_roads_seconds: int = ROADS_AFTER  # after which an SOS goes by the roads off the platform too
    sos_repeat_seconds: int = REPEAT  # between the last road and everybody once more
    disclosure_quorum: int = QUORUM  # people who have to agree before one message is disclosed to an auditor
    log_key_pq: str = ""  # C2SP verifier key (ML-DSA-44) that signs beside the other; none where empty
    predecessor: Predecessor | None = None  # the log that this one took the place of, where one could not go on

    def permits(self, roles: Iterable[str], verb: Verb) -> bool:
        """Whether any of these roles may do this."""
        held = frozenset(roles)  # itself, where it is one
        return any(verb in verbs and name in held for name, verbs in self.roles)

    def verbs(self, roles: Iterable[str]) -> frozenset[Verb]:
        """All that these roles may do together."""
        held = set(roles)
        return frozenset(verb for name, verbs in self.roles if name in held for verb in verbs)

    def organisation(self, name: str) -> Organisation:
        """Raises CharterRefused when there is none of this name."""
        return _named(self.organisations, name, "organisation")

    def channel_class(self, name: str) -> ChannelClass:
        """Raises CharterRefused when there is none of this name."""
        return _named(self.classes, name, "channel class")

    def audits(self, roles: Iterable[str]) -> bool:
        """Whether these roles are an auditor's: who may ask for a disclosure writes nothing else and sits in no channel."""
        return self.permits(roles, Verb.AUDIT)

    @property
    def log_verifiers(self) -> list[NoteVerifier]:
        """Every key that signs the log's checkpoints: Ed25519, and ML-DSA-44 where the charter says so."""
        keys: list[NoteVerifier] = [Ed25519Verifier(VerifierKey.decode(self.log_key))]
        return [*keys, MlDsa44Verifier(VerifierKey.decode(self.log_key_pq))] if self.log_key_pq else keys

    @property
    def witness_policy(self) -> TrustPolicy:
        """The witnesses and their quorum."""
        return read_witnesses(self.witnesses)

    @property
    def home(self) -> Organisation:
        return next(o for o in self.organisations if o.home)

    @property
    def issuers(self) -> tuple[Issuers, ...]:
        return tuple(o.issuers for o in self.organisations)

    def may_see(self, organisation: str, marking: Marking, now: int) -> bool:
        """Whether people of an organisation may be shown content of this marking (TLP 2.0; the agreements' ends).

        Raises CharterRefused when the charter names no such organisation.
        """
        theirs = self.organisation(organisation)
        if marking > theirs.ceiling:
            return False
        # AMBER+STRICT stays within one organisation, RED with the people it was said to.
        return theirs.home or (now <= theirs.until and marking < Marking.AMBER_STRICT)

    def plays(self, organisation: str, now: int) -> bool:
        """Whether an exercise may reach people of an organisation: the home's always, a partner's if it has joined.

        Raises CharterRefused when the charter names no such organisation.
        """
        theirs = self.organisation(organisation)
        return theirs.home or (theirs.drills and now <= theirs.until)


def _named(items: Iterable[T], name: str, what: str) -> T:
    for item in items:
        if getattr(item, "name", None) == name:
            return item
    raise CharterRefused(f"the charter names no {what} {name!r}")


def read_witnesses(lines: tuple[str, ...]) -> TrustPolicy:
    """The charter's witness lines as a C2SP tlog-policy; none where there are none. Raises CharterRefused."""
    if not lines:
        return TrustPolicy()
    try:
        policy = TrustPolicy.decode("".join(f"{line}\n" for line in lines).encode())
    except TlogError as error:
        raise CharterRefused(f"witnesses: {error}") from None
    if policy.logs:
        raise CharterRefused("witnesses: the charter names its log in [log], and nowhere else")
    return policy


DEFAULT_ROLES: Final = (
    ("agent", frozenset({Verb.SEND})),
    ("leader", frozenset({Verb.SEND, Verb.CREATE_CHANNEL, Verb.ADD, Verb.REMOVE})),
    ("officer", frozenset(Verb) - {Verb.CHARTER, Verb.AUDIT}),
    ("guest", frozenset({Verb.SEND})),
    ("auditor", frozenset({Verb.AUDIT})),
)
"""What `mission init` writes when nothing else is asked for."""


DEFAULT_CLASSES: Final = (
    ChannelClass("detail", 0xF001, Marking.AMBER_STRICT, False, "shown", 30, 30),
    ChannelClass("alert", 0xF001, Marking.AMBER_STRICT, True, "shown", 365, 30),
    ChannelClass("liaison", 0xF001, Marking.AMBER, False, "delivered", 30, 30),
    ChannelClass("narrow", 1, Marking.AMBER_STRICT, False, "delivered", 30, 30),
    ChannelClass(DESK, 0xF001, Marking.AMBER_STRICT, False, "shown", 365, 30),
)
