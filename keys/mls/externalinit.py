"""External initialisation (RFC 9420 section 8.3): a joiner gives the group its next init secret by the external key."""

from typing import Annotated, Final

from keys.mls.codec import Struct, opaque, struct
from keys.mls.messages import ExternalInit
from keys.mls.suites import CipherSuite

LABEL: Final = b"MLS 1.0 external init secret"


@struct
class ExternalPub(Struct):
    """Content of the extension external_pub of a GroupInfo (section 12.4.3.2)."""

    external_pub: Annotated[bytes, opaque]


def make_external_init(suite: CipherSuite, external_pub: bytes) -> tuple[ExternalInit, bytes]:
    """The proposal for the group, and the init secret it carries; raises `BadKey`."""
    kem_output, init_secret = suite.hpke.send_export(external_pub, b"", LABEL, suite.hash_length)
    return ExternalInit(kem_output), init_secret


def open_external_init(suite: CipherSuite, external_private_key: bytes, proposal: ExternalInit) -> bytes:
    """The init secret that a joiner sent; raises `DecryptionFailed`."""
    return suite.hpke.receive_export(external_private_key, proposal.kem_output, b"", LABEL, suite.hash_length)
