"""A log that can't go on, as the gateway that takes its place is told of it.

After a rollback or a fork nothing may be signed for the old origin any more. `outrider-gateway init --succeeds OLD` makes a gateway
with another origin and keys of its own; it carries along what its first charter has to cite:

    predecessor/charter-<n>.note      every charter of the mission so far
    predecessor/head                  the newest checkpoint known of the old log, from wherever it was kept

The mission's authorities sign a successor of their charter that names the new log and this predecessor; installing it makes the new
log's first entry. The old folder stays as it is: it is what is left of the old log.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config import CONFIG_NAME, Config, ConfigRefused, load
from gateway.store.sqlite import SqliteStore
from keys.charter import NOTE_LIMIT, Charter, succession
from keys.errors import CharterRefused
from keys.request import Ended
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.errors import TlogError
from keys.tlog.note import MAX_NOTE, Note

FOLDER: Final = "predecessor"
HEAD: Final = "head"
NEWEST: Final = "newest-known.note"
"""Beside the old database: the checkpoint by which somebody outside showed that it was rolled back or forked."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The charters of the mission, the newest checkpoint known of its log, and how many entries are left under it."""

    charters: tuple[bytes, ...]
    head: Checkpoint
    kept: int

    @property
    def request(self) -> Ended:
        """As gateway.request says it: with the one line that the authorities check."""
        return Ended(Note(self.head.note.text, self.head.verified[:1]).encode(), self.kept)


async def ending(folder: Path, heads: Sequence[Path]) -> Ending:
    """What is to be said of the log in a gateway's folder. `heads` are checkpoints that others kept.

    Raises:
        ConfigRefused: no gateway there, none with a charter, or a head that its log's key has not signed.
        WrongStore: it runs.
        OSError: the disk.
    """
    config = load(folder / CONFIG_NAME)
    store = SqliteStore(config.database)
    try:
        with store.snapshot() as view:
            notes, stored = tuple(view.charter_notes()), view.checkpoint()
    finally:
        await store.close()
    charter = _newest(notes, folder)
    if stored is None:
        raise ConfigRefused(f"{folder} has no log that could end")
    own = _open(stored, charter, "the database")
    found = [own, *_kept_there(config, charter), *_given(heads, charter)]
    return Ending(notes, max(found, key=lambda one: one.size), own.size)


def lost(charters: Sequence[Path], heads: Sequence[Path]) -> Ending:
    """The same where the old folder is gone: all that others kept. Raises ConfigRefused."""
    notes = tuple(_read(path, NOTE_LIMIT) for path in charters)
    found = _given(heads, _newest(notes, Path(".")))
    if not found:
        raise ConfigRefused("--head: of a log whose folder is gone the newest checkpoint has to come from somebody")
    return Ending(notes, max(found, key=lambda one: one.size), 0)


def put(folder: Path, ending: Ending) -> None:
    """Keep it with the new gateway, durably."""
    place = folder / FOLDER
    place.mkdir(mode=0o700)
    files = {f"charter-{n}.note": note for n, note in enumerate(ending.charters, 1)} | {HEAD: ending.head.encode()}
    for name, data in files.items():
        with (place / name).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def earlier_charters(config: Config) -> tuple[bytes, ...]:
    """The charters that a new log's first one follows; none for a mission's first log."""
    place = config.database.parent / FOLDER
    count = len(list(place.glob("charter-*.note"))) if place.is_dir() else 0
    return tuple(_read(place / f"charter-{n}.note", NOTE_LIMIT) for n in range(1, count + 1))


def _newest(notes: Sequence[bytes], folder: Path) -> Charter:
    try:
        return succession(notes)[-1]
    except CharterRefused as error:
        raise ConfigRefused(f"{folder}: no succession of charters: {error}") from None


def _kept_there(config: Config, charter: Charter) -> Iterable[Checkpoint]:
    """What lies in the old folder besides: it may be newer than the database. What can't be read there counts for nothing."""
    for path in (config.database.parent / NEWEST, config.log / "checkpoint", config.log / "witnessed"):
        try:
            yield _open(_read(path, MAX_NOTE), charter, str(path))
        except ConfigRefused:
            continue


def _given(heads: Sequence[Path], charter: Charter) -> list[Checkpoint]:
    return [_open(_read(path, MAX_NOTE), charter, str(path)) for path in heads]


def _open(note: bytes, charter: Charter, where: str) -> Checkpoint:
    try:
        return open_checkpoint(note, [charter.log_verifier()], charter.policy.log_origin)
    except TlogError as error:
        raise ConfigRefused(f"{where}: no checkpoint of {charter.policy.log_origin}: {error}") from None


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise ConfigRefused(f"{path}: {error.strerror}") from None
