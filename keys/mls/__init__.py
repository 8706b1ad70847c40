"""Messaging Layer Security, RFC 9420: group keys for members who come and go, agreed through a server that can't read.

This is the front door; import from here. The package knows nothing of X.509 or of this product: who a credential
belongs to is asked of an `AuthenticationService`. It does no I/O and has no clock: time and randomness are arguments.

    codec  suites  hpke                       one value, one encoding; every use of a key
    nodes  leaves  grease                     what a client says of itself
    tree  treemath  treekem  blocks           who is in, and the keys that stand for them
    schedule  secrettree  exportertree        the secrets of an epoch, of each message, of each component
    past                                      what stays of an epoch that is over, and how long
    presharedkeys  lineage  founding          keys from elsewhere; groups that continue or branch others
    messages  keypackages  framing  private   what travels
    rules  applying  selection                what a Commit may do,
    evolution  public                         judged without secrets
    membership  group                         a member in one epoch, and its verbs
    beginning  commits  welcoming             how it comes in, and gets to the next epoch
    external  externalinit                    joining and proposing from outside
    receiving  received                       what a message turned out to be
    parts  state                              a group at rest
    components                                the safe application interface

Not done: cipher suites 4 and 6 (`Unsupported`), and of draft-ietf-mls-extensions AppDataUpdate, AppEphemeral, safe AAD
and the credential types it adds.
"""

from keys.mls.components import (
    APP_DATA_DICTIONARY,
    LAST_RESORT_COMPONENT,
    AppDataDictionary,
    ComponentData,
    component_data,
    safe_decrypt_with_label,
    safe_encrypt_with_label,
    safe_sign_with_label,
    safe_verify_with_label,
)
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
    Reinitialized,
    Removed,
    Unsupported,
    WrongEpoch,
    WrongGroup,
)
from keys.mls.evolution import StagedPublicCommit
from keys.mls.external import external_proposal, external_senders_extension, new_member_proposal
from keys.mls.founding import Founder, branch, reinitialize
from keys.mls.framing import (
    APPLICATION,
    COMMIT,
    GROUP_INFO,
    KEY_PACKAGE,
    PRIVATE_MESSAGE,
    PROPOSAL,
    PUBLIC_MESSAGE,
    WELCOME,
    ExternalSenderIndex,
    MemberSender,
    MLSMessage,
    NewMemberCommit,
    NewMemberProposal,
    Sender,
)
from keys.mls.grease import grease_extension
from keys.mls.group import Group, PendingCommit
from keys.mls.hpke import Random
from keys.mls.keypackages import KeyPackageSecrets, new_key_package, secrets_after_welcome
from keys.mls.leaves import MAX_LIFETIME, AuthenticationService, Member, new_capabilities
from keys.mls.messages import (
    Add,
    ApplicationPsk,
    ExternalPsk,
    GroupContext,
    GroupContextExtensions,
    GroupInfo,
    KeyPackage,
    PreSharedKey,
    PreSharedKeyID,
    Proposal,
    ReInit,
    Remove,
    ResumptionPsk,
    SelfRemove,
    Update,
    Welcome,
)
from keys.mls.nodes import (
    EXTERNAL_SENDERS,
    LAST_RESORT,
    REQUIRED_CAPABILITIES,
    Capabilities,
    Credential,
    Extension,
    ExternalSender,
    LeafNode,
    Lifetime,
    RequiredCapabilities,
)
from keys.mls.presharedkeys import PreSharedKeys, ResumptionPsks
from keys.mls.public import PublicGroup
from keys.mls.received import (
    ApplicationReceived,
    CommitReceived,
    Peek,
    ProposalReceived,
    Received,
    is_private_message,
    outside_private_message,
    peek,
)
from keys.mls.rules import SentProposal
from keys.mls.secrettree import DEFAULT_LIMITS, Backlog, Limits
from keys.mls.suites import (
    SUITES,
    SUPPORTED,
    CipherSuite,
    SuiteTable,
    cipher_suite,
    hybrid_suites,
    ref_hash,
    sign_content,
    sign_with_label,
    verify_with_label,
)

__all__ = [
    "APPLICATION",
    "APP_DATA_DICTIONARY",
    "COMMIT",
    "DEFAULT_LIMITS",
    "EXTERNAL_SENDERS",
    "GROUP_INFO",
    "KEY_PACKAGE",
    "LAST_RESORT",
    "LAST_RESORT_COMPONENT",
    "MAX_LIFETIME",
    "PRIVATE_MESSAGE",
    "PROPOSAL",
    "PUBLIC_MESSAGE",
    "REQUIRED_CAPABILITIES",
    "SUITES",
    "SUPPORTED",
    "WELCOME",
    "Add",
    "AppDataDictionary",
    "ApplicationPsk",
    "ApplicationReceived",
    "AuthenticationService",
    "Backlog",
    "BadKey",
    "BadSignature",
    "BadTag",
    "Capabilities",
    "CipherSuite",
    "CommitReceived",
    "ComponentData",
    "Credential",
    "CryptoError",
    "DecodeError",
    "DecryptionFailed",
    "Duplicate",
    "EncodeError",
    "Extension",
    "ExternalPsk",
    "ExternalSender",
    "ExternalSenderIndex",
    "Founder",
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
    "MemberSender",
    "MissingPreSharedKey",
    "Misuse",
    "NewMemberCommit",
    "NewMemberProposal",
    "NotForUs",
    "OutOfRange",
    "OwnMessage",
    "Peek",
    "PendingCommit",
    "PreSharedKey",
    "PreSharedKeyID",
    "PreSharedKeys",
    "Proposal",
    "ProposalReceived",
    "PublicGroup",
    "Random",
    "ReInit",
    "Received",
    "Reinitialized",
    "Remove",
    "Removed",
    "RequiredCapabilities",
    "ResumptionPsk",
    "ResumptionPsks",
    "SelfRemove",
    "Sender",
    "SentProposal",
    "StagedPublicCommit",
    "SuiteTable",
    "Unsupported",
    "Update",
    "Welcome",
    "WrongEpoch",
    "WrongGroup",
    "branch",
    "cipher_suite",
    "component_data",
    "external_proposal",
    "external_senders_extension",
    "grease_extension",
    "hybrid_suites",
    "is_private_message",
    "new_capabilities",
    "new_key_package",
    "new_member_proposal",
    "outside_private_message",
    "peek",
    "ref_hash",
    "reinitialize",
    "safe_decrypt_with_label",
    "safe_encrypt_with_label",
    "safe_sign_with_label",
    "safe_verify_with_label",
    "secrets_after_welcome",
    "sign_content",
    "sign_with_label",
    "verify_with_label",
]
