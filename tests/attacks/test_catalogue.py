"""The table of the catalogue is complete, and every test that it names is there.

The files are parsed and not imported, so this costs nothing. What a test asserts is for its reader to judge; that its name is one is judged here.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("README.md")
CASES = range(1, 87)
STATES = ("core", "socket", "core, socket", "beside", "not shown", "later", "not applicable")
OPEN = STATES[4:]
OVER_SOCKETS = (
    "gateway/web/",
    "gateway/test_process",
    "gateway/roads/test_killed",
    "clients/test_link",
    "e2e/",
    "crash/test_full_disk",
    "bench/",
    "attacks/test_lies",
)
"""Files of which each test has a connection; elsewhere an id says so."""
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?(?:\[([^\]]+)\])?`")
"""`file::test`, `file::test[id]`, or `file[attack-NN]` for all ids of a file and names of tests that begin with the number."""


@dataclass(frozen=True)
class Case:
    """A line of the table."""

    number: int
    action: str
    answer: str
    shown: str
    tests: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Source:
    """What a file of tests has: its tests by name, and every text that may be the id of a parameter."""

    tests: frozenset[str]
    ids: frozenset[str]


def cases(table: str) -> list[Case]:
    """The lines of the table that begin with a number."""
    found = []
    for line in table.splitlines():
        if not re.match(r"\| \d+ \|", line):
            continue
        number, action, answer, shown, by = (cell.strip() for cell in line.strip("|").split(" | "))
        tests = tuple((m[1], m[2] or "", m[3] or "") for m in NAMED.finditer(by))
        assert by.count("`") == 2 * len(tests), f"case {number}: not every name is one of a test: {by}"
        found.append(Case(int(number), action, f"{answer} {by}", shown, tests))
    return found


@cache
def source(file: str) -> Source:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    tests = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name[:5] == "test_"}
    given = [k.value for n in nodes if isinstance(n, ast.Call) for k in n.keywords if k.arg == "id"]
    begun = [text.values[0] if isinstance(text, ast.JoinedStr) else text for text in given]  # f"attack-NN {what}"
    ids = {text.value for text in begun if isinstance(text, ast.Constant) and isinstance(text.value, str)}
    return Source(frozenset(tests), frozenset(ids))


def is_there(file: str, test: str, id: str) -> bool:
    """Whether the file has what the table names; a number alone stands for all that begins with it."""
    if not (TESTS / file).is_file():
        return False
    of = source(file)
    if test:
        return test in of.tests and (not id or id in of.ids)
    number = re.fullmatch(r"attack-(\d\d)", id)
    if number is None:
        return False
    named = re.compile(rf"test_attack_(?:\d\d_and_)?{number[1]}_")
    return any(i == id or i.startswith(f"{id} ") for i in of.ids) or any(named.match(t) for t in of.tests)


CATALOGUE = cases(TABLE.read_text(encoding="utf-8"))


def test_every_case_stands_there_once() -> None:
    assert [case.number for case in CATALOGUE] == list(CASES)


@pytest.mark.parametrize("case", [pytest.param(case, id=f"attack-{case.number:02}") for case in CATALOGUE])
def test_a_case_names_tests_that_are_there(case: Case) -> None:
    """Or says why there is none."""
    assert case.shown in STATES
    assert case.action
    missing = [named for named in case.tests if not is_there(*named)]
    assert not missing
    if case.shown in OPEN:
        assert len(case.answer) > 20, "a reason"
    else:
        assert case.tests, "what is shown is shown by a test"
    if "socket" in case.shown:
        assert any(file.startswith(OVER_SOCKETS) or "over HTTP" in id for file, _, id in case.tests)


def test_the_counts_are_those_of_the_table() -> None:
    text = TABLE.read_text(encoding="utf-8")
    for state in STATES:
        count = sum(case.shown == state for case in CATALOGUE)
        assert f"| {state} | {count} |" in text, f"{state}: {count}"


def test_a_number_on_a_test_stands_in_its_line() -> None:
    """Whoever marks a test with a case's number finds it in the table."""
    named = {(file, case.number) for case in CATALOGUE for file, _, _ in case.tests}
    marked = set()
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if path != Path(__file__) and "attack" in text:
            found = re.findall(r'id=f?"attack-(\d\d)|def test_attack_(\d\d)', text)
            marked |= {(str(path.relative_to(TESTS)), int(one or other)) for one, other in found}
    assert marked <= named


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(("attacks/test_nowhere.py", "", "attack-01"), id="no such file"),
        pytest.param(("attacks/test_log.py", "test_nothing", ""), id="no such test"),
        pytest.param(("attacks/test_log.py", "test_attacks_on_the_log", "attack-99"), id="no such id"),
        pytest.param(("attacks/test_log.py", "", "attack-01"), id="no such number in the file"),
        pytest.param(("attacks/test_log.py", "", ""), id="a file alone"),
    ],
)
def test_what_is_not_there_is_missed(named: tuple[str, str, str]) -> None:
    assert not is_there(*named)
