"""The road by apprise, which speaks to some hundred services: SMS gateways, pagers, chats. The extra [notify] installs it.

An address in the contacts file is one of its URLs, with whatever secrets that service wants. It knows no name for a message, so
one that is told again after a crash is a second message there. Its calls block, so each road has threads of its own.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Final

from gateway.core.notices import Result, Tried
from gateway.roads.base import Message, RoadRefused
from gateway.roads.settings import AppriseSettings

THREADS: Final = 4
TITLE: Final = "OUTRIDER"


def apprise(name: str) -> ModuleType:
    """The package; raises RoadRefused where it is not installed."""
    try:
        import apprise as package
    except ImportError:
        raise RoadRefused(
            f'roads.{name}: kind = "apprise" needs the extra notify: pip install "outrider[notify]"'
        ) from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its log lines hold addresses
    return package  # type: ignore[no-any-return, unused-ignore]


class AppriseRoad:
    """`base.Road` by apprise."""

    def __init__(self, settings: AppriseSettings) -> None:
        self._settings = settings
        self._package = apprise(settings.name)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"road-{settings.name}")

    @property
    def name(self) -> str:
        return self._settings.name

    def understands(self, address: str) -> bool:
        """Whether apprise can make something of it."""
        return bool(self._package.Apprise().add(address))

    async def send(self, message: Message) -> Result:
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._send, message)
        try:
            return await asyncio.wait_for(work, self._settings.timeout)
        except TimeoutError:
            return Result(Tried.LATER, "the service does not answer")

    def _send(self, message: Message) -> Result:
        service = self._package.Apprise()
        if not service.add(message.address):
            return Result(Tried.REFUSED, "apprise does not understand the address")
        try:
            taken = service.notify(body=message.text, title=TITLE)
        except Exception as error:  # a plugin of somebody else's: whatever it raises, the road stands
            return Result(Tried.LATER, f"the service failed: {type(error).__name__}")
        return Result(Tried.SENT) if taken else Result(Tried.LATER, "the service did not take it")

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
