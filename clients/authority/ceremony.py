"""The founding of a mission and the change of its charter, as values: no file, no clock.

    found_mission(request, plan, …)   the gateway's request and what the founders decided  →  Founding: all keys, and the charter
    propose(policy, …)                the charter in force, changed                        →  the text of version n+1
    signed_by(note, policy)           which of these authorities have signed it so far

What a quorum of authority keys has not signed is a proposal and nothing more; `keys.charter` decides what follows what.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Final

from clients.authority.house import DAY, House, OrganisationFile, found_house
from keys.charter import Charter, found, sign
from keys.envelope import Marking
from keys.errors import CharterRefused
from keys.identity import Random
from keys.policy import DEFAULT_CLASSES, DEFAULT_ROLES, Distinct, Organisation, Policy, parse, render
from keys.request import GatewayRequest
from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Signer, Ed25519Verifier, Note, VerifierKey
from keys.tlog.policy import TrustPolicy
from keys.tlog.succession import Predecessor

HOME_ROLES: Final = frozenset({"agent", "auditor", "leader", "officer"})
CHARTER_LIFE: Final = 365 * DAY
REVOCATION_HOURS: Final = 24
REVOCATION_MESSAGE_HOURS: Final = 72


@dataclass(frozen=True, slots=True)
class Plan:
    """What the founders decide. `not_after` in ms."""

    mission: str
    organisation: str
    quorum: int = 2
    authorities: int = 3
    not_after: int = 0
    auditors: tuple[str, ...] = ()
    break_glass: bool = True
    distinct: Distinct = Distinct.PERSON
    deadline_seconds: int = 300
    review_hours: int = 24


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority key: its name as on the signature line, and its seed."""

    name: str
    seed: bytes

    @property
    def signer(self) -> Ed25519Signer:
        return Ed25519Signer.from_seed(self.name, self.seed)


@dataclass(frozen=True, slots=True)
class Founding:
    """Everything that a founding makes."""

    charter: Charter
    home: House
    authorities: tuple[Authority, ...]


def found_mission(request: GatewayRequest, plan: Plan, now: int, random: Random) -> Founding:
    """Make the keys of a mission and its first charter, signed by a quorum. `now` in ms.

    Raises:
        CharterRefused: the plan can't be a charter: a quorum that can't be reached, names that can't be shown, no time left.
    """
    if request.ended is not None:
        raise CharterRefused(
            "this gateway's log takes the place of another: put it into that mission's charter with `charter propose --gateway`"
        )
    if plan.not_after <= now:
        raise CharterRefused("the charter would have ended before it began")
    if not 1 <= plan.quorum <= plan.authorities <= 32:
        raise CharterRefused(f"a quorum of {plan.quorum} can't be reached with {plan.authorities} authority keys")
    home = found_house(plan.organisation, now, random)
    house_name = key_name(plan.organisation)
    authorities = tuple(Authority(f"authority-{n}.{house_name}", random(32)) for n in range(1, plan.authorities + 1))
    text = render(_first_policy(request, plan, home, authorities))
    return Founding(found(sign(text, [a.signer for a in authorities[: plan.quorum]])), home, authorities)


def key_name(name: str) -> str:
    """A name as it may stand in that of a key: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "mission"


def _first_policy(request: GatewayRequest, plan: Plan, home: House, authorities: Sequence[Authority]) -> Policy:
    return Policy(
        mission=plan.mission,
        version=1,
        not_after=plan.not_after // 1000 * 1000,
        authority_keys=tuple(a.signer.verifier_key.encode() for a in authorities),
        quorum=plan.quorum,
        log_origin=request.origin,
        log_key=request.log_key,
        gateway_key=request.gateway_key,
        gateway_url=request.url,
        tls_keys=tuple(request.tls_keys),
        crl_hours=REVOCATION_HOURS,
        crl_message_hours=REVOCATION_MESSAGE_HOURS,
        break_glass=plan.break_glass,
        organisations=(
            Organisation(
                name=plan.organisation,
                home=True,
                root=home.root_der,
                registrars=tuple(r.der for r in home.registrars),
                roles=HOME_ROLES,
                ceiling=Marking.RED,
                until=0,
            ),
        ),
        classes=DEFAULT_CLASSES,
        roles=DEFAULT_ROLES,
        auditors=plan.auditors,
        witnesses=(),
        alert_distinct=plan.distinct,
        alert_deadline_seconds=plan.deadline_seconds,
        alert_review_hours=plan.review_hours,
        log_key_pq=request.log_key_pq,
    )


# --- the next version ---


def propose(policy: Policy, *, version: int, not_after: int | None = None) -> Policy:
    """The policy as version `version`, with another end if one is given. Raises CharterRefused."""
    changed = replace(policy, version=version, not_after=policy.not_after if not_after is None else not_after)
    return parse(render(changed))


def with_partner(
    policy: Policy,
    partner: OrganisationFile,
    ceiling: Marking,
    until: int,
    roles: Iterable[str],
    agreement: str = "",
    *,
    drills: bool = False,
) -> Policy:
    """The policy with a partner more, or with a new agreement for one that it names already (same root). `until` in ms;
    `agreement` is what people call it, `drills` whether the partner takes part in exercises.

    Raises:
        CharterRefused: a role that the charter doesn't define, no such ceiling for partners, the home organisation's name, or
            another root under a name that is taken.
    """
    if ceiling >= Marking.AMBER_STRICT:
        raise CharterRefused(f"{ceiling.label} stays within one organisation: a partner's ceiling is TLP:AMBER at most")
    known = next((o for o in policy.organisations if o.name == partner.name), None)
    if known is not None and (known.home or known.root != partner.root):
        raise CharterRefused(f"the charter names another organisation {partner.name}")
    agreed = Organisation(
        name=partner.name,
        home=False,
        root=partner.root,
        registrars=tuple(partner.registrars),
        roles=frozenset(roles),
        ceiling=ceiling,
        until=until // 1000 * 1000,
        agreement=agreement,
        drills=drills,
    )
    others = tuple(o for o in policy.organisations if o.name != partner.name)
    return parse(render(replace(policy, organisations=(*others, agreed))))


def without_partner(policy: Policy, name: str) -> Policy:
    """The policy without a partner. Raises CharterRefused when it names none such."""
    if policy.organisation(name).home:
        raise CharterRefused(f"{name} is the mission's home and stays")
    return parse(render(replace(policy, organisations=tuple(o for o in policy.organisations if o.name != name))))


def with_witnesses(policy: Policy, file: bytes) -> Policy:
    """The policy with the witnesses and the quorum of a C2SP tlog-policy; a `log` line in it has to be this mission's log.

    Raises:
        CharterRefused: not a tlog-policy, or of another log.
    """
    try:
        given = TrustPolicy.decode(file)
    except TlogError as error:
        raise CharterRefused(f"witnesses: {error}") from None
    if any(log.key.encode() not in (policy.log_key, policy.log_key_pq) for log in given.logs):
        raise CharterRefused("witnesses: this tlog-policy is about another log")
    try:
        lines = tuple(replace(given, logs=()).encode().decode().split("\n")[:-1])
    except UnicodeDecodeError:
        raise CharterRefused("witnesses: names in a charter are UTF-8") from None
    return parse(render(replace(policy, witnesses=lines if given.witnesses else ())))


def with_log(policy: Policy, request: GatewayRequest) -> Policy:
    """The policy with another gateway and log, in the place of a log that could not go on.

    Raises:
        CharterRefused: the request names no such log, or its newest checkpoint is not one that the old log's key has signed.
    """
    if request.ended is None:
        raise CharterRefused("this gateway.request is a new mission's: make it with `outrider-gateway init --succeeds`")
    verifiers = [Ed25519Verifier(VerifierKey.decode(policy.log_key))]
    try:
        ended = open_checkpoint(request.ended.checkpoint, verifiers, policy.log_origin)
        keys = tuple(key for key in (policy.log_key, policy.log_key_pq) if key)
        before = Predecessor(ended.origin, keys, ended.size, ended.root, request.ended.kept)
    except TlogError as error:
        raise CharterRefused(f"the log that ended: {error}") from None
    changed = replace(
        policy,
        log_origin=request.origin,
        log_key=request.log_key,
        log_key_pq=request.log_key_pq,
        gateway_key=request.gateway_key,
        gateway_url=request.url,
        tls_keys=tuple(request.tls_keys),
        predecessor=before,
    )
    return parse(render(changed))


def read_proposal(data: bytes) -> tuple[Policy, bytes | None]:
    """A policy from a file: a proposal's bare text, or a note with signatures (given back to be added to).

    Raises:
        CharterRefused: neither.
    """
    try:
        note = Note.decode(data)
    except TlogError:
        return parse(data), None
    return parse(note.text.encode()), data


def text_of(data: bytes) -> bytes:
    """The text that the authorities sign: a note's, or the data itself."""
    try:
        return Note.decode(data).text.encode()
    except TlogError:
        return data


def signed_by(note: bytes, policy: Policy) -> tuple[str, ...]:
    """The names of `policy`'s authority keys whose signatures under this note hold."""
    try:
        decoded = Note.decode(note)
    except TlogError:
        return ()
    names = []
    for verifier in (Ed25519Verifier(VerifierKey.decode(key)) for key in policy.authority_keys):
        lines = [s for s in decoded.signatures if (s.name, s.key_id) == (verifier.name, verifier.key_id)]
        if lines and all(_holds(verifier, decoded.text, line.signature) for line in lines):
            names.append(verifier.name)
    return tuple(names)


def _holds(verifier: Ed25519Verifier, text: str, signature: bytes) -> bool:
    try:
        verifier.verify(text, signature)
    except TlogError:
        return False
    return True


def changes(before: Policy, after: Policy) -> list[str]:
    """What a successor changes, a line each, for who is to sign it."""
    old, new = (render(replace(p, version=1)).decode().splitlines() for p in (before, after))
    return [line for line in unified_diff(old, new, n=0, lineterm="") if not line.startswith(("---", "+++", "@@"))]
