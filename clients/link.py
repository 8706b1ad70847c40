"""The link: one WebSocket over TLS 1.3 to the gateway, frames in and out.

No certificate authority is asked: the server's key has to be one of the charter's pins, by SHA-256 of its
SubjectPublicKeyInfo, and that is checked after the TLS handshake and before the first byte of HTTP. Only enrolment opens a
link without pins; it learns the key that it saw and checks it against the charter it was given.

    link = await Link.open(url, pins)
    await link.send(frame)
    frames = await link.receive()          # at least one, and what else has come
    await link.close()

Frames are bounded (64 KiB), so is what waits unread, and so are pings. `tap` is shown every frame's bytes, as they go over
the socket inside TLS.
"""

import asyncio
import contextlib
import os
import random
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients.core.errors import NotReached, Untrusted
from gateway import wire
from keys.canonical import encode
from keys.errors import Malformed


@contextlib.contextmanager
def _no_authorities() -> Iterator[None]:
    """Where the system's certificate authorities lie is out of sight meanwhile. aiohttp reads them all, twice, when it is imported,
    a sixth of what it takes to start a verb; and none is ever asked here."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # as OpenSSL calls them
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _no_authorities():
    import aiohttp

Tap = Callable[[str, bytes], None]

PATH: Final = "/v1/socket"
CLOSE_SECONDS: Final = 2.0
OPEN_SECONDS: Final = 10.0
OPEN_NARROW_SECONDS: Final = 60.0  # a handshake of 3 kB at 2 kbit/s, stalls included
SEND_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 180.0  # the gateway pings every minute
PINGS_A_MINUTE: Final = 30
AT_ONCE: Final = 128  # frames handed over together
WAIT_FIRST: Final = 0.2  # s before the second attempt
WAIT_MOST: Final = 30.0


def backoff(attempt: int) -> float:
    """Seconds before attempt n + 1: doubling, at most WAIT_MOST, half of it by chance so that not all come at once."""
    longest = min(WAIT_MOST, WAIT_FIRST * 2.0 ** min(attempt, 16))
    return longest / 2 + random.random() * longest / 2  # noqa: S311 (spreads load, keeps no secret)


class _Pins(aiohttp.Fingerprint):
    """Checked by aiohttp when TLS is up and nothing has been sent."""

    def __init__(self, pins: Collection[bytes] | None) -> None:
        super().__init__(bytes(32))
        self._pins = pins
        self.seen = b""

    def check(self, transport: asyncio.Transport) -> None:
        """Raises Untrusted for another key, or an older TLS."""
        session: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = session.getpeercert(binary_form=True) if session else None
        if session is None or certificate is None or session.version() != "TLSv1.3":
            raise Untrusted("the gateway is spoken to over TLS 1.3, and nothing else")
        self.seen = tls_key_of(certificate)
        if self._pins is not None and self.seen not in self._pins:
            raise Untrusted("the gateway's TLS key is not one that the charter names: somebody may be in between")


def tls_key_of(certificate: bytes) -> bytes:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, as charters name it. Raises Untrusted where there is none to be read."""
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
        return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except Exception as error:  # the parser raises many kinds, all of which say: no such certificate
        raise Untrusted(f"the gateway's TLS certificate can't be read: {error}") from None


def _why(error: Exception) -> str:
    """A failed connection in a few words: the system's own, where it has some."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    return getattr(cause, "strerror", None) or str(cause) or type(error).__name__


async def _finish(session: aiohttp.ClientSession) -> None:
    """Close it, but wait no longer than politeness asks: a peer that was killed never says goodbye."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await session.close()


class Link:
    """An open connection. Use `open`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: "aiohttp.ClientWebSocketResponse[Any]",
        tls_key: bytes,
        tap: Tap | None,
    ) -> None:
        self._session = session
        self._socket = socket
        self._tap = tap
        self._pings: list[float] = []
        self.tls_key = tls_key
        """SHA-256 of the server's SubjectPublicKeyInfo, as seen."""
        self.heard: float = time.monotonic()
        """When the last frame came, by the monotonic clock."""

    @classmethod
    async def open(
        cls, url: str, pins: Collection[bytes] | None, *, tap: Tap | None = None, patience: float = OPEN_SECONDS
    ) -> "Link":
        """Connect to the gateway at `url` (https://host:port). `pins` None: take any key, and see in `tls_key` which.

        Raises:
            NotReached: nobody answers there.
            Untrusted: somebody else does.
        """
        if not url.startswith("https://"):
            raise Untrusted(f"a gateway's address begins with https://, not as in {url!r}")
        checked = _Pins(pins)
        session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with asyncio.timeout(patience):
                socket = await session.ws_connect(
                    url.rstrip("/") + PATH,
                    ssl=checked,
                    max_msg_size=wire.FRAME_LIMIT,
                    autoping=False,
                    compress=0,
                )
        except Untrusted:
            await _finish(session)
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await _finish(session)
            raise NotReached(f"the gateway at {url} does not answer: {_why(error)}") from None
        except BaseException:
            await _finish(session)
            raise
        return cls(session, socket, checked.seen, tap)

    async def send(self, frame: wire.FromDevice) -> None:
        """Send one frame. Raises NotReached when the connection is gone."""
        data = encode(frame)
        if len(data) > wire.FRAME_LIMIT:
            raise NotReached(f"a frame of {len(data)} bytes is over the limit")
        if self._tap is not None:
            self._tap("sent", data)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_bytes(data)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NotReached(f"the connection broke: {error or type(error).__name__}") from None

    async def receive(self) -> list[wire.FromGateway]:
        """The next frames, at least one.

        Raises:
            NotReached: the connection has ended.
            Untrusted: what came is not the protocol.
        """
        frames = [await self._next(SILENCE_SECONDS)]
        while len(frames) < AT_ONCE:
            try:
                frames.append(await self._next(0.001))
            except TimeoutError:
                break
            except NotReached:
                break  # the next call says so again, after these were taken
        return frames

    async def _next(self, patience: float) -> wire.FromGateway:
        while True:
            try:
                message = await self._socket.receive(patience)
            except TimeoutError:
                if patience == SILENCE_SECONDS:
                    raise NotReached("the gateway has fallen silent") from None
                raise
            if message.type is aiohttp.WSMsgType.PING:
                await self._pong(message.data)
                continue
            if message.type is aiohttp.WSMsgType.PONG:
                continue
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise NotReached(f"the gateway has closed the connection ({self._socket.close_code or 'broken'})")
            return self._read(message.data)

    def _read(self, data: bytes) -> wire.FromGateway:
        self.heard = time.monotonic()
        if self._tap is not None:
            self._tap("received", data)
        try:
            return wire.read_from_gateway(data)
        except Malformed as error:
            raise Untrusted(f"the gateway sent what is no frame: {error}") from None

    async def _pong(self, data: bytes) -> None:
        """Answer a ping, within a budget: unlimited pings would drain a phone."""
        now = time.monotonic()
        self._pings = [t for t in self._pings if now - t < 60.0] + [now]
        if len(self._pings) > PINGS_A_MINUTE:
            raise NotReached("the gateway pings without end")
        await self._socket.pong(data)

    async def close(self) -> None:
        """End it. Never raises; closing twice does no harm. Back when the socket is gone, so the loop may end with it."""
        plain = self._socket.get_extra_info("socket")
        try:
            async with asyncio.timeout(2.0):
                await self._socket.close()
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        finally:
            await _finish(self._session)
        until = time.monotonic() + CLOSE_SECONDS
        while plain is not None and plain.fileno() >= 0 and time.monotonic() < until:  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.005)  # TLS says its goodbye in its own time
