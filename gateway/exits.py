"""How the operator's commands end.

Exit codes (CLI.md): 0 done · 1 the answer is no: a charter refused, a log that is not what was signed, a disk that has rotted ·
2 usage or configuration · 3 the disk or the address can't be had · 70 a fault of ours · 130 interrupted.
"""

import asyncio
import gc
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Final, NoReturn, TypeVar

import click

from gateway.audit.sequencer import LogRefused
from gateway.config import ConfigRefused
from gateway.core.errors import Refused
from gateway.roads.base import RoadRefused
from gateway.running import Stopped
from gateway.store.base import StoreError, WrongStore
from gateway.web.log import TokensRefused

T = TypeVar("T")

NO: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
OURS: Final = 70
INTERRUPTED: Final = 130

EXITS: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (ConfigRefused, USAGE),
    (TokensRefused, USAGE),
    (RoadRefused, USAGE),
    (WrongStore, USAGE),
    (LogRefused, NO),
    (Refused, NO),
    (FileExistsError, USAGE),
    (StoreError, UNREACHABLE),
    (Stopped, UNREACHABLE),
    (OSError, UNREACHABLE),
)
"""The edge: which error ends with which code. Anything else is our bug."""


def leave(error: BaseException) -> NoReturn:
    """Say what is wrong in one line, and end with its code."""
    for kind, code in EXITS:
        if isinstance(error, kind):
            text = error.detail if isinstance(error, Refused) else str(error)
            click.echo(f"outrider-gateway: {text}", err=True)
            sys.exit(code)
    if isinstance(error, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    traceback.print_exception(error)
    click.echo("outrider-gateway: a fault of the gateway's own; please report the lines above", err=True)
    sys.exit(OURS)


def run_loop(work: Coroutine[object, object, T]) -> T:
    """Run on uvloop where there is one. Sessions are many and last: the collector that looks for cycles has to come by less often,
    and need not look at what the program itself is made of.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def attempt(work: Callable[[], T]) -> T:
    """Do it, or leave."""
    try:
        return work()
    except (click.exceptions.Exit, click.ClickException):
        raise
    except BaseException as error:
        leave(error)
