"""The gateway's folder: what `init` makes once, and every other command opens.

    gateway.toml        gateway.request     log.vkey     log-mldsa44.vkey
    gateway.db          log.floor           tokens       log/
    secrets/gateway.key secrets/log.key     secrets/log-mldsa44.key
    tls/certificate.pem tls/key.pem predecessor/ (gateway.ending)

Secrets are files of their own, mode 0600, so that they can be kept elsewhere (gateway.toml names them). A secret that others
can read is refused: who has the log's key can fork the log, and nobody would know since when.
"""

import os
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.audit.sequencer import LogKeys, found_log
from gateway.config import CONFIG_NAME, PATHS, Address, Config, ConfigRefused, Tls, parse, render
from gateway.ending import Ending, put
from gateway.store import database
from gateway.store.sqlite import SqliteStore
from gateway.web.tls import key_hash, make_certificate
from keys.identity import Random, SigningKey
from keys.request import GatewayRequest, write_request
from keys.tlog.cosignature import MlDsa44Cosigner
from keys.tlog.errors import TlogError
from keys.tlog.note import Ed25519Signer

REQUEST_NAME: Final = "gateway.request"
VKEY_NAME: Final = "log.vkey"
ML_DSA_VKEY_NAME: Final = "log-mldsa44.vkey"
_SEED: Final = 32


@dataclass(frozen=True, slots=True)
class Wish:
    """What `init` is asked for."""

    folder: Path
    url: str
    origin: str
    listen: Address
    metrics: Address
    proxy_certificates: tuple[Path, ...] = ()
    """Certificates of a proxy that ends TLS; none: the gateway does it itself."""

    succeeds: Ending | None = None
    """The log that this gateway's takes the place of, where one can't go on."""

    @property
    def tls(self) -> Tls:
        return Tls.PROXY if self.proxy_certificates else Tls.OWN


@dataclass(frozen=True, slots=True)
class Keys:
    """The gateway's secrets, opened."""

    gateway: SigningKey
    log: LogKeys


def open_keys(config: Config) -> Keys:
    """Read the secrets that gateway.toml names; raises ConfigRefused."""
    try:
        log = LogKeys(
            config.origin,
            Ed25519Signer.from_seed(config.origin, _read_seed(config.log_key)),
            MlDsa44Cosigner.from_seed(config.origin, _read_seed(config.log_key_pq)),
        )
    except TlogError as error:
        raise ConfigRefused(f"origin: {error}") from None
    return Keys(SigningKey(_read_seed(config.gateway_key)), log)


def check_private(path: Path) -> None:
    """Raises ConfigRefused where a secret is absent, or others may read it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigRefused(f"{path}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigRefused(f"{path} is a secret that others may read: chmod 600 {path}")


def _read_seed(path: Path) -> bytes:
    check_private(path)
    try:
        seed = b64decode(path.read_text("ascii").strip(), validate=True)
    except (OSError, ValueError):
        raise ConfigRefused(f"{path} is no key of this gateway") from None
    if len(seed) != _SEED:
        raise ConfigRefused(f"{path} is no key of this gateway")
    return seed


def tls_keys(config: Config) -> bytes | None:
    """The hash of the TLS key that clients see, None where a proxy ends TLS; raises ConfigRefused."""
    if config.tls is Tls.PROXY:
        return None
    check_private(config.tls_key)
    return certificate_hash(config.tls_certificate)


def certificate_hash(certificate: Path) -> bytes:
    """The hash of a certificate's key; raises ConfigRefused."""
    try:
        return key_hash(certificate.read_bytes())
    except OSError as error:
        raise ConfigRefused(f"{certificate}: {error.strerror}") from None
    except ValueError:
        raise ConfigRefused(f"{certificate} is no certificate (PEM)") from None


def default_origin(url: str, random: Random) -> str:
    """A name that no other log has: the host, and eight random digits."""
    return f"{urlsplit(url).hostname}/outrider/{random(4).hex()}"


async def found(wish: Wish, random: Random, now: int) -> GatewayRequest:
    """Make a gateway's folder: keys, certificate, database, empty log, gateway.toml and, last, gateway.request.

    A crash within leaves a folder that no command takes for a gateway's (it has no gateway.request) and that `init` refuses
    to make another in: remove it and run `init` again.

    Raises:
        ConfigRefused: the folder is not empty, or a value can't be used.
        OSError: the disk.
    """
    folder = wish.folder.absolute()
    text = render(wish.url, wish.origin, wish.listen, wish.metrics, wish.tls)
    config = parse(text.encode(), folder)
    _check_origin(wish.origin)
    if wish.succeeds is not None and wish.succeeds.head.origin == wish.origin:
        raise ConfigRefused("a log that takes another's place has an origin of its own")
    hashes = [certificate_hash(path) for path in wish.proxy_certificates]
    _make_folder(folder)
    for secret in ("gateway_key", "log_key", "log_key_pq"):
        _write(folder / PATHS[secret], b64encode(random(_SEED)) + b"\n", 0o600)
    certificate, key = make_certificate(urlsplit(wish.url).hostname or "", now)
    _write(config.tls_certificate, certificate, 0o644)
    _write(config.tls_key, key, 0o600)
    _write(folder / CONFIG_NAME, text.encode(), 0o644)
    keys = open_keys(config)
    request = GatewayRequest(
        wish.url,
        wish.origin,
        keys.log.ed25519.verifier_key.encode(),
        keys.gateway.public,
        hashes or [key_hash(certificate)],
        keys.log.ml_dsa.verifier_key.encode(),
        None if wish.succeeds is None else wish.succeeds.request,
    )
    _write(folder / VKEY_NAME, f"{request.log_key}\n".encode(), 0o644)
    _write(folder / ML_DSA_VKEY_NAME, f"{keys.log.ml_dsa.verifier_key.encode()}\n".encode(), 0o644)
    if wish.succeeds is not None:
        put(folder, wish.succeeds)
    database.create(config.database)
    store = SqliteStore(config.database)
    try:
        await found_log(store, config.log, config.floor, keys.log, now)
    finally:
        await store.close()
    _write(folder / REQUEST_NAME, write_request(request, keys.gateway).encode(), 0o644)
    _sync(folder)
    return request


def _check_origin(origin: str) -> None:
    try:
        Ed25519Signer.from_seed(origin, bytes(_SEED))
    except TlogError as error:
        raise ConfigRefused(f"--origin: {error}") from None


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigRefused(f"{folder} is not empty: init makes a new gateway and touches nothing that is there")
    for name in ("secrets", "tls"):
        (folder / name).mkdir(mode=0o700)


def _write(path: Path, data: bytes, mode: int) -> None:
    """A new file, durable, never through a link that somebody has put there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
