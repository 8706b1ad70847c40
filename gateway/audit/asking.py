"""What is asked of witnesses over HTTP, and what they know of this log: by `add-checkpoint`, and at a start.

A witness that knows more of this log than the gateway does is either mistaken or proof that the log was rolled back or forked. Its
bare word counts for nothing; the checkpoint that it shows, signed by this log's key, does (`Contradicted`).
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from typing import Final, Protocol

import aiohttp

from gateway.audit.floor import Floor
from gateway.audit.hashes import TileCache, TreeHashes
from gateway.audit.sequencer import LogKeys, LogRefused, SignedHead, check_contains
from gateway.audit.tiles import LogFolder
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.cosignature import verifier_of
from keys.tlog.errors import TlogError
from keys.tlog.note import MAX_NOTE
from keys.tlog.policy import TrustPolicy
from keys.tlog.witness import MAX_ANSWER, monitoring_path

START_SECONDS: Final = 5.0  # that a start waits for witnesses to say what they know
TILES: Final = 64
_MOST: Final = max(MAX_ANSWER, MAX_NOTE)

_log = logging.getLogger(__name__)


class NotCosigned(Exception):
    """A witness has not cosigned, for now: unreachable, or it refuses. The text is for the operator."""


class Contradicted(LogRefused):
    """The log's own key has signed what this log does not contain. `note` is the proof."""

    def __init__(self, text: str, note: bytes) -> None:
        super().__init__(text)
        self.note = note


class Ask(Protocol):
    """HTTP, as far as it is needed. A fake in the tests is a witness without sockets."""

    async def __call__(self, method: str, url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        """Status and body; raises NotCosigned where there is no answer."""
        ...


class HttpAsk:
    """`Ask` over the network. Redirects are not followed, and no proxy is taken from the environment."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._client: aiohttp.ClientSession | None = None

    async def __call__(self, method: str, url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        try:
            async with self._session().request(
                method, url, data=body, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=seconds)
            ) as answer:
                whole = bytearray()
                async for piece in answer.content.iter_any():
                    whole += piece
                    if len(whole) > _MOST:
                        break  # no answer of a witness is as long: whoever reads it refuses it
                return answer.status, bytes(whole)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise NotCosigned(f"not reached: {type(error).__name__}") from None

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=True if self._context is None else self._context),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def check_witnessed(folder: LogFolder, keys: LogKeys, hashes: TreeHashes) -> None:
    """Refuse a database that is not the one of which the last cosigned checkpoint was kept; raises LogRefused."""
    note = folder.witnessed()
    if note is not None:
        kept = keys.open(note)
        check_contains(hashes, Floor(kept.size, kept.root), "the cosigned checkpoint")


async def ask_all(
    policy: TrustPolicy, urls: Mapping[str, str], ask: Ask, keys: LogKeys, folder: LogFolder, head: SignedHead
) -> None:
    """Hold the log against what each witness shows of it. A witness that does not answer within moments holds up nothing.

    Raises:
        Contradicted: one of them shows a checkpoint of this log's key that is larger than `head`, or of another tree.
    """
    places = {urls.get(w.name, w.url).rstrip("/"): w.name for w in policy.witnesses}
    hashes = TreeHashes(head.edge, TileCache(folder, TILES))
    waiting = [hear(name, url, ask, START_SECONDS, keys, hashes) for url, name in places.items() if url]
    for found in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(found, NotCosigned):
            _log.warning("%s", found)
        elif isinstance(found, BaseException):
            raise found


async def hear(name: str, url: str, ask: Ask, seconds: float, keys: LogKeys, hashes: TreeHashes) -> None:
    """Ask a witness what it shows; raises Contradicted, or NotCosigned where it shows nothing of this log's."""
    try:
        status, note = await ask("GET", f"{url}/{monitoring_path(keys.origin)}", None, seconds)
    except NotCosigned as error:
        raise NotCosigned(f"witness {name} was not heard: {error}") from None
    if status == 404:
        return  # it has cosigned nothing yet
    shown = _shown(note, keys) if status == 200 else None
    if shown is None:
        raise NotCosigned(f"witness {name} shows no checkpoint of this log's keys (status {status})")
    size = hashes.edge.size
    if shown.size > size:
        raise Contradicted(
            f"ROLLBACK: witness {name} has seen {shown.size} entries, the database signed for {size}", note
        )
    if await asyncio.to_thread(hashes.root, shown.size) != shown.root:
        raise Contradicted(
            f"FORK: witness {name} has seen another tree of {shown.size} entries, signed by this log's key", note
        )


def _shown(note: bytes, keys: LogKeys) -> Checkpoint | None:
    """A checkpoint that at least one of the log's keys has signed: the witness keeps the lines of those that it knows."""
    try:
        verifiers = [verifier_of(keys.ed25519.verifier_key), verifier_of(keys.ml_dsa.verifier_key)]
        return open_checkpoint(note, verifiers, keys.origin)
    except TlogError:
        return None
