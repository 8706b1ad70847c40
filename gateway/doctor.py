"""What `outrider-gateway doctor` reads: all that a gateway keeps, at once, whether or not it runs."""

from collections.abc import Iterator
from contextlib import closing

from gateway.audit.sequencer import LogRefused
from gateway.audit.tiles import LogFolder, LogFolderError
from gateway.config import Config, ConfigRefused
from gateway.home import open_keys
from gateway.scrubbing import everything
from gateway.store.base import Damaged, WrongStore
from gateway.store.database import existing, hold
from gateway.store.scrub import Part, Reader, pages


def examine(config: Config) -> Iterator[Part]:
    """What is wrong with each part.

    Raises:
        ConfigRefused, WrongStore, LogRefused, OSError: a gateway's files are not there, or not to be read at all.
    """
    keys = open_keys(config).log
    try:
        folder = LogFolder(config.log)
    except LogFolderError as error:
        raise ConfigRefused(f"{error}: check `log` in gateway.toml") from None
    try:
        _look_at_once(config)
        with closing(Reader(config.database)) as reader:
            with reader.snapshot() as view:
                note = view.checkpoint()
            if note is None:
                raise LogRefused("the database has no checkpoint: only `outrider-gateway init` makes a log")
            head = keys.open(note)
            yield from everything(config.database, reader, folder, head.size, head.root)
    except Damaged as error:  # so much that the rest can't be looked for
        yield [str(error)]
        yield from pages(config.database)


def _look_at_once(config: Config) -> None:
    """What is looked at when a gateway opens its database, the WAL above all. One that runs has done so. Raises Damaged, WrongStore."""
    try:
        held = hold(config.database)
    except WrongStore:
        return
    with held, closing(existing(config.database)):
        pass
