"""Is every check there for a reason? Each one is taken out in turn, and some test has to fail.

    python tests/keys/mls/mutate.py              every check of keys/mls
    python tests/keys/mls/mutate.py --base REV   those in files that differ from REV

A check is an `if` (or a `case`) that raises or returns False, each operand of its `or` for itself; a last `raise` of a
function; an operand of what a function returns as a bool; and a call whose result nobody takes and whose name says that
it judges (`verify_members(tree)`, `auth.validate(...)`, `reader.finish()`). An `assert` is a promise of ours, not a check.

It works on copies in a temporary folder. The tests run there once, and what each test executes is noted: without the
check only a test that saw it fire can end otherwise, so only those are run again, the table of hostile messages first,
and the first failure settles it. Tests whose examples are drawn at random, and the published vectors, don't count.

Exit code 0: every check has its test. 1: some have none, and they are listed. 2: the tests fail as they are.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[3]
JUDGES = re.compile(r"^_?(check|verify|validate|fits|must|require|finish|crypto_sign_open)")
"""Names of functions that are called for what they refuse."""
LEFT_OUT = ("test_vectors.py", "test_damage.py", "test_history.py", "test_mutate.py", "test_replay.py")
"""Random or published examples, and what tests this script."""
PRELOADED = ("hypothesis", "cryptography.hazmat.primitives.hpke", "nacl.bindings")
"""What takes long to import and is not under test."""
FEW = 25
"""So many of the likeliest tests are run before the others are even collected."""
TIMEOUT = 180
"""Seconds for the tests of one mutant; whoever takes longer hangs, which is noticed."""

EQUIVALENT: Mapping[tuple[str, str], str] = {}
"""Checks that no test can miss, by file and text, each with the reason."""

Lines = frozenset[int]


@dataclass(frozen=True)
class Mutant:
    """One check taken out of one file."""

    file: str
    line: int
    function: str
    text: str
    """The check, as it reads in the file."""
    fires: Lines
    """The lines that only run when the check refuses; for a call, its own."""
    calls: str | None
    """For a call, whom."""
    source: str
    """The whole file without the check."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.text}"


# Finding the checks


class Finder(ast.NodeVisitor):
    """All checks of one file, each with the tree that lacks it."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.path: list[str] = []
        self.returns_bool = False
        self.found: list[tuple[ast.stmt, str, Lines, str | None, ast.Module]] = []

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._within(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before = self.returns_bool
        self.returns_bool = isinstance(node.returns, ast.Name) and node.returns.id == "bool"
        self._within(node)
        self.returns_bool = before

    def _within(self, node: ast.ClassDef | ast.FunctionDef) -> None:
        self.path.append(node.name)
        last = node.body[-1]
        if isinstance(last, ast.Raise) and len(node.body) > 1 and not _is_promise(last):
            self._note(last, ast.unparse(last), _lines(last), None, last, ast.Pass())
        self.generic_visit(node)
        self.path.pop()

    def visit_If(self, node: ast.If) -> None:
        if self._refuses(node.body):
            fires = _lines(*node.body)
            for text, part, replaced in _operands(node.test):
                self._note(node, f"if {text}", fires, None, part, replaced)
        elif node.orelse and self._refuses(node.orelse) and not isinstance(node.orelse[0], ast.If):
            for one in node.orelse:
                self._note(one, f"else: {ast.unparse(one)}", _lines(one), None, one, ast.Pass())
        self.generic_visit(node)

    def visit_match_case(self, node: ast.match_case) -> None:
        if self._refuses(node.body):
            text = f"case {ast.unparse(node.pattern)}"
            self._note(node.body[-1], text, _lines(*node.body), None, node.body[-1], ast.Pass())
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if self.returns_bool and isinstance(node.value, ast.BoolOp) and isinstance(node.value.op, ast.And):
            for part in node.value.values:
                kept = ast.Constant(value=True)
                self._note(node, f"return ... and {ast.unparse(part)}", _lines(node), None, part, kept)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if JUDGES.match(name):
                self._note(node, ast.unparse(node), _lines(node), name, node, ast.Pass())

    def _refuses(self, body: Sequence[ast.stmt]) -> bool:
        last = body[-1]
        if isinstance(last, ast.Return) and self.returns_bool:
            return isinstance(last.value, ast.Constant) and last.value.value is False
        return isinstance(last, ast.Raise) and not _is_promise(last)

    def _note(
        self, place: ast.stmt, text: str, fires: Lines, calls: str | None, old: ast.AST, new: ast.stmt | ast.expr
    ) -> None:
        function = ".".join(self.path) or "<module>"
        without = _Replace(old, new).apply(self.tree)
        self.found.append((place, f"{function}\0{text}", fires, calls, without))


class _Replace(ast.NodeTransformer):
    """A copy of a tree with one node changed for another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = new

    def apply(self, tree: ast.Module) -> ast.Module:
        memo: dict[int, object] = {}
        copied = copy.deepcopy(tree, memo)
        self.old = memo[id(self.old)]  # type: ignore[assignment]
        return ast.fix_missing_locations(self.visit(copied))

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.old:
            return ast.copy_location(self.new, node)
        return super().visit(node)  # type: ignore[no-any-return]


def _is_promise(node: ast.Raise) -> bool:
    """`raise AssertionError` says what can't be; a bare `raise` passes on."""
    called = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return called is None or (isinstance(called, ast.Name) and called.id == "AssertionError")


def _lines(*nodes: ast.stmt) -> Lines:
    return frozenset(line for node in nodes for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _operands(test: ast.expr) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """The refusals in a condition: its text, the node, and what stands there when it is gone."""
    never, always = ast.Constant(value=False), ast.Constant(value=True)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        for part in test.values:
            yield from _operands(part)
        return
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = test.operand
        if isinstance(inner, ast.BoolOp) and isinstance(inner.op, ast.And):
            for part in inner.values:
                yield f"not {ast.unparse(part)}", part, always
            return
        if isinstance(inner, ast.Compare) and len(inner.ops) > 1:
            sides = [inner.left, *inner.comparators]
            for at in range(len(inner.ops)):
                kept = [other for other in range(len(inner.ops)) if other != at]
                rest: list[ast.expr] = [ast.Compare(sides[k], [inner.ops[k]], [sides[k + 1]]) for k in kept]
                gone = ast.Compare(sides[at], [inner.ops[at]], [sides[at + 1]])
                left = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest)
                yield f"not {ast.unparse(gone)}", inner, left
            return
    yield ast.unparse(test), test, never


def mutants_of(root: Path, file: Path) -> list[Mutant]:
    """Every check of a file, taken out."""
    tree = ast.parse(file.read_text())
    finder = Finder(tree)
    finder.visit(tree)
    name = file.relative_to(root).as_posix()
    mutants = []
    for place, label, fires, calls, without in finder.found:
        function, _, text = label.partition("\0")
        mutants.append(Mutant(name, place.lineno, function, text, fires, calls, ast.unparse(without)))
    return mutants


# Who fires in whom: for a call, the tests in which it refused come first


def refusals(files: Sequence[Path], root: Path) -> dict[str, set[tuple[str, int]]]:
    """By the name of a function: the lines in it that raise, and in those it calls."""
    raises: dict[str, set[tuple[str, int]]] = {}
    calls: dict[str, set[str]] = {}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            here, called = raises.setdefault(node.name, set()), calls.setdefault(node.name, set())
            for inner in ast.walk(node):
                if isinstance(inner, ast.Raise):
                    here.add((file.relative_to(root).as_posix(), inner.lineno))
                elif isinstance(inner, ast.Call):
                    called.add(inner.func.attr if isinstance(inner.func, ast.Attribute) else ast.unparse(inner.func))
    for _ in range(4):  # as deep as the package judges
        for name, called in calls.items():
            raises[name] |= {line for other in called for line in raises.get(other, ())}
    return raises


# What each test executes


@dataclass
class Record:
    """The lines that each test executed, and how long it took."""

    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    """File, line, node ids of tests."""
    seconds: dict[str, float] = field(default_factory=dict)

    def tests(self, file: str, lines: Lines | set[int]) -> set[str]:
        known = self.lines.get(file, {})
        return {test for line in lines for test in known.get(line, ())}


def record(package: Path, out: Path, arguments: list[str]) -> int:
    """Run the tests here, in the present folder, and note what each executes (its own process: see `run_record`)."""
    import coverage
    import pytest

    root = Path.cwd().resolve()
    cover = coverage.Coverage(data_file=None, config_file=False, source=[str(package)], check_preimported=False)
    found = Record()

    class Watch:
        def pytest_runtest_logstart(self, nodeid: str) -> None:
            cover.switch_context(nodeid)

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            found.seconds[report.nodeid] = found.seconds.get(report.nodeid, 0.0) + report.duration

    cover.start()
    code = int(pytest.main(arguments, plugins=[Watch()])) if len(arguments) > len(arguments_for()) else 0
    cover.stop()
    data = cover.get_data()
    for name in data.measured_files():
        by_line = data.contexts_by_lineno(name)
        relative = Path(name).resolve().relative_to(root).as_posix()
        found.lines[relative] = {line: [test for test in tests if test] for line, tests in by_line.items()}
    out.write_text(json.dumps({"lines": found.lines, "seconds": found.seconds}))
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else code


def arguments_for(*tests: str) -> list[str]:
    """Quiet, stopping at the first failure, without what is drawn at random."""
    return ["-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-m", "not hypothesis", *tests]


@dataclass(frozen=True)
class Project:
    """A package and its tests below one root."""

    root: Path
    package: str
    tests: str

    def files(self) -> list[Path]:
        return sorted((self.root / self.package).glob("*.py"))

    def test_files(self) -> list[Path]:
        found = sorted((self.root / self.tests).rglob("test_*.py"))
        return [file for file in found if file.name not in LEFT_OUT]

    def copied(self, to: Path) -> "Project":
        """A copy of what the tests need."""
        unwanted = shutil.ignore_patterns("__pycache__", ".*")
        for top in sorted({Path(self.package).parts[0], Path(self.tests).parts[0]}):
            shutil.copytree(self.root / top, to / top, ignore=unwanted)
        if (self.root / "pyproject.toml").exists():
            shutil.copy(self.root / "pyproject.toml", to)
        return Project(to.resolve(), self.package, self.tests)

    def environment(self, shared: Path) -> dict[str, str]:
        given = {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_CORE": "ctrace"}
        return {"OUTRIDER_SHARED": str(shared), **os.environ, **given}


def run_record(project: Project, environment: Mapping[str, str], tests: Sequence[str]) -> Record | None:
    """What the tests in some files execute, or None if they fail as they are."""
    out = project.root / "record.json"
    script = [sys.executable, "-P", str(Path(__file__).resolve()), "--record", str(out), "--package", project.package]
    done = subprocess.run([*script, *tests], cwd=project.root, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        return None
    raw = json.loads(out.read_text())
    lines = {name: {int(line): tests for line, tests in by.items()} for name, by in raw["lines"].items()}
    return Record(lines, raw["seconds"])


def recorded(projects: Sequence[Project], shared: Path) -> Record | None:
    """What all tests execute: each copy runs its share of the files, the largest first."""
    files = sorted(projects[0].test_files(), key=lambda file: -file.stat().st_size)
    names = [file.relative_to(projects[0].root).as_posix() for file in files]
    shares = [names[number :: len(projects)] for number in range(len(projects))]
    with ThreadPoolExecutor(len(projects)) as pool:
        parts = list(pool.map(lambda one, share: run_record(one, one.environment(shared), share), projects, shares))
    whole = Record()
    for part in parts:
        if part is None:
            return None
        whole.seconds.update(part.seconds)
        for file, by_line in part.lines.items():
            for line, tests in by_line.items():
                whole.lines.setdefault(file, {}).setdefault(line, []).extend(tests)
    return whole


# Trying them


class Desk:
    """A copy, and a process that forks for each run of tests: what pytest needs is imported once."""

    def __init__(self, project: Project, environment: Mapping[str, str]) -> None:
        self.project = project
        script = [sys.executable, "-P", str(Path(__file__).resolve()), "--serve"]
        self.process = subprocess.Popen(
            script, cwd=project.root, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def passes(self, tests: Sequence[str]) -> bool:
        """Whether these tests pass; a run that hangs or crashes doesn't."""
        listed = self.project.root / "tests-to-run"
        listed.write_text("\n".join(tests))
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(listed, file=stdin, flush=True)
        code = int(stdout.readline())
        if code > 2:
            raise RuntimeError(f"pytest ended with {code} on {listed.read_text()}")
        return code == 0

    def close(self) -> None:
        self.process.communicate()


def serve() -> int:
    """The process behind a desk: a path of listed tests comes in, pytest's exit code goes out."""
    import pytest

    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.alarm(TIMEOUT)
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (until the process ends)
            os._exit(int(pytest.main(arguments_for(f"@{line.strip()}"))))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return 0


@dataclass(frozen=True)
class Trial:
    """Where mutants are tried, one at a time on each desk."""

    desks: "SimpleQueue[Desk]"
    found: Record
    refusals: Mapping[str, set[tuple[str, int]]]

    def candidates(self, mutant: Mutant) -> list[str]:
        """The tests that could notice, those that should first."""
        tests = self.found.tests(mutant.file, mutant.fires)
        likely: set[str] = set()
        if mutant.calls is not None:
            for file, line in self.refusals.get(mutant.calls, ()):
                likely |= self.found.tests(file, {line})

        def order(test: str) -> tuple[bool, bool, float]:
            return test not in likely, "/hostile/" not in test, self.found.seconds.get(test, 0.0)

        return sorted(tests, key=order)

    def survives(self, mutant: Mutant) -> bool:
        """Whether all tests pass without the check."""
        tests = self.candidates(mutant)
        if not tests:
            return True
        desk = self.desks.get()
        file = desk.project.root / mutant.file
        honest = file.read_text()
        try:
            file.write_text(mutant.source)
            return all(desk.passes(some) for some in (tests[:FEW], tests[FEW:]) if some)
        finally:
            file.write_text(honest)
            self.desks.put(desk)


def changed(project: Project, base: str) -> list[Path] | None:
    """The package's files that differ from a revision; None where there is no such revision."""
    git = ["git", "-C", str(project.root)]
    if subprocess.run([*git, "rev-parse", "-q", "--verify", f"{base}^{{commit}}"], capture_output=True).returncode:
        return None
    listed = subprocess.run(
        [*git, "diff", "--name-only", base, "--", project.package], capture_output=True, text=True, check=True
    )
    names = set(listed.stdout.split())
    return [file for file in project.files() if file.relative_to(project.root).as_posix() in names]


def survivors(project: Project, mutants: Sequence[Mutant], workers: int) -> list[Mutant] | None:
    """Those that no test notices; None if the tests fail as they are."""
    shared = project.root.parent / "shared"
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copies = [project.copied(Path(folder) / str(number)) for number in range(workers)]
        found = recorded(copies, shared)
        if found is None:
            return None
        made = [Desk(one, one.environment(shared)) for one in copies]
        desks: SimpleQueue[Desk] = SimpleQueue()
        for desk in made:
            desks.put(desk)
        trial = Trial(desks, found, refusals(project.files(), project.root))
        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(trial.survives, mutants))
        for desk in made:
            desk.close()
    return [mutant for mutant, survived in zip(mutants, results, strict=True) if survived]


def excuse(mutant: Mutant) -> str | None:
    return EQUIVALENT.get((mutant.file, mutant.text))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--base", metavar="REV", help="only files of the package that differ from this revision")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this file (and others given so)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the checks and run nothing")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--package", default="keys/mls")
    parser.add_argument("--tests", default="tests/keys/mls")
    parser.add_argument("files", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        return serve()
    if given.record:
        return record(Path(given.package), given.record, arguments_for(*given.files))
    project = Project(given.root.resolve(), given.package, given.tests)
    files: list[Path] | None = project.files()
    if given.base:
        files = changed(project, given.base)
        if not files:
            none = f"there is no {given.base}" if files is None else f"nothing differs from {given.base}"
            print(f"{given.package}: {none}; no check to take out")
            return 0
    files = [file for file in files or [] if not given.only or file.name in given.only]
    mutants = [mutant for file in files for mutant in mutants_of(project.root, file)]
    if given.list:
        print(*mutants, sep="\n")
        print(f"{len(mutants)} checks")
        return 0
    return report(project, mutants, given.workers)


def report(project: Project, mutants: Sequence[Mutant], workers: int) -> int:
    """Try them, say who survived."""
    start = time.monotonic()
    alive = survivors(project, mutants, workers)
    if alive is None:
        print("the tests fail as they are; no check was taken out")
        return 2
    excused = [mutant for mutant in alive if excuse(mutant)]
    noticed = len(mutants) - len(alive)
    print(f"{len(mutants)} checks, {noticed} missed when gone, {len(excused)} equivalent", end="")
    print(f", {len(alive) - len(excused)} survive, in {time.monotonic() - start:.0f} s")
    for mutant in alive:
        reason = excuse(mutant)
        print(f"  equivalent: {mutant} ({reason})" if reason else f"  nobody misses {mutant}")
    return 1 if len(alive) > len(excused) else 0


if __name__ == "__main__":
    sys.exit(main())
