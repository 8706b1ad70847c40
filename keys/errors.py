"""What can be wrong with something that was signed, named by what the reader does next.

`Malformed`: throw it away, it is no such object. `BadSignature`: somebody altered or forged it. `NotTrusted`: it is signed,
but not by anyone this charter trusts for it. `NotPermitted`: the signer is known and may not do this. `Expired` and
`Revoked`: the signer was trusted once. `CharterRefused`: this text can't be the mission's policy, or can't follow the one held.
`LadderRefused`: this ladder would not do what it seems to say.
"""


class KeysError(Exception):
    """Any refusal by this package. Nothing was changed when it is raised."""


class Malformed(KeysError):
    """The bytes are not the one encoding of such an object."""


class NotCanonical(Malformed):
    """They are another encoding of one: somebody's encoder is wrong, or somebody is playing with it."""


class BadSignature(KeysError):
    """The signature, MAC or hash does not hold."""


class NotTrusted(KeysError):
    """No path leads from the signer to what the charter names."""


class NotPermitted(KeysError):
    """The signer is known, and the charter does not let it do this."""


class Expired(KeysError):
    """The certificate, charter or invite has reached its end."""


class Revoked(KeysError):
    """The certificate stands on its organisation's revocation list."""


class CharterRefused(KeysError):
    """Not a charter that may be installed, or not the successor of the one held."""


class LadderRefused(KeysError):
    """A ladder that would leave somebody asleep; the text says which rung and why."""
