"""Sealing and opening PrivateMessages (RFC 9420 section 6.3): who sent it is hidden, and each key serves once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from keys.mls.errors import DecodeError, InvalidMessage, OwnMessage
from keys.mls.framing import (
    APPLICATION,
    PRIVATE_MESSAGE,
    AuthenticatedContent,
    Content,
    FramedContent,
    MemberSender,
    MLSMessage,
    PrivateMessage,
    SenderData,
    content,
    private_content,
    read_private_content,
)
from keys.mls.hpke import Random
from keys.mls.messages import GroupContext
from keys.mls.nodes import LeafNode
from keys.mls.secrettree import APPLICATION as APPLICATION_RATCHET
from keys.mls.secrettree import HANDSHAKE, Backlog, Limits, SecretTree
from keys.mls.suites import CipherSuite

GUARD_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """What one epoch's PrivateMessages are sealed and opened with, and whose signatures count in it."""

    suite: CipherSuite
    context: GroupContext
    sender_data_secret: bytes
    secret_tree: SecretTree
    leaf: Callable[[int], LeafNode | None]
    """The leaf at an index in that epoch, None where nobody was."""

    def seal(
        self,
        sender: int,
        inner: Content,
        authenticated_data: bytes,
        signature_private_key: bytes,
        padding: int,
        random: Random,
    ) -> tuple[bytes, SecretTree]:
        """An MLSMessage by this leaf, and the secret tree without its key."""
        suite, context = self.suite, self.context
        framed = FramedContent(context.group_id, context.epoch, MemberSender(sender), authenticated_data, inner)
        signed = AuthenticatedContent.sign(suite, PRIVATE_MESSAGE, framed, context, signature_private_key)
        plaintext = private_content(signed.auth, inner, padding)
        return self.seal_content(sender, framed, plaintext, random)

    def seal_content(
        self, sender: int, framed: FramedContent, plaintext: bytes, random: Random
    ) -> tuple[bytes, SecretTree]:
        """Seal an encoded PrivateMessageContent with the sender's next key."""
        suite, kind = self.suite, ratchet_of(framed.content_type)
        generation, (key, nonce), after = self.secret_tree.next_key(suite, sender, kind)
        guard = random(GUARD_LENGTH)
        unsealed = PrivateMessage(
            framed.group_id, framed.epoch, framed.content_type, framed.authenticated_data, b"", b""
        )
        ciphertext = suite.seal(key, guarded(nonce, guard), unsealed.content_aad(), plaintext)
        data_key, data_nonce = self._sender_data_key(ciphertext)
        sender_data = SenderData(sender, generation, guard).encode()
        sealed_sender = suite.seal(data_key, data_nonce, unsealed.sender_data_aad(), sender_data)
        message = PrivateMessage(
            framed.group_id,
            framed.epoch,
            framed.content_type,
            framed.authenticated_data,
            sealed_sender,
            ciphertext,
        )
        return MLSMessage.wrap(message), after

    def open(
        self, message: PrivateMessage, own: int, limits: Limits, backlog: Backlog | None = None
    ) -> tuple[AuthenticatedContent, SecretTree]:
        """The content with its signature checked, and the secret tree without its key.

        With a `backlog` that speaks of this epoch, keys of messages that are passed over are all kept.

        Raises `DecodeError`, `InvalidMessage`, `OwnMessage`, `Duplicate`, `OutOfRange` and `CryptoError`.
        """
        suite, kind = self.suite, ratchet_of(message.content_type)
        sender = self._open_sender(message)
        if sender.leaf_index == own:
            raise OwnMessage("a PrivateMessage of ours")
        leaf = self.leaf(sender.leaf_index)
        if leaf is None:
            raise InvalidMessage("a sender that is not a member (section 6.3.2)")
        backlog = backlog if backlog is not None and self.context.epoch >= backlog.first_epoch else None
        taken = self.secret_tree.take_key(suite, sender.leaf_index, kind, sender.generation, limits, backlog)
        (key, nonce), after = taken
        nonce = guarded(nonce, sender.reuse_guard)
        plaintext = suite.open(key, nonce, message.content_aad(), message.ciphertext)
        inner, auth = read_private_content(plaintext, message.content_type)
        framed = FramedContent(
            message.group_id,
            message.epoch,
            MemberSender(sender.leaf_index),
            message.authenticated_data,
            inner,
        )
        opened = AuthenticatedContent(PRIVATE_MESSAGE, framed, auth)
        opened.verify_signature(suite, self.context, leaf.signature_key)
        return opened, after

    def _open_sender(self, message: PrivateMessage) -> SenderData:
        key, nonce = self._sender_data_key(message.ciphertext)
        opened = self.suite.open(key, nonce, message.sender_data_aad(), message.encrypted_sender_data)
        return SenderData.decode(opened)

    def _sender_data_key(self, ciphertext: bytes) -> tuple[bytes, bytes]:
        return sender_data_key(self.suite, self.sender_data_secret, ciphertext)


def sender_data_key(suite: CipherSuite, secret: bytes, ciphertext: bytes) -> tuple[bytes, bytes]:
    """Key and nonce for the sender data beside this ciphertext (section 6.3.2)."""
    sample = ciphertext[: suite.hash_length]
    return (
        suite.expand_with_label(secret, b"key", sample, suite.key_length),
        suite.expand_with_label(secret, b"nonce", sample, suite.nonce_length),
    )


def guarded(nonce: bytes, guard: bytes) -> bytes:
    """The nonce with its first four bytes changed, should a generation ever be used twice (section 6.3.1)."""
    head = int.from_bytes(nonce[:GUARD_LENGTH]) ^ int.from_bytes(guard)
    return head.to_bytes(GUARD_LENGTH) + nonce[GUARD_LENGTH:]


def ratchet_of(content_type: int) -> int:
    """Which of a sender's ratchets serves this content; raises `DecodeError` for an unknown one."""
    if content_type not in content.by_tag:
        raise DecodeError(f"content type {content_type}")
    return APPLICATION_RATCHET if content_type == APPLICATION else HANDSHAKE
