"""KeyPackages of this device: a stock of one-time ones and one of last resort for each cipher suite that a class uses.

The secrets stand on the ledger before the package goes out, and the init key goes once a Welcome was opened with it
(RFC 9420 section 10); a last-resort one is made anew after use.
"""

from typing import Final

from msgspec.structs import replace

from clients.core import records
from clients.core.records import Package
from clients.core.turn import DAY, Turn
from gateway import wire
from keys.body import TERMS_EXTENSION
from keys.mls.keypackages import new_key_package
from keys.mls.nodes import LAST_RESORT, MLS10, X509, Capabilities, Credential
from keys.mls.suites import CipherSuite, cipher_suite

STOCK: Final = 20
LOW: Final = 8
LIFE: Final = 28 * DAY // 1000  # s
MARGIN: Final = 3600  # s, for clocks that are behind
KEPT: Final = 3 * DAY // 1000  # s after its end: for who was added before it and was away, or has a clock that is ahead
AT_ONCE: Final = 10  # in one frame: a hybrid package has some 3.3 kB


def capabilities(suite: CipherSuite) -> Capabilities:
    """What this program's leaves list: one suite, the terms of channels, X.509."""
    return Capabilities(
        versions=(MLS10,),
        cipher_suites=(suite.id,),
        extensions=tuple(sorted((TERMS_EXTENSION, LAST_RESORT))),
        proposals=(),
        credentials=(X509,),
    )


def lifetime(turn: Turn) -> tuple[int, int]:
    """(not before, not after) in seconds, within the certificate's own life."""
    now = turn.now // 1000
    return now - MARGIN, min(now + LIFE, turn.me.not_after // 1000)


def restock(turn: Turn, suite_id: int, *, wanted: int = STOCK, most: int = AT_ONCE) -> wire.PutKeyPackages | None:
    """Make what is missing of a suite, and the frame (its id still 0) that puts what is not put yet, at most `most` of them;
    None where all is."""
    now = turn.now // 1000
    held = [(k, p) for k, p in records.PACKAGES.scan(turn.draft) if p.suite == suite_id]
    for key, package in held:
        if package.not_after + KEPT < now and not package.last_resort:
            records.PACKAGES.delete(turn.draft, key)
    _, end = lifetime(turn)
    until = min(now + DAY // 1000, end)  # no longer than one made now would be: a certificate may end within the day
    alive = [
        (k, p) for k, p in held if p.not_after >= until and p.certificate == turn.me.certificate_hash and not p.used
    ]
    missing = wanted - sum(not p.last_resort for _, p in alive)
    alive += [_make(turn, suite_id, last_resort=False) for _ in range(min(most, missing))]
    if not any(p.last_resort for _, p in alive):
        alive.append(_make(turn, suite_id, last_resort=True))
    fresh = [p for _, p in alive if not p.put]
    if not fresh:
        return None
    one_time = [p.package for p in fresh if not p.last_resort][:most]
    last = next((p.package for p in fresh if p.last_resort), None)
    return wire.PutKeyPackages(0, suite_id, one_time, last)


def _make(turn: Turn, suite_id: int, *, last_resort: bool) -> tuple[bytes, Package]:
    suite = cipher_suite(suite_id)
    start, end = lifetime(turn)
    package, secrets = new_key_package(
        suite,
        Credential.x509([turn.me.certificate]),
        turn.key_of(turn.me.certificate_hash).seed,
        not_before=start,
        not_after=end,
        random=turn.random,
        last_resort=last_resort,
        capabilities=capabilities(suite),
    )
    record = Package(
        suite_id, package.encode(), secrets.encode(), turn.me.certificate_hash, last_resort, end, put=False, used=False
    )
    key = package.ref(suite)
    records.PACKAGES.put(turn.draft, key, record)
    return key, record


def were_put(turn: Turn, frame: wire.PutKeyPackages) -> None:
    """The gateway has them."""
    put = {*frame.packages, frame.last_resort}
    for key, record in list(records.PACKAGES.scan(turn.draft)):
        if record.package in put:
            records.PACKAGES.put(turn.draft, key, replace(record, put=True))


def used(turn: Turn, key: bytes, record: Package) -> None:
    """A Welcome was opened with it. The secrets of a one-time package go at once; a last-resort one is replaced soon: it
    counts as not held any more, and goes when its time has run out."""
    if record.last_resort:
        records.PACKAGES.put(turn.draft, key, replace(record, used=True))
    else:
        records.PACKAGES.delete(turn.draft, key)


def forget_put(turn: Turn) -> None:
    """The gateway runs low: one-time packages that it had have been handed out, so others are made in their place.

    Their secrets stay until a Welcome comes or their time is over.
    """
    for key, record in list(records.PACKAGES.scan(turn.draft)):
        if record.put and not record.last_resort:
            records.PACKAGES.put(turn.draft, key, replace(record, used=True))
