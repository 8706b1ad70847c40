"""Framing (RFC 9420 section 6): who says what in which epoch, signed, and then tagged or sealed.

    Proposal, Commit, application data
        -> FramedContent          plus group, epoch, sender, authenticated data
        -> AuthenticatedContent   plus signature, and for a Commit the confirmation tag
        -> PublicMessage          plus membership tag          (handshake messages: the Delivery Service follows them)
        -> PrivateMessage         sealed by the secret tree    (application messages, always)

Here are the formats, the signature and the tag. `secrettree.py` seals and opens.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Self

from keys.mls.codec import Fixed, Reader, Struct, Tagged, opaque, struct, uint8, uint16, uint32, uint64, vector_bytes
from keys.mls.errors import DecodeError, InvalidMessage
from keys.mls.messages import Commit, GroupContext, GroupInfo, KeyPackage, Proposal, Welcome, proposal
from keys.mls.nodes import MLS10
from keys.mls.suites import CipherSuite

APPLICATION: Final = 1
PROPOSAL: Final = 2
COMMIT: Final = 3

PUBLIC_MESSAGE: Final = 1
PRIVATE_MESSAGE: Final = 2
WELCOME: Final = 3
GROUP_INFO: Final = 4
KEY_PACKAGE: Final = 5


@struct
class MemberSender(Struct):
    """A member, by leaf index."""

    leaf_index: Annotated[int, uint32]


@struct
class ExternalSenderIndex(Struct):
    """Somebody listed in the group's external_senders."""

    sender_index: Annotated[int, uint32]


@struct
class NewMemberProposal(Struct):
    """A client that proposes its own Add."""


@struct
class NewMemberCommit(Struct):
    """A client that joins by an external commit."""


Sender = MemberSender | ExternalSenderIndex | NewMemberProposal | NewMemberCommit
sender: Final = Tagged(uint8, {1: MemberSender, 2: ExternalSenderIndex, 3: NewMemberProposal, 4: NewMemberCommit})


@struct
class ApplicationData(Struct):
    """What the application says."""

    application_data: Annotated[bytes, opaque]


@struct
class ProposalContent(Struct):
    """A proposal on its own."""

    proposal: Annotated[Proposal, proposal]


Content = ApplicationData | ProposalContent | Commit
content: Final = Tagged(uint8, {APPLICATION: ApplicationData, PROPOSAL: ProposalContent, COMMIT: Commit})


@struct(cached=True)
class FramedContent(Struct):
    """Content with its place."""

    group_id: Annotated[bytes, opaque]
    epoch: Annotated[int, uint64]
    sender: Annotated[Sender, sender]
    authenticated_data: Annotated[bytes, opaque]
    content: Annotated[Content, content]

    @property
    def content_type(self) -> int:
        """APPLICATION, PROPOSAL or COMMIT."""
        return content.by_type[type(self.content)]


@dataclass(frozen=True, slots=True)
class AuthData:
    """FramedContentAuthData (section 6.1): the tag stands only behind a Commit."""

    signature: bytes
    confirmation_tag: bytes | None

    def encode(self) -> bytes:
        tag = b"" if self.confirmation_tag is None else vector_bytes(self.confirmation_tag)
        return vector_bytes(self.signature) + tag

    @classmethod
    def read(cls, reader: Reader, content_type: int) -> Self:
        signature = opaque.read(reader)
        return cls(signature, opaque.read(reader) if content_type == COMMIT else None)


def framed_content_tbs(wire_format: int, framed: FramedContent, context: GroupContext | None) -> bytes:
    """FramedContentTBS (section 6.1).

    A signature of a member, or of whoever joins by a Commit, counts in this epoch of this group only; who proposes from
    outside need not know the context.
    """
    tbs = MLS10.to_bytes(2) + wire_format.to_bytes(2) + framed.encode()
    if isinstance(framed.sender, MemberSender | NewMemberCommit):
        assert context is not None
        tbs += context.encode()
    return tbs


@dataclass(frozen=True, slots=True)
class AuthenticatedContent:
    """Content with signature (section 6); as read it is a claim, `verify_signature` makes it count."""

    wire_format: int
    framed: FramedContent
    auth: AuthData

    @property
    def sender_leaf(self) -> int:
        """The leaf index of the member that sent it; not asked of what came from outside."""
        assert isinstance(self.framed.sender, MemberSender)
        return self.framed.sender.leaf_index

    def encode(self) -> bytes:
        return self.wire_format.to_bytes(2) + self.framed.encode() + self.auth.encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `DecodeError`."""
        reader = Reader(data)
        wire_format = uint16.read(reader)
        framed = FramedContent.read(reader)
        value = cls(wire_format, framed, AuthData.read(reader, framed.content_type))
        reader.finish()
        return value

    @classmethod
    def sign(
        cls,
        suite: CipherSuite,
        wire_format: int,
        framed: FramedContent,
        context: GroupContext | None,
        private_key: bytes,
    ) -> Self:
        """Sign for this epoch; a Commit's confirmation tag is added once it is known (section 12.4.1)."""
        tbs = framed_content_tbs(wire_format, framed, context)
        return cls(wire_format, framed, AuthData(suite.sign_with_label(private_key, b"FramedContentTBS", tbs), None))

    def verify_signature(self, suite: CipherSuite, context: GroupContext, signature_key: bytes) -> None:
        """Raises `BadSignature`."""
        tbs = framed_content_tbs(self.wire_format, self.framed, context)
        suite.verify_with_label(signature_key, b"FramedContentTBS", tbs, self.auth.signature)

    def with_confirmation_tag(self, tag: bytes) -> "AuthenticatedContent":
        return AuthenticatedContent(self.wire_format, self.framed, AuthData(self.auth.signature, tag))

    def proposal_ref(self, suite: CipherSuite) -> bytes:
        """ProposalRef (section 5.2)."""
        return suite.ref_hash(b"MLS 1.0 Proposal Reference", self.encode())

    def confirmed_transcript_hash(self, suite: CipherSuite, interim: bytes) -> bytes:
        """The confirmed transcript hash after this Commit (section 8.2)."""
        hashed = self.wire_format.to_bytes(2) + self.framed.encode() + vector_bytes(self.auth.signature)
        return suite.hash(interim + hashed)

    def membership_tag(self, suite: CipherSuite, context: GroupContext, membership_key: bytes) -> bytes:
        """Only members of this epoch can make it (section 6.2)."""
        tbm = framed_content_tbs(self.wire_format, self.framed, context) + self.auth.encode()
        return suite.mac(membership_key, tbm)


def interim_transcript_hash(suite: CipherSuite, confirmed: bytes, confirmation_tag: bytes) -> bytes:
    """The interim transcript hash after a Commit (section 8.2)."""
    return suite.hash(confirmed + vector_bytes(confirmation_tag))


@dataclass(frozen=True, slots=True)
class PublicMessage(Struct):
    """Signed and readable (section 6.2); the tag shows that a member sent it."""

    framed: FramedContent
    auth: AuthData
    membership_tag: bytes | None

    def _write_fields(self, out: bytearray) -> None:
        self.framed.write(out)
        out += self.auth.encode()
        if self.membership_tag is not None:
            opaque.write(self.membership_tag, out)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        framed = FramedContent.read(reader)
        auth = AuthData.read(reader, framed.content_type)
        from_member = isinstance(framed.sender, MemberSender)
        return cls(framed, auth, opaque.read(reader) if from_member else None)

    @property
    def authenticated(self) -> AuthenticatedContent:
        """What was signed, as claimed."""
        return AuthenticatedContent(PUBLIC_MESSAGE, self.framed, self.auth)


@struct
class PrivateMessage(Struct):
    """Signed and sealed (section 6.3); sender and content are hidden."""

    group_id: Annotated[bytes, opaque]
    epoch: Annotated[int, uint64]
    content_type: Annotated[int, uint8]
    authenticated_data: Annotated[bytes, opaque]
    encrypted_sender_data: Annotated[bytes, opaque]
    ciphertext: Annotated[bytes, opaque]

    def content_aad(self) -> bytes:
        """PrivateContentAAD (section 6.3.1)."""
        return self.sender_data_aad() + vector_bytes(self.authenticated_data)

    def sender_data_aad(self) -> bytes:
        """SenderDataAAD (section 6.3.2)."""
        return vector_bytes(self.group_id) + self.epoch.to_bytes(8) + self.content_type.to_bytes(1)


Body = PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackage
_body: Final = Tagged(
    uint16,
    {
        PUBLIC_MESSAGE: PublicMessage,
        PRIVATE_MESSAGE: PrivateMessage,
        WELCOME: Welcome,
        GROUP_INFO: GroupInfo,
        KEY_PACKAGE: KeyPackage,
    },
)


@struct
class MLSMessage(Struct):
    """The outermost form of everything that travels."""

    version: Annotated[int, uint16]
    body: Annotated[Body, _body]

    @classmethod
    def wrap(cls, body: Body) -> bytes:
        """The message that carries `body`."""
        return cls(MLS10, body).encode()

    @classmethod
    def unwrap(cls, data: bytes) -> Body:
        """The body; raises `DecodeError`, also for another version of the protocol."""
        if data[:2] != MLS10.to_bytes(2):
            raise DecodeError("not a message of MLS 1.0")
        return cls.decode(data).body


@struct
class SenderData(Struct):
    """Who sealed a PrivateMessage and with which key (section 6.3.2)."""

    leaf_index: Annotated[int, uint32]
    generation: Annotated[int, uint32]
    reuse_guard: Annotated[bytes, Fixed(4)]


def private_content(auth: AuthData, inner: Content, padding: int) -> bytes:
    """PrivateMessageContent (section 6.3.1), padded with zeros to a multiple of `padding` bytes."""
    plain = inner.encode() + auth.encode()
    return plain + bytes(-len(plain) % padding) if padding > 1 else plain


def read_private_content(plaintext: bytes, content_type: int) -> tuple[Content, AuthData]:
    """Raises `DecodeError`, or `InvalidMessage` for padding that is not zero."""
    reader = Reader(plaintext)
    inner: Content = content.by_tag[content_type].read(reader)  # type: ignore[assignment]
    auth = AuthData.read(reader, content_type)
    if reader.rest().strip(b"\0"):
        raise InvalidMessage("padding that is not zero (section 6.3.1)")
    return inner, auth
