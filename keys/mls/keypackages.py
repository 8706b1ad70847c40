"""Making a KeyPackage (RFC 9420 section 10), and the secrets that its owner keeps until the Welcome."""

from typing import Annotated, NamedTuple

from keys.mls.codec import Struct, opaque, struct
from keys.mls.errors import InvalidLeafNode, Misuse
from keys.mls.hpke import Random
from keys.mls.leaves import NOWHERE, new_capabilities, sign_leaf
from keys.mls.messages import KeyPackage
from keys.mls.nodes import LAST_RESORT, MLS10, Capabilities, Credential, Extension, LeafNode, Lifetime
from keys.mls.suites import CipherSuite


@struct
class KeyPackageSecrets(Struct):
    """The private keys of a KeyPackage: what it takes to open the Welcome that comes by it."""

    init_private_key: Annotated[bytes, opaque]
    encryption_private_key: Annotated[bytes, opaque]


def secrets_after_welcome(key_package: KeyPackage, secrets: KeyPackageSecrets) -> KeyPackageSecrets | None:
    """What its owner may keep of a KeyPackage's secrets once a Welcome was opened with them.

    Nothing: the init key opens that Welcome for whoever gets hold of it (sections 9.2 and 16.8). A KeyPackage of last
    resort can come again, so its secrets stay until it is replaced, which should be soon; whoever joined by one should
    commit at once, since its leaf's key then stands in several groups.
    """
    return secrets if key_package.last_resort else None


class NewLeaf(NamedTuple):
    """A leaf for a KeyPackage or a founder, and its private encryption key."""

    leaf: LeafNode
    private_key: bytes


def new_leaf(
    suite: CipherSuite,
    credential: Credential,
    signature_private_key: bytes,
    lifetime: Lifetime,
    capabilities: Capabilities,
    extensions: tuple[Extension, ...],
    random: Random,
) -> NewLeaf:
    """A signed leaf that belongs to no group yet (leaf_node_source key_package). Raises `InvalidLeafNode`."""
    if suite.id not in capabilities.cipher_suites:
        raise InvalidLeafNode("the leaf does not list the group's cipher suite (section 7.2)")
    private, public = suite.derive_key_pair(random(suite.hash_length))
    signature_key = suite.signature_public_key(signature_private_key)
    unsigned = LeafNode(public, signature_key, credential, capabilities, lifetime, extensions, b"")
    return NewLeaf(sign_leaf(suite, unsigned, signature_private_key, NOWHERE), private)


def new_key_package(
    suite: CipherSuite,
    credential: Credential,
    signature_private_key: bytes,
    *,
    not_before: int,
    not_after: int,
    random: Random,
    last_resort: bool = False,
    extensions: tuple[Extension, ...] = (),
    leaf_extensions: tuple[Extension, ...] = (),
    capabilities: Capabilities | None = None,
) -> tuple[KeyPackage, KeyPackageSecrets]:
    """A KeyPackage that counts from `not_before` to `not_after` (seconds since 1970), and its secrets.

    With `last_resort` it is marked as one that may be handed out more than once, by the extension that is in use; the
    draft's present form is `extensions=(components.LAST_RESORT_COMPONENT,)`.

    Without `capabilities` the leaf lists this suite, its credential type and the types of the extensions, beside it
    and in it: a group whose GroupContext has an extension of its own will refuse it, so name that type in
    `capabilities`.
    """
    if last_resort:
        extensions = (*extensions, Extension(LAST_RESORT, b""))
    if capabilities is None:
        types = tuple(extension.extension_type for extension in (*extensions, *leaf_extensions))
        capabilities = new_capabilities(suite, credential, types)
    if any(extension.extension_type not in capabilities.extensions for extension in extensions):
        raise Misuse("capabilities must list the extensions of the KeyPackage (section 10)")
    lifetime = Lifetime(not_before, not_after)
    leaf, encryption_private = new_leaf(
        suite, credential, signature_private_key, lifetime, capabilities, leaf_extensions, random
    )
    init_private, init_key = suite.derive_key_pair(random(suite.hash_length))
    unsigned = KeyPackage(MLS10, suite.id, init_key, leaf, extensions, b"")
    signature = suite.sign_with_label(signature_private_key, b"KeyPackageTBS", unsigned.to_be_signed())
    package = KeyPackage(MLS10, suite.id, init_key, leaf, extensions, signature)
    return package, KeyPackageSecrets(init_private, encryption_private)
