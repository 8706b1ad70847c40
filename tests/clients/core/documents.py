"""Small CAP documents for tests: the shortest valid alert, with one thing in it changed."""

from pathlib import Path

import clients.demo

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
SAMPLE = Path(clients.demo.__path__[0]) / "sample.cap"


def alert(
    info: str | None = None,
    *,
    identifier: str = "A-1",
    sender: str = "mso@mission.example",
    sent: str = "2026-10-14T15:42:00-00:00",
    status: str = "Actual",
    msg_type: str = "Alert",
    scope: str = "Public",
    between: str = "",
    last: str = "",
    namespace: str = NAMESPACE,
    attributes: str = "",
) -> str:
    """An alert: `between` stands after scope, `info` (None for none) is what its one info block ends with, `last`
    follows the block."""
    block = "" if info is None else information(info)
    return (
        f'<alert xmlns="{namespace}"{attributes}><identifier>{identifier}</identifier><sender>{sender}</sender>'
        f"<sent>{sent}</sent><status>{status}</status><msgType>{msg_type}</msgType><scope>{scope}</scope>"
        f"{between}{block}{last}</alert>"
    )


def information(ending: str = "", language: str = "", urgency: str = "Past", severity: str = "Minor") -> str:
    return (
        f"<info>{language}<category>Security</category><event>e</event><urgency>{urgency}</urgency>"
        f"<severity>{severity}</severity><certainty>Likely</certainty>{ending}</info>"
    )


def area(ending: str) -> str:
    return alert(f"<area><areaDesc>here</areaDesc>{ending}</area>")


def resource(ending: str = "", mime_type: str = "image/png") -> str:
    return alert(f"<resource><resourceDesc>map</resourceDesc><mimeType>{mime_type}</mimeType>{ending}</resource>")
