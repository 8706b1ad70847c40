"""GREASE (RFC 9420 section 13.5): values that mean nothing, sent so that everybody keeps ignoring what he doesn't know.

    capabilities = new_capabilities(suite, credential, grease=random)          # in each list that takes them
    info = group.group_info(extensions=(grease_extension(random),))            # beside a GroupInfo or KeyPackage

Received ones are treated as any unknown value. Only of ourselves we know that we can't do what they name: where our
own leaf is held against what a group asks for, they don't count (`leaves.fits_us`).
"""

from dataclasses import replace
from typing import Final

from keys.mls.hpke import Random
from keys.mls.nodes import Capabilities, Extension

VALUES: Final = tuple(range(0x0A0A, 0xFAFA, 0x1010))
"""0x0A0A, 0x1A1A, to 0xEAEA: reserved in every registry that has GREASE."""

MOST_DATA: Final = 32
"""Longest content of a GREASE extension, in bytes."""


def greased(capabilities: Capabilities, random: Random) -> Capabilities:
    """The capabilities with one GREASE value more in each list that may hold some, at a random place."""
    return replace(
        capabilities,
        cipher_suites=_among(capabilities.cipher_suites, random),
        extensions=_among(capabilities.extensions, random),
        proposals=_among(capabilities.proposals, random),
        credentials=_among(capabilities.credentials, random),
    )


def _among(listed: tuple[int, ...], random: Random) -> tuple[int, ...]:
    value, place = VALUES[_draw(len(VALUES), random)], _draw(len(listed) + 1, random)
    return listed if value in listed else (*listed[:place], value, *listed[place:])


def _draw(bound: int, random: Random) -> int:
    """A number below `bound`; that some are a little likelier does no harm here."""
    return int.from_bytes(random(4)) % bound


def grease_extension(random: Random) -> Extension:
    """An extension of a GREASE type with random content, for a KeyPackage or a GroupInfo.

    In a KeyPackage of ours its type must be among the leaf's capabilities, as that of every extension there.
    """
    value = VALUES[_draw(len(VALUES), random)]
    return Extension(value, random(_draw(MOST_DATA + 1, random)))


def genuine(capabilities: Capabilities) -> Capabilities:
    """What a client of ours can really do: its capabilities without GREASE."""
    return replace(
        capabilities,
        cipher_suites=_known(capabilities.cipher_suites),
        extensions=_known(capabilities.extensions),
        proposals=_known(capabilities.proposals),
        credentials=_known(capabilities.credentials),
    )


def _known(listed: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(value for value in listed if value not in VALUES)
