"""Message franking: a tag in the header commits to the content without showing it, so that a participant can later prove to
somebody else what was said (Grubbs, Lu, Ristenpart 2017).

    tag  = HMAC-SHA-256(key: salt, content)      stands in the context that the device signs
    MLS encrypts salt[16] ‖ content              so every recipient can check the tag, and open it to others
"""

import hmac
from typing import Final

from keys.errors import BadSignature, Malformed

SALT_LENGTH: Final = 16


def franking_tag(salt: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256 over the content: commits to it without showing it.

    Raises:
        Malformed: the salt has not 16 bytes. HMAC pads its keys, so salts of free length could stand for one another.
    """
    if len(salt) != SALT_LENGTH:
        raise Malformed("a franking salt has 16 bytes")
    return hmac.digest(salt, content, "sha256")


def application_data(salt: bytes, content: bytes) -> bytes:
    """What MLS encrypts: salt[16] ‖ content. Raises Malformed for a salt of another length."""
    if len(salt) != SALT_LENGTH:
        raise Malformed("a franking salt has 16 bytes")
    return salt + content


def open_application_data(data: bytes, tag: bytes) -> bytes:
    """The content, if it is the one that the franking tag commits to.

    Raises:
        BadSignature: it is not; the recipient hides it and complains.
    """
    salt, content = data[:SALT_LENGTH], data[SALT_LENGTH:]
    if len(salt) != SALT_LENGTH or not hmac.compare_digest(franking_tag(salt, content), tag):
        raise BadSignature("this content is not the one that the header commits to")
    return content
