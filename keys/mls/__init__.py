"""Messaging Layer Security, RFC 9420: group keys for members who come and go, agreed through a server that can't read.

This is the front door; import from here. The package knows nothing of X.509 or of this product: who a credential
belongs to is asked of an `AuthenticationService`. It does no I/O and has no clock: time and randomness are arguments.

    codec  suites  hpke                       one value, one encoding; every use of a key
    nodes  leaves  tree  treemath  treekem    who is in, and the keys that stand for them
    schedule  secrettree                      the secrets of an epoch and of each message
    messages  keypackages  framing  private   what travels
    rules  public                             what a Commit may do, judged without secrets
    beginning  commits  welcoming  group      a member's steps
    receiving  received                       what a message turned out to be
    parts  state                              a group at rest

Not done here, and refused with `Unsupported`: external commits and proposals, ReInit, branching, resumption PSKs.
"""

from keys.mls.errors import (
    BadKey,
    BadSignature,
    BadTag,
    CryptoError,
    DecodeError,
    DecryptionFailed,
    Duplicate,
    EncodeError,
    Invalid,
    InvalidCommit,
    InvalidCredential,
    InvalidGroupInfo,
    InvalidKeyPackage,
    InvalidLeafNode,
    InvalidMessage,
    InvalidProposal,
    InvalidTree,
    MissingPreSharedKey,
    Misuse,
    MLSError,
    NotForUs,
    OutOfRange,
    OwnMessage,
    Removed,
    Unsupported,
    WrongEpoch,
    WrongGroup,
)
from keys.mls.framing import (
    APPLICATION,
    COMMIT,
    GROUP_INFO,
    KEY_PACKAGE,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    WELCOME,
    MLSMessage,
)
from keys.mls.group import Group, PendingCommit
from keys.mls.hpke import Random
from keys.mls.keypackages import KeyPackageSecrets, new_key_package
from keys.mls.leaves import MAX_LIFETIME, AuthenticationService, Member
from keys.mls.messages import (
    Add,
    ExternalPsk,
    GroupContext,
    GroupContextExtensions,
    GroupInfo,
    KeyPackage,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    Remove,
    Update,
    Welcome,
)
from keys.mls.nodes import (
    LAST_RESORT,
    REQUIRED_CAPABILITIES,
    Capabilities,
    Credential,
    Extension,
    LeafNode,
    Lifetime,
    RequiredCapabilities,
)
from keys.mls.public import PublicGroup, StagedPublicCommit
from keys.mls.received import (
    ApplicationReceived,
    CommitReceived,
    Peek,
    ProposalReceived,
    Received,
    is_private_message,
    peek,
)
from keys.mls.secrettree import DEFAULT_LIMITS, Limits
from keys.mls.suites import (
    SUPPORTED,
    CipherSuite,
    cipher_suite,
    ref_hash,
    sign_content,
    sign_with_label,
    verify_with_label,
)

__all__ = [
    "APPLICATION",
    "COMMIT",
    "DEFAULT_LIMITS",
    "GROUP_INFO",
    "KEY_PACKAGE",
    "LAST_RESORT",
    "MAX_LIFETIME",
    "PRIVATE_MESSAGE",
    "PROPOSAL",
    "PUBLIC_MESSAGE",
    "REQUIRED_CAPABILITIES",
    "SUPPORTED",
    "WELCOME",
    "Add",
    "ApplicationReceived",
    "AuthenticationService",
    "BadKey",
    "BadSignature",
    "BadTag",
    "Capabilities",
    "CipherSuite",
    "CommitReceived",
    "Credential",
    "CryptoError",
    "DecodeError",
    "DecryptionFailed",
    "Duplicate",
    "EncodeError",
    "Extension",
    "ExternalPsk",
    "Group",
    "GroupContext",
    "GroupContextExtensions",
    "GroupInfo",
    "Invalid",
    "InvalidCommit",
    "InvalidCredential",
    "InvalidGroupInfo",
    "InvalidKeyPackage",
    "InvalidLeafNode",
    "InvalidMessage",
    "InvalidProposal",
    "InvalidTree",
    "KeyPackage",
    "KeyPackageSecrets",
    "LeafNode",
    "Lifetime",
    "Limits",
    "MLSError",
    "MLSMessage",
    "Member",
    "MissingPreSharedKey",
    "Misuse",
    "NotForUs",
    "OutOfRange",
    "OwnMessage",
    "Peek",
    "PendingCommit",
    "PreSharedKey",
    "PreSharedKeyID",
    "Proposal",
    "ProposalReceived",
    "PublicGroup",
    "Random",
    "Received",
    "Remove",
    "Removed",
    "RequiredCapabilities",
    "StagedPublicCommit",
    "Unsupported",
    "Update",
    "Welcome",
    "WrongEpoch",
    "WrongGroup",
    "cipher_suite",
    "is_private_message",
    "new_key_package",
    "peek",
    "ref_hash",
    "sign_content",
    "sign_with_label",
    "verify_with_label",
]
