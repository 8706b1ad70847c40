"""The simple types of the CAP 1.2 schema: which texts are a time, a language, a URI, a number.

Space is XML's (space, tab, line ends): collapsed around times, languages, URIs and numbers, kept in texts and
enumerations, as XML Schema part 2, section 4.3.6 has it. Digits are ASCII.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

SPACE: Final = " \t\r\n"

TIME_FORM: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})([-+])([0-9]{2}):([0-9]{2})"
)
LANGUAGE_FORM: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
INTEGER_FORM: Final = re.compile(r"[-+]?[0-9]+")
DECIMAL: Final = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)"
DECIMAL_FORM: Final = re.compile(DECIMAL)

URI_PARTS: Final = re.compile(
    r"(?:(?P<scheme>[^:/?#]+):)?(?://(?P<authority>[^/?#]*))?"
    r"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
"""RFC 3986 appendix B: it takes any text apart; `is_uri` looks at the parts."""
SCHEME_FORM: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
AUTHORITY_FORM: Final = re.compile(r"([^\[\]@]*@)?(\[[^\[\]]*\]|[^\[\]@:]*)(:[0-9]*)?")
BARE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

UNIX_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple type: its name for people, and which texts it allows.

    `default` is what an element without any text means (XML Schema part 1, section 3.3.1); only `language` has one.
    """

    name: str
    allows: Callable[[str], bool]
    default: str | None = None


def instant(text: str) -> int | None:
    """The time as ms since 1970-01-01 UTC; None where it isn't one (CAP 1.2 section 3.3.2, xs:dateTime).

    Always with an offset, never `Z`, no fractions. UTC is to be written -00:00; +00:00 passes the schema and is read
    as the same. 24:00:00 is the end of the day; there is no year 0000 and no leap second.
    """
    form = TIME_FORM.fullmatch(text.strip(SPACE))
    if form is None:
        return None
    year, month, day, hour, minute, second = map(int, form.groups()[:6])
    offset = int(form[8]) * 60 + int(form[9])
    if minute > 59 or second > 59 or int(form[9]) > 59 or offset > 14 * 60:
        return None
    if hour > 23 and (hour, minute, second) != (24, 0, 0):
        return None
    try:
        days = date(year, month, day).toordinal() - UNIX_EPOCH
    except ValueError:
        return None
    minutes = (days * 24 + hour) * 60 + minute - (offset if form[7] == "+" else -offset)
    return (minutes * 60 + second) * 1000


def is_uri(text: str) -> bool:
    """Whether a text is a URI reference (RFC 3986 section 4.1).

    Characters that a URI has to escape pass, because XML Schema escapes them before it looks (part 2, section
    3.2.17). The space is among them.
    """
    parts = URI_PARTS.fullmatch(text.strip(SPACE))
    assert parts is not None  # the form takes every text apart
    if BARE_PERCENT.search(text) or "#" in (parts["fragment"] or ""):
        return False
    if parts["scheme"] is None and ":" in parts["path"].partition("/")[0]:
        return False  # section 4.2: it would read as a scheme
    if parts["scheme"] is not None and SCHEME_FORM.fullmatch(parts["scheme"]) is None:
        return False
    if parts["authority"] is not None and AUTHORITY_FORM.fullmatch(parts["authority"]) is None:
        return False
    return not set("[]") & set(parts["path"] + (parts["query"] or ""))


def is_relative(uri: str) -> bool:
    """Whether a URI reference lacks a scheme (RFC 3986 section 4.2)."""
    scheme, colon, _ = uri.strip(SPACE).partition(":")
    return not (colon and SCHEME_FORM.fullmatch(scheme))


def one_of(*words: str) -> Simple:
    """An enumeration: exactly one of these words, without any space around it."""
    allowed = frozenset(words)
    return Simple(f"one of {', '.join(words)}", allowed.__contains__)


def _form(name: str, form: re.Pattern[str], default: str | None = None) -> Simple:
    return Simple(name, lambda text: form.fullmatch(text.strip(SPACE)) is not None, default)


TEXT: Final = Simple("text", lambda _text: True)
TIME: Final = Simple("a time like 2002-05-24T16:49:00-07:00", lambda text: instant(text) is not None)
LANGUAGE: Final = _form("a language like en-US", LANGUAGE_FORM, default="en-US")
URI: Final = Simple("a URI", is_uri)
INTEGER: Final = _form("a whole number", INTEGER_FORM)
NUMBER: Final = _form("a decimal number", DECIMAL_FORM)
