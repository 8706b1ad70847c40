"""A charter's text, both ways: `parse` reads it strictly, `render` writes the one form that is signed."""

import tomllib
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from keys.emergency import REPEAT, ROADS_AFTER
from keys.errors import CharterRefused
from keys.policy.soundness import check_whole
from keys.policy.table import Table
from keys.policy.values import QUORUM, SUITES, ChannelClass, Organisation, Policy, Verb
from keys.profile import is_role_name
from keys.tlog.errors import TlogError
from keys.tlog.merkle import MAX_SIZE
from keys.tlog.succession import Predecessor

POLICY_LIMIT: Final = 40 * 1024  # with its signatures it has to fit into one frame of the protocol


def _organisation(table: Table) -> Organisation:
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


def _channel_class(table: Table) -> ChannelClass:
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


def _predecessor(table: Table) -> Predecessor:
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


def _role(table: Table) -> tuple[str, frozenset[Verb]]:
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
        top = Table(tomllib.loads(text.decode("utf-8")), "charter")
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
    check_whole(policy)
    return policy


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
