"""What import contracts can't see: the cores open no file, look at no clock, print nothing, and hide no refusal in an assert."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORES = sorted(
    path
    for pattern in ("keys/**/*.py", "gateway/core/*.py", "gateway/wire/*.py", "clients/core/**/*.py")
    for path in ROOT.glob(pattern)
)
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}
FORBIDDEN_METHODS = {"now", "utcnow", "today", "read_text", "read_bytes", "write_text", "write_bytes"}


def offences(source: str) -> list[str]:
    """Calls that a core may not make, as line and name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in FORBIDDEN_CALLS:
            found.append(f"line {node.lineno}: {function.id}()")
        if isinstance(function, ast.Attribute) and function.attr in FORBIDDEN_METHODS:
            owner = function.value
            if isinstance(owner, ast.Name) and owner.id in ("datetime", "date", "Path", "path", "time"):
                found.append(f"line {node.lineno}: {owner.id}.{function.attr}()")
    return found


@pytest.mark.parametrize("path", CORES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_core_does_no_io_and_looks_at_no_clock(path: Path) -> None:
    assert offences(path.read_text()) == []


@pytest.mark.parametrize("source", ["open('x')", "datetime.now()", "print(1)", "path.read_bytes()"])
def test_the_lint_finds_what_it_looks_for(source: str) -> None:
    assert offences(source)


def test_there_are_cores_to_look_at() -> None:
    assert len(CORES) > 60
