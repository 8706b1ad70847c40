"""A log read over HTTP from a gateway, with an auditor's token (c2sp.org/tlog-tiles).

The connection is TLS 1.3 to a server whose key the charter names: the SHA-256 of its SubjectPublicKeyInfo is compared, and no
certificate authority is asked. Without a charter the system's authorities decide, or one from a file. Whoever answers, what it
gives is checked like a folder's; the pin keeps the token, and what only auditors may see, from others.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients.auditor.source import CHECKPOINT, limit_of
from keys.tlog.errors import NotFound

TIMEOUT: Final = 20.0  # s, of one answer
TRIES: Final = 2  # a server may close a connection that it kept open


class NotReached(OSError):
    """The log could not be asked, or shows nothing to this token. No verdict on the log."""


class RemoteSource:
    """A log by its URL, as `https://gateway.example:8440/log`. Not for two threads at once."""

    def __init__(self, url: str, token: str, pins: frozenset[bytes] = frozenset(), ca: Path | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise NotReached(f"{url} is no URL of a log")
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise NotReached("a token goes over https only")
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pins = pins
        self._context = _context(pins, ca) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def fetch(self, path: str) -> bytes:
        """The bytes of one resource. Raises NotFound, NotReached."""
        limit = limit_of(path)
        for last in range(1, TRIES + 1):
            try:
                return self._get(path, limit)
            except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
                self.close()
                if last == TRIES:
                    raise NotReached(f"{self._host}: {error or type(error).__name__}") from error
        raise AssertionError

    def paths(self) -> Iterator[str]:
        """Nothing: a server lists no files."""
        return iter(())

    def close(self) -> None:
        """End the connection; the next `fetch` makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _get(self, path: str, limit: int) -> bytes:
        connection = self._connection or self._connect()
        connection.request("GET", f"{self._prefix}/{path}", headers=self._headers)
        answer = connection.getresponse()
        data = answer.read(limit + 1)
        if answer.status == http.client.OK:
            if len(data) > limit:  # the rest stays unread
                self.close()
            return data
        self.close()
        if answer.status == http.client.NOT_FOUND and path != CHECKPOINT:
            raise NotFound(path)
        raise NotReached(f"{self._host} answers {answer.status}: is the token an auditor's whom the charter names?")

    def _connect(self) -> http.client.HTTPConnection:
        if self._context is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
            return self._connection
        secure = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=self._context)
        secure.connect()
        der = secure.sock.getpeercert(binary_form=True)
        try:
            if self._pins and (der is None or tls_key_hash(der) not in self._pins):
                raise NotReached(f"{self._host} is not the gateway that the charter names: nothing was sent to it")
        except NotReached:
            secure.close()
            raise
        self._connection = secure
        return secure


def tls_key_hash(der: bytes) -> bytes:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, as charters name it. Raises NotReached where there is none to be read."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
        return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    except Exception as error:  # the parser raises many kinds, all of which say: no such certificate
        raise NotReached(f"the gateway's TLS certificate can't be read: {error}") from None


def _context(pins: frozenset[bytes], ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if pins:  # the key decides, under whatever name and certificate it stands
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
