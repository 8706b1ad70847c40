"""What all verbs share: naming things, tables, passphrases, files."""

import os
from pathlib import Path

import click
import pytest

from clients.shell import (
    Asked,
    Lazy,
    Verb,
    Verbs,
    agree,
    ask_passphrase,
    pick,
    profile,
    read_bytes,
    read_passphrase,
    replace_file,
    table,
    write_new,
)

NAMED = [("motorcade", "3fa29c01"), ("motor pool", "3fb00000"), ("residence", "9900aabb")]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("motorcade", 0, id="a name in full"),
        pytest.param("motor p", 1, id="the beginning of a name"),
        pytest.param("3fa", 0, id="the beginning of an id"),
        pytest.param("9900AABB", 2, id="an id in capitals"),
    ],
)
def test_the_one_that_is_meant(wanted: str, found: int) -> None:
    assert pick(NAMED, wanted, lambda n: n, "channel") == NAMED[found]


@pytest.mark.parametrize("wanted", ["motor", "3f", "nobody", ""])
def test_none_or_several_is_an_error(wanted: str) -> None:
    with pytest.raises(click.UsageError):
        pick(NAMED, wanted, lambda n: n, "channel")


def test_a_name_in_full_counts_before_one_that_begins_so() -> None:
    names = [("ayo",), ("ayomide",)]
    assert pick(names, "ayo", lambda n: n, "person") == ("ayo",)


def test_a_table_stands_in_columns() -> None:
    assert table([("a", "bb", ""), ("aaa", "b", "c")]) == ["a    bb", "aaa  b   c"]
    assert table([]) == []


@pytest.mark.parametrize(
    ("text", "passphrase"),
    [
        pytest.param("correct horse\n", "correct horse", id="one line"),
        pytest.param("correct horse", "correct horse", id="no newline"),
        pytest.param("correct horse\r\n", "correct horse", id="from another system"),
        pytest.param(" spaces count \nsecond line", " spaces count ", id="the first line as it is"),
    ],
)
def test_a_passphrase_is_the_first_line(tmp_path: Path, text: str, passphrase: str) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(text.encode())
    assert read_passphrase(file) == passphrase


@pytest.mark.parametrize("data", [b"", b"\nsecond", b"\xff\xfe", bytes(2_000)])
def test_a_file_without_a_passphrase_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(data)
    with pytest.raises(click.UsageError):
        read_passphrase(file)


def test_nobody_is_asked_where_nobody_sits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.UsageError, match="--passphrase-file"):
        ask_passphrase("Passphrase", new=False)
    with pytest.raises(click.UsageError, match="--yes"):
        agree("Really?", "--yes")
    assert capsys.readouterr().out == ""


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "key"
    write_new(file, b"one", secret=True)
    with pytest.raises(click.UsageError):
        write_new(file, b"two")
    assert file.read_bytes() == b"one"
    assert file.stat().st_mode & 0o077 == 0


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "note"
    file.write_bytes(b"one")
    replace_file(file, b"two")
    assert [f.name for f in tmp_path.iterdir()] == ["note"]
    assert file.read_bytes() == b"two"


@pytest.mark.parametrize("name", ["absent", "bad\0name", "."])
def test_what_can_t_be_read_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(click.UsageError):
        read_bytes(tmp_path / name)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(11))
    assert read_bytes(file, 11) == bytes(11)
    with pytest.raises(click.UsageError):
        read_bytes(file, 10)


@pytest.mark.parametrize(
    ("home", "state", "folder"),
    [
        pytest.param("/h", "/s", "/h", id="OUTRIDER_HOME"),
        pytest.param("", "/s", "/s/outrider", id="XDG_STATE_HOME"),
    ],
)
def test_where_the_profile_is(monkeypatch: pytest.MonkeyPatch, home: str, state: str, folder: str) -> None:
    monkeypatch.setenv("OUTRIDER_HOME", home)
    monkeypatch.setenv("XDG_STATE_HOME", state)
    assert profile() == Path(folder)


def test_the_profile_is_in_the_home_where_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTRIDER_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert profile() == Path(os.environ["HOME"]) / ".local" / "state" / "outrider"


def test_the_option_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTRIDER_HOME", "/h")
    with click.Context(Verbs("outrider"), obj=Asked(profile=Path("/p"))):
        assert profile() == Path("/p")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param([], id="nothing at all"),
        pytest.param(["x"], id="an argument"),
        pytest.param(["--loud", "x"], id="an option of the default verb first"),
        pytest.param(["--json", "x"], id="a shared option first"),
        pytest.param(["--profile", "other", "x", "--json"], id="a shared option with a value"),
        pytest.param(["--profile=other", "--loud"], id="a shared option in one word"),
        pytest.param(["join", "x"], id="the default verb by its name"),
    ],
)
def test_what_is_no_verb_belongs_to_the_default_verb(line: list[str]) -> None:
    calls = []

    @click.command(cls=Verb)
    @click.argument("word", required=False)
    @click.option("--loud", is_flag=True)
    def join(word: str | None, loud: bool) -> None:
        calls.append((word, loud))

    group = Verbs("enrol", lazy={"join": Lazy(lambda: join, ""), "approve": Lazy(lambda: join, "")}, default="join")
    group.main(line, standalone_mode=False)
    assert calls == [("x" if "x" in line else None, "--loud" in line)]
