"""Is every check there for a reason? Each one is taken out in turn, and some test has to fail.

    python tests/keys/mls/mutate.py              every check of keys/mls
    python tests/keys/mls/mutate.py --base REV   those in files that differ from REV

A check is an `if` (or a `case`) that raises or returns False, each operand of its `or` for itself; a last `raise` of a
function; an operand of what a function returns as a bool; and a call whose result nobody takes and whose name says that
it judges (`verify_members(tree)`, `auth.validate(...)`, `reader.finish()`). An `assert` is a promise of ours, not a check.

It works on copies in a temporary folder. The tests run there once, and what each test executes is noted: without the
check only a test that saw it fire can end otherwise, so only those are run again, and the first failure settles it: in
the table of hostile messages, and where that has none, in all other tests. Tests whose examples are drawn at random,
and the published vectors, don't count.

Exit code 0: every check has its test. 1: some have none, and they are listed. 2: the tests fail as they are.
"""

import argparse
import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from checks import Lines, Mutant, mutants_of, refusals  # beside this script

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = (
    "test_readme.py",
    "test_vectors.py",
    "test_damage.py",
    "test_history.py",
    "test_mutate.py",
    "test_replay.py",
)
"""Random or published examples, what tests this script, and what reads the prose."""
PRELOADED = ("hypothesis", "cryptography.hazmat.primitives.hpke", "nacl.bindings")
"""What takes long to import and is not under test."""
FEW = 25
"""So many of the likeliest tests are run before the others are even collected."""
TIMEOUT = 180
"""Seconds for the tests of one mutant; whoever takes longer hangs, which is noticed."""

EQUIVALENT: Mapping[tuple[str, str], str] = {}
"""Checks that no test can miss, by file and text, each with the reason."""

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

    def stages(self) -> list[list[Path]]:
        """The files of tests: the table of hostile messages, and then all others."""
        files = sorted((self.root / self.tests).rglob("test_*.py"))
        files = [file for file in files if file.name not in LEFT_OUT]
        return [[one for one in files if ("hostile" in one.parts) is first] for first in (True, False)]

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
    script = [sys.executable, str(Path(__file__).resolve()), "--record", str(out), "--package", project.package]
    done = subprocess.run([*script, *tests], cwd=project.root, env=dict(environment), capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        return None
    raw = json.loads(out.read_text())
    lines = {name: {int(line): tests for line, tests in by.items()} for name, by in raw["lines"].items()}
    return Record(lines, raw["seconds"])


def recorded(projects: Sequence[Project], files: Sequence[Path], shared: Path) -> Record | None:
    """What the tests in these files execute: each copy runs its share, the largest first."""
    largest = sorted(files, key=lambda file: -file.stat().st_size)
    names = [file.relative_to(projects[0].root).as_posix() for file in largest]
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
        script = [sys.executable, str(Path(__file__).resolve()), "--serve"]
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

        def order(test: str) -> tuple[bool, float]:
            return test not in likely, self.found.seconds.get(test, 0.0)

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
    if shutil.which("git") is None:
        return None
    git = ["git", "-C", str(project.root)]
    if subprocess.run([*git, "rev-parse", "-q", "--verify", f"{base}^{{commit}}"], capture_output=True).returncode:
        return None
    listed = subprocess.run(
        [*git, "diff", "--name-only", base, "--", project.package], capture_output=True, text=True, check=True
    )
    names = set(listed.stdout.split())
    return [file for file in project.files() if file.relative_to(project.root).as_posix() in names]


def survivors(project: Project, mutants: Sequence[Mutant], workers: int) -> list[Mutant] | None:
    """Those that no test notices; None if the tests fail as they are. What the table settles is asked of no other."""
    shared, alive = project.root.parent / "shared", list(mutants)
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copies = [project.copied(Path(folder) / str(number)) for number in range(workers)]
        desks: SimpleQueue[Desk] = SimpleQueue()
        made = [Desk(one, one.environment(shared)) for one in copies]
        for desk in made:
            desks.put(desk)
        for files in copies[0].stages():
            found = recorded(copies, files, shared) if alive else Record()
            if found is None:
                return None
            trial = Trial(desks, found, refusals(project.files(), project.root))
            with ThreadPoolExecutor(workers) as pool:
                results = list(pool.map(trial.survives, alive))
            alive = [mutant for mutant, survived in zip(alive, results, strict=True) if survived]
        for desk in made:
            desk.close()
    return alive


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
