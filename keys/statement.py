"""What the gateway says under its own key: refusals that let a device seal again, and promises to log.

Both are evidence. A refusal of a header that is logged all the same, a promise whose entry is not in the log by its time, and
two different places promised to one header convict the gateway by its own signature.
"""

from typing import Final

from keys.canonical import Hash, Id, Millis, Positive, Record, Signature, Uint, encode, reader
from keys.errors import BadSignature
from keys.identity import SigningKey, verify

PROMISE_WINDOW: Final = 60_000  # ms: a promised entry is under a checkpoint by then


class GatewayRefusal(Record, frozen=True, array_like=True):
    """The gateway has not taken the envelope of this header, and never will."""

    header_hash: Hash
    refusal: Uint
    epoch: Uint  # the channel's epoch when it was refused
    time: Millis


class Promise(Record, frozen=True, array_like=True):
    """The entry with this leaf hash stands at this place and is under a checkpoint by `latest`."""

    leaf_hash: Hash
    channel: Id
    seq: Positive
    index: Uint
    latest: Millis


class Statement(Record, frozen=True, array_like=True):
    """One of the two, as its exact bytes, and the gateway's signature."""

    content: bytes
    signature: Signature


_read_statement = reader(Statement, limit=512)
_read_refusal = reader(GatewayRefusal, limit=256)
_read_promise = reader(Promise, limit=256)
_REFUSAL: Final = "gateway refusal"
_PROMISE: Final = "gateway promise"


def sign_refusal(refusal: GatewayRefusal, key: SigningKey) -> bytes:
    """The statement's bytes, as `Refused.statement` carries them."""
    content = encode(refusal)
    return encode(Statement(content, key.sign(_REFUSAL, content)))


def sign_promise(promise: Promise, key: SigningKey) -> bytes:
    """The statement's bytes, as `Accepted.promise` carries them."""
    content = encode(promise)
    return encode(Statement(content, key.sign(_PROMISE, content)))


def verify_refusal(data: bytes, gateway_key: bytes, header_hash: bytes) -> GatewayRefusal:
    """The refusal, if the gateway signed it about this header.

    Raises:
        Malformed: not such a statement.
        BadSignature: another key, or about another header.
    """
    statement = _read_statement(data)
    verify(gateway_key, _REFUSAL, statement.content, statement.signature)
    refusal = _read_refusal(statement.content)
    if refusal.header_hash != header_hash:
        raise BadSignature("this refusal is about another envelope")
    return refusal


def read_promise(data: bytes, gateway_key: bytes) -> Promise:
    """The promise, if the gateway signed it, whatever it is about. Raises Malformed or BadSignature."""
    statement = _read_statement(data)
    verify(gateway_key, _PROMISE, statement.content, statement.signature)
    return _read_promise(statement.content)


def verify_promise(data: bytes, gateway_key: bytes, leaf_hash: bytes) -> Promise:
    """The promise, if the gateway signed it about this leaf. Raises Malformed or BadSignature."""
    promise = read_promise(data, gateway_key)
    if promise.leaf_hash != leaf_hash:
        raise BadSignature("this promise is about another entry")
    return promise
