"""A charter for people, and as one JSON object."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

from clients.core.text import visible
from clients.moments import iso
from clients.shell import table
from keys.identity import words
from keys.policy import ChannelClass, Organisation, Policy
from keys.tlog.succession import Predecessor


def charter_words(text: bytes) -> str:
    """What two people compare by voice to know that they hold the same charter."""
    return words(sha256(b"Outrider 1 charter words" + text).digest())


def as_object(policy: Policy, text: bytes, signers: Sequence[str]) -> dict[str, object]:
    """The charter as `--json` prints it; keys and certificates as hex or as their C2SP lines."""
    return {
        "mission": policy.mission,
        "version": policy.version,
        "not_after": iso(policy.not_after),
        "hash": sha256(text).hexdigest(),
        "words": charter_words(text),
        "quorum": policy.quorum,
        "authority_keys": list(policy.authority_keys),
        "signed_by": list(signers),
        "complete": len(signers) >= policy.quorum,
        "log_origin": policy.log_origin,
        "log_key": policy.log_key,
        "log_key_pq": policy.log_key_pq or None,
        "predecessor": None if policy.predecessor is None else _predecessor_object(policy.predecessor),
        "gateway_url": policy.gateway_url,
        "gateway_key": policy.gateway_key.hex(),
        "tls_keys": [key.hex() for key in policy.tls_keys],
        "revocation_hours": policy.crl_hours,
        "revocation_message_hours": policy.crl_message_hours,
        "break_glass": policy.break_glass,
        "alert_distinct": policy.alert_distinct.value,
        "alert_deadline_seconds": policy.alert_deadline_seconds,
        "alert_review_hours": policy.alert_review_hours,
        "organisations": [organisation_object(o) for o in policy.organisations],
        "classes": [_class_object(c) for c in policy.classes],
        "roles": [{"name": name, "verbs": sorted(verbs)} for name, verbs in policy.roles],
        "auditors": list(policy.auditors),
        "witnesses": list(policy.witnesses),
    }


def _predecessor_object(before: Predecessor) -> dict[str, object]:
    return {
        "origin": before.origin,
        "keys": list(before.keys),
        "size": before.size,
        "root": b64encode(before.root).decode(),
        "kept": before.kept,
    }


def organisation_object(organisation: Organisation) -> dict[str, object]:
    """An organisation as `--json` prints it."""
    registrars = [organisation.issuers.verify_registrar(der) for der in organisation.registrars]
    return {
        "name": organisation.name,
        "home": organisation.home,
        "ceiling": organisation.ceiling.label,
        "until": None if organisation.home else iso(organisation.until),
        "agreement": organisation.agreement or None,
        "drills": organisation.home or organisation.drills,
        "roles": sorted(organisation.roles),
        "root": sha256(organisation.root).hexdigest(),
        "registrars": [r.device.hex() for r in registrars],
    }


def _class_object(kind: ChannelClass) -> dict[str, object]:
    return {
        "name": kind.name,
        "suite": kind.suite,
        "ceiling": kind.ceiling.label,
        "alerts": kind.alerts,
        "receipts": kind.receipts,
        "retention_days": kind.retention_days,
        "grace_seconds": kind.grace_seconds,
    }


def as_lines(policy: Policy, text: bytes, signers: Sequence[str]) -> list[str]:
    """The charter in a screenful."""
    missing = policy.quorum - len(signers)
    signed = f"signed by {', '.join(signers) or 'nobody'} (quorum {policy.quorum} of {len(policy.authority_keys)})"
    lines = [
        f"{visible(policy.mission)}, charter version {policy.version}, in force until {iso(policy.not_after)}",
        f"words    {charter_words(text)}",
        f"signed   {signed}" + (f": {missing} more needed" if missing > 0 else ""),
        f"gateway  {visible(policy.gateway_url)}",
        f"log      {policy.log_key}",
        *([f"         and ML-DSA-44 {policy.log_key_pq.split('+')[1]}"] if policy.log_key_pq else []),
        *_before(policy.predecessor),
        f"witness  {_witnesses(policy)}",
        f"rules    revocation lists at most {policy.crl_hours} h old, for messages {policy.crl_message_hours} h",
        f"alerts   by two of another {policy.alert_distinct.value} within {policy.alert_deadline_seconds} s; one officer alone may "
        + (f"send one, reviewed within {policy.alert_review_hours} h" if policy.break_glass else "not send one"),
        f"auditors {', '.join(map(visible, policy.auditors)) or 'none named'}",
        "organisations",
    ]
    lines += [f"  {line}" for line in table(map(organisation_row, policy.organisations))]
    lines += ["classes", *(f"  {line}" for line in table(map(_class_row, policy.classes)))]
    lines += ["roles", *(f"  {line}" for line in table((n, ", ".join(sorted(v))) for n, v in policy.roles))]
    return lines


def _before(before: Predecessor | None) -> list[str]:
    if before is None:
        return []
    lost = f"; entries {before.kept} to {before.size - 1} are lost" if before.missing else ""
    return [f"         takes the place of {visible(before.origin)}, which ended with {before.size} entries{lost}"]


def _witnesses(policy: Policy) -> str:
    given = policy.witness_policy
    if not given.witnesses:
        return "none named"
    return f"{', '.join(visible(w.name) for w in given.witnesses)}; quorum {visible(given.quorum)}"


def organisation_row(o: Organisation) -> tuple[str, ...]:
    """An organisation as a row of a table."""
    agreed = f"{visible(o.agreement)} " if o.agreement else ""
    end = "home" if o.home else f"{agreed}until {iso(o.until)}" + (", drills" if o.drills else "")
    return visible(o.name), o.ceiling.label, end, f"grants {', '.join(sorted(o.roles))}"


def _class_row(c: ChannelClass) -> tuple[str, ...]:
    kind = "alerts" if c.alerts else "talk"
    return (
        c.name,
        c.ceiling.label,
        kind,
        f"suite {c.suite:#06x}",
        f"receipts {c.receipts}",
        f"kept {c.retention_days} days",
    )
