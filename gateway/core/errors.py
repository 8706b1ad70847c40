"""What the gateway answers instead of doing it. One class: what a device does next is said by `wire.Refusal`."""

from gateway.wire import Refusal


class Refused(Exception):
    """A request was refused and changed nothing. The detail is a sentence for a person and never names what a stranger could
    not know; `DENIED` has one sentence for all its causes."""

    def __init__(self, refusal: Refusal, detail: str = "", retry_after: int = 0) -> None:
        super().__init__(f"{refusal.name}: {detail}")
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after


def denied() -> Refused:
    """The uniform refusal: the same bytes for "does not exist", "not for you" and "does not verify"."""
    return Refused(Refusal.DENIED, "not for this device")
