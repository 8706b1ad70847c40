"""The edge: what goes wrong further in, as the frame that a device is answered. Whatever is not in this table is our bug."""

from typing import Final

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused
from gateway.store.base import DiskFull
from gateway.wire import Refusal
from keys.errors import (
    BadSignature,
    CharterRefused,
    Expired,
    KeysError,
    Malformed,
    NotCanonical,
    NotPermitted,
    NotTrusted,
    Revoked,
)

_TABLE: Final[tuple[tuple[type[KeysError], Refusal], ...]] = (
    (NotCanonical, Refusal.CANON),
    (Malformed, Refusal.SCHEMA),
    (BadSignature, Refusal.DENIED),
    (NotTrusted, Refusal.DENIED),
    (NotPermitted, Refusal.ROLE),
    (Expired, Refusal.EXPIRED),
    (Revoked, Refusal.REVOKED),
    (CharterRefused, Refusal.CHARTER),
)
ANSWERED: Final = (Refused, DiskFull, KeysError)
"""What `refusal` has an answer for."""

_DETAIL: Final = 400


def refusal(request: int, error: Refused | DiskFull | KeysError) -> wire.Refused:
    """The answer to a request that was refused. `DENIED` is the same bytes whatever its cause."""
    if isinstance(error, DiskFull):
        return wire.Refused(request, Refusal.STORAGE, "the gateway can't write now", limits.DISK_RETRY, None)
    if isinstance(error, Refused):
        return wire.Refused(request, error.refusal, error.detail[:_DETAIL], error.retry_after, None)
    kind = next((kind for error_type, kind in _TABLE if isinstance(error, error_type)), Refusal.DENIED)
    detail = "not for this device" if kind is Refusal.DENIED else str(error)[:_DETAIL]
    return wire.Refused(request, kind, detail, 0, None)
