"""The roads of gateway.toml: a table each, read once into frozen values.

    [roads.mail]                    [roads.pager]                       [roads.sms]
    kind = "smtp"                   kind = "webhook"                    kind = "apprise"
    host = "mail.example"           url = "https://pager.example/in"
    from = "outrider@example"       secret = "secrets/pager.key"

The name is what a ladder's rungs say. Secrets are paths to files of mode 0600.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from gateway.roads.base import RoadRefused
from keys.ladder import APP

T = TypeVar("T")
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
ROADS: Final = 16
TEXT_LIMIT: Final = 120  # characters: with its code and the words of an exercise it still is one SMS or two
TIMEOUT: Final = 20  # s
TIMEOUT_LIMIT: Final = 120  # s


class SmtpTls(StrEnum):
    """How the connection to the mail server is kept private."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"  # to a server on this machine only


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """A mail server. `user` and `password` stand together, or neither."""

    name: str
    host: str
    port: int
    sender: str
    tls: SmtpTls
    timeout: int  # s
    user: str = ""
    password: Path | None = None
    ca: Path | None = None  # PEM; None: the system's

    @property
    def secrets(self) -> tuple[Path, ...]:
        return (self.password,) if self.password else ()


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A URL that takes a POST. `secret`: the key under which each is signed."""

    name: str
    url: str
    secret: Path
    timeout: int  # s
    ca: Path | None = None

    @property
    def secrets(self) -> tuple[Path, ...]:
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """Whatever apprise can speak to: the addresses in the contacts file are its URLs. Needs the extra [notify]."""

    name: str
    timeout: int  # s

    @property
    def secrets(self) -> tuple[Path, ...]:
        return ()


RoadSettings = SmtpSettings | WebhookSettings | AppriseSettings


class _Table:
    """A TOML table that is emptied as it is read."""

    def __init__(self, name: str, values: object, folder: Path) -> None:
        if not isinstance(values, Mapping):
            raise RoadRefused(f"roads.{name} is not a table")
        self.name = name
        self._values = dict(values)
        self._folder = folder

    def wrong(self, key: str, what: str) -> RoadRefused:
        return RoadRefused(f"roads.{self.name}: {key} {what}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._values.pop(key, default)
        if value is None:
            raise self.wrong(key, "is missing")
        if not isinstance(value, str) or not value.isprintable() or (not value and default != ""):
            raise self.wrong(key, "must be text")
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        value = self._values.pop(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key, f"must be {low} to {high}")
        return value

    def path(self, key: str) -> Path | None:
        text = self.text(key, "")
        return self._folder / text if text else None

    def end(self) -> None:
        if self._values:
            raise RoadRefused(f"roads.{self.name}: unknown key {sorted(self._values)[0]!r}: see deploy/gateway.toml")


def loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _smtp(table: _Table) -> SmtpSettings:
    host = table.text("host")
    try:
        tls = SmtpTls(table.text("tls", SmtpTls.STARTTLS))
    except ValueError:
        raise table.wrong("tls", f"must be one of {', '.join(SmtpTls)}") from None
    if tls is SmtpTls.NONE and not loopback(host):
        raise table.wrong("tls", '"none" is for a mail server on this machine alone')
    usual = {SmtpTls.STARTTLS: 587, SmtpTls.TLS: 465, SmtpTls.NONE: 25}[tls]
    port = table.number("port", usual, 1, 65_535)
    sender = table.text("from")
    if not is_mail_address(sender):
        raise table.wrong("from", "must be a mail address")
    user, password = table.text("user", ""), table.path("password")
    if bool(user) != (password is not None):
        raise table.wrong("user", "and password stand together; password names a file")
    if user and tls is SmtpTls.NONE:
        raise table.wrong("user", "needs TLS: a password in the clear is everybody's")
    return SmtpSettings(table.name, host, port, sender, tls, _timeout(table), user, password, table.path("ca"))


def _webhook(table: _Table) -> WebhookSettings:
    url, secret = table.text("url"), table.path("secret")
    try:
        parts = urlsplit(url)
        private = parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))
        sound = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        private = sound = False
    if not private or not sound:
        raise table.wrong("url", "must be https://HOST…, or http:// on this machine alone")
    if secret is None:
        raise table.wrong("secret", "is missing: a file with the key that signs what is sent")
    return WebhookSettings(table.name, url, secret, _timeout(table), table.path("ca"))


def _apprise(table: _Table) -> AppriseSettings:
    return AppriseSettings(table.name, _timeout(table))


def _timeout(table: _Table) -> int:
    return table.number("timeout-seconds", TIMEOUT, 1, TIMEOUT_LIMIT)


_KINDS: Final[Mapping[str, Callable[[_Table], RoadSettings]]] = {
    "smtp": _smtp,
    "webhook": _webhook,
    "apprise": _apprise,
}


def read_roads(values: object, folder: Path) -> tuple[RoadSettings, ...]:
    """Read the tables under [roads], by name; paths are taken from `folder`.

    Raises:
        RoadRefused: a name, kind, key or value that can't be used.
    """
    if not isinstance(values, Mapping):
        raise RoadRefused("roads are tables: [roads.NAME]")
    if len(values) > ROADS:
        raise RoadRefused(f"at most {ROADS} roads")
    return tuple(_road(name, values[name], folder) for name in sorted(values))


def _road(name: str, values: object, folder: Path) -> RoadSettings:
    if not NAME.fullmatch(name):
        raise RoadRefused(f"roads.{name}: a road's name has small letters, digits and hyphens, up to 32")
    if name == APP:
        raise RoadRefused(f"roads.{name}: that is the platform's own road, which is there always")
    table = _Table(name, values, folder)
    kind = table.text("kind")
    if kind not in _KINDS:
        raise table.wrong("kind", f"must be one of {', '.join(_KINDS)}")
    settings = _KINDS[kind](table)
    table.end()
    return settings


def read_text(value: object) -> str:
    """The brevity text. Raises RoadRefused."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= TEXT_LIMIT:
        raise RoadRefused(f"notice-text must be 1 to {TEXT_LIMIT} printable characters")
    if set(re.findall(r"\{[^}]*\}?|\}", value)) - {"{code}"}:
        raise RoadRefused("notice-text may hold {code}, and no other braces")
    return value


def is_mail_address(text: str) -> bool:
    """Strict on purpose: what stands in a header or an SMTP command must not end it. No comments, no quotes, no UTF-8."""
    return re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text) is not None
