"""Welcome and GroupInfo: what a committer hands to those it added, and what they make of it (section 12.4.3)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from keys.mls import schedule, treemath
from keys.mls.errors import DecodeError, InvalidGroupInfo, NotForUs
from keys.mls.framing import MLSMessage
from keys.mls.keypackages import KeyPackageSecrets
from keys.mls.messages import (
    EncryptedGroupSecrets,
    GroupContext,
    GroupInfo,
    GroupSecrets,
    KeyPackage,
    PathSecret,
    PreSharedKeyID,
    Welcome,
)
from keys.mls.nodes import Extension
from keys.mls.presharedkeys import Psks, check_identity, check_together, look_up
from keys.mls.suites import CipherSuite


def sign_group_info(
    suite: CipherSuite,
    context: GroupContext,
    extensions: tuple[Extension, ...],
    confirmation_tag: bytes,
    signer: int,
    private_key: bytes,
) -> GroupInfo:
    """A member's word on how the group stands (section 12.4.3)."""
    unsigned = GroupInfo(context, extensions, confirmation_tag, signer, b"")
    signature = suite.sign_with_label(private_key, b"GroupInfoTBS", unsigned.to_be_signed())
    return GroupInfo(context, extensions, confirmation_tag, signer, signature)


class JoinerSecrets(NamedTuple):
    """What a committer knows and its joiners need."""

    joiner_secret: bytes
    member_secret: bytes
    path_secrets: Mapping[int, bytes]
    psks: tuple[PreSharedKeyID, ...]


def make_welcome(
    suite: CipherSuite, info: GroupInfo, secrets: JoinerSecrets, joiners: Sequence[tuple[int, KeyPackage]]
) -> bytes:
    """One Welcome (an MLSMessage) for all joiners, each by leaf index and KeyPackage (section 12.4.3.1)."""
    key, nonce = schedule.welcome_key_and_nonce(suite, secrets.member_secret)
    sealed_info = suite.seal(key, nonce, b"", info.encode())
    encrypt = suite.encrypter_with_label(b"Welcome", sealed_info)
    entries = []
    for leaf_index, package in joiners:
        path_secret = None
        if secrets.path_secrets:
            ancestor = treemath.common_ancestor(2 * info.signer, 2 * leaf_index)
            path_secret = PathSecret(secrets.path_secrets[ancestor])
        group_secrets = GroupSecrets(secrets.joiner_secret, path_secret, secrets.psks).encode()
        entries.append(EncryptedGroupSecrets(package.ref(suite), encrypt(package.init_key, group_secrets)))
    return MLSMessage.wrap(Welcome(suite.id, tuple(entries), sealed_info))


class OpenedWelcome(NamedTuple):
    """The inside of a Welcome; the GroupInfo is not verified yet."""

    info: GroupInfo
    member_secret: bytes
    path_secret: bytes | None
    psks: tuple[PreSharedKeyID, ...]


def open_welcome(
    suite: CipherSuite,
    message: bytes,
    key_package: KeyPackage,
    secrets: KeyPackageSecrets,
    psks: Psks,
) -> OpenedWelcome:
    """Find our entry and open both layers (section 12.4.3.1).

    Raises `DecodeError`, `NotForUs`, `DecryptionFailed`, `MissingPreSharedKey`, `InvalidGroupInfo`.
    """
    welcome = MLSMessage.unwrap(message)
    if not isinstance(welcome, Welcome):
        raise DecodeError("not a Welcome")
    if welcome.cipher_suite != suite.id or key_package.cipher_suite != suite.id:
        raise NotForUs("a Welcome of another cipher suite (section 12.4.3.1)")
    reference = key_package.ref(suite)
    entry = next((one for one in welcome.secrets if one.new_member == reference), None)
    if entry is None:
        raise NotForUs("no secrets for this KeyPackage (section 12.4.3.1)")
    opened = suite.decrypt_with_label(
        secrets.init_private_key, b"Welcome", welcome.encrypted_group_info, entry.encrypted_group_secrets
    )
    group_secrets = GroupSecrets.decode(opened)
    for identity in group_secrets.psks:
        check_identity(suite, identity, InvalidGroupInfo)
    check_together(group_secrets.psks, InvalidGroupInfo)
    psk_secret = schedule.psk_secret(suite, look_up(group_secrets.psks, psks))
    member = schedule.member_secret(suite, group_secrets.joiner_secret, psk_secret)
    key, nonce = schedule.welcome_key_and_nonce(suite, member)
    info = GroupInfo.decode(suite.open(key, nonce, b"", welcome.encrypted_group_info))
    path_secret = group_secrets.path_secret.path_secret if group_secrets.path_secret else None
    return OpenedWelcome(info, member, path_secret, group_secrets.psks)
