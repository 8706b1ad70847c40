"""The road by webhook: one POST a notice to a URL of the operator's, which knows what to do with it.

    POST /in                                            {"schema": 1, "id": "…64 digits", "to": "address",
    Content-Type: application/json                       "text": "OUTRIDER: see your device. kabus",
    Idempotency-Key: …64 digits (the notice's name)      "time": "2026-11-21T14:12:31Z"}
    Outrider-Signature: v1=…HMAC-SHA-256(secret, body) in hexadecimal

A notice that is told again after a crash has the same key and the same body, byte for byte. 2xx: taken. 408, 425, 429, 5xx and
silence: again later. Any other answer, a redirect included: refused, for an address list must not wander.
"""

import hmac
import json
import ssl
from pathlib import Path
from typing import Final

import aiohttp

from gateway.core.notices import Result, Tried
from gateway.roads.base import Message, RoadRefused
from gateway.roads.settings import WebhookSettings

LATER: Final = frozenset({408, 425, 429})
SECRET_LEAST: Final = 16  # bytes
CONNECTIONS: Final = 4


class WebhookRoad:
    """`base.Road` by webhook. Raises RoadRefused where the secret or the authorities can't be read."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._secret = _secret(settings.secret)
        try:
            self._context: ssl.SSLContext | bool = ssl.create_default_context(cafile=settings.ca)
        except (OSError, ssl.SSLError) as error:
            raise RoadRefused(f"roads.{settings.name}: ca: {settings.ca}: {error}") from None
        self._client: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        return self._settings.name

    async def send(self, message: Message) -> Result:
        body = written(message)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.id,
            "Outrider-Signature": signature(self._secret, body),
        }
        try:
            async with self._session().post(
                self._settings.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return _said(answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Result(Tried.LATER, f"the webhook can't be reached: {type(error).__name__}")

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context, limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _said(status: int) -> Result:
    if 200 <= status < 300:
        return Result(Tried.SENT)
    later = status in LATER or status >= 500
    return Result(Tried.LATER if later else Tried.REFUSED, f"the webhook answers {status}")


def written(message: Message) -> bytes:
    """The body: the same bytes whenever the same notice is told."""
    return json.dumps(
        {
            "schema": 1,
            "id": message.id,
            "to": message.address,
            "text": message.text,
            "time": message.moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    ).encode()


def signature(secret: bytes, body: bytes) -> str:
    """The Outrider-Signature header."""
    return "v1=" + hmac.digest(secret, body, "sha256").hex()


def _secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise RoadRefused(f"{path}: {error.strerror}") from None
    if len(secret) < SECRET_LEAST:
        raise RoadRefused(f"{path}: a webhook's secret has at least {SECRET_LEAST} characters")
    return secret
