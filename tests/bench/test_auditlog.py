"""The log that the audit is timed on is a sound one, with everything in it that a busy log has."""

from pathlib import Path

import pytest

from tests.bench.auditlog import make, run


def test_the_bench_makes_a_sound_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "log", 2_000)
    for what in ("hashes", "chains", "every signature"):
        run(tmp_path / "log", what)
    lines = capsys.readouterr().out.splitlines()
    assert all("CONSISTENT" in line for line in lines[1:]), lines
