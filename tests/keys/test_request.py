"""`gateway.request`: read as written, and refused once anything in it is changed."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import BadSignature, KeysError, Malformed
from keys.identity import SigningKey
from keys.request import REQUEST_PREFIX, GatewayRequest, read_request, write_request
from keys.tlog.note import Ed25519Signer

KEY = SigningKey(b"g" * 32)
ORIGIN = "log.example/meridian"
LOG_KEY = Ed25519Signer.from_seed(ORIGIN, b"l" * 32).verifier_key.encode()


def request(**changes: object) -> GatewayRequest:
    values: dict[str, object] = {
        "url": "https://gateway.example:8440",
        "origin": ORIGIN,
        "log_key": LOG_KEY,
        "gateway_key": KEY.public,
        "tls_keys": [b"t" * 32],
    }
    return GatewayRequest(**(values | changes))  # type: ignore[arg-type]


def test_what_is_written_is_read() -> None:
    text = write_request(request(), KEY)
    assert read_request(text) == request()
    assert write_request(read_request(text), KEY) == text


def test_the_words_name_every_value() -> None:
    others = [request(url="https://other.example"), request(tls_keys=[b"u" * 32])]
    assert len({r.words for r in [request(), *others]}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(request(url="http://gateway.example"), id="plain http"),
        pytest.param(request(origin="log.example/other"), id="a log key of another name"),
        pytest.param(request(log_key="not a key"), id="no log key"),
        pytest.param(request(gateway_key=bytes(32)), id="another gateway's key"),
        pytest.param(request(tls_keys=[b"t" * 32, b"t" * 32]), id="one TLS key twice"),
    ],
)
def test_a_request_that_contradicts_itself_is_not_written(wrong: GatewayRequest) -> None:
    with pytest.raises(Malformed):
        write_request(wrong, KEY)


def test_every_truncation_is_refused() -> None:
    text = write_request(request(), KEY)
    for end in range(len(text)):
        with pytest.raises(KeysError):
            read_request(text[:end])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(write_request(request(), KEY) + "\n", id="a line more"),
        pytest.param(write_request(request(), KEY)[:-1] + "A\n", id="a letter more"),
        pytest.param(write_request(request(), KEY)[:-1] + "=\n", id="padded"),
        pytest.param(write_request(request(), KEY)[:-1] + "é\n", id="not ascii"),
        pytest.param("outrider-invite:AAAA\n", id="something else"),
    ],
)
def test_another_encoding_is_refused(text: str) -> None:
    with pytest.raises(KeysError):
        read_request(text)


def test_a_value_altered_on_the_way_is_noticed() -> None:
    text = write_request(request(), KEY)
    altered = (
        REQUEST_PREFIX + urlsafe_b64encode(_decoded(text).replace(b"gateway.example", b"gateway.examp1e")).decode()
    )
    with pytest.raises(BadSignature):
        read_request(altered.rstrip("=") + "\n")


def _decoded(text: str) -> bytes:
    encoded = text[len(REQUEST_PREFIX) : -1]
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    for candidate in (text, REQUEST_PREFIX + text + "\n"):
        with pytest.raises(KeysError):
            read_request(candidate)
