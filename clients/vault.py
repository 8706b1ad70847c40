"""The vault: everything a device keeps, in one encrypted SQLite file.

    vault = Vault.create(folder, passphrase)         # once; afterwards Vault.open(folder, passphrase)
    with vault.transaction():                        # all of it or nothing, durable when the block ends
        vault.put("message", key, value)
        vault.set_secret("device:key", seed)
    vault.close()

A profile's folder holds three files: `vault.db` (SQLite3MultipleCiphers, ChaCha20-Poly1305, the WAL included), `vault.key`
(salt and cost of Argon2id; nothing secret) and `vault.lock` (one process at a time: an MLS ratchet used by two would spend
one key twice). The rule it keeps: what a transaction wrote survives a power cut, and what was overwritten or deleted is
gone from the file (`secure_delete`, and the WAL is folded in and cut when the vault closes).
"""

import fcntl
import hmac
import os
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import apsw
from argon2.low_level import Type, hash_secret_raw
from msgspec import Meta

from clients.core.ledger import Change
from keys.canonical import Hash, Id, Record, encode, reader
from keys.errors import Malformed

CIPHER: Final = "chacha20"
DATABASE, PARAMETERS, LOCK = "vault.db", "vault.key", "vault.lock"
MAX_MEMORY: Final = 4 * 1024 * 1024  # KiB: a header may not ask for more than 4 GiB
POLL: Final = 0.05  # seconds between two looks at the lock


class VaultError(Exception):
    """Root of what this module raises."""


class NoVault(VaultError):
    """There is none in this folder: enrol first, or name another profile."""


class VaultExists(VaultError):
    """There is one already; it is never overwritten."""


class WrongPassphrase(VaultError):
    """Not the passphrase that this vault was made with."""


class VaultBusy(VaultError):
    """Another process has the vault open."""


class NewerVault(VaultError):
    """Written by a newer version of the program; nothing was touched."""


class VaultDamaged(VaultError):
    """The passphrase is right and the file can't be read."""


class Cost(Record, frozen=True, array_like=True):
    """What one guess at the passphrase costs (Argon2id, RFC 9106): memory in KiB, passes, lanes."""

    memory: Annotated[int, Meta(ge=8, le=MAX_MEMORY)] = 64 * 1024
    passes: Annotated[int, Meta(ge=1, le=64)] = 2
    lanes: Annotated[int, Meta(ge=1, le=16)] = 1


CHEAP: Final = Cost(64, 1, 1)
"""For tests only."""


class Parameters(Record, frozen=True, array_like=True):
    """The file beside the database. `check` tells a wrong passphrase from a damaged file; it helps nobody guess who holds
    the database anyway."""

    version: Annotated[int, Meta(ge=1, le=1)]
    cost: Cost
    salt: Id
    check: Hash


_read_parameters = reader(Parameters, limit=256)


def _derive(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    secret = unicodedata.normalize("NFC", passphrase).encode()
    return hash_secret_raw(secret, salt, cost.passes, cost.memory, cost.lanes, 32, Type.ID)


def _check_value(key: bytes) -> bytes:
    return hmac.digest(key, b"Outrider 1 vault", sha256)


class Vault:
    """An open vault. One object, one process and one thread at a time."""

    def __init__(self, folder: Path, connection: apsw.Connection, lock: int) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self._connection = connection
        self._lock = lock

    @classmethod
    def create(cls, folder: Path, passphrase: str, *, cost: Cost | None = None, wait: float = 5.0) -> "Vault":
        """Make a vault in `folder`, which is made too.

        Raises:
            VaultExists: there is one.
            VaultBusy: another process is making one.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(folder, wait)
        try:
            # Without a database the parameters are what an earlier `create` left when it died: they are made anew.
            if (folder / DATABASE).exists():
                raise VaultExists(f"{folder} holds a vault already")
            cost, salt = cost or Cost(), os.urandom(16)
            key = _derive(passphrase, salt, cost)
            _write_file(folder / PARAMETERS, encode(Parameters(1, cost, salt, _check_value(key))))
            return cls(folder, _connect(folder / DATABASE, key, create=True), lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def open(cls, folder: Path, passphrase: str, *, wait: float = 5.0) -> "Vault":
        """Open the vault in `folder`; waits up to `wait` seconds for another process to let go of it.

        Raises:
            NoVault, WrongPassphrase, VaultBusy, NewerVault, VaultDamaged.
        """
        if not cls.exists(folder):
            raise NoVault(f"no vault in {folder}: enrol first, or name another profile")
        lock = _lock(folder, wait)
        try:
            try:
                parameters = _read_parameters((folder / PARAMETERS).read_bytes())
            except Malformed as error:
                raise VaultDamaged(f"{folder / PARAMETERS}: {error}") from None
            key = _derive(passphrase, parameters.salt, parameters.cost)
            if not hmac.compare_digest(_check_value(key), parameters.check):
                raise WrongPassphrase(f"not the passphrase of {folder}")
            return cls(folder, _connect(folder / DATABASE, key, create=False), lock)
        except BaseException:
            os.close(lock)
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether this folder holds a vault."""
        return (folder / DATABASE).exists() and (folder / PARAMETERS).exists()

    def close(self) -> None:
        """Fold the WAL into the file, cut it, and let others in. Closing twice does no harm."""
        if self._lock >= 0:
            self._connection.close()  # the last connection checkpoints and removes the WAL
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Vault":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none; durable when it ends. Blocks inside a block belong to the outer one."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    # --- shelves: the view that the device's core reads ---

    def get(self, shelf: str, key: bytes) -> bytes | None:
        """What stands there, or None."""
        row = self._connection.execute("SELECT value FROM item WHERE shelf = ? AND key = ?", (shelf, key)).fetchone()
        return None if row is None else bytes(row[0])

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Everything whose key begins with `prefix` and is greater than `after`, in the order of the keys."""
        rows = self._connection.execute(
            "SELECT key, value FROM item WHERE shelf = ? AND key > ? AND key >= ? AND (? IS NULL OR key < ?) ORDER BY key",
            (shelf, after, prefix, _beyond(prefix), _beyond(prefix)),
        )
        for key, value in rows:
            yield bytes(key), bytes(value)

    def put(self, shelf: str, key: bytes, value: bytes) -> None:
        """Put or replace."""
        self._connection.execute(
            "INSERT OR REPLACE INTO item (shelf, key, value) VALUES (?, ?, ?)", (shelf, key, value)
        )

    def delete(self, shelf: str, key: bytes) -> None:
        """Take away, if there."""
        self._connection.execute("DELETE FROM item WHERE shelf = ? AND key = ?", (shelf, key))

    def apply(self, changes: Iterable[Change]) -> None:
        """The writes of one decision, in one transaction."""
        with self.transaction():
            for change in changes:
                if change.value is None:
                    self.delete(change.shelf, change.key)
                else:
                    self.put(change.shelf, change.key, change.value)

    def corner(self, name: str) -> "Corner":
        """A part of the shelves that stands by itself: an authority keeps several identities in one vault."""
        return Corner(self, f"{name}/" if name else "")

    # --- secrets ---

    def secret(self, name: str) -> bytes | None:
        """The secret of this name, or None."""
        row = self._connection.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_secret(self, name: str, value: bytes | None) -> None:
        """Keep a secret, replace it, or (None) destroy it."""
        with self.transaction():
            if value is None:
                self._connection.execute("DELETE FROM secret WHERE name = ?", (name,))
            else:
                self._connection.execute("INSERT OR REPLACE INTO secret (name, value) VALUES (?, ?)", (name, value))

    def secrets(self, prefix: str = "") -> list[str]:
        """The names that begin so, sorted."""
        rows = self._connection.execute("SELECT name FROM secret ORDER BY name")
        return [str(name) for (name,) in rows if str(name).startswith(prefix)]


def _beyond(prefix: bytes) -> bytes | None:
    """The first key after all that begin with `prefix`; None where there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None


class Corner:
    """Shelves under a name of their own; otherwise as the vault's."""

    def __init__(self, vault: Vault, prefix: str) -> None:
        self._vault = vault
        self._prefix = prefix

    def get(self, shelf: str, key: bytes) -> bytes | None:
        return self._vault.get(self._prefix + shelf, key)

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        return self._vault.scan(self._prefix + shelf, prefix, after)

    def apply(self, changes: Iterable[Change]) -> None:
        """The writes of one decision, in one transaction."""
        self._vault.apply(Change(self._prefix + c.shelf, c.key, c.value) for c in changes)


def _lock(folder: Path, wait: float) -> int:
    """Hold the profile for this process; the lock goes with the process, however it ends."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(descriptor)
                raise VaultBusy(f"another command is using {folder}: wait until it has ended") from None
            time.sleep(POLL)
        else:
            return descriptor


def _write_file(path: Path, data: bytes) -> None:
    """Whole or not at all: a temporary file, synced, renamed, and the folder synced."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _connect(path: Path, key: bytes, *, create: bool) -> apsw.Connection:
    if create:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.pragma("cipher", CIPHER)
        connection.pragma("key", f"raw:{key.hex()}")
        connection.pragma("synchronous", "EXTRA")  # before WAL: a commit that returned is on the disk
        connection.pragma("journal_mode", "WAL")
        connection.pragma("secure_delete", "ON")
        connection.pragma("temp_store", "MEMORY")
        _migrate(connection)
    except apsw.NotADBError:
        connection.close()
        raise VaultDamaged(f"{path} can't be read with its key") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: apsw.Connection) -> None:
    """Bring the schema up to date, a numbered file at a time, each in one transaction with its number."""
    steps = sorted(step.name for step in files("clients").joinpath("schema").iterdir() if step.name.endswith(".sql"))
    version = int(connection.pragma("user_version"))
    if version > len(steps):
        raise NewerVault(f"this vault has schema {version}, this program knows {len(steps)}: use the newer program")
    for number, step in enumerate(steps[version:], version + 1):
        with connection:
            connection.execute(files("clients").joinpath("schema", step).read_text())
            connection.pragma("user_version", number)
