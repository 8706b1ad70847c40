"""gateway.toml: one file, read once into one frozen value. An unknown key stops the start, so a misspelt one can't be ignored.

Paths are taken from the folder that gateway.toml lies in. Secrets are never in the file: it names the files that hold them.
`outrider-gateway init` writes it with `render`; `deploy/gateway.toml` shows every option.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.roads.base import LOOK, RoadRefused
from gateway.roads.settings import RoadSettings, read_roads, read_text

CONFIG_NAME: Final = "gateway.toml"
CONFIG_LIMIT: Final = 64 * 1024


class ConfigRefused(Exception):
    """The configuration can't be used; the text says which line of it, and what to do."""


class Tls(StrEnum):
    """Who ends TLS."""

    OWN = "own"  # the gateway itself, TLS 1.3 only
    PROXY = "proxy"  # a proxy on the same machine; its key is among the charter's as well


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """HOST:PORT, an IPv6 host in brackets; raises ConfigRefused."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise ConfigRefused(f"{text!r} is no HOST:PORT")
        return cls(host, int(port))

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Config:
    """What the operator decides. What the mission decides is in the charter."""

    url: str
    """Where clients reach this gateway, as in its charter: https://HOST[:PORT]."""

    origin: str
    """The log's name; that of its key, too. It never changes."""

    listen: Address
    """Where the gateway listens for devices, auditors and witnesses."""

    metrics: Address
    """Where /metrics, /livez and /readyz are answered in plain HTTP. Keep it on a loopback or management network."""

    tls: Tls
    """"own", or "proxy": plain HTTP on a loopback address behind a TLS proxy."""

    tls_certificate: Path
    """The certificate (PEM). Clients pin its key, not its name or its end."""

    tls_key: Path
    """Its private key (PEM), readable by the gateway's user alone."""

    gateway_key: Path
    """Seed of the key that signs sessions, promises, refusals and the gateway's acts (base64, one line)."""

    log_key: Path
    """Seed of the log's Ed25519 key (base64, one line). Who has it can fork the log."""

    log_key_pq: Path
    """Seed of the log's ML-DSA-44 key (base64, one line), so that history stays provable."""

    database: Path
    """The database. `run` never makes one."""

    log: Path
    """The log's folder (tlog-tiles)."""

    floor: Path
    """Size and root that the log never goes below. Keep it out of the database's backups."""

    charter: Path
    """Where a charter's successor is put for SIGHUP to install."""

    tokens: Path
    """Hashes of the tokens with which auditors and witnesses read the log."""

    contacts: Path
    """Who has which address on which road off the platform; readable by the gateway's user alone."""

    log_level: str = "info"
    """debug, info, warning or error. No level writes content, names or addresses."""

    max_connections: int = 10_000
    """Connections at once; one more is closed at once."""

    drain_seconds: int = 20
    """How long a SIGTERM waits for requests in flight."""

    notice_text: str = LOOK
    """What is sent by roads off the platform: a brevity text, never content."""

    roads: tuple[RoadSettings, ...] = ()
    """Roads off the platform, by name."""

    witnesses: tuple[tuple[str, str], ...] = ()
    """Where the charter's witnesses are asked: name and submission prefix; else the URL that the charter gives."""

    witness_ca: Path | None = None
    """Authorities (PEM) for the witnesses' TLS, in place of the system's."""

    witness_late_seconds: int = 300
    """How long the witnesses' quorum may not have cosigned before that is an alarm."""

    outside_beat_seconds: int = 60
    """How often a checkpoint is shown to witnesses; the heartbeat of a log in which nothing is said, too."""

    outside_step: int = 8
    """The log is filled up to a multiple of this before each of those."""


PATHS: Final = {
    "tls_certificate": "tls/certificate.pem",
    "tls_key": "tls/key.pem",
    "gateway_key": "secrets/gateway.key",
    "log_key": "secrets/log.key",
    "log_key_pq": "secrets/log-mldsa44.key",
    "database": "gateway.db",
    "log": "log",
    "floor": "log.floor",
    "charter": "charter.note",
    "tokens": "tokens",
    "contacts": "contacts.toml",
}
"""Where things lie unless gateway.toml says otherwise."""

LEVELS: Final = ("debug", "info", "warning", "error")


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigRefused(f"{key} must be text")
    return value


def _number(low: int, high: int) -> Callable[[object, str], int]:
    def read(value: object, key: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ConfigRefused(f"{key} must be {low} to {high}")
        return value

    return read


def _tls(value: object, key: str) -> Tls:
    try:
        return Tls(_text(value, key))
    except ValueError:
        raise ConfigRefused(f'{key} must be "own" or "proxy"') from None


def _level(value: object, key: str) -> str:
    if value not in LEVELS:
        raise ConfigRefused(f"{key} must be one of {', '.join(LEVELS)}")
    return str(value)


def _url(value: object, key: str) -> str:
    url = _text(value, key)
    if not url.startswith("https://") or len(url) > 200 or url.endswith("/"):
        raise ConfigRefused(f"{key} must be https://HOST[:PORT]")
    return url


def _witnesses(value: object, key: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ConfigRefused(f"{key} is a table: NAME = URL")
    found = []
    for name, url in value.items():
        parts = urlsplit(_text(url, f"{key}.{name}"))
        plain = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        if not (parts.scheme == "https" or plain) or not parts.hostname or parts.query or parts.fragment:
            raise ConfigRefused(f"{key}.{name} must be https://HOST[:PORT][/PATH]")
        found.append((name, url))
    return tuple(found)


_READ: Final[dict[str, Callable[[object, str], object]]] = {
    "url": _url,
    "origin": _text,
    "listen": lambda value, key: Address.parse(_text(value, key)),
    "metrics": lambda value, key: Address.parse(_text(value, key)),
    "tls": _tls,
    "log_level": _level,
    "max_connections": _number(1, 1_000_000),
    "drain_seconds": _number(1, 600),
    "witnesses": _witnesses,
    "witness_late_seconds": _number(1, 24 * 3600),
    "outside_beat_seconds": _number(1, 3600),
    "outside_step": _number(1, 256),
}


def _read(name: str, value: object, key: str, folder: Path) -> object:
    try:
        if name == "roads":
            return read_roads(value, folder)
        return read_text(value) if name == "notice_text" else _READ[name](value, key)
    except RoadRefused as refused:
        raise ConfigRefused(str(refused)) from None


def parse(text: bytes, folder: Path) -> Config:
    """Read a gateway.toml that lies in `folder`.

    Raises:
        ConfigRefused: not TOML, a key unknown, missing or of another type, or values that contradict each other.
    """
    try:
        given = tomllib.loads(text.decode())
    except (RecursionError, ValueError) as error:  # not TOML, not UTF-8, numbers or tables beyond what Python reads
        raise ConfigRefused(f"not TOML: {error}") from None
    values: dict[str, object] = {name: folder / place for name, place in PATHS.items()}
    known = {field.name for field in fields(Config)}
    for key, value in given.items():
        name = key.replace("-", "_")
        if name not in known or "_" in key:
            raise ConfigRefused(f"unknown key {key!r}: see deploy/gateway.toml for those that there are")
        values[name] = folder / _text(value, key) if name in (*PATHS, "witness_ca") else _read(name, value, key, folder)
    for name in ("url", "origin", "listen", "metrics", "tls"):
        if name not in values:
            raise ConfigRefused(f"{name} is missing")
    config = Config(**values)  # type: ignore[arg-type]  # each was read as its field's type
    if config.tls is Tls.PROXY and not config.listen.loopback:
        raise ConfigRefused('with tls = "proxy" the gateway listens on a loopback address only')
    return config


def load(path: Path) -> Config:
    """Read a gateway.toml; raises ConfigRefused, also where there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(CONFIG_LIMIT + 1)
    except OSError as error:
        raise ConfigRefused(f"{path}: {error.strerror}") from None
    if len(text) > CONFIG_LIMIT:
        raise ConfigRefused(f"{path}: over {CONFIG_LIMIT} bytes")
    try:
        return parse(text, path.resolve().parent)
    except ConfigRefused as refused:
        raise ConfigRefused(f"{path}: {refused}") from None


def render(url: str, origin: str, listen: Address, metrics: Address, tls: Tls) -> str:
    """The gateway.toml that `init` writes: what has no default. `parse` reads it back."""
    values = {"url": url, "origin": origin, "listen": listen, "metrics": metrics, "tls": tls}
    lines = [
        f'{key} = "{str(value).replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
        for key, value in values.items()
    ]
    return "\n".join(["# outrider-gateway: deploy/gateway.toml tells every option.", *lines, ""])
