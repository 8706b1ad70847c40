"""The safe application interface of draft-ietf-mls-extensions-09 section 4: keys, labels and data kept apart by component.

A component is a part of an application with a number of 16 bits. What it signs, encrypts or exports can't be taken for
another's, nor for MLS's own. Here are its labels, and the extension `app_data_dictionary` as far as reading it goes;
its exported secrets are in `exportertree.py`, its pre-shared keys in `presharedkeys.py`. AppDataUpdate, AppEphemeral
and safe AAD are not done: their numbers and rules still move.

Also here: what marks a KeyPackage of last resort (section 6.4 of that draft, and the plain extension of its earlier
versions, which is what is deployed).
"""

from itertools import pairwise
from typing import Annotated, Final

from keys.mls.codec import Struct, Vector, opaque, struct, uint16
from keys.mls.errors import DecodeError
from keys.mls.nodes import LAST_RESORT, Extension, find_extension
from keys.mls.suites import CipherSuite, HPKECiphertext

APP_DATA_DICTIONARY: Final = 0x0006
"""Extension type, as suggested by the draft."""

LAST_RESORT_KEY_PACKAGE: Final = 0x0004
"""Component ID."""

BASE_LABEL: Final = b"MLS Component"


@struct
class ComponentOperationLabel(Struct):
    """What stands where MLS has a label (section 4.1 of the draft)."""

    base_label: Annotated[bytes, opaque]
    component_id: Annotated[int, uint16]
    label: Annotated[bytes, opaque]


def component_label(component_id: int, label: bytes) -> bytes:
    """The label of a component's operation."""
    return ComponentOperationLabel(BASE_LABEL, component_id, label).encode()


def safe_sign_with_label(
    suite: CipherSuite, private_key: bytes, component_id: int, label: bytes, content: bytes
) -> bytes:
    """SafeSignWithLabel: a signature with a member's key that counts for this component alone."""
    return suite.sign_with_label(private_key, component_label(component_id, label), content)


def safe_verify_with_label(
    suite: CipherSuite, public_key: bytes, component_id: int, label: bytes, content: bytes, signature: bytes
) -> None:
    """SafeVerifyWithLabel; raises `BadSignature`, `BadKey`."""
    suite.verify_with_label(public_key, component_label(component_id, label), content, signature)


def safe_encrypt_with_label(
    suite: CipherSuite, public_key: bytes, component_id: int, label: bytes, context: bytes, plaintext: bytes
) -> HPKECiphertext:
    """SafeEncryptWithLabel, to a key of a leaf or node, of a KeyPackage or of the group; raises `BadKey`."""
    return suite.encrypt_with_label(public_key, component_label(component_id, label), context, plaintext)


def safe_decrypt_with_label(
    suite: CipherSuite, private_key: bytes, component_id: int, label: bytes, context: bytes, sealed: HPKECiphertext
) -> bytes:
    """SafeDecryptWithLabel; raises `DecryptionFailed`."""
    return suite.decrypt_with_label(private_key, component_label(component_id, label), context, sealed)


@struct
class ComponentData(Struct):
    """What one component attaches (section 4.6 of the draft)."""

    component_id: Annotated[int, uint16]
    data: Annotated[bytes, opaque]


@struct
class AppDataDictionary(Struct):
    """Content of the extension `app_data_dictionary`, by component ID in rising order."""

    component_data: Annotated[tuple[ComponentData, ...], Vector(ComponentData)]

    def extension(self) -> Extension:
        """The extension that holds it."""
        return Extension(APP_DATA_DICTIONARY, self.encode())


def component_data(extensions: tuple[Extension, ...], component_id: int) -> bytes | None:
    """What a component attached to a KeyPackage, leaf, GroupContext or GroupInfo, if it did; raises `DecodeError`."""
    encoded = find_extension(extensions, APP_DATA_DICTIONARY)
    entries = () if encoded is None else AppDataDictionary.decode(encoded).component_data
    ids = [entry.component_id for entry in entries]
    if any(one >= following for one, following in pairwise(ids)):
        raise DecodeError("app_data_dictionary is not in rising order (draft-ietf-mls-extensions-09 section 4.6)")
    return next((entry.data for entry in entries if entry.component_id == component_id), None)


LAST_RESORT_COMPONENT: Final = AppDataDictionary((ComponentData(LAST_RESORT_KEY_PACKAGE, b""),)).extension()
"""The present form of the mark; who puts it on must list `APP_DATA_DICTIONARY` in its capabilities."""


def marks_last_resort(extensions: tuple[Extension, ...]) -> bool:
    """Whether a KeyPackage with these extensions may be handed out more than once, in either form of the mark.

    The component carries no data; one that does, or a dictionary that does not decode, marks nothing.
    """
    if find_extension(extensions, LAST_RESORT) is not None:
        return True
    try:
        return component_data(extensions, LAST_RESORT_KEY_PACKAGE) == b""
    except DecodeError:
        return False
