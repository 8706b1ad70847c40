"""A slice of `python -m tests.crash.kills`."""

import os
from pathlib import Path

from tests.crash.kills import run


def test_what_was_acknowledged_is_there_after_every_kill(tmp_path: Path) -> None:
    result = run(tmp_path, 40, int.from_bytes(os.urandom(4), "big"))
    assert not result.wrong, result
    assert result.acknowledged
