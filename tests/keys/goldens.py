"""Goldens: what bytes are, so that a change in a diff is seen for what it is, a changed protocol.

`OUTRIDER_WRITE_GOLDENS=1` writes what is missing or differs, to be read in the diff before it is committed.
"""

import json
import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "goldens"


def check_golden(file: str, name: str, data: bytes) -> None:
    """Fails unless `data` is the golden of this name."""
    path = FOLDER / file
    known = json.loads(path.read_text()) if path.exists() else {}
    if os.environ.get("OUTRIDER_WRITE_GOLDENS") == "1" and known.get(name) != data.hex():
        known[name] = data.hex()
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    assert data.hex() == known.get(name), f"{name} is not what {file} has: is this a change of the protocol?"
