"""Requests to see one message, as this device knows them: asked by an auditor, voted on, answered by who was there.

    ask        an auditor's device asks; the key to which the answer is sealed is made for this request and kept here
    take       what the control channel tells: each request, vote and answer is checked by its author's certificate and role
    vote       somebody who may agrees, or does not
    disclose   a participant's device opens the message for the auditor alone, once it has itself counted enough votes
    refuse     or it will not

Who takes part without being an officer (the participants of the message) is told as well, and counts the votes on its own: no
gateway can make it open a message that nobody has agreed to. Votes by the message's author count nowhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from msgspec import structs

from clients.core import outbox, records
from clients.core.commits import Work, named_author
from clients.core.errors import NotAllowed, NotNow, Unknown
from clients.core.ledger import View, at
from clients.core.outbox import Kept
from clients.core.records import AlarmKind, Asked, Message, Note
from clients.core.turn import Moved, Turn
from gateway.wire import Place, Placed
from keys.canonical import encode, reader
from keys.credential import Certified
from keys.disclosure import (
    KINDS,
    Ballot,
    Disclosure,
    Package,
    Request,
    Vote,
    Why,
    ask,
    open_sealed,
    open_why,
    read_disclosure,
    read_request,
    read_vote,
    seal_package,
)
from keys.envelope import Claimed, Entry, Envelope, Kind, Precedence, read
from keys.errors import KeysError, NotPermitted, NotTrusted
from keys.identity import PersonId, SigningKey
from keys.policy import Verb
from keys.sealing import Sealed

__all__ = ["KINDS", "Case", "find", "known", "own", "request", "take"]

_read_sealed = reader(Sealed, limit=8 * 1024 * 1024)
_READ: Final[dict[Kind, Callable[[bytes], Request | Vote | Disclosure]]] = {
    Kind.DISCLOSURE_REQUEST: read_request,
    Kind.DISCLOSURE_VOTE: read_vote,
    Kind.DISCLOSURE: read_disclosure,
}


@dataclass(frozen=True, slots=True)
class Case:
    """A request as it stands here. `author` is the person whose message it is, zeros where this device does not know."""

    hash: bytes
    asked: Asked
    author: bytes

    @property
    def ballot(self) -> Ballot:
        """The votes that count: never the author's, never that of who asked, one a person."""
        agreed: set[PersonId] = set()
        against: set[PersonId] = set()
        for vote in self.asked.votes:
            if vote.person not in (self.author, self.asked.person):
                (agreed if vote.agrees else against).add(PersonId(vote.person))
        return Ballot(PersonId(self.asked.person), PersonId(self.author), frozenset(agreed), frozenset(against))


# --- what the control channel tells ---


def take(work: Work, placed: Placed, claimed: Claimed, body: bytes) -> None:
    """Keep one envelope about a disclosure; what does not hold is an alarm.

    Raises:
        Wanting: its author's certificate has to be fetched first.
    """
    turn, context = work.turn, claimed.context
    try:
        said = _READ[context.kind](body)
        author = named_author(work, claimed, body, said.certificate)
        _keep(work, said, author, placed, sha256(placed.header).digest())
    except KeysError as error:
        detail = f"{context.kind.name} that does not hold: {error}"
        turn.alarm(AlarmKind.FORGED, detail, seq=placed.place.seq, device=context.device)


def _keep(work: Work, said: Request | Vote | Disclosure, author: Certified, placed: Placed, header_hash: bytes) -> None:
    match said:
        case Request():
            _keep_request(work, said, author, placed, header_hash)
        case Vote():
            _keep_vote(work, said, author, placed)
        case Disclosure():
            _keep_answer(work, said, author, placed)


def _keep_request(work: Work, said: Request, author: Certified, placed: Placed, header_hash: bytes) -> None:
    turn = work.turn
    turn.charter.check_verb(author, Verb.AUDIT)
    why = _why(turn, said)
    asked = Asked(
        said.channel,
        said.seq,
        said.header_hash,
        said.key,
        author.device,
        author.person,
        placed.place.time,
        why.case if why else "",
        why.reason if why else "",
        [],
        [],
    )
    records.DISCLOSURES.put(turn.draft, header_hash, asked)
    turn.events.append(Moved(header_hash))


def _why(turn: Turn, said: Request) -> Why | None:
    """Case and reason, where this device was told them."""
    for _, seed in records.SEEDS.scan(turn.draft):
        try:
            return open_why(said, SigningKey(seed.seed))
        except NotTrusted:
            continue
    return None


def _keep_vote(work: Work, said: Vote, author: Certified, placed: Placed) -> None:
    turn, case = work.turn, _case(work, said.request)
    case.ballot.check_vote(turn.charter, author)
    vote = records.Voted(author.device, author.person, said.agrees, placed.place.time)
    _put(turn, case, structs.replace(case.asked, votes=[*case.asked.votes, vote]))


def _keep_answer(work: Work, said: Disclosure, author: Certified, placed: Placed) -> None:
    turn, case = work.turn, _case(work, said.request)
    if said.package is not None and not case.ballot.agreed_to(turn.charter):
        raise NotPermitted("a disclosure that not enough have agreed to")
    answer = records.Disclosed(author.device, said.package is None, placed.place.time)
    _put(turn, case, structs.replace(case.asked, answers=[*case.asked.answers, answer]))
    if said.package is not None and case.asked.device == turn.me.device:
        records.PACKAGED.put(turn.draft, case.hash, Note(encode(said.package)))


def _case(work: Work, request: bytes) -> Case:
    asked = records.DISCLOSURES.get(work.turn.draft, request)
    if asked is None:
        raise NotTrusted("it is about no request that this device knows")
    return _stands(work, request, asked)


def _stands(work: Work, request: bytes, asked: Asked) -> Case:
    message = records.MESSAGES.get(work.turn.draft, at(asked.channel, asked.seq))
    author = work.trust.certified(message.certificate) if message else None
    return Case(request, asked, author.person if author else bytes(16))


def _put(turn: Turn, case: Case, asked: Asked) -> None:
    records.DISCLOSURES.put(turn.draft, case.hash, asked)
    turn.events.append(Moved(case.hash))


def own(work: Work, kind: Kind, header: bytes, body: bytes, place: Place) -> None:
    """What this device said has its place: it counts here as it does for everybody."""
    said = _READ[kind](body)
    me = work.trust.certified(said.certificate)  # under which it was said; the newest may not be proved yet
    if me is not None:
        placed = Placed(work.turn.charter.control_channel, place, header, b"", None)
        _keep(work, said, me, placed, sha256(header).digest())


# --- what people do ---


def request(work: Work, index: int, entry: Entry, why: Why, voters: Sequence[bytes]) -> bytes:
    """Ask for the message of a log entry; `voters` are the keys of those who may vote. Gives the item. Raises NotAllowed, Malformed."""
    turn = work.turn
    if not turn.charter.policy.audits(turn.me.roles):
        raise NotAllowed("auditors ask for a disclosure; you can prove a message of your own: outrider disclose prove")
    if work.trust.certified(turn.me.certificate_hash) is None:
        raise NotNow("this device's certificate is not proved yet: sync first")
    key = SigningKey.generate(turn.random)
    header_hash = sha256(entry.header).digest()
    nothing = Sealed([], b"")
    bare = Request(turn.me.certificate_hash, entry.channel, entry.seq, index, header_hash, key.public, nothing)
    records.REQUEST_KEYS.put(turn.draft, key.public, records.Seed(key.seed))
    return _say(turn, Kind.DISCLOSURE_REQUEST, encode(ask(bare, why, voters, turn.random)))


def vote(work: Work, wanted: bytes, *, agrees: bool) -> bytes:
    """Agree to a request, or not; gives the item. Raises NotAllowed, NotNow, Unknown."""
    turn, case = work.turn, find(work, wanted)
    me = work.trust.certified(turn.me.certificate_hash)
    if me is None:
        raise NotNow("this device's certificate is not proved yet: sync first")
    if records.OWNED.get(turn.draft, case.asked.header_hash) is not None:
        case = replace(case, author=turn.me.person)
    try:
        case.ballot.check_vote(turn.charter, me)
    except NotPermitted as error:
        raise NotAllowed(str(error)) from None
    return _say(turn, Kind.DISCLOSURE_VOTE, encode(Vote(turn.me.certificate_hash, case.hash, agrees)))


def disclose(work: Work, wanted: bytes, proof: bytes) -> bytes:
    """Open a message for the auditor who asked; `proof` is the tlog-proof of its entry. Gives the item.

    Raises:
        NotAllowed: not enough have agreed.
        Unknown: no such request, or this device does not hold the message.
    """
    turn, case = work.turn, disclosable(work, wanted)
    sealed = seal_package(encode(package(work, case, proof)), case.hash, case.asked.key, turn.random)
    return _say(turn, Kind.DISCLOSURE, encode(Disclosure(turn.me.certificate_hash, case.hash, sealed)))


def disclosable(work: Work, wanted: bytes) -> Case:
    """A request whose message this device holds, and which enough have agreed to. Raises as `disclose`."""
    case = find(work, wanted)
    check_may_answer(work, case)
    if not case.ballot.agreed_to(work.turn.charter):
        quorum = work.turn.charter.policy.disclosure_quorum
        raise NotAllowed(f"{len(case.ballot.agreed)} of {quorum} have agreed to this disclosure")
    return case


def refuse(work: Work, wanted: bytes) -> bytes:
    """Say that this device will not open a message; gives the item. Raises NotNow, Unknown."""
    turn, case = work.turn, find(work, wanted)
    check_may_answer(work, case)
    return _say(turn, Kind.DISCLOSURE, encode(Disclosure(turn.me.certificate_hash, case.hash, None)))


def check_may_answer(work: Work, case: Case) -> None:
    """Raises Unknown where this device holds no such message, NotNow where it has answered."""
    message_of(work.turn.draft, case.asked.channel, case.asked.seq, case.asked.header_hash)
    if any(answer.device == work.turn.me.device for answer in case.asked.answers):
        raise NotNow("this device has answered that request")


def _say(turn: Turn, kind: Kind, body: bytes) -> bytes:
    return outbox.keep(turn, Kept(turn.charter.control_channel, kind, body, Precedence.PRIORITY))


# --- a message and what proves it ---


def message_of(view: View, channel: bytes, seq: int, header_hash: bytes) -> Message:
    """A message as this device holds it, with its salt. Raises Unknown."""
    message = records.MESSAGES.get(view, at(channel, seq))
    if message is None or message.header_hash != header_hash or not message.salt:
        raise Unknown("this device does not hold that message")
    return message


def package(work: Work, case: Case, proof: bytes) -> Package:
    """Everything that shows the message of a request. Raises Unknown."""
    return packaged(work, case.asked.channel, case.asked.seq, case.asked.header_hash, proof)


def packaged(work: Work, channel: bytes, seq: int, header_hash: bytes, proof: bytes) -> Package:
    """Everything that shows one message to whoever trusts the charter. Raises Unknown."""
    view = work.turn.draft
    message = message_of(view, channel, seq, header_hash)
    certified = work.trust.certified(message.certificate)
    if certified is None:
        raise Unknown("its author's certificate is not known here")
    return Package(
        proof,
        encode(entry_of(view, channel, seq)),
        message.salt,
        message.content,
        _links(view, channel, seq),
        certified.der,
    )


def entry_of(view: View, channel: bytes, seq: int) -> Entry:
    """The log's entry of an envelope, as it was delivered here. Raises Unknown."""
    line = records.LINES.get(view, at(channel, seq))
    if line is None or not line.header:
        raise Unknown("this device has not read that channel so far")
    return Entry(1, line.time, line.nonce, channel, seq, line.header, line.signature)


def index_of(view: View, channel: bytes, seq: int) -> int:
    """Its place in the log. Raises Unknown."""
    line = records.LINES.get(view, at(channel, seq))
    if line is None:
        raise Unknown("this device has not read that channel so far")
    return line.index


def _links(view: View, channel: bytes, seq: int) -> list[Envelope]:
    """The author's next envelopes up to the first that is signed; none where this one is."""
    found: list[Envelope] = []
    entry = entry_of(view, channel, seq)
    device = _device(entry)
    while not entry.signature:
        seq += 1
        entry = entry_of(view, channel, seq)  # a run is accepted whole, with nothing of others in it
        if _device(entry) != device:
            raise Unknown("this device has not kept what signs that message")
        found.append(entry.envelope)
    return found


def _device(entry: Entry) -> bytes:
    return read(entry.envelope).context.device


# --- looking ---


def known(work: Work) -> list[Case]:
    """All requests that this device was told of, the oldest first."""
    found = [_stands(work, key, asked) for key, asked in records.DISCLOSURES.scan(work.turn.draft)]
    return sorted(found, key=lambda case: (case.asked.time, case.hash))


def find(work: Work, wanted: bytes) -> Case:
    """The one request whose hash begins so. Raises Unknown."""
    found = [case for case in known(work) if case.hash.startswith(wanted)]
    if len(found) != 1:
        raise Unknown("several requests begin so" if found else "no such request here: outrider disclose list")
    return found[0]


def opened(work: Work, case: Case) -> Package:
    """What was disclosed to this auditor's device. Raises Unknown, NotTrusted."""
    note = records.PACKAGED.get(work.turn.draft, case.hash)
    seed = records.REQUEST_KEYS.get(work.turn.draft, case.asked.key)
    if note is None or seed is None:
        raise Unknown("nothing was disclosed to this device on that request so far")
    return open_sealed(_read_sealed(note.data), case.hash, SigningKey(seed.seed))
