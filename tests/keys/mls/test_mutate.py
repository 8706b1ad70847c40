"""The script that takes checks out finds the one that no test misses, and only that."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("mutate.py")

RULES = """
def check_short(name: str) -> None:
    if len(name) > 3:
        raise ValueError("too long")


def check_plain(name: str) -> None:
    if name.startswith(" ") or name.endswith(" "):
        raise ValueError("not plain")


def is_even(number: int) -> bool:
    if number < 0:
        return False
    return isinstance(number, int) and number % 2 == 0


def admit(name: str) -> str:
    check_short(name)
    check_plain(name)
    return name
"""

MISSED = """
import pytest

from tiny.rules import admit, is_even


@pytest.mark.parametrize("name", ["long one", " x", "x "])
def test_refused(name):
    with pytest.raises(ValueError):
        admit(name)


def test_even():
    assert not is_even(-2)
    assert not is_even(2.0)
    assert not is_even(3)
"""


def project(root: Path, tests: str, base: str | None = None) -> subprocess.CompletedProcess[str]:
    """The script's verdict on a package of four rules."""
    for folder, name, content in (("tiny", "rules.py", RULES), ("trials", "test_rules.py", tests)):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / "__init__.py").touch()
        (root / folder / name).write_text(content)
    given = ["--root", str(root), "--package", "tiny", "--tests", "trials", "--workers", "1"]
    given += ["--base", base] if base else []
    return subprocess.run([sys.executable, str(SCRIPT), *given], capture_output=True, text=True, cwd=root)


def test_every_check_is_missed(tmp_path: Path) -> None:
    done = project(tmp_path, MISSED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 checks, 8 missed when gone, 0 equivalent, 0 survive" in done.stdout


def test_checks_that_nobody_misses_are_named(tmp_path: Path) -> None:
    tests = MISSED
    for line in ('"long one", ', ', "x "', "    assert not is_even(3)\n"):
        assert line in tests
        tests = tests.replace(line, "")
    done = project(tmp_path, tests)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "8 checks, 4 missed when gone, 0 equivalent, 4 survive" in done.stdout
    for check in (
        "tiny/rules.py:3 check_short: if len(name) > 3",
        "tiny/rules.py:8 check_plain: if name.endswith(' ')",
        "tiny/rules.py:15 is_even: return ... and number % 2 == 0",
        "tiny/rules.py:19 admit: check_short(name)",
    ):
        assert f"nobody misses {check}\n" in done.stdout


def test_tests_that_fail_as_they_are_prove_nothing(tmp_path: Path) -> None:
    done = project(tmp_path, MISSED + "\n\ndef test_wrong():\n    assert is_even(3)\n")
    assert done.returncode == 2
    assert "the tests fail as they are" in done.stdout


def test_only_files_that_differ_are_tried(tmp_path: Path) -> None:
    def git(*command: str) -> None:
        identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *command], check=True, capture_output=True)

    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "rules.py").write_text(RULES)
    git("init", "-q")
    git("add", "tiny/rules.py")
    git("commit", "-q", "-m", "the rules")
    done = project(tmp_path, MISSED, "HEAD~1")
    assert (done.returncode, "there is no HEAD~1" in done.stdout) == (0, True)
    done = project(tmp_path, MISSED, "HEAD")
    assert (done.returncode, "nothing differs from HEAD" in done.stdout) == (0, True)
