"""Every decoder under bytes that nobody has written: only its own error comes out, and one value has one encoding.

    target     what a target is: a decoder, its errors, its way back, and a second reading where there is one
    targets    the table of them
    plain      second readings, written from the standards with nothing of ours
    seeds      where a fuzzer begins: goldens and samples of our own making
    found/     inputs that were faults once, one file each; the suite replays them for ever
    engine     libFuzzer (atheris) over one target, and how it sees where it gets to
    mutation   changes that keep a record a record
    words      the dictionary: what words a decoder's modules know
    planted    three bugs on purpose, which `make fuzz` must find before it goes on

The fast suite gives each target its seeds, what was found, and some hundred seeded changes of them (`test_targets`). `make fuzz`
runs atheris over each in turn, for so many seconds; what it finds goes to found/. README.md has the figures.
"""

from pathlib import Path
from typing import Final

OURS: Final = ("keys", "gateway", "clients", "tests.fuzz.planted")  # what is instrumented
FOUND: Final = Path(__file__).resolve().parent / "found"
