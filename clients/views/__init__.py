"""What a station shows of itself: values made for people and scripts, read from the ledger and holding nothing back.

All ids are bytes, all times ms since the epoch (UTC).
"""

from clients.views.alerts import AlertView, Answered, Answers, alert_view, answers
from clients.views.emergencies import EmergencyView, MoveView, emergency_text, emergency_view, move_text, move_view
from clients.views.messages import Delivery, Shown, delivery, shown, warnings
from clients.views.names import card_of, clock, name_of
from clients.views.reach import receipts_of, targets_of
from clients.views.standing import ChannelInfo, PersonInfo, Status, channels, person, status

__all__ = [
    "AlertView",
    "Answered",
    "Answers",
    "ChannelInfo",
    "Delivery",
    "EmergencyView",
    "MoveView",
    "PersonInfo",
    "Shown",
    "Status",
    "alert_view",
    "answers",
    "card_of",
    "channels",
    "clock",
    "delivery",
    "emergency_text",
    "emergency_view",
    "move_text",
    "move_view",
    "name_of",
    "person",
    "receipts_of",
    "shown",
    "status",
    "targets_of",
    "warnings",
]
