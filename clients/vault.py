"""The vault: everything a device keeps, in one encrypted SQLite file.

    vault = Vault.create(folder, passphrase)         # once; afterwards Vault.open(folder, passphrase)
    with vault.transaction():                        # all of it or nothing, durable when the block ends
        vault.put("message", key, value)
        vault.set_secret("device:key", seed)
    vault.close()

A profile's folder holds four files: `vault.db` (SQLite3MultipleCiphers, ChaCha20-Poly1305, the WAL included), `vault.key`
(salt and cost of Argon2id, and two key slots), `vault.side` (of one size, opened by either slot: `clients.slots`) and `vault.lock`
(one process at a time: an MLS ratchet used by two would spend one key twice). Opened with the duress passphrase it is the side
alone, in memory, and written whole with each transaction; the key of `vault.db` is not in that slot. The rule it keeps: what a transaction wrote survives a power cut, and what was overwritten or deleted is
gone from the file (`secure_delete`, and the WAL is folded in and cut when the vault closes).
"""

import fcntl
import os
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import apsw
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from msgspec import Meta

from clients import slots
from clients.shelves import Shelves
from clients.slots import SLOT, Item, Keys
from keys.canonical import Id, Record, encode, reader
from keys.errors import Malformed

CIPHER: Final = "chacha20"
DATABASE, PARAMETERS, SIDE, LOCK = "vault.db", "vault.key", "vault.side", "vault.lock"
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


class VaultFull(VaultError):
    """There is no room for more."""


class Cost(Record, frozen=True, array_like=True):
    """What one guess at the passphrase costs (Argon2id, RFC 9106): memory in KiB, passes, lanes."""

    memory: Annotated[int, Meta(ge=8, le=MAX_MEMORY)] = 64 * 1024
    passes: Annotated[int, Meta(ge=1, le=64)] = 2
    lanes: Annotated[int, Meta(ge=1, le=16)] = 1


CHEAP: Final = Cost(64, 1, 1)
"""For tests only."""


Slot = Annotated[bytes, Meta(min_length=SLOT, max_length=SLOT)]


class Parameters(Record, frozen=True, array_like=True):
    """The file beside the database: one salt for both slots, so that one guess is the same work whichever it opens."""

    version: Annotated[int, Meta(ge=1, le=1)]
    cost: Cost
    salt: Id
    slots: Annotated[list[Slot], Meta(min_length=2, max_length=2)]


_read_parameters = reader(Parameters, limit=512)


def _derive(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    secret = unicodedata.normalize("NFC", passphrase).encode()
    return hash_secret_raw(secret, salt, cost.passes, cost.memory, cost.lanes, 32, Type.ID)


class Side(Shelves):
    """The side of a profile: in memory, and written whole whenever a transaction ends."""

    def __init__(self, path: Path, key: bytes, items: list[Item]) -> None:
        super().__init__(apsw.Connection(":memory:"))
        self._path, self._key = path, key
        _migrate(self._connection)
        for item in items:
            if item.shelf:
                self.put(item.shelf, item.key, item.value)
            else:
                self._connection.execute("INSERT INTO secret VALUES (?, ?)", (item.key.decode(), item.value))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing, in memory and in the file. Raises VaultFull."""
        if self._connection.in_transaction:
            yield
            return
        with super().transaction():
            yield
            try:
                data = slots.seal_side(self._key, self._items())
            except slots.SideFull:
                raise VaultFull("no room for more in this profile") from None
            _write_file(self._path, data)

    def _items(self) -> list[Item]:
        rows = self._connection.execute("SELECT shelf, key, value FROM item ORDER BY shelf, key")
        kept = [Item(str(shelf), bytes(key), bytes(value)) for shelf, key, value in rows]
        secrets = self._connection.execute("SELECT name, value FROM secret ORDER BY name")
        return kept + [Item("", str(name).encode(), bytes(value)) for name, value in secrets]


class Vault(Shelves):
    """An open vault. One object, one process and one thread at a time.

    With the duress passphrase `duress` is true, and the vault's shelves are those of the side.
    """

    def __init__(self, folder: Path, connection: apsw.Connection, lock: int, side: Side, keys: Keys, slot: int) -> None:
        """Use `create` or `open`."""
        super().__init__(connection)
        self.folder = folder
        self.side = side
        self.duress = keys.duress
        self._keys, self._slot = keys, slot
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
            # Without a database the other files are what an earlier `create` left when it died: they are made anew.
            if (folder / DATABASE).exists():
                raise VaultExists(f"{folder} holds a vault already")
            cost, salt = cost or Cost(), os.urandom(16)
            keys = Keys(duress=False, vault=os.urandom(slots.KEY), side=os.urandom(slots.KEY))
            own = os.urandom(1)[0] & 1
            filled = [slots.blank(), slots.blank()]
            filled[own] = slots.fill(_derive(passphrase, salt, cost), keys)
            side = Side(folder / SIDE, keys.side, [])
            with side.transaction():
                pass
            _write_file(folder / PARAMETERS, encode(Parameters(1, cost, salt, filled)))
            return cls(folder, _connect(folder / DATABASE, keys.vault, create=True), lock, side, keys, own)
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
            parameters = _parameters(folder)
            key = _derive(passphrase, parameters.salt, parameters.cost)
            found = slots.find(key, parameters.slots)
            if found is None:
                raise WrongPassphrase(f"not the passphrase of {folder}")
            number, keys = found
            side = _open_side(folder, keys)
            connection = side._connection if keys.duress else _connect(folder / DATABASE, keys.vault, create=False)
            return cls(folder, connection, lock, side, keys, number)
        except BaseException:
            os.close(lock)
            raise

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether this folder holds a vault."""
        return (folder / DATABASE).exists() and (folder / PARAMETERS).exists()

    def set_duress(self, passphrase: str | None) -> None:
        """Let another passphrase open the side, in place of the last one; None: no other does. The file has the same form with
        one and without. Opened by the duress passphrase it changes nothing, and takes the same time."""
        parameters = _parameters(self.folder)
        slot = slots.blank()
        if passphrase is not None:
            key = _derive(passphrase, parameters.salt, parameters.cost)
            slot = slots.fill(key, Keys(duress=True, vault=b"", side=self._keys.side))
        if not self.duress:
            filled = list(parameters.slots)
            filled[1 - self._slot] = slot
            _write_file(self.folder / PARAMETERS, encode(Parameters(1, parameters.cost, parameters.salt, filled)))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none; durable when it ends. Blocks inside a block belong to the outer one."""
        with self.side.transaction() if self.duress else super().transaction():
            yield

    def close(self) -> None:
        """Fold the WAL into the file, cut it, and let others in. Closing twice does no harm."""
        if self._lock >= 0:
            self._connection.close()  # the last connection checkpoints and removes the WAL
            if self.duress:
                os.utime(self.folder / DATABASE)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> "Vault":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _parameters(folder: Path) -> Parameters:
    try:
        return _read_parameters((folder / PARAMETERS).read_bytes())
    except Malformed as error:
        raise VaultDamaged(f"{folder / PARAMETERS}: {error}") from None


def _open_side(folder: Path, keys: Keys) -> Side:
    """The side; a damaged one keeps nobody from his own profile, and is made anew."""
    path = folder / SIDE
    try:
        return Side(path, keys.side, slots.open_side(keys.side, path.read_bytes()))
    except (OSError, InvalidTag, Malformed):
        if keys.duress:
            raise VaultDamaged(f"{path} can't be read with its key") from None
        return Side(path, keys.side, [])


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
