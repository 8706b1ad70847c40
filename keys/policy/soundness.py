"""What no single field of a policy can say: names that are given once, keys with one part to play, quorums that can be reached."""

from collections.abc import Iterable

from keys.credential import read_root
from keys.errors import CharterRefused, KeysError
from keys.policy.values import Organisation, Policy, read_witnesses
from keys.tlog.cosignature import MlDsa44Verifier
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Verifier, VerifierKey


def check_whole(policy: Policy) -> None:
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
    witnesses = read_witnesses(policy.witnesses)
    if not taken.union(key.public_key for key in second).isdisjoint(w.key.public_key for w in witnesses.witnesses):
        raise CharterRefused("a witness has a key of its own, which is no authority's, log's or gateway's")
    if any(witness.key.name == policy.log_origin for witness in witnesses.witnesses):
        raise CharterRefused("a witness is not named as the log is")
    before = policy.predecessor
    if before is not None and (
        before.origin == policy.log_origin or {policy.log_key, policy.log_key_pq} & set(before.keys)
    ):
        raise CharterRefused("a log that takes another's place has an origin and keys of its own")


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
