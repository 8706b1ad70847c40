"""The text of a charter: a mission's policy as TOML, both ways.

`parse` reads the text strictly: unknown or missing keys, a role that nobody defined, a quorum that can't be reached or that one
key reaches twice are refused, so that two readers never take it differently; `render` writes the one form that `mission init`
and `propose` sign.
Who signed it is `keys.charter`'s concern.

    values      what a policy says, and answers
    table       one TOML table, read strictly
    text        parse and render
    soundness   what no single field can say
"""

from keys.policy.text import POLICY_LIMIT, parse, render
from keys.policy.values import (
    DEFAULT_CLASSES,
    DEFAULT_ROLES,
    DESK,
    ChannelClass,
    Distinct,
    Organisation,
    Policy,
    Verb,
)

__all__ = [
    "DEFAULT_CLASSES",
    "DEFAULT_ROLES",
    "DESK",
    "POLICY_LIMIT",
    "ChannelClass",
    "Distinct",
    "Organisation",
    "Policy",
    "Verb",
    "parse",
    "render",
]
