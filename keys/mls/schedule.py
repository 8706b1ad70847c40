"""The key schedule (RFC 9420 section 8): from one epoch's init secret to all secrets of the next.

    init_secret, commit_secret -> joiner_secret -> (with psk_secret) -> welcome_secret, epoch_secret -> the rest

What an epoch keeps is `EpochSecrets`. Joiner, commit, PSK, epoch and encryption secrets are used and dropped
(section 9.2); nothing here stores them.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from keys.mls.codec import Struct, opaque, struct
from keys.mls.messages import GroupContext, PreSharedKeyID
from keys.mls.suites import CipherSuite


@struct
class EpochSecrets(Struct):
    """What stays for the length of an epoch (table 4)."""

    init_secret: Annotated[bytes, opaque]
    sender_data_secret: Annotated[bytes, opaque]
    exporter_secret: Annotated[bytes, opaque]
    external_secret: Annotated[bytes, opaque]
    membership_key: Annotated[bytes, opaque]
    resumption_psk: Annotated[bytes, opaque]
    epoch_authenticator: Annotated[bytes, opaque]


HeldKeys = Sequence[tuple[PreSharedKeyID, bytes]]
"""Pre-shared keys in the order of a Commit, each with its value."""


class NewEpoch(NamedTuple):
    """All that follows from an epoch secret: the lasting part, and what is consumed at once."""

    secrets: EpochSecrets
    encryption_secret: bytes
    confirmation_key: bytes
    application_export_secret: bytes
    """Root of the exporter tree (draft-ietf-mls-extensions-09 section 4.4)."""


def joiner_secret(suite: CipherSuite, init_secret: bytes, commit_secret: bytes, context: GroupContext) -> bytes:
    """What a Welcome carries (figure 22); `context` is that of the new epoch."""
    extracted = suite.extract(init_secret, commit_secret)
    return suite.expand_with_label(extracted, b"joiner", context.encode(), suite.hash_length)


def member_secret(suite: CipherSuite, joiner: bytes, psk_secret: bytes) -> bytes:
    """Joiner secret and PSK secret together; welcome and epoch secrets both come from it."""
    return suite.extract(joiner, psk_secret)


def welcome_key_and_nonce(suite: CipherSuite, member: bytes) -> tuple[bytes, bytes]:
    """What the GroupInfo of a Welcome is sealed with (section 12.4.3.1)."""
    welcome_secret = suite.derive_secret(member, b"welcome")
    return (
        suite.expand_with_label(welcome_secret, b"key", b"", suite.key_length),
        suite.expand_with_label(welcome_secret, b"nonce", b"", suite.nonce_length),
    )


def new_epoch(suite: CipherSuite, member: bytes, context: GroupContext) -> NewEpoch:
    """The epoch that a Commit or a Welcome opens."""
    return from_epoch_secret(suite, suite.expand_with_label(member, b"epoch", context.encode(), suite.hash_length))


def from_epoch_secret(suite: CipherSuite, epoch_secret: bytes) -> NewEpoch:
    """Everything below the epoch secret (table 4); a founder draws that one at random (section 11)."""

    def derive(label: bytes) -> bytes:
        return suite.derive_secret(epoch_secret, label)

    secrets = EpochSecrets(
        init_secret=derive(b"init"),
        sender_data_secret=derive(b"sender data"),
        exporter_secret=derive(b"exporter"),
        external_secret=derive(b"external"),
        membership_key=derive(b"membership"),
        resumption_psk=derive(b"resumption"),
        epoch_authenticator=derive(b"authentication"),
    )
    return NewEpoch(secrets, derive(b"encryption"), derive(b"confirm"), derive(b"application_export"))


def exporter(suite: CipherSuite, secrets: EpochSecrets, label: bytes, context: bytes, length: int) -> bytes:
    """MLS-Exporter (section 8.5)."""
    derived = suite.derive_secret(secrets.exporter_secret, label)
    return suite.expand_with_label(derived, b"exported", suite.hash(context), length)


def external_key_pair(suite: CipherSuite, secrets: EpochSecrets) -> tuple[bytes, bytes]:
    """The key pair that the whole group holds towards outsiders (section 8)."""
    return suite.derive_key_pair(secrets.external_secret)


def psk_secret(suite: CipherSuite, psks: HeldKeys) -> bytes:
    """All pre-shared keys of a Commit, in its order, in one (section 8.4)."""
    secret = suite.zero
    for index, (identity, psk) in enumerate(psks):
        label = identity.encode() + index.to_bytes(2) + len(psks).to_bytes(2)
        extracted = suite.extract(suite.zero, psk)
        secret = suite.extract(suite.expand_with_label(extracted, b"derived psk", label, suite.hash_length), secret)
    return secret
