"""`gateway.request`: what a gateway asks to be named in a mission's charter.

    outrider-gateway init        →  gateway.request, signed by the gateway's own key
    outrider mission init        →  reads it, checks it, and writes its values into the charter
    outrider-gateway charter     →  installs a charter that names exactly these

It holds public values only and is no secret; but who swaps it on its way gets a charter for another gateway, so the ceremony
compares its `words` with those that `init` printed. The file is one line of text, so that it can be mailed or read from a
stick: a prefix and the canonical record in base64url.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Hash, Key, Record, Signature, Uint, encode, reader
from keys.errors import Malformed
from keys.identity import SigningKey, verify, words
from keys.tlog.errors import TlogError
from keys.tlog.note import VerifierKey

REQUEST_PREFIX: Final = "outrider-gateway-request:"
REQUEST_LIMIT: Final = 8_192
_LABEL: Final = "gateway request"


class Ended(Record, frozen=True, array_like=True):
    """A log that could not go on and that this gateway's is to take the place of: the newest checkpoint known of it, signed by
    its key, and how many of its entries are still there."""

    checkpoint: Annotated[bytes, Meta(max_length=1_024)]
    kept: Uint


class GatewayRequest(Record, frozen=True, array_like=True):
    """The values of a charter's [gateway] and [log]. `log_key` and `log_key_pq` (ML-DSA-44, or nothing) are C2SP verifier keys
    named as the origin; `tls_keys` are SHA-256 of each SubjectPublicKeyInfo that stands before the gateway; `ended` only
    where its log takes the place of one that could not go on."""

    url: Annotated[str, Meta(min_length=9, max_length=200)]
    origin: Annotated[str, Meta(min_length=1, max_length=100)]
    log_key: Annotated[str, Meta(min_length=1, max_length=300)]
    gateway_key: Key
    tls_keys: Annotated[list[Hash], Meta(min_length=1, max_length=8)]
    log_key_pq: Annotated[str, Meta(max_length=2_000)] = ""
    ended: Ended | None = None

    @property
    def words(self) -> str:
        """What operator and founder compare by voice."""
        return words(sha256(b"Outrider 1 gateway request words" + encode(self)).digest())


class _Signed(Record, frozen=True, array_like=True):
    request: Annotated[bytes, Meta(max_length=REQUEST_LIMIT)]
    signature: Signature


_read_signed = reader(_Signed, limit=REQUEST_LIMIT)
_read_request = reader(GatewayRequest, limit=REQUEST_LIMIT)


def write_request(request: GatewayRequest, key: SigningKey) -> str:
    """The file's text, signed with the gateway's key.

    Raises:
        Malformed: another key than the one named, an origin that is not the log key's name, a URL that is not https.
    """
    _check(request)
    if key.public != request.gateway_key:
        raise Malformed("a request is signed by the key that it names")
    content = encode(request)
    signed = encode(_Signed(content, key.sign(_LABEL, content)))
    return REQUEST_PREFIX + urlsafe_b64encode(signed).decode().rstrip("=") + "\n"


def read_request(text: str) -> GatewayRequest:
    """The request in a file's text.

    Raises:
        Malformed: it is none, or was cut on its way.
        BadSignature: it was altered on its way.
    """
    if not text.startswith(REQUEST_PREFIX) or not text.endswith("\n") or len(text) > 2 * REQUEST_LIMIT:
        raise Malformed("not a gateway.request")
    encoded = text[len(REQUEST_PREFIX) : -1]
    try:
        data = urlsafe_b64decode(encoded.encode("ascii") + b"=" * (-len(encoded) % 4))
    except ValueError:  # UnicodeEncodeError and binascii.Error are both
        raise Malformed("not a gateway.request") from None
    if urlsafe_b64encode(data).decode().rstrip("=") != encoded:
        raise Malformed("not the one encoding of a gateway.request")
    signed = _read_signed(data)
    request = _read_request(signed.request)
    verify(request.gateway_key, _LABEL, signed.request, signed.signature)
    _check(request)
    return request


def _check(request: GatewayRequest) -> None:
    """What no single field can say."""
    if not request.url.startswith("https://") or not request.url.isprintable():
        raise Malformed("a gateway's url begins with https://")
    try:
        keys = [VerifierKey.decode(key) for key in (request.log_key, request.log_key_pq) if key]
    except TlogError as error:
        raise Malformed(f"the log's key: {error}") from None
    if {key.name for key in keys} != {request.origin}:
        raise Malformed("the log's key is named as its origin")
    if len(set(request.tls_keys)) != len(request.tls_keys):
        raise Malformed("a TLS key is named twice")
