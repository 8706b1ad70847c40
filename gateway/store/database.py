"""The database's file: made, opened, held, brought to a newer schema, and read with a checksum under every page.

SQLite by itself believes what it reads. So each page ends in eight bytes of checksum, written and held against by SQLite's own
checksum VFS: a page with a flipped bit can't be read, by whichever look-up, and is `Damaged`; the others are read as before. The
VFS is not the process's default: devices' vaults, which have their own, go without.

A page gets its checksum on its way from the WAL into the database. In the WAL itself each transaction has one of SQLite's own, which is
looked at when the WAL is read after a crash (`gateway.store.wal`).
"""

import ctypes
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import IO, Final

import apsw
from apsw import sqlite_extra

from gateway.store.base import Damaged, WrongStore
from gateway.store.wal import Wal

SCHEMA_VERSION: Final = 2
APPLICATION_ID: Final = 0x4F757472  # "Outr": an SQLite file of another program is refused
CHECKSUMS: Final = "cksmvfs"
PAGE: Final = 4_096  # bytes
CHECKSUM: Final = 8  # bytes at the end of a page; with any other number the VFS checks nothing
_UNREAD: Final = frozenset({apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_SHORT_READ})


def connect(path: Path, flags: int = apsw.SQLITE_OPEN_READWRITE) -> apsw.Connection:
    """A connection that reads whole pages or raises; see `whole`."""
    if CHECKSUMS not in apsw.vfs_names():
        _register()
    connection = apsw.Connection(str(path), flags=flags, vfs=CHECKSUMS)
    connection.set_busy_timeout(5_000)
    # Or a statement whose plan might depend on a bound value is compiled anew at each execution: 25 us instead of 5.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def _register() -> None:
    """Put the checksum VFS over the default one, and leave that the default."""
    default = apsw.vfs_names()[0]
    try:
        with closing(apsw.Connection(":memory:")) as any_one:
            sqlite_extra.load(any_one, "cksumvfs")
    except sqlite_extra.NotAvailable:
        raise WrongStore(
            "this build of apsw-sqlite3mc comes without cksumvfs: install a wheel of it, not the source"
        ) from None
    apsw.set_default_vfs(default)


def holds(page: bytes, db: apsw.Connection) -> bool:
    """Whether a page's checksum does; by any connection that was made after `connect` was first called."""
    return db.execute("SELECT verify_checksum(?)", (page,)).fetchone() == (1,)


def rotten(error: apsw.Error) -> bool:
    """Whether a page was not what was written, and no more than that: the disk reads and writes."""
    return isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA


def damaged(error: apsw.Error) -> Damaged:
    """What is said of it."""
    return Damaged(f"a page of the database is not what was written: look at the disk ({error})")


@contextmanager
def whole() -> Iterator[None]:
    """What is read within is what was written, or Damaged is raised."""
    try:
        yield
    except apsw.Error as error:
        if isinstance(error, apsw.CorruptError) or getattr(error, "extendedresult", 0) in _UNREAD:
            raise damaged(error) from error
        raise


def lay_out(db: apsw.Connection, version: int) -> None:
    """Bring a database from one version of the schema to the newest; within the caller's transaction."""
    for number in range(version + 1, SCHEMA_VERSION + 1):
        db.execute(resources.files("gateway.store.schema").joinpath(f"{number}.sql").read_text())
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def create(path: Path, sync: Callable[[int], None] = os.fsync) -> None:
    """Make a new, empty database. Only `outrider-gateway init` does. `sync` is there to be recorded.

    Raises:
        WrongStore: there is a file already.
    """
    if path.exists():
        raise WrongStore(f"{path} is there already: init makes a new gateway and never touches an old one")
    db = connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    db.execute(f"PRAGMA page_size = {PAGE}")
    reserve_checksums(db)
    db.execute("PRAGMA synchronous = EXTRA")
    db.execute("PRAGMA journal_mode = WAL")
    with db:
        lay_out(db, 0)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.close()
    path.chmod(0o600)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        sync(folder)  # until here a power cut leaves no database, and `init` is run again
    finally:
        os.close(folder)


def reserve_checksums(db: apsw.Connection) -> None:
    """Give the pages of a database that is still empty room for their checksums."""
    size = ctypes.c_int(CHECKSUM)
    db.file_control("main", apsw.SQLITE_FCNTL_RESERVE_BYTES, ctypes.addressof(size))


def existing(path: Path) -> apsw.Connection:
    """Open a gateway's database, of whatever schema.

    Raises:
        WrongStore: none is there, or another program's.
        Damaged: it is not what was written, as far as opening it tells.
    """
    if not path.is_file():
        raise WrongStore(f"there is no database at {path}: check the path, or make a gateway with init")
    wal = Wal.of(Path(f"{path}-wal"))
    db = connect(path)
    try:
        with whole():
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("PRAGMA secure_delete = ON")  # what was destroyed is overwritten
            if db.pragma("application_id") != APPLICATION_ID:
                raise WrongStore(f"{path} is no database of this gateway")
            db.execute("PRAGMA journal_mode = WAL")
            if db.pragma("checksum_verification") != "1":
                raise Damaged(
                    f"{path}: its head does not speak of checksums, as every gateway's does: look at the disk"
                )
            wal.check(db)
            with suppress(apsw.FullError, apsw.BusyError):  # at once, so that the next WAL has salts of its own
                db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except BaseException as error:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # all stays as it was found
        db.close()
        if isinstance(error, apsw.NotADBError):
            raise WrongStore(f"{path} is no database of this gateway") from None
        raise
    return db


def version_of(path: Path, db: apsw.Connection) -> int:
    """The schema that a database has; raises WrongStore for one that only a newer gateway knows."""
    version = int(db.pragma("user_version"))
    if version > SCHEMA_VERSION:
        raise WrongStore(
            f"{path} has schema {version} and this gateway knows {SCHEMA_VERSION}: install the newer gateway"
        )
    return version


def migrate(path: Path) -> tuple[int, int]:
    """Bring a database to this version's schema, all or nothing; gives the version it had and the one it has. Never done by
    the way: from here on no older gateway opens it.

    Raises:
        WrongStore: no database there, one of a newer version, or one that another process holds.
        Damaged: it is not what was written.
    """
    if not path.is_file():
        raise WrongStore(f"there is no database at {path}: check the path")
    with hold(path), closing(existing(path)) as db:
        version = version_of(path, db)
        if version < SCHEMA_VERSION:
            with whole():
                db.execute("BEGIN IMMEDIATE")  # a power cut before COMMIT leaves the old one
                lay_out(db, version)
                db.execute("COMMIT")
        return version, SCHEMA_VERSION


def hold(path: Path) -> IO[str]:
    """Hold the folder: two gateways on one log would fork it."""
    file = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise WrongStore(f"another gateway is running on {path.parent}: stop it first") from None
    return file
