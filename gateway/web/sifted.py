"""A page of a sparse stream, sifted by whom its envelopes concern.

After a restart everybody asks for the same pages, and most of them concern few. So a page is gone through once, and each
device is handed its few without a look at the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.core.recipient import Audience, Recipient
from gateway.core.rows import Stored


@dataclass(slots=True)
class Sifted:
    """The envelopes of a page under each way of being concerned; `last` is the last seq of the page."""

    last: int
    everyone: list[Stored] = field(default_factory=list)
    directory: list[Stored] = field(default_factory=list)
    alerting: list[Stored] = field(default_factory=list)
    officers: dict[str, list[Stored]] = field(default_factory=dict)
    devices: dict[bytes, list[Stored]] = field(default_factory=dict)

    @classmethod
    def sift(cls, page: Sequence[Stored], audience: Callable[[Stored], Audience], after: int) -> "Sifted":
        """Go through a page that begins after `after`."""
        sifted = cls(page[-1].seq if page else after)
        for stored in page:
            found = audience(stored)
            if found.everyone:
                sifted.everyone.append(stored)
            if found.directory:
                sifted.directory.append(stored)
            if found.alerting:
                sifted.alerting.append(stored)
            if found.officers_of is not None:
                sifted.officers.setdefault(found.officers_of, []).append(stored)
            for device in {*found.devices, stored.device}:
                sifted.devices.setdefault(device, []).append(stored)
        return sifted

    def concerning(self, recipient: Recipient) -> list[Stored]:
        """What concerns one device, by seq."""
        found = {stored.seq: stored for stored in (*self.everyone, *self.devices.get(recipient.device, ()))}
        if recipient.directory or recipient.registrar:
            found |= {stored.seq: stored for stored in self.directory}
        if recipient.alerting:
            found |= {stored.seq: stored for stored in self.alerting}
        if recipient.directory:
            found |= {stored.seq: stored for stored in self.officers.get(recipient.organisation, ())}
        return [found[seq] for seq in sorted(found)]
