"""libFuzzer (atheris) over one target, in a process of its own, and how it sees where it gets to.

Our own modules are instrumented as they are imported, so nothing of ours may be imported before: `load` refuses where something was.
Compiled decoders (msgspec, lxml, cryptography) show nothing of their inside. What msgspec says of bytes that it refuses does: it
names the place and the type that it missed, so every new sentence of its counts as a branch.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import atheris

from tests.fuzz import OURS

if TYPE_CHECKING:
    from tests.fuzz.target import Target

SENTENCES = 1_024  # counters for what msgspec says
OPTIONS = ("-max_len=8192", "-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1")
FINAL = re.compile(r"^(?:stat::number_of_executed_units: |#)(\d+)", re.MULTILINE)
REACHED = re.compile(r"\bcov: (\d+) ft: (\d+)")
FAULT = re.compile(r"^.*(?:Exception|Error|Unsound|ALARM|out-of-memory).*$", re.MULTILINE)


def load() -> tuple[Mapping[str, Target], Mapping[str, Target]]:
    """The targets and the planted ones, instrumented."""
    early = [module for module in sys.modules if module.partition(".")[0] in OURS]
    if early:
        sys.exit(f"imported before it could be instrumented: {', '.join(sorted(early)[:5])}")
    with atheris.instrument_imports(include=[*OURS, "tomllib"]):
        from tests.fuzz.planted import PLANTED
        from tests.fuzz.targets import TARGETS
    return TARGETS, PLANTED


@dataclass(frozen=True)
class Run:
    """What came of one target's time: libFuzzer's branches (`cov`) and features (`ft`), of the seeds alone and at the end."""

    sound: bool
    runs: int
    branches: tuple[int, int]
    features: tuple[int, int]
    finds: list[bytes]
    words: str

    def __str__(self) -> str:
        (first, last), (few, many) = self.branches, self.features
        reached = f"branches {first:4} to {last:4}, features {few:5} to {many:5}"
        return f"{self.runs:>9} runs  {reached}  {'sound' if self.sound else 'FAULT ' + self.words}"


def run(name: str, target: Target, seconds: int, corpus: Path | None = None) -> Run:
    """One target's process, from its start to its end. It begins from the target's seeds, what was found, and what lies in
    `corpus`, which grows."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kept = place / "corpus" if corpus is None else (corpus / name).resolve()
        for one in (kept, place / "crashes"):
            one.mkdir(parents=True, exist_ok=True)
        child = os.fork()
        if not child:
            _child(name, target, seconds, place, kept)
        _, status = os.waitpid(child, 0)
        told = (place / "told").read_text(errors="replace")
        finds = [file.read_bytes() for file in sorted((place / "crashes").iterdir())]
    return _judge(os.waitstatus_to_exitcode(status), told, finds)


def _child(name: str, target: Target, seconds: int, place: Path, corpus: Path) -> None:
    """The new process: never comes back, whatever happens."""
    try:
        told = os.open(place / "told", os.O_WRONLY | os.O_CREAT)
        os.dup2(told, 1)
        os.dup2(told, 2)
        _fuzz(name, target, seconds, place, corpus)
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(1)


def _fuzz(name: str, target: Target, seconds: int, place: Path, corpus: Path) -> None:
    from tests.fuzz import mutation, seeds, words

    for data in [*target.start, *seeds.found(name)]:
        (corpus / sha256(data).hexdigest()).write_bytes(data)
    arguments = [name, f"-max_total_time={seconds}", *OPTIONS, f"-artifact_prefix={place}/crashes/"]
    known = words.of(target.read)
    if known:
        (place / "words").write_text(words.dictionary(known))
        arguments.append(f"-dict={place}/words")
    more = {}
    if any(mutation.is_record(data[target.ahead :]) for data in target.start):
        more["custom_mutator"] = mutation.by_structure(
            lambda data, longest: atheris.Mutate(data, longest), target.ahead
        )
    check = _heard(target).check

    def kept(data: bytes) -> None:
        try:
            check(data)
        except Exception as error:
            (place / "crashes" / "found").write_bytes(smallest(check, data, type(error)))
            raise

    atheris.Setup([*arguments, str(corpus)], kept, **more)
    atheris.Fuzz()


def smallest(check: Callable[[bytes], object], data: bytes, fault: type[Exception]) -> bytes:
    """What is left of these bytes when all is cut out that the same fault does not need."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            try:
                check(shorter)
                at += size
            except fault:
                data = shorter
            except Exception:
                at += size
        size //= 2
    return data


def _heard(target: Target) -> Target:
    """The same target; each new sentence of msgspec's about what it refuses is told to libFuzzer."""
    first = min([atheris._reserve_counter() for _ in range(SENTENCES)])

    def read(data: bytes) -> Any:
        try:
            return target.read(data)
        except target.errors as error:
            said = re.sub(r"(?<!\[)\b\d+", "", str(error))
            if "`" in said:  # as in: Expected `int`, got `str` - at `$[3]`
                atheris._trace_branch(first + crc32(said.encode(errors="replace")) % SENTENCES)
            raise

    return replace(target, read=read)


def _judge(code: int, told: str, finds: list[bytes]) -> Run:
    runs = FINAL.findall(told)
    reached = [(int(branches), int(features)) for branches, features in REACHED.findall(told)]
    words = FAULT.search(told)
    first, last = (reached[0], reached[-1]) if reached else ((0, 0), (0, 0))
    return Run(
        sound=code == 0 and bool(reached) and not finds,
        runs=int(runs[-1]) if runs else 0,
        branches=(first[0], last[0]),
        features=(first[1], last[1]),
        finds=finds,
        words=(words[0] if words else told[-1_000:])[:300]
        if reached
        else "nothing is instrumented: no branch was taken",
    )
