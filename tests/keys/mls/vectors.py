"""Published vectors of RFC 9420 (mlswg/mls-implementations), read once and handed out by cipher suite."""

import json
from functools import cache
from typing import Any

from tests.shared import shared

SUITES = (1, 2, 3, 5, 7)
"""The RFC's suites that we do."""

UNSUPPORTED = (4, 6)
"""Suites on X448 and Ed448: their cases are counted, not run."""

Case = dict[str, Any]


@cache
def load(name: str) -> tuple[Case, ...]:
    """All cases of one file."""
    return tuple(json.loads(shared(f"vectors/mls/{name}.json").read_bytes()))


def of_suite(name: str, suite: int) -> list[Case]:
    """The cases of one suite; never none."""
    found = [case for case in load(name) if case["cipher_suite"] == suite]
    assert found, f"no case of suite {suite} in {name}"
    return found


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


SCALARS = {2: 32, 5: 66, 7: 48}
"""Length of a private key, HPKE's and the signature's, on the NIST curve of a suite."""


def private_key(suite: int, text: str) -> bytes:
    """A private key; some vectors drop the leading zeros of a scalar, we don't."""
    return unhex(text).rjust(SCALARS.get(suite, 0), b"\0")
