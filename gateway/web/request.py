"""A request that writes, on its way through the store and back: decided in the store's order of calls, answered once it is durable.

What comes by the thousand comes here, so it is one object, and no task, future or queue of its own.
"""

from time import monotonic
from typing import Any, Final, Protocol

from gateway import wire
from gateway.core import requests
from gateway.core.ahead import Ahead
from gateway.core.append import Gateway
from gateway.core.effects import Outcome
from gateway.core.rows import Identity
from gateway.core.view import View
from gateway.store.base import Urgent
from gateway.web.service import Service
from keys.envelope import Kind
from keys.identity import verify

URGENT: Final = frozenset({Kind.ALERT, Kind.APPROVAL, Kind.SOS, Kind.STAND_DOWN, Kind.CHECK_IN})
"""What the reserve of a full disk is for. Not answers: ten thousand of one alert would leave nothing for the next."""


class Asker(Protocol):
    """Who has made it. One of these is called, in the event loop, when it is over."""

    def answered(self, answer: wire.FromGateway) -> None: ...
    def failed(self, frame: wire.FromDevice, error: BaseException) -> None: ...


class Request:
    """One of a session, or of a stranger (`who` is None)."""

    __slots__ = ("_asker", "_begun", "_frame", "_service", "_signature", "_who")

    def __init__(self, asker: Asker, service: Service, who: Identity | None, frame: wire.FromDevice) -> None:
        self._asker = asker
        self._service = service
        self._who = who
        self._frame = frame
        self._begun = monotonic()
        self._signature = Ahead(who, frame) if who is not None and isinstance(frame, wire.Submit) else None

    def submit(self) -> None:
        """Hand it to the store.

        Raises:
            Broken: then it was not asked.
        """
        who, signature = self._who, self._signature
        if signature is None or who is None:
            self._service.store.submit(self._decide, self._settle)
            return
        kind, epoch = signature.seems
        urgent: Urgent = who.person if kind in URGENT else None
        patient = beside(kind, epoch)
        self._service.store.submit(self._decide, self._settle, patient=patient, urgent=urgent, ahead=signature.look)

    def _decide(self, view: View) -> Outcome[Any]:
        service, signature = self._service, self._signature
        charter = view.charter()
        assert charter is not None  # who asks has looked, and a charter never goes
        check = verify if signature is None else signature.verify
        gateway = Gateway(charter, service.key)
        return requests.decide(view, self._who, self._frame, gateway, service.now(), service.drawn, check)

    def _settle(self, answer: wire.FromGateway | None, error: BaseException | None) -> None:
        if error is not None:
            self._asker.failed(self._frame, error)
        elif answer is not None:
            self._asker.answered(answer)
        self._service.metrics.decided.observe(monotonic() - self._begun)


def beside(kind: int, epoch: int) -> bool:
    """Receipts and answers to alerts, which let others go first: all that stands beside a channel, so each stream keeps its order."""
    return kind == Kind.RECEIPT or (kind == Kind.ACK and not epoch)
