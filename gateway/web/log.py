"""The log's read path over HTTP (c2sp.org/tlog-tiles) for who holds a token: /log/ and what lies below it.

    checkpoint                        auditors: the newest; witnesses: the newest that is shown outside and cosigned
    witnessed                         auditors: that one
    tile/<L>/<N>[.p/<W>]              auditors and witnesses; these only of trees that were shown outside
    tile/entries/<N>[.p/<W>]          auditors
    body/<hex SHA-256>                auditors; bodies of published kinds only
    receipts/<N>[.p/<W>]              auditors; bodies of receipts (keys.receipts)

A path has one spelling, read by `keys.tlog.tile.parse_path`; files are opened by integers. What is not there, what is not yet
under the published checkpoint, and what is not for this token are answered alike.

A token is 32 random bytes in base64url. The gateway keeps its SHA-256 in a file of lines `role name hash`, read again when it
changes. An auditor's counts while the charter in force names that auditor.
"""

import asyncio
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.audit.tiles import CHECKPOINT, WITNESSED, LogFolder
from keys.charter import Charter
from keys.identity import Random
from keys.receipts import parse_receipts_path
from keys.tlog.checkpoint import TreeHead
from keys.tlog.errors import Malformed
from keys.tlog.note import Note
from keys.tlog.tile import WIDTH, Bundle, Resource, Tile, parse_path

_BODY: Final = re.compile(r"body/([0-9a-f]{64})", re.ASCII)
_NAME: Final = re.compile(r"[\x21-\x7e]{1,100}", re.ASCII)
_BEARER: Final = "Bearer "
IMMUTABLE: Final = "private, max-age=31536000, immutable"
FRESH: Final = "private, max-age=1"
TOKEN_LIMIT: Final = 64


class Role(StrEnum):
    """What a token is for."""

    AUDITOR = "auditor"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who holds a token."""

    role: Role
    name: str


class TokensRefused(Exception):
    """The file of tokens can't be read, or the name can't stand in it."""


class Tokens:
    """The file of token hashes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._readers: dict[str, Reader] = {}

    def issue(self, role: Role, name: str, random: Random) -> str:
        """A new token, in place of the one that this reader had; only its hash is kept. Raises TokensRefused, OSError."""
        if not _NAME.fullmatch(name):
            raise TokensRefused("a name has 1 to 100 visible ASCII characters and no space")
        token = urlsafe_b64encode(random(32)).decode().rstrip("=")
        readers = {key: reader for key, reader in self._read().items() if reader != Reader(role, name)}
        readers[_hash(token)] = Reader(role, name)
        lines = "".join(f"{reader.role} {reader.name} {key}\n" for key, reader in readers.items())
        passing = self._path.with_name(f".new-{self._path.name}")
        with suppress(FileNotFoundError):
            passing.unlink()
        descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        passing.replace(self._path)
        return token

    def reader(self, authorization: str) -> Reader | None:
        """Whose token this header carries. Raises TokensRefused, OSError where the file can't be read."""
        token = authorization.removeprefix(_BEARER)
        if token == authorization or not 1 <= len(token) <= TOKEN_LIMIT:
            return None
        return self._fresh().get(_hash(token))

    def any(self, role: Role) -> bool:
        """Whether anybody holds a token of this role; also where the file can't be read, which is somebody's mistake."""
        try:
            return any(reader.role is role for reader in self._fresh().values())
        except (TokensRefused, OSError):
            return True

    def check(self) -> None:
        """Raises TokensRefused, OSError unless the file reads."""
        self._fresh()

    def _fresh(self) -> dict[str, Reader]:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except FileNotFoundError:
            stamp = None
        if stamp != self._stamp or stamp is None:
            self._readers, self._stamp = self._read(), stamp
        return self._readers

    def _read(self) -> dict[str, Reader]:
        try:
            text = self._path.read_text("ascii")
        except FileNotFoundError:
            return {}
        except UnicodeDecodeError:
            raise TokensRefused(f"{self._path} is not a file of tokens") from None
        readers = {}
        for line in text.splitlines():
            try:
                role, name, key = line.split(" ")
                readers[key] = Reader(Role(role), name)
            except ValueError:
                raise TokensRefused(f"{self._path} is not a file of tokens") from None
        return readers


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Found:
    """What is answered: bytes, their type, and how long they may be kept."""

    data: bytes
    content_type: str
    cache: str


class LogReadPath:
    """Answers paths below /log/. `size` is that of the published checkpoint, `body` looks a published body up."""

    def __init__(
        self,
        folder: LogFolder,
        tokens: Tokens,
        charter: Callable[[], Charter | None],
        size: Callable[[], int],
        body: Callable[[bytes], bytes | None],
        step: int = 1,
        noted: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._folder = folder
        self._tokens = tokens
        self._charter = charter
        self._size = size
        self._body = body
        self._step = step
        self._noted = noted

    async def get(self, path: str, authorization: str) -> Found | None:
        """The resource at `path`, or None: not there, or not for this reader."""
        reader = self._tokens.reader(authorization)
        if reader is None or not self._named(reader):
            return None
        if path == CHECKPOINT or (path == WITNESSED and reader.role is Role.AUDITOR):
            outside = path == WITNESSED or reader.role is Role.WITNESS
            note = self._folder.witnessed() if outside else self._folder.checkpoint()
            return None if note is None else Found(note, "text/plain; charset=utf-8", FRESH)
        if self._noted is not None and reader.role is Role.AUDITOR:
            await self._noted(reader.name)  # before anything is given
        if match := _BODY.fullmatch(path):
            body = self._body(bytes.fromhex(match[1])) if reader.role is Role.AUDITOR else None
            return None if body is None else Found(body, "application/octet-stream", IMMUTABLE)
        try:
            of_receipts = path.startswith("receipts/")
            resource = parse_receipts_path(path) if of_receipts else parse_path(path)
        except Malformed:
            return None
        if _end(resource) > self._size() or (reader.role is not Role.AUDITOR and not self._is_outside(resource)):
            return None
        try:
            read = self._folder.receipts if of_receipts else self._folder.read
            data = await asyncio.to_thread(read, resource)  # type: ignore[arg-type]
        except (FileNotFoundError, NotADirectoryError):  # a partial one that its full one has replaced
            return None
        return Found(data, "application/octet-stream", IMMUTABLE)

    def _is_outside(self, resource: Resource) -> bool:
        """Whether it is hashes of a tree that was shown outside: by asking for others, one would learn the sizes between."""
        if not isinstance(resource, Tile) or (note := self._folder.witnessed()) is None:
            return False
        end = _end(resource)
        between = resource.level == 0 and resource.width < WIDTH and end % self._step
        return end <= TreeHead.decode(Note.decode(note).text).size and not between

    def _named(self, reader: Reader) -> bool:
        charter = self._charter()
        return charter is not None and (reader.role is Role.WITNESS or reader.name in charter.policy.auditors)


def _end(resource: Resource) -> int:
    """The size that a tree has at least that has this tile or bundle."""
    last = resource.index * WIDTH + resource.width
    return last if isinstance(resource, Bundle) else last << 8 * resource.level
