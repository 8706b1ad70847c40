"""An attempt that this device has refused is told to the officers at once, if the gateway can be reached."""

from collections.abc import Iterator
from contextlib import contextmanager

from clients.core.errors import Withheld
from clients.shell import run, tell
from clients.station import Station


@contextmanager
def attempted(station: Station, timeout: float) -> Iterator[None]:
    """Around a verb that alerts: what `Station.attempt` has kept goes out before the refusal is shown."""
    try:
        yield
    except Withheld as error:
        if error.noted:
            sent = run(station.sync(timeout)).connected
            tell(f"outrider: this attempt {'is in' if sent else 'goes into'} the log, without its text")
        raise
