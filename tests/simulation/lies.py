"""What a byzantine gateway or device does to frames. The honest ones do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keys.canonical import encode

if TYPE_CHECKING:
    from tests.simulation.gateway import Peer
    from tests.simulation.phone import Phone


class Honest:
    """Every frame as it is."""

    def to_device(self, peer: Peer, frame: Any) -> Sequence[bytes]:
        return (encode(frame),)

    def to_gateway(self, phone: Phone, frame: Any) -> Sequence[bytes]:
        return (encode(frame),)
