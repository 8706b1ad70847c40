"""Coming into a channel: a Welcome, the ratchet tree as the gateway names it, and everything checked before anything is kept.

The Welcome's GroupInfo fixes the tree by its hash, so another tree does not fit. Every leaf in it must have a certificate that
counts, the terms must be ones the charter has, and whoever added this device must have a role that may. What does not hold
leaves no trace but an alarm.
"""

from clients.core import outbox, records
from clients.core.commits import Wanting, Work, begin
from clients.core.content import Cards, encode_content
from clients.core.groups import LIMITS, check_terms, may_join, seats, terms_of
from clients.core.ledger import at
from clients.core.outbox import Kept
from clients.core.packages import used
from clients.core.records import AlarmKind, Channel, Fate, Joining, Line, Package
from clients.core.trust import certificate_of
from clients.core.turn import Moved
from gateway.wire import Place
from keys.envelope import Kind, Precedence
from keys.errors import KeysError
from keys.mls.errors import MLSError
from keys.mls.group import Group
from keys.mls.keypackages import KeyPackageSecrets
from keys.mls.messages import KeyPackage
from keys.mls.received import peek
from keys.mls.suites import cipher_suite
from keys.mls.tree import Tree
from keys.mls.welcoming import open_welcome
from keys.policy import Verb


class NotJoined(Exception):
    """The Welcome or its tree does not hold; the text says why."""


def certificates_in(suite_id: int, tree: bytes) -> list[bytes]:
    """The certificates of a tree's leaves. Raises NotJoined where it is no tree."""
    try:
        return [certificate_of(leaf.credential) for _, leaf in Tree.decode(cipher_suite(suite_id), tree).members()]
    except MLSError as error:
        raise NotJoined(f"the ratchet tree can't be read: {error}") from None


def join(work: Work, channel: bytes, joining: Joining, welcome: bytes, tree: bytes) -> None:
    """Use a Welcome.

    Raises:
        Wanting: certificates of members have to be fetched first.
        NotJoined: something does not hold.
    """
    turn = work.turn
    key, package = _package(work, welcome)
    missing = work.trust.missing(certificates_in(package.suite, tree))
    if missing:
        if fetchable := [c for c in missing if c not in work.given_up]:
            raise Wanting(fetchable)
        raise NotJoined(f"{len(missing)} members have no certificate that counts")
    try:
        group = _open(work, welcome, tree, package)
        state = _checked(work, channel, joining, group)
        _check_adder(work, group, welcome, package)
    except (MLSError, KeysError) as error:
        raise NotJoined(f"{type(error).__name__}: {error}") from None
    forget(work, channel)
    records.CHANNELS.put(turn.draft, channel, state)
    place = Place(joining.seq, 0, turn.now, bytes(16))
    base = Line(0, turn.now, bytes(16), b"", b"", joining.rolling, Fate.OWN)
    records.LINES.put(turn.draft, at(channel, joining.seq), base)
    work.groups.put(channel, group)
    begin(work, channel, group, place, removed=False)
    used(turn, key, package)
    records.JOINING.delete(turn.draft, channel)
    for body in (joining.welcome, joining.tree):
        records.FETCHED.delete(turn.draft, body)
    turn.events.append(Moved(channel))
    _say_who(work, channel, state)


def _package(work: Work, welcome: bytes) -> tuple[bytes, Package]:
    """The KeyPackage of this device that the Welcome was made for."""
    try:
        refs = peek(welcome).key_package_refs
    except MLSError as error:
        raise NotJoined(f"no Welcome: {error}") from None
    for ref in refs:
        package = records.PACKAGES.get(work.turn.draft, ref)
        if package is not None:
            return ref, package
    raise NotJoined("this Welcome was made for none of this device's KeyPackages")


def _open(work: Work, welcome: bytes, tree: bytes, package: Package) -> Group:
    return Group.join(
        welcome,
        KeyPackage.decode(package.package),
        KeyPackageSecrets.decode(package.secrets),
        work.turn.key_of(package.certificate).seed,
        work.trust,
        ratchet_tree=tree,
        limits=LIMITS,
    )


def _checked(work: Work, channel: bytes, joining: Joining, group: Group) -> Channel:
    """The channel is the one named, at the epoch named, on terms that the charter has and this organisation may see."""
    if (group.group_id, group.epoch) != (channel, joining.epoch):
        raise NotJoined("this Welcome is for another channel or epoch")
    terms = terms_of(group)
    check_terms(work.turn.charter.policy, terms, group.suite.id)
    if not may_join(work.turn, work.turn.me.organisation, terms.ceiling):
        raise NotJoined(f"this organisation may not see {terms.ceiling.label}")
    devices = [s.device for s in seats(group, work.trust).seats]
    if len(set(devices)) != len(devices):
        raise NotJoined("a device has two leaves")
    before = records.CHANNELS.get(work.turn.draft, channel)
    return Channel(
        terms.channel_class,
        terms.ceiling,
        group.suite.id,
        since=joining.seq,
        seq=joining.seq,
        rolling=joining.rolling,
        head=joining.seq,
        epoch=group.epoch,
        left=0,
        halted="",
        purpose=before.purpose if before else "",
        beside=terms.beside or b"",
    )


def _check_adder(work: Work, group: Group, welcome: bytes, package: Package) -> None:
    """Whoever signed the GroupInfo made the commit: its certificate must let it add."""
    decoded, secrets = KeyPackage.decode(package.package), KeyPackageSecrets.decode(package.secrets)
    signer = open_welcome(group.suite, welcome, decoded, secrets, {}).info.signer
    seat = next((s for s in seats(group, work.trust).seats if s.leaf == signer), None)
    adder = work.trust.certified(seat.certificate) if seat else None
    if adder is None or not work.turn.charter.policy.permits(adder.roles, Verb.ADD):
        raise NotJoined("whoever added this device has no role that may")


def forget(work: Work, channel: bytes) -> None:
    """What was known of an earlier stay: others' chains went on meanwhile, and a commit of this device's own that was under way then is
    merged into nothing, whatever became of it."""
    draft = work.turn.draft
    for shelf in (
        records.CHAINS,
        records.CLAIMS,
        records.AHEAD,
        records.ROSTERS,
        records.EPOCHS,
        records.CONFIRMED,
    ):
        for key, _ in list(shelf.scan(draft, channel)):
            shelf.delete(draft, key)
    records.GIVEN.delete(draft, channel)
    records.PENDING.delete(draft, channel)
    work.groups.drop(draft, channel)


def _say_who(work: Work, channel: bytes, state: Channel) -> None:
    """A joiner's own card, so that the others see a name."""
    turn = work.turn
    if turn.me.card and turn.charter.policy.permits(turn.me.roles, Verb.SEND):
        content = encode_content(Cards([turn.me.card]))
        outbox.keep(turn, Kept(channel, Kind.APPLICATION, content, Precedence.PRIORITY, state.ceiling))


def failed(work: Work, channel: bytes, joining: Joining, why: str) -> None:
    """The Welcome is put aside: nothing of it was kept, and the next session names it again."""
    work.turn.alarm(AlarmKind.TREE, why, channel=channel, seq=joining.seq, halts=True)
    records.JOINING.delete(work.turn.draft, channel)
    for body in (joining.welcome, joining.tree):
        records.FETCHED.delete(work.turn.draft, body)
