"""The list in README.md is that of the rows: every clause, and the files that hold it."""

import importlib
import pkgutil
import re
from pathlib import Path

from tests.keys.mls import hostile
from tests.keys.mls.hostile import table

README = Path(__file__).with_name("README.md")


def test_the_list_is_that_of_the_rows() -> None:
    for module in pkgutil.iter_modules(hostile.__path__):
        importlib.import_module(f"{hostile.__name__}.{module.name}")
    found: dict[str, set[str]] = {}
    for row, module_name in table.ROWS:
        if row.clause != "ours":
            found.setdefault(row.clause, set()).add(module_name.rpartition(".")[2])
    listed = re.findall(r"^\| ([\d.]+) \| .* \| (test_[\w, ]+) \|$", README.read_text(), re.M)
    assert {clause: set(files.split(", ")) for clause, files in listed} == found
    order = [[int(part) for part in clause.split(".")] for clause, _ in listed]
    assert order == sorted(order)


def test_no_two_rows_have_one_name() -> None:
    names = [(row.clause, row.rule, module) for row, module in table.ROWS]
    assert len(set(names)) == len(names)
