"""Who plays in the demo."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Role:
    """A person: what the registrar is told, and how the page speaks of them."""

    key: str  # short name in files and processes
    name: str
    call_sign: str
    role: str
    organisation: str
    described: str


MISSION: Final = "Meridian Mission"
HOME: Final = "Meridian"
PARTNER: Final = "Hostpol"

CHEN: Final = Role("chen", "Chen Weiland", "SECURITY-1", "officer", HOME, "mission security officer")
DARA: Final = Role("dara", "Dara Okonkwo", "SECURITY-2", "officer", HOME, "deputy")
AYO: Final = Role("ayo", "Ayo Lindqvist", "LANCE-3", "agent", HOME, "protection agent")
BEA: Final = Role("bea", "Bea Marchetti", "LANCE-1", "leader", HOME, "detail leader")
EMIL: Final = Role("emil", "Emil Castellanos", "HOST-7", "guest", PARTNER, "host-nation police")
AUDITOR: Final = "gita"

PEOPLE: Final = (CHEN, DARA, AYO, BEA, EMIL)
OFFICERS: Final = (CHEN, DARA)

DESK_PURPOSE: Final = "The officers' desk, drafts and approvals"
DETAIL_PURPOSE: Final = "Detail LANCE, ambassador's movements"
ALERT_PURPOSE: Final = "Alerts for detail LANCE"
LIAISON_PURPOSE: Final = "Liaison with the host-nation police"
POLICE_ALERT_PURPOSE: Final = "Alerts for the police desk"

FIRST_TEXT: Final = "At the east gate, vehicle clear"
REPLY_TEXT: Final = "Copied, principal leaves in two minutes"
LIAISON_TEXT: Final = "Request a cordon at Plaza Mayor by 14:10"
LIAISON_REPLY: Final = "Two units on their way to Plaza Mayor"
MISSED_TEXT: Final = "Checkpoint {n} of route BRAVO passed"
MISSED: Final = 12  # messages that the agent who is cut off misses
MISSED_REKEYS: Final = 3  # and commits
