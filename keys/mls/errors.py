"""What can go wrong in an MLS group, split by what the caller does next.

Everything that a peer, the Delivery Service or a disk can cause is an `MLSError`; anything else that leaves this
package is a bug of ours. A step that raises has changed nothing: the group that was passed in still stands.

    bytes that are not a message             DecodeError           drop, and note the sender
    a message for another time or group      WrongEpoch, WrongGroup, OwnMessage, Duplicate, OutOfRange, ...
    a message that breaks a rule             Invalid and below     refuse, and keep it as evidence
    a message that was not made by a member  CryptoError and below refuse
    something we don't do                    Unsupported           refuse, and say so
    a call that makes no sense               Misuse                mend the caller
"""


class MLSError(Exception):
    """The root of this package's errors."""


class DecodeError(MLSError):
    """Bytes that are not the one encoding of a value."""


class EncodeError(MLSError):
    """A value that does not fit its field."""


class Unsupported(MLSError):
    """A cipher suite, proposal or way of joining that this package does not do."""


class Misuse(MLSError):
    """A call that the group can't follow in the state it is in."""


class WrongGroup(MLSError):
    """The message belongs to another group."""


class WrongEpoch(MLSError):
    """The message belongs to an epoch that this group is not in (or has forgotten)."""

    def __init__(self, epoch: int, current: int) -> None:
        super().__init__(f"message of epoch {epoch}, group in epoch {current}")
        self.epoch = epoch
        self.current = current


class OwnMessage(MLSError):
    """Our own message came back; a sender can't process what it sent (merge the pending commit instead)."""


class Duplicate(MLSError):
    """This very message was read before; its key is gone."""


class OutOfRange(MLSError):
    """The key of this message was dropped, or lies further ahead than we are willing to ratchet (section 15.3)."""


class Removed(MLSError):
    """This device is no longer a member; the group value can only be read."""


class Reinitialized(MLSError):
    """A ReInit closed the group (section 12.4.2): nothing is sent or taken in it any more, its successor goes on."""


class MissingPreSharedKey(MLSError):
    """A pre-shared key that a Commit or Welcome names is not at hand (sections 8.4 and 12.4.3.1)."""


class NotForUs(MLSError):
    """The Welcome holds no secrets for this KeyPackage (section 12.4.3.1)."""


class CryptoError(MLSError):
    """A key, tag, signature or ciphertext is wrong."""


class BadKey(CryptoError):
    """Not a key of this cipher suite."""


class BadSignature(CryptoError):
    """The signature does not verify."""


class BadTag(CryptoError):
    """A membership tag or confirmation tag is wrong (sections 6.1 and 6.2)."""


class DecryptionFailed(CryptoError):
    """The ciphertext does not open under the key it should."""


class Invalid(MLSError):
    """A well-formed message that breaks a rule; the text names the rule."""


class InvalidCredential(Invalid):
    """The Authentication Service does not vouch for this credential (section 5.3.1)."""


class InvalidLeafNode(Invalid):
    """Section 7.3."""


class InvalidKeyPackage(Invalid):
    """Section 10.1."""


class InvalidTree(Invalid):
    """The ratchet tree is not one that members could have made (sections 7.8, 7.9, 12.4.3.1)."""


class InvalidProposal(Invalid):
    """A proposal, or the list of them in a Commit, breaks sections 12.1 and 12.2."""


class InvalidCommit(Invalid):
    """Sections 7.5, 7.6 and 12.4.2."""


class InvalidMessage(Invalid):
    """Framing: sender, content type or padding break section 6."""


class InvalidGroupInfo(Invalid):
    """A GroupInfo that does not fit its tree, its group or its signer (section 12.4.3)."""
