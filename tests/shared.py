"""Where the published vectors and samples lie: `$OUTRIDER_SHARED`, else `../shared` beside the checkout.

They are not part of this project. Where they are absent a test that needs them skips with one line; with
`OUTRIDER_SHARED_REQUIRED=1`, as in CI, it fails instead, so that no gap can hide.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("OUTRIDER_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def shared(name: str) -> Path:
    """The path of a shared file or folder; skips the test (or fails it, where they are required) if it isn't there."""
    path = ROOT / name
    if path.exists():
        return path
    reason = f"no {name} in {ROOT}: set OUTRIDER_SHARED to the folder of vectors and samples"
    if os.environ.get("OUTRIDER_SHARED_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
