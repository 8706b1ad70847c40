"""`python -m tests.fuzz [TARGET …] --seconds 60`: libFuzzer (atheris) over each target in turn, in a process of its own.

A new fault's input is kept in tests/fuzz/found/, so that the suite replays it, and the run ends with exit code 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from tests.fuzz import seeds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="all, where none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        fuzz(asked.inside, asked.seconds)
        return 0
    from tests.fuzz.targets import TARGETS

    unknown = set(asked.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    faults = [name for name in asked.targets or TARGETS if not outside(name, asked.seconds)]
    print(
        f"{len(asked.targets or TARGETS)} targets, {len(faults)} with a fault{': ' if faults else ''}{', '.join(faults)}"
    )
    return 1 if faults else 0


def outside(name: str, seconds: int) -> bool:
    """Run one target's process; False where it has found something."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, crashes = Path(folder) / "corpus", Path(folder) / "crashes"
        corpus.mkdir()
        crashes.mkdir()
        command = [sys.executable, "-m", "tests.fuzz", "--inside", name, "--seconds", str(seconds)]
        ended = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env=_environment(folder), check=False
        )
        runs = re.findall(r"#(\d+)\t", ended.stderr)
        words = next((w for w in ended.stderr.splitlines() if "Exception" in w or "Error" in w or "Unsound" in w), "")
        inputs = list(crashes.iterdir())
        for file in inputs:
            data = file.read_bytes()
            (seeds.FOUND / f"{name}-{sha256(data).hexdigest()[:12]}").write_bytes(data)
        sound = ended.returncode == 0 and not inputs
        print(
            f"{name:20} {runs[-1] if runs else '0':>9} runs  {'sound' if sound else 'FAULT ' + words[:160]}", flush=True
        )
        if not sound and not inputs:
            print(ended.stderr[-2000:])
    return sound


def _environment(folder: str) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OUTRIDER_FUZZ": folder}


def fuzz(name: str, seconds: int) -> None:
    """In a process of its own: never comes back."""
    import os

    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: make fuzz does that (CPython up to 3.13)")
    with atheris.instrument_imports(include=["keys", "gateway", "clients"]):
        from tests.fuzz.targets import TARGETS
    target, folder = TARGETS[name], Path(os.environ["OUTRIDER_FUZZ"])
    for data in [*target.start, *seeds.found(name)]:
        (folder / "corpus" / sha256(data).hexdigest()).write_bytes(data)
    options = [f"-max_total_time={seconds}", "-max_len=8192", "-rss_limit_mb=2048", "-timeout=20"]
    atheris.Setup([name, *options, f"-artifact_prefix={folder}/crashes/", f"{folder}/corpus"], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
