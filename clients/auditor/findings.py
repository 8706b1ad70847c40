"""What an audit found, as one JSON value: the same bytes for everybody who checks the same log against the same things.

It holds no time of the check, no path and no name of who checked, and is the same for a folder and for an archive of all of it; the
signature beside it says who. Everything in it follows from the
log, the head, the charter and this program's version, so two auditors compare their findings by comparing files.
"""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.metadata import version
from typing import Final

from clients.auditor.checks import QUESTIONS, answer, enrolment_object, worst
from clients.auditor.chronicle import HOUR, Chronicle
from clients.auditor.looking import alert_object
from clients.auditor.verify import Asked, Outcome, Topic, Verified
from clients.moments import iso

SCHEMA: Final = 1
Finding = dict[str, object]


def findings(chronicle: Chronicle, verified: Verified, asked: Asked) -> Finding:
    """Everything that a report shows."""
    checkpoint, charter, head = verified.checkpoint, asked.charter, asked.head
    return {
        "schema": SCHEMA,
        "program": f"outrider {version('outrider')}",
        "verdict": verified.verdict,
        "whole": verified.whole,
        "log": None
        if checkpoint is None
        else {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": b64encode(checkpoint.root).decode(),
            "checkpoint": checkpoint.encode().decode(),
        },
        "against": {
            "head": None if head is None else {"size": head.head.size, "root": b64encode(head.head.root).decode()},
            "charter": None if charter is None else {"version": charter.policy.version, "hash": charter.hash.hex()},
            "keys": [key.name + "+" + key.key_id.hex() for key in asked.keys],
            "whole_log": asked.export is None or asked.export.whole,
        },
        "period": None if not chronicle.begun else {"first": iso(chronicle.begun), "last": iso(chronicle.ended)},
        "claims": [
            {
                "claim": claim.claim,
                "outcome": claim.outcome,
                "index": claim.index,
                "tile": claim.tile,
                "rule": claim.rule,
                "cause": claim.cause,
            }
            for claim in verified.claims
            if claim.claim is not Topic.ARCHIVE or claim.outcome is not Outcome.PASS  # a whole one is the log
        ],
        "checks": {question: worst(answer(question, verified)) for question in QUESTIONS},
        "kinds": {kind.name.lower(): count for kind, count in sorted(chronicle.kinds.items())},
        "hours": [[iso(hour * HOUR), count] for hour, count in sorted(chronicle.hours.items())],
        "channels": [
            {"channel": channel.hex(), "class": name, "index": index}
            for channel, (index, name) in chronicle.channels.items()
        ],
        "alerts": [alert_object(one, chronicle, verified) for one in chronicle.alerts.values()],
        "enrolments": [enrolment_object(one, chronicle) for one in chronicle.enrolments],
        "acts": [
            {"index": act.index, "time": iso(act.time), "kind": act.kind.name.lower(), "text": act.text}
            for act in chronicle.acts
        ],
    }


def as_json(value: Finding) -> bytes:
    """The findings' one encoding."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
