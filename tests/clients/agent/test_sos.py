"""The seconds in which an SOS can be cancelled (600 here, so that no slow machine misses them), at a real terminal and without one;
positions and plans as people write them."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from clients.agent.move import _file
from clients.agent.sos import _position
from clients.places import position_text
from tests.waiting import PATIENCE

WINDOW = """
import signal
from clients.agent.sos import _window
from clients.shell import Declined
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background begin with it ignored
try:
    _window(600)
except Declined as declined:
    print("DECLINED", declined.message)
else:
    print("SENT")
"""


def start(terminal: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WINDOW], stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, start_new_session=True
    )


def counted(out: int, what: bytes) -> None:
    """Until the terminal shows this."""
    seen, end = b"", time.monotonic() + PATIENCE
    while what not in seen:
        assert time.monotonic() < end, seen
        seen += os.read(out, 1_024)


@pytest.mark.parametrize("key", [pytest.param(b" ", id="a key"), pytest.param(b"\n", id="Enter")])
def test_any_key_cancels_and_nothing_is_sent(key: bytes) -> None:
    out, terminal = pty.openpty()
    process = start(terminal)
    counted(out, b"SOS in 600")
    os.write(out, key)
    said, _ = process.communicate(timeout=PATIENCE)
    assert b"DECLINED cancelled: nothing was sent" in said
    os.close(out)
    os.close(terminal)


def test_ctrl_c_cancels_where_there_is_no_terminal() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WINDOW],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert b"SOS in 600" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert b"DECLINED" in said


def test_a_key_pressed_before_it_began_cancels_nothing() -> None:
    out, terminal = pty.openpty()
    os.write(out, b"\n")
    process = start(terminal)
    counted(out, b"SOS in 599")
    process.kill()
    process.communicate()
    os.close(out)
    os.close(terminal)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("40.4168,-3.7038", "40.41680 N 3.70380 W, within 15 m, 4 s old when sent", id="north and west"),
        pytest.param("-33.9,18.4", "33.90000 S 18.40000 E, within 15 m, 4 s old when sent", id="south and east"),
        pytest.param("0,0", "0.00000 N 0.00000 E, within 15 m, 4 s old when sent", id="nowhere near"),
    ],
)
def test_a_position(text: str, words: str) -> None:
    assert position_text(_position(text, 15, 4)) == words


@pytest.mark.parametrize("text", ["", "40.4", "north,west", "-3.7,240", "91,0", "nan,0", "1,2,3"])
def test_no_position(text: str) -> None:
    with pytest.raises(click.UsageError):
        _position(text, 15, 4)


def test_a_plan_in_a_file(tmp_path: Path) -> None:
    plan = tmp_path / "red.toml"
    plan.write_text('route = "RED-ROUTE"\nevery = "15m"\ngrace = "5m"\nlegs = ["gate", "airport"]\n')
    assert _file(plan) == ("RED-ROUTE", 900_000, 300_000, ["gate", "airport"])


@pytest.mark.parametrize(
    "text",
    ["every = ", 'every = "often"', "legs = [1]", 'speed = "fast"'],
    ids=["no TOML", "no time", "no names", "unknown"],
)
def test_no_plan_in_a_file(tmp_path: Path, text: str) -> None:
    plan = tmp_path / "red.toml"
    plan.write_text(text)
    with pytest.raises(click.UsageError):
        _file(plan)
