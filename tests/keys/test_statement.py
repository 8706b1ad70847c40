"""What the gateway says under its own key."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.canonical import encode
from keys.errors import BadSignature, Malformed
from keys.identity import SigningKey
from keys.statement import (
    GatewayRefusal,
    Promise,
    Statement,
    sign_promise,
    sign_refusal,
    verify_promise,
    verify_refusal,
)
from tests.keys.goldens import check_golden
from tests.keys.shapes import all_refused, almost, sample

KEY = SigningKey(bytes(32))
STRANGER = SigningKey(bytes(31) + b"\x01")
HASH = bytes(range(32))
REFUSAL = GatewayRefusal(HASH, 7, 4, 1_790_000_000_000)
PROMISE = Promise(HASH, bytes(16), 9, 12, 1_790_000_060_000)
BOTH = [
    pytest.param(sign_refusal, verify_refusal, REFUSAL, id="refusal"),
    pytest.param(sign_promise, verify_promise, PROMISE, id="promise"),
]
Sign = Callable[[object, SigningKey], bytes]
Verify = Callable[[bytes, bytes, bytes], object]


@pytest.mark.parametrize(("sign", "verify", "said"), BOTH)
def test_what_the_gateway_said(sign: Sign, verify: Verify, said: object) -> None:
    data = sign(said, KEY)
    assert verify(data, KEY.public, HASH) == said
    assert len(data) <= 512
    check_golden("keys.json", f"statement: {type(said).__name__}", data)


@pytest.mark.parametrize(("sign", "verify", "said"), BOTH)
def test_by_another_key(sign: Sign, verify: Verify, said: object) -> None:
    with pytest.raises(BadSignature, match="signature"):
        verify(sign(said, STRANGER), KEY.public, HASH)


@pytest.mark.parametrize(("sign", "verify", "said"), BOTH)
def test_about_something_else(sign: Sign, verify: Verify, said: object) -> None:
    with pytest.raises(BadSignature, match="about another"):
        verify(sign(said, KEY), KEY.public, bytes(32))


def test_a_refusal_is_no_promise_and_a_promise_no_refusal() -> None:
    with pytest.raises(BadSignature):
        verify_promise(sign_refusal(REFUSAL, KEY), KEY.public, HASH)
    with pytest.raises(BadSignature):
        verify_refusal(sign_promise(PROMISE, KEY), KEY.public, HASH)


@pytest.mark.parametrize(
    ("label", "verify", "said"),
    [
        pytest.param("gateway refusal", verify_refusal, REFUSAL, id="refusal"),
        pytest.param("gateway promise", verify_promise, PROMISE, id="promise"),
    ],
)
def test_signed_and_yet_not_the_one_encoding(label: str, verify: Verify, said: object) -> None:
    signed = ((name, encode(Statement(c, KEY.sign(label, c)))) for name, c in almost(said))
    all_refused(lambda data: verify(data, KEY.public, HASH), signed)


@pytest.mark.parametrize(("sign", "verify", "said"), BOTH)
def test_every_other_encoding_of_the_statement(sign: Sign, verify: Verify, said: object) -> None:
    content = encode(said)
    label = "gateway refusal" if said is REFUSAL else "gateway promise"
    statement = Statement(content, KEY.sign(label, content))
    all_refused(lambda data: verify(data, KEY.public, HASH), almost(statement), (Malformed, BadSignature))


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    for verify in (verify_refusal, verify_promise):
        with pytest.raises(Malformed):
            verify(data, KEY.public, HASH)


def test_samples_of_every_width_fit() -> None:
    for sign, kind in ((sign_refusal, GatewayRefusal), (sign_promise, Promise)):
        widest = kind(*(2**53 if isinstance(v, int) else v for v in sample_fields(kind)))
        assert len(sign(widest, KEY)) <= 256  # type: ignore[operator]


def sample_fields(kind: type) -> list[object]:
    value = sample(kind)
    return [getattr(value, name) for name in value.__struct_fields__]
