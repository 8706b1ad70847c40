"""Short words for tests of alerts: a document, alone, submitted, approved."""

from __future__ import annotations

from typing import Any

from clients.core import issuing
from clients.core.content import DraftContent
from clients.core.freezing import Order
from keys.envelope import Marking
from tests.clients.relay import Party, World

HOUR = 3_600_000
TEMPLATE = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>{identifier}</identifier><sender>mso@meridian.example</sender>
<sent>2026-09-21T14:00:00-00:00</sent><status>{status}</status><msgType>{type}</msgType><scope>Private</scope>
<addresses>detail</addresses><note>drill</note>{references}<info><category>Security</category><event>Shelter</event>
<responseType>{response}</responseType><urgency>{urgency}</urgency>
<severity>Extreme</severity><certainty>Observed</certainty><headline>Shelter now</headline>{options}</info></alert>"""
OPTION = "<parameter><valueName>response-option</valueName><value>{}</value></parameter>"


def document(
    identifier: str = "MM-1",
    *,
    type: str = "Alert",
    status: str = "Actual",
    clear: bool = False,
    after: str = "",
    options: tuple[str, ...] = ("SAFE", "NEED HELP"),
) -> bytes:
    """A CAP document; `after` is the identifier that it updates or cancels."""
    references = f"<references>mso@meridian.example,{after},2026-09-21T14:00:00-00:00</references>" if after else ""
    text = TEMPLATE.format(
        identifier=identifier,
        status=status,
        type=type,
        references=references,
        response="AllClear" if clear else "Shelter",
        urgency="Past" if clear else "Immediate",
        options="".join(map(OPTION.format, options)),
    )
    return text.encode()


CAP = document()


def order(party: Party, *channels: bytes, cap: bytes = CAP, marking: Marking = Marking.GREEN, **changes: Any) -> Order:
    return Order(cap, tuple(channels), marking, party.world.now + HOUR, **changes)


def alone(party: Party, *channels: bytes, reason: str = "gunfire at the gate", **changes: Any) -> bytes:
    """One officer's alert, kept; the world has to run for it to go out. Gives its root."""
    content, _ = party.act(lambda work: issuing.alone(work, order(party, *channels, reason=reason, **changes)))
    root: bytes = content.draft.root
    return root


def submit(party: Party, *channels: bytes, **changes: Any) -> bytes:
    """Put before the other officers; gives its root."""
    content: DraftContent = party.act(lambda work: issuing.submit(work, order(party, *channels, **changes)))
    party.world.run()
    return content.draft.root


def approve(party: Party, root: bytes) -> None:
    party.act(lambda work: issuing.approve(work, root))
    party.world.run()


def by_two(writer: Party, approver: Party, *channels: bytes, **changes: Any) -> bytes:
    root = submit(writer, *channels, **changes)
    approve(approver, root)
    return root


def desk(world: World, *officers: Party) -> bytes:
    return world.channel(officers[0], *officers[1:], kind="desk", ceiling=Marking.AMBER_STRICT)
