"""Runs gateway.main under cProfile, every thread for itself: `python -m tests.bench.starter FOLDER run --config …`.

The clock is each thread's own CPU. Each thread leaves FOLDER/<name>.pstats when the process ends by SIGTERM. cProfile counts
small Python functions dearer than they are: read the order, and the share of what is native, not the microseconds.
"""

import cProfile
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from gateway.main import main

_profiles: dict[str, cProfile.Profile] = {}


def _begin(_frame: FrameType, _event: str, _argument: Any) -> None:
    """The first thing that a new thread calls: from here on a profile of its own watches it."""
    profile = cProfile.Profile(time.thread_time)
    _profiles[threading.current_thread().name] = profile
    sys.setprofile(None)
    profile.enable()


def run(folder: Path, arguments: list[str]) -> None:
    """The command, and the profiles at its end."""
    threading.setprofile(_begin)
    profile = _profiles["loop"] = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        main(arguments, prog_name="outrider-gateway", standalone_mode=False)
    finally:
        profile.disable()
        threading.setprofile(None)  # type: ignore[arg-type]
        for name, watched in _profiles.items():
            watched.create_stats()
            watched.dump_stats(folder / f"{name}.pstats")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2:])
