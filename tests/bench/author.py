"""What a device seals: numbered, chained envelopes with one signature a run, and the MLS groups of channels.

The bodies of messages are well-formed MLS PrivateMessages of the length that a real one of the same content has, with random
bytes where the ciphertext would be: the gateway has no key and can't tell, and sealing does not slow the generator down.
Everything else (header, chain, hashes, authenticated data, signature) is real.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from gateway import wire
from keys.body import TERMS_EXTENSION, Ack, ChannelCreated, ChannelTerms, Commit
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Heard, Kind, Marking, Precedence, authenticated_data, rolling, seal
from keys.franking import application_data
from keys.identity import ChannelId
from keys.mls import Add, Extension, Group, cipher_suite
from keys.mls.leaves import new_capabilities
from tests.bench.mission import CLASS, SUITE, Device, Everybody, now

CEILING = Marking.AMBER


@dataclass(frozen=True)
class Template:
    """A real PrivateMessage taken apart, to put other authenticated data and other bytes for the ciphertext in."""

    head: bytes
    middle: bytes
    ciphertext: int

    @classmethod
    def of(cls, group: Group, content: int) -> "Template":
        """As `group` seals `content` bytes."""
        data = os.urandom(32)
        _, message = group.protect(
            application_data(bytes(16), bytes(content)), authenticated_data=data, padding=128, random=os.urandom
        )
        at = message.index(data)
        # sender data: a length byte and 28 bytes; then the ciphertext behind a two-byte length
        start = at + 32 + 1 + message[at + 32] + 2
        return cls(message[:at], message[at + 32 : start], len(message) - start)

    def body(self, data: bytes, ciphertext: bytes) -> bytes:
        """A message bound to `data`; `ciphertext` is filled up at random to the length that it must have."""
        return self.head + data + self.middle + ciphertext + os.urandom(self.ciphertext - len(ciphertext))


@dataclass(frozen=True)
class Channel:
    """A channel in its first epoch with everybody in: what its members have heard."""

    id: ChannelId
    template: Template
    heard: Heard
    devices: tuple[Device, ...]


class Author:
    """A device's place in a stream: its next number, and the hash that the next header holds."""

    def __init__(self, device: Device, channel: bytes) -> None:
        self.device = device
        self.channel = channel
        self.number = 0
        self.link = NOTHING

    def context(
        self, kind: Kind, epoch: int, heard: Heard, precedence: Precedence, marking: Marking, franking: bytes
    ) -> Context:
        """The next envelope's."""
        return Context(
            version=1,
            kind=kind,
            device=self.device.id,
            channel=self.channel,
            epoch=epoch,
            number=self.number + 1,
            attempt=0,
            previous=self.link,
            heard=heard,
            time=now(),
            precedence=precedence,
            marking=marking,
            expires=0,
            franking=franking,
            alert=None,
        )

    def seal(self, context: Context, body: bytes, *, signed: bool = True) -> wire.Sealed:
        """Seal `body`; the chain goes on from here."""
        envelope = seal(context, body, self.device.key if signed else None)
        self.number, self.link = context.number, envelope.link
        return wire.Sealed(envelope.header, envelope.signature, body if len(body) <= wire.CHUNK else None)

    def statement(self, kind: Kind, body: bytes, marking: Marking = Marking.CLEAR) -> wire.Sealed:
        """An envelope of epoch 0 with a body in clear."""
        return self.seal(self.context(kind, 0, Heard(0, NOTHING), Precedence.ROUTINE, marking, b""), body)

    def answer(self, root: bytes, option: int = 17) -> wire.Sealed:
        """An ACK, in the stream beside a channel."""
        context = self.context(Kind.ACK, 0, Heard(0, NOTHING), Precedence.IMMEDIATE, Marking.CLEAR, b"")
        return self.seal(context, encode(Ack(root, option, None, bytes(16))))

    def messages(
        self, channel: Channel, ciphertexts: Sequence[bytes], precedence: Precedence = Precedence.ROUTINE
    ) -> list[wire.Sealed]:
        """A run of messages with one signature; each `ciphertext` may be empty."""
        run, last = [], len(ciphertexts) - 1
        for place, ciphertext in enumerate(ciphertexts):
            context = self.context(Kind.APPLICATION, 1, channel.heard, precedence, Marking.GREEN, os.urandom(32))
            body = channel.template.body(authenticated_data(encode(context)), ciphertext)
            run.append(self.seal(context, body, signed=place == last))
        return run


@dataclass(frozen=True)
class Founding:
    """A channel's first two envelopes, and what goes before the second in chunks."""

    created: wire.Sealed
    blobs: tuple[bytes, ...]
    commit: wire.Sealed
    channel: Channel
    author: Author


def create_channel(creator: Device, others: Sequence[Device], content: int, kind: str = CLASS) -> Founding:
    """A channel created by one device that adds all the others with one commit. `content` is the length of its messages."""
    channel = ChannelId(os.urandom(16))
    author = Author(creator, channel)
    group = _group(creator, channel, kind)
    data = encode(ChannelCreated(group.group_info(), group.tree_bytes()))
    created = author.statement(Kind.CHANNEL_CREATED, data, CEILING)
    heard = Heard(1, rolling(NOTHING, created.header))
    context = author.context(Kind.COMMIT, 0, heard, Precedence.ROUTINE, Marking.CLEAR, b"")
    pending = group.commit(
        [Add(other.key_package()[0]) for other in others],
        authenticated_data=context.authenticated_data(),
        random=os.urandom,
        path=False,
    )
    assert pending.welcome is not None
    welcome, info = sha256(pending.welcome).digest(), sha256(pending.group_info).digest()
    body = encode(Commit(pending.message, welcome, info))
    commit = author.seal(context, body)
    blobs = (pending.group_info, pending.welcome, *([body] if commit.body is None else []))
    settled = Channel(
        channel,
        Template.of(pending.group, content),
        Heard(2, rolling(heard.rolling, commit.header)),
        (creator, *others),
    )
    return Founding(created, blobs, commit, settled, author)


def _group(creator: Device, channel: ChannelId, kind: str) -> Group:
    suite, seconds = cipher_suite(SUITE), now() // 1000
    return Group.create(
        suite,
        channel,
        creator.credential,
        creator.key.seed,
        Everybody(),
        extensions=(Extension(TERMS_EXTENSION, ChannelTerms(1, kind, CEILING).encode()),),
        capabilities=new_capabilities(suite, creator.credential, (TERMS_EXTENSION,)),
        not_before=seconds - 3_600,
        not_after=seconds + 86_400,
        random=os.urandom,
    )
