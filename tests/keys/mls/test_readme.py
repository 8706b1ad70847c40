"""The README's ten lines run as they stand there, and its files and targets are there."""

import re
from pathlib import Path
from typing import Any

from tests.keys.mls.people import Names

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "keys/mls/README.md").read_text()


def test_the_ten_lines_run() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    world: dict[str, Any] = {"service": Names()}
    exec(compile(code, "README.md", "exec"), world)
    assert world["received"].content == b"vehicle clear"


def test_what_it_points_to_is_there() -> None:
    for path in re.findall(r"`(tests/[\w/.]+\.(?:py|md))`", README):
        assert (ROOT / path).is_file(), path
    for name in re.findall(r"`(\w+\.py)`", README):
        assert (ROOT / "keys/mls" / name).is_file() or (ROOT / "tests/keys/mls" / name).is_file(), name
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([\w-]+)`", README):
        assert f"\n{target}:" in targets, target


def test_the_front_door_lists_every_file() -> None:
    import keys.mls

    listed = set(re.findall(r"\w+", keys.mls.__doc__ or ""))
    files = {path.stem for path in (ROOT / "keys/mls").glob("*.py")} - {"__init__"}
    assert files <= listed | {"errors", "hpkesuite"}, files - listed
