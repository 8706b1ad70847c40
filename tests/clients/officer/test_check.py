"""`alert check`: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clients.officer.check import check_command
from tests.clients.core.documents import SAMPLE, alert


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(check_command, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_an_accepted_alert() -> None:
    code, printed, complained = run(str(SAMPLE), "--json")
    assert (code, complained) == (0, "")
    assert json.loads(printed) == {
        "schema": 1,
        "verdict": "accept",
        "class": None,
        "errors": [],
        "warnings": [],
        "details": [],
        "identifier": "MERIDIAN-MSO-2026-0117",
        "sender": "mso@meridian-mission.example",
        "sent": "2026-10-14T15:42:00-00:00",
        "status": "Actual",
        "msgType": "Alert",
        "scope": "Restricted",
        "infos": 2,
        "languages": ["en", "es"],
        "references": [],
    }


@pytest.mark.parametrize(
    ("document", "exit_code", "said"),
    [
        pytest.param(alert(), 0, ("accept", None, [], []), id="accepted"),
        pytest.param(
            alert(between="<references/>"), 0, ("accept-with-warnings", None, [], ["empty-references"]), id="warned"
        ),
        pytest.param(
            alert(identifier="a b"), 1, ("refuse", "text-rule", ["identifier-bad-chars"], []), id="against a rule"
        ),
        pytest.param(alert(status="x"), 1, ("refuse", "schema", ["bad-value"], []), id="against the schema"),
        pytest.param("", 1, ("refuse", "malformed", ["not-xml"], []), id="empty"),
        pytest.param("<!DOCTYPE a><a/>", 1, ("refuse", "doctype", ["doctype"], []), id="doctype"),
        pytest.param(" " * 3_000_000, 1, ("refuse", "malformed", ["too-large"], []), id="three megabytes"),
    ],
)
def test_the_verdict_and_the_exit(
    tmp_path: Path, document: str, exit_code: int, said: tuple[str, str | None, list[str], list[str]]
) -> None:
    file = tmp_path / "a.cap"
    file.write_text(document)
    code, printed, _ = run("--json", str(file))
    told = json.loads(printed)
    assert code == exit_code
    assert (told["verdict"], told["class"], told["errors"], told["warnings"]) == said
    assert run(str(file))[0] == exit_code


def test_what_could_not_be_read_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.cap"
    file.write_text("<rss/>")
    assert "identifier" not in json.loads(run(str(file), "--json")[1])
    file.write_text(alert().replace("<status>Actual</status>", ""))
    told = json.loads(run(str(file), "--json")[1])
    assert "status" not in told
    assert told["identifier"] == "A-1"


@pytest.mark.parametrize("name", ["none.cap", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    code, printed, complained = run(str(tmp_path / name), "--json")
    assert (code, printed) == (7, "")
    assert "not checked" in complained


def test_a_person_is_shown_nothing_a_terminal_obeys(tmp_path: Path) -> None:
    file = tmp_path / "a.cap"
    file.write_text(
        alert(identifier="\u009b2J\u202e", status="\u200b", last="<\u00e9\u0301\u0301\u0301\u0301\u0301\u0301/>")
    )
    _, printed, _ = run(str(file))
    assert "<U+009B>2J<U+202E>" in printed
    assert not {"\u009b", "\u202e", "\u200b"} & set(printed)
    assert run(str(file), "--json")[1].isascii()
