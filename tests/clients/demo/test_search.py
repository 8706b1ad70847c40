"""The search finds a text in each of its coats, and nothing where there is nothing."""

import base64
import os
from pathlib import Path

import pytest

from clients.demo.search import contains, search

TEXT = "crowd at the fountain"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "coat",
    [
        pytest.param(lambda b: b, id="plain"),
        pytest.param(lambda b: b.hex().encode(), id="hex"),
        pytest.param(lambda b: b.hex().upper().encode(), id="upper hex"),
        pytest.param(base64.b64encode, id="base64"),
        pytest.param(lambda b: base64.b64encode(b"x" + b + b"y"), id="base64, shifted by one"),
        pytest.param(lambda b: base64.b64encode(b"xx" + b + b"yy"), id="base64, shifted by two"),
        pytest.param(lambda b: base64.urlsafe_b64encode(b"\xff" + b), id="url-safe base64"),
    ],
)
def test_a_text_is_found_in_every_coat(tmp_path: Path, encoding: str, coat: object) -> None:
    noise = os.urandom(1000)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "frames.bin").write_bytes(noise + coat(TEXT.encode(encoding)) + noise)  # type: ignore[operator]
    hits = search([tmp_path], [TEXT])
    assert hits
    assert hits[0].path.name == "frames.bin"


def test_nothing_is_found_in_noise_but_the_control(tmp_path: Path) -> None:
    control = os.urandom(16)
    (tmp_path / "gateway.db").write_bytes(os.urandom(10_000) + control + os.urandom(10_000))
    assert search([tmp_path], [TEXT]) == []
    assert contains([tmp_path], control)
    assert not contains([tmp_path], os.urandom(16))


def test_a_text_too_short_to_mean_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        search([], ["abc"])
