"""The text of a charter: a mission's policy as TOML, both ways.

`parse` reads the text strictly: unknown or missing keys, a role that nobody defined, a quorum that can't be reached or that one
key reaches twice are refused, so that two readers never take it differently; `render` writes the one form that `mission init`
and `propose` sign.
Who signed it is `keys.charter`'s concern.
"""

import tomllib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar
from unicodedata import is_normalized

from keys.credential import Issuers, read_root
from keys.emergency import REPEAT, ROADS_AFTER
from keys.envelope import Marking
from keys.errors import CharterRefused, KeysError
from keys.profile import is_role_name
from keys.tlog.cosignature import MlDsa44Verifier
from keys.tlog.errors import TlogError
from keys.tlog.merkle import MAX_SIZE
from keys.tlog.note import Ed25519Verifier, NoteVerifier, VerifierKey
from keys.tlog.policy import TrustPolicy
from keys.tlog.succession import Predecessor

T = TypeVar("T")
DESK: Final = "desk"  # the class of the channel in which officers keep drafts and reasons among themselves
POLICY_LIMIT: Final = 40 * 1024  # with its signatures it has to fit into one frame of the protocol
QUORUM: Final = 2  # of a disclosure, where the charter names none
SUITES: Final = frozenset({1, 3, 0xF001})  # those whose leaves sign with Ed25519, as our certificates do


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
        return _witness_policy(self.witnesses)

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


class _Table:
    """A TOML table that is emptied as it is read: what is left over was unknown."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise CharterRefused(f"{where} is not a table")
        self._values = dict(values)
        self._where = where

    def take(self, key: str, kind: type[T]) -> T:
        value = self._values.pop(key, None)
        if type(value) is not kind:
            raise CharterRefused(f"{self._where}: {key} must be {kind.__name__}")
        return value

    def number(self, key: str, low: int, high: int) -> int:
        value = self.take(key, int)
        if not low <= value <= high:
            raise CharterRefused(f"{self._where}: {key} must be {low} to {high}")
        return value

    def name(self, key: str) -> str:
        value = self.take(key, str)
        if not 0 < len(value) <= 100 or not _plain(value):
            raise CharterRefused(f"{self._where}: {key} must be 1 to 100 printable characters")
        return value

    def millis(self, key: str) -> int:
        value = self.take(key, datetime)
        if value.utcoffset() is None:
            raise CharterRefused(f"{self._where}: {key} needs a UTC offset")
        if value.microsecond or value.year < 1970:
            raise CharterRefused(f"{self._where}: {key} must be in whole seconds, from 1970 on")
        return max(0, int(value.timestamp())) * 1000

    def strings(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list)
        if not all(isinstance(v, str) and _plain(v) for v in values) or len(set(values)) != len(values):
            raise CharterRefused(f"{self._where}: {key} must be different printable strings")
        return tuple(values)

    def raw(self, key: str) -> bytes:
        return _unbase64(self.take(key, str), f"{self._where}: {key}")

    def raws(self, key: str) -> tuple[bytes, ...]:
        return tuple(_unbase64(v, f"{self._where}: {key}") for v in self.strings(key))

    def text(self, key: str) -> str:
        value = self.take(key, str)
        if len(value) > 100 or not _plain(value):
            raise CharterRefused(f"{self._where}: {key} must be up to 100 printable characters")
        return value

    def distinct(self, key: str) -> Distinct:
        try:
            return Distinct(self.take(key, str))
        except ValueError:
            raise CharterRefused(f"{self._where}: {key} must be {', '.join(Distinct)}") from None

    def marking(self, key: str) -> Marking:
        try:
            return Marking.parse(self.take(key, str))
        except KeysError as error:
            raise CharterRefused(f"{self._where}: {error}") from None

    def tables(self, key: str) -> "tuple[_Table, ...]":
        values = self._values.pop(key, [])
        if not isinstance(values, list):
            raise CharterRefused(f"{self._where}: {key} must be tables")
        return tuple(_Table(v, f"{key} {n}") for n, v in enumerate(values, 1))

    def table(self, key: str) -> "_Table":
        return _Table(self._values.pop(key, None), key)

    def has(self, key: str) -> bool:
        return key in self._values

    def end(self) -> None:
        if self._values:
            raise CharterRefused(f"{self._where}: unknown {', '.join(sorted(self._values))}")


def _plain(text: str) -> bool:
    """No control and no direction marks, and in the one form (NFC), so that two names which look the same are the same."""
    return text.isprintable() and is_normalized("NFC", text)


def _unbase64(text: str, where: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise CharterRefused(f"{where} is not base64") from None
    if b64encode(data).decode() != text:
        raise CharterRefused(f"{where} is not canonical base64")
    return data


def _organisation(table: _Table) -> Organisation:
    organisation = Organisation(
        name=table.name("name"),
        home=table.take("home", bool),
        root=table.raw("root"),
        registrars=table.raws("registrars"),
        roles=frozenset(table.strings("roles")),
        ceiling=table.marking("ceiling"),
        until=table.millis("until"),
        agreement=table.text("agreement"),
        drills=table.take("drills", bool),
    )
    table.end()
    return organisation


def _channel_class(table: _Table) -> ChannelClass:
    kind = ChannelClass(
        name=table.name("name"),
        suite=table.number("suite", 1, 0xFFFF),
        ceiling=table.marking("ceiling"),
        alerts=table.take("alerts", bool),
        receipts=table.take("receipts", str),
        retention_days=table.number("retention-days", 1, 3650),
        grace_seconds=table.number("grace-seconds", 0, 3600),
    )
    if kind.receipts not in ("delivered", "shown"):
        raise CharterRefused(f"class {kind.name}: receipts must be delivered or shown")
    if kind.suite not in SUITES:
        raise CharterRefused(f"class {kind.name}: no suite {kind.suite}: it must be one that signs with Ed25519")
    table.end()
    return kind


def _predecessor(table: _Table) -> Predecessor:
    try:
        found = Predecessor(
            origin=table.name("origin"),
            keys=table.strings("keys"),
            size=table.number("size", 0, MAX_SIZE),
            root=table.raw("root"),
            kept=table.number("kept", 0, MAX_SIZE),
        )
    except TlogError as error:
        raise CharterRefused(f"predecessor: {error}") from None
    table.end()
    return found


def _role(table: _Table) -> tuple[str, frozenset[Verb]]:
    name = table.name("name")
    if not is_role_name(name):
        raise CharterRefused(f"role {name}: no certificate can hold a role of this name")
    try:
        verbs = frozenset(Verb(v) for v in table.strings("verbs"))
    except ValueError as error:
        raise CharterRefused(f"role {name}: {error}") from None
    table.end()
    if Verb.AUDIT in verbs and len(verbs) > 1:
        raise CharterRefused(f"role {name}: who audits may do nothing else")
    return name, verbs


def parse(text: bytes) -> Policy:
    """Read a charter's text.

    Raises:
        CharterRefused: not TOML, a key unknown, missing or of another type, or parts that contradict each other.
    """
    if len(text) > POLICY_LIMIT:
        raise CharterRefused(f"a charter has at most {POLICY_LIMIT} bytes")
    try:
        top = _Table(tomllib.loads(text.decode("utf-8")), "charter")
    except (RecursionError, ValueError) as error:  # not TOML, not UTF-8, numbers or tables beyond what Python reads
        raise CharterRefused(f"not TOML: {error}") from None
    authority, log, gateway = top.table("authority"), top.table("log"), top.table("gateway")
    rules, alerts = top.table("rules"), top.table("alerts")
    sos = top.table("sos") if top.has("sos") else None
    disclosure = top.table("disclosure") if top.has("disclosure") else None
    policy = Policy(
        mission=top.name("mission"),
        version=top.number("version", 1, 2**31),
        not_after=top.millis("not-after"),
        authority_keys=authority.strings("keys"),
        quorum=authority.number("quorum", 1, 32),
        log_origin=log.name("origin"),
        log_key=log.name("key"),
        gateway_key=gateway.raw("key"),
        gateway_url=gateway.name("url"),
        tls_keys=gateway.raws("tls-keys"),
        crl_hours=rules.number("revocation-hours", 1, 24 * 7),
        crl_message_hours=rules.number("revocation-message-hours", 1, 24 * 31),
        break_glass=alerts.take("break-glass", bool),
        organisations=tuple(_organisation(t) for t in top.tables("organisation")),
        classes=tuple(_channel_class(t) for t in top.tables("class")),
        roles=tuple(_role(t) for t in top.tables("role")),
        auditors=top.strings("auditors"),
        witnesses=top.strings("witnesses"),
        alert_distinct=alerts.distinct("distinct"),
        alert_deadline_seconds=alerts.number("deadline-seconds", 30, 24 * 3600),
        alert_review_hours=alerts.number("review-hours", 1, 24 * 14),
        sos_roads_seconds=sos.number("roads-after-seconds", 10, 3600) if sos else ROADS_AFTER,
        sos_repeat_seconds=sos.number("repeat-seconds", 30, 3600) if sos else REPEAT,
        disclosure_quorum=disclosure.number("quorum", 1, 32) if disclosure else QUORUM,
        log_key_pq=log.take("key-pq", str) if log.has("key-pq") else "",
        predecessor=_predecessor(top.table("predecessor")) if top.has("predecessor") else None,
    )
    for table in (top, authority, log, gateway, rules, alerts, sos, disclosure):
        if table is not None:
            table.end()
    _check_whole(policy)
    return policy


def _check_whole(policy: Policy) -> None:
    """What no single field can say."""
    _unique([o.name for o in policy.organisations], "organisation")
    _unique([c.name for c in policy.classes], "class")
    _unique([name for name, _ in policy.roles], "role")
    if [o.home for o in policy.organisations].count(True) != 1:
        raise CharterRefused("exactly one organisation is the mission's home")
    if policy.crl_message_hours < policy.crl_hours:
        raise CharterRefused("revocation-message-hours is the longer limit, and shorter than revocation-hours")
    if not policy.gateway_url.startswith("https://"):
        raise CharterRefused("the gateway's url begins with https://")
    _check_keys(policy)
    defined = {name for name, _ in policy.roles}
    for organisation in policy.organisations:
        if not organisation.roles <= defined:
            raise CharterRefused(f"{organisation.name} may grant a role that the charter does not define")
        if not organisation.home and not organisation.until:
            raise CharterRefused(f"{organisation.name} is a partner: its agreement needs an end")
    _check_issuers(policy.organisations)


def _check_keys(policy: Policy) -> None:
    """Every key is one, and no key has two parts to play."""
    if len(policy.gateway_key) != 32 or not policy.tls_keys or any(len(k) != 32 for k in policy.tls_keys):
        raise CharterRefused(
            "the gateway's key and the hashes of its TLS keys have 32 bytes, and there is one at least"
        )
    if policy.quorum > len(policy.authority_keys):
        raise CharterRefused("the quorum is larger than the number of authority keys")
    try:
        vkeys = [VerifierKey.decode(key) for key in (*policy.authority_keys, policy.log_key)]
        publics = [Ed25519Verifier(vkey).key.public_key for vkey in vkeys]
    except TlogError as error:
        raise CharterRefused(f"authority keys and the log's are C2SP verifier keys of type Ed25519: {error}") from None
    if vkeys[-1].name != policy.log_origin:
        raise CharterRefused("the log's key is named as its origin")
    # One key under two names would reach a quorum of two alone, and an authority key at the gateway would make it one.
    if len({*publics, policy.gateway_key}) != len(publics) + 1 or len({v.name for v in vkeys}) != len(vkeys):
        raise CharterRefused("authorities, log and gateway have each a key of their own, under a name of its own")
    _check_log(policy, {*publics, policy.gateway_key})


def _check_log(policy: Policy, taken: set[bytes]) -> None:
    """The log's second key, its witnesses, and the log before it. A log that could cosign for itself would be no witness's."""
    try:
        second = [MlDsa44Verifier(VerifierKey.decode(policy.log_key_pq)).key] if policy.log_key_pq else []
    except TlogError as error:
        raise CharterRefused(f"key-pq is a C2SP verifier key of type ML-DSA-44: {error}") from None
    if any(key.name != policy.log_origin for key in second):
        raise CharterRefused("the log's keys are named as its origin")
    witnesses = _witness_policy(policy.witnesses)
    if not taken.union(key.public_key for key in second).isdisjoint(w.key.public_key for w in witnesses.witnesses):
        raise CharterRefused("a witness has a key of its own, which is no authority's, log's or gateway's")
    if any(witness.key.name == policy.log_origin for witness in witnesses.witnesses):
        raise CharterRefused("a witness is not named as the log is")
    before = policy.predecessor
    if before is not None and (
        before.origin == policy.log_origin or {policy.log_key, policy.log_key_pq} & set(before.keys)
    ):
        raise CharterRefused("a log that takes another's place has an origin and keys of its own")


def _witness_policy(lines: tuple[str, ...]) -> TrustPolicy:
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


def _check_issuers(organisations: Iterable[Organisation]) -> None:
    """Two registrars and two people at least, each with a root above, and nobody's key or id twice in the charter."""
    keys: list[bytes] = []
    devices: list[bytes] = []
    for organisation in organisations:
        try:
            registrars = [organisation.issuers.verify_registrar(der) for der in organisation.registrars]
            keys += [read_root(organisation.root), *(r.public_key for r in registrars)]
        except KeysError as error:
            raise CharterRefused(f"{organisation.name}: {error}") from None
        devices += [r.device for r in registrars]
        if len({r.person for r in registrars}) < 2:
            raise CharterRefused(
                f"{organisation.name} needs two registrars who are two people: one lost key must not stop revocation"
            )
    if len(set(keys)) != len(keys) or len(set(devices)) != len(devices):
        raise CharterRefused("each root and each registrar has a key and an id of its own")


def _unique(names: list[str], what: str) -> None:
    if not names or len(set(names)) != len(names):
        raise CharterRefused(f"a charter has at least one {what}, and each has a name of its own")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f'"{b64encode(value).decode()}"'
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis // 1000, tz=UTC)


def _section(head: str, values: Mapping[str, object]) -> str:
    return "\n".join([head, *(f"{key} = {_toml(value)}" for key, value in values.items())]) + "\n"


def render(policy: Policy) -> bytes:
    """Write a policy as the text that is signed. `parse(render(policy)) == policy`, times being in whole seconds."""
    p = policy
    parts = [
        _section(
            "# The charter of a mission. Its authority keys sign exactly these bytes.",
            {
                "mission": p.mission,
                "version": p.version,
                "not-after": _moment(p.not_after),
                "auditors": p.auditors,
                "witnesses": p.witnesses,
            },
        ),
        _section("[authority]", {"quorum": p.quorum, "keys": p.authority_keys}),
        _section("[log]", _log_values(p)),
        _section("[gateway]", {"url": p.gateway_url, "key": p.gateway_key, "tls-keys": p.tls_keys}),
        _section(
            "[rules]",
            {
                "revocation-hours": p.crl_hours,
                "revocation-message-hours": p.crl_message_hours,
            },
        ),
        _section(
            "[alerts]",
            {
                "distinct": p.alert_distinct,
                "deadline-seconds": p.alert_deadline_seconds,
                "break-glass": p.break_glass,
                "review-hours": p.alert_review_hours,
            },
        ),
    ]
    if (p.sos_roads_seconds, p.sos_repeat_seconds) != (ROADS_AFTER, REPEAT):
        values = {"roads-after-seconds": p.sos_roads_seconds, "repeat-seconds": p.sos_repeat_seconds}
        parts.append(_section("[sos]", values))
    if p.predecessor is not None:
        parts.append(_section("[predecessor]", _predecessor_values(p.predecessor)))
    if p.disclosure_quorum != QUORUM:
        parts.append(_section("[disclosure]", {"quorum": p.disclosure_quorum}))
    parts += [_section("[[organisation]]", _organisation_values(o)) for o in p.organisations]
    parts += [_section("[[class]]", _class_values(c)) for c in p.classes]
    parts += [_section("[[role]]", {"name": name, "verbs": sorted(verbs)}) for name, verbs in p.roles]
    return "\n".join(parts).encode()


def _log_values(p: Policy) -> Mapping[str, object]:
    values = {"origin": p.log_origin, "key": p.log_key}
    return values | {"key-pq": p.log_key_pq} if p.log_key_pq else values


def _predecessor_values(p: Predecessor) -> Mapping[str, object]:
    return {"origin": p.origin, "keys": p.keys, "size": p.size, "root": p.root, "kept": p.kept}


def _organisation_values(o: Organisation) -> Mapping[str, object]:
    return {
        "name": o.name,
        "home": o.home,
        "root": o.root,
        "registrars": o.registrars,
        "roles": sorted(o.roles),
        "ceiling": o.ceiling.label,
        "until": _moment(o.until),
        "agreement": o.agreement,
        "drills": o.drills,
    }


def _class_values(c: ChannelClass) -> Mapping[str, object]:
    return {
        "name": c.name,
        "suite": c.suite,
        "ceiling": c.ceiling.label,
        "alerts": c.alerts,
        "receipts": c.receipts,
        "retention-days": c.retention_days,
        "grace-seconds": c.grace_seconds,
    }


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
