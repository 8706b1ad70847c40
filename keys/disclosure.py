"""One message opened to somebody who was not there, and nothing else: asked for, agreed to, done by a participant, proved.

    Request      an auditor names one envelope; case and reason are sealed to those who vote
    Vote         another person of the mission agrees or not; the author and whoever asked have none
    Disclosure   a participant's device opens it for the auditor alone, once enough have agreed, or refuses
    Package      what the auditor opens: content and salt against the franking tag of a logged entry

Each of the first three is an envelope of the control channel, and names the certificate whose key signs it, since not everybody
who reads it knows its author. The proof rests on the franking tag (HMAC-SHA-256, which commits)
and the author's signature over the header that holds it, through the author's own chain where a run has one signature. It never
rests on an AEAD's ciphertext, which opens under more than one key (Dodis and others, 2018), and a package holds no key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from keys.canonical import Hash, Id, Key, Positive, Record, Uint, encode, reader
from keys.charter import Charter
from keys.credential import Certified
from keys.envelope import ENCRYPTED, RUN_LIMIT, Context, Entry, Envelope, Kind, read, read_entry, verify_run
from keys.errors import BadSignature, Malformed, NotPermitted, NotTrusted
from keys.franking import franking_tag
from keys.identity import PersonId, Random, SigningKey
from keys.policy import Verb
from keys.sealing import Sealed, open_for, seal_for
from keys.tlog.checkpoint import Checkpoint
from keys.tlog.errors import TlogError
from keys.tlog.merkle import leaf_hash
from keys.tlog.note import NoteVerifier
from keys.tlog.proof import TlogProof

WHY: Final = "disclosure reason"  # purposes of sealed words
PACKAGE: Final = "disclosure package"
CONTENT_LIMIT: Final = 4 * 1024 * 1024


class Why(Record, frozen=True, array_like=True):
    """Why somebody asks: the auditor's case, and the reason in words."""

    case: Annotated[str, Meta(min_length=1, max_length=100)]
    reason: Annotated[str, Meta(min_length=1, max_length=400)]


class Request(Record, frozen=True, array_like=True):
    """An auditor asks for the envelope at `seq` of `channel`, log entry `index`, by the hash of its header.

    `key` is an Ed25519 key made for this request: whoever discloses seals to it. `why` is sealed to those who vote.
    """

    certificate: Hash
    channel: Id
    seq: Positive
    index: Uint
    header_hash: Hash
    key: Key
    why: Sealed

    @property
    def subject(self) -> bytes:
        """What `why` is bound to."""
        return self.channel + self.seq.to_bytes(8, "big") + self.index.to_bytes(8, "big") + self.header_hash + self.key


class Vote(Record, frozen=True, array_like=True):
    """`request` is the header hash of a DISCLOSURE_REQUEST."""

    certificate: Hash
    request: Hash
    agrees: bool


class Disclosure(Record, frozen=True, array_like=True):
    """A participant's answer: a `Package` sealed to the request's key, or None: it will not."""

    certificate: Hash
    request: Hash
    package: Sealed | None


class Package(Record, frozen=True, array_like=True):
    """Everything that shows one message to a third party who trusts the charter and the log's key.

    `proof` is a tlog-proof of `entry`; `links` are the author's next envelopes in that channel up to the first that is signed, as
    header and signature: none where the entry's own is. `certificate` is the DER whose key signed.
    """

    proof: bytes
    entry: bytes
    salt: Id
    content: Annotated[bytes, Meta(max_length=CONTENT_LIMIT)]
    links: Annotated[list[Envelope], Meta(max_length=RUN_LIMIT - 1)]
    certificate: bytes


_read_why = reader(Why, limit=2_048)
read_request = reader(Request, limit=64 * 1024)
read_vote = reader(Vote, limit=128)
read_disclosure = reader(Disclosure, limit=CONTENT_LIMIT + 256 * 1024)
read_package = reader(Package, limit=CONTENT_LIMIT + 256 * 1024)


# --- asking ---


def ask(bare: Request, why: Why, voters: Iterable[bytes], random: Random) -> Request:
    """A request with its reason, sealed to the Ed25519 keys of those who may vote; `bare` has none yet.

    Raises:
        Malformed: too many voters, or one whose key is none.
    """
    return replace(bare, why=seal_for(list(voters), WHY, bare.subject, encode(why), random))


def open_why(request: Request, key: SigningKey) -> Why:
    """Case and reason, for one who may vote. Raises NotTrusted, Malformed."""
    return _read_why(open_for(key, WHY, request.subject, request.why))


# --- voting ---


@dataclass(frozen=True, slots=True)
class Ballot:
    """How a request stands: by whom, about whose message, and what each person has said."""

    requester: PersonId
    author: PersonId
    agreed: frozenset[PersonId] = frozenset()
    against: frozenset[PersonId] = frozenset()

    def check_vote(self, charter: Charter, voter: Certified) -> None:
        """Raises NotPermitted: this person has no vote here, or has used it."""
        if voter.organisation != charter.policy.home.name:
            raise NotPermitted("people of the mission's own organisation vote on a disclosure")
        charter.check_verb(voter, Verb.DISCLOSE)
        if voter.person == self.author:
            raise NotPermitted("this is your own message: others decide")
        if voter.person == self.requester:
            raise NotPermitted("who asks has no vote")
        if voter.person in self.agreed | self.against:
            raise NotPermitted("each person votes once")

    def agreed_to(self, charter: Charter) -> bool:
        """Whether as many have agreed as the charter asks for."""
        return len(self.agreed) >= charter.policy.disclosure_quorum


# --- disclosing ---


def seal_package(package: bytes, request: bytes, key: bytes, random: Random) -> Sealed:
    """For the auditor who made the request of this header hash, and nobody else."""
    return seal_for([key], PACKAGE, request, package, random)


def open_sealed(package: Sealed, request: bytes, key: SigningKey) -> Package:
    """Raises NotTrusted, Malformed."""
    return read_package(open_for(key, PACKAGE, request, package))


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that was sent as it is shown here: all of a package's claims hold."""

    index: int
    entry: Entry
    context: Context
    author: Certified
    content: bytes
    checkpoint: Checkpoint

    @property
    def header_hash(self) -> bytes:
        return sha256(self.entry.header).digest()


def check_package(package: Package, charter: Charter, log_keys: Iterable[NoteVerifier]) -> Opened:
    """Show that a package opens one logged message, and says nothing false of it.

    Raises:
        Malformed: it is not in the form.
        BadSignature: the content is not the one that the entry's franking tag commits to, or no signature vouches for the entry.
        NotTrusted, InvalidCredential, Expired: its certificate is not one of the mission's, or had ended.
        NotTrusted: the entry is not in the log that the charter names.
    """
    entry = read_entry(package.entry)
    checkpoint, index = _logged(package, charter, log_keys)
    claimed = read(entry.envelope)
    context = claimed.context
    if context.kind not in ENCRYPTED or context.channel != entry.channel:
        raise Malformed(f"an entry of kind {context.kind.name} has no content to open")
    if franking_tag(package.salt, package.content) != context.franking:
        raise BadSignature("DOES NOT MATCH: the entry was made for other content")
    author = charter.verify_certificate(package.certificate)
    author.check_time(entry.time)
    if author.registrar or author.device != context.device:
        raise NotTrusted("the certificate is not that of the device that the entry names")
    verify_run([claimed, *map(read, package.links)], author.public_key)
    return Opened(index, entry, context, author, package.content, checkpoint)


def _logged(package: Package, charter: Charter, log_keys: Iterable[NoteVerifier]) -> tuple[Checkpoint, int]:
    try:
        proof = TlogProof.decode(package.proof)
        return proof.check(leaf_hash(package.entry), log_keys, charter.policy.log_origin), proof.index
    except TlogError as error:
        raise NotTrusted(f"the entry is not proved to be in the log: {error}") from None


KINDS: Final = frozenset({Kind.DISCLOSURE_REQUEST, Kind.DISCLOSURE_VOTE, Kind.DISCLOSURE})
