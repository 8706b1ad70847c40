"""The program itself: its verbs, its options in any position, its exit codes, its reports of faults."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clients import exits, main
from clients.core import errors
from clients.core.cap import CapRefused, Refusal
from clients.shell import Asked, NotInstalled
from clients.vault import NoVault, VaultBusy, WrongPassphrase
from keys.errors import BadSignature, CharterRefused, Malformed, NotPermitted
from tests.clients.programs import Outrider

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def outrider(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Outrider:
    return Outrider(tmp_path, capsys)


def verbs(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    context = click.Context(group, info_name="outrider")
    for name in group.list_commands(context):
        try:
            command = group.get_command(context, name)
        except NotInstalled:
            continue
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))


ALL = [pytest.param(path, id=" ".join(path)) for path in verbs(main.program(), ())]


@pytest.mark.parametrize("path", ALL)
def test_every_verb_has_help_with_an_example(outrider: Outrider, path: tuple[str, ...]) -> None:
    ran = outrider.plain(*path, "--help")
    assert ran.code == 0
    assert "Example: outrider" in " ".join(ran.out.split())


@pytest.mark.parametrize("path", ALL)
def test_every_verb_takes_json_and_profile(outrider: Outrider, path: tuple[str, ...]) -> None:
    helped = outrider.plain(*path, "--help").out
    assert "--json" in helped
    assert "--profile" in helped


def test_the_version_is_that_of_the_distribution(outrider: Outrider) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == main.VERSION
    assert outrider.plain("--version").out == f"outrider {project['version']}\n"


def test_the_version_loads_next_to_nothing() -> None:
    code = "import sys; from clients.main import run; run(['--version']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"click", "keys", "clients.vault", "asyncio", "ssl"} & set(loaded.split())


def test_a_verb_reads_no_certificate_authorities_and_hides_them_from_nobody_else() -> None:
    code = (
        "import ssl, os; before = dict(os.environ); import clients.link;"
        " from aiohttp.connector import _SSL_CONTEXT_VERIFIED as theirs; print(len(theirs.get_ca_certs()), os.environ == before)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert loaded.split() == ["0", "True"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(["--json", "mission", "charter", "show", "FILE"], id="first"),
        pytest.param(["mission", "--json", "charter", "show", "FILE"], id="after a group"),
        pytest.param(["mission", "charter", "show", "--json", "FILE"], id="before the argument"),
        pytest.param(["mission", "charter", "show", "FILE", "--json"], id="last"),
    ],
)
def test_json_stands_anywhere(outrider: Outrider, line: list[str]) -> None:
    note = outrider.founded() / "charter.note"
    ran = outrider.plain(*[note if word == "FILE" else word for word in line])
    assert ran.object["schema"] == 1
    assert ran.object["mission"] == "Meridian Mission"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(["--json", "alert", "check", "FILE"], id="before a verb with a json option of its own"),
        pytest.param(["alert", "check", "FILE", "--json"], id="after it"),
    ],
)
def test_json_reaches_verbs_of_plain_click(outrider: Outrider, line: list[str]) -> None:
    file = outrider.folder / "no.cap"
    file.write_text("<alert/>")
    ran = outrider.plain(*[file if word == "FILE" else word for word in line])
    assert ran.code == 1
    assert ran.object["verdict"] == "refuse"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(errors.NotEnrolled("x"), 6, id="not enrolled"),
        pytest.param(errors.NotAllowed("x"), 6, id="not allowed"),
        pytest.param(errors.NotNow("x"), 1, id="not now"),
        pytest.param(errors.Unknown("x"), 2, id="unknown name"),
        pytest.param(errors.Untrusted("x"), 4, id="identity changed"),
        pytest.param(errors.NotReached("x"), 3, id="gateway away"),
        pytest.param(CapRefused(Refusal.MALFORMED, ("not-xml",)), 1, id="no alert"),
        pytest.param(NoVault("x"), 6, id="no profile"),
        pytest.param(WrongPassphrase("x"), 6, id="wrong passphrase"),
        pytest.param(VaultBusy("x"), 3, id="profile in use"),
        pytest.param(BadSignature("x"), 4, id="forged"),
        pytest.param(NotPermitted("x"), 6, id="not permitted"),
        pytest.param(CharterRefused("x"), 6, id="refused by the charter"),
        pytest.param(Malformed("x"), 2, id="no such file format"),
        pytest.param(TimeoutError(), 5, id="time limit"),
        pytest.param(OSError(28, "No space left on device"), 3, id="disk full"),
        pytest.param(click.UsageError("x"), 2, id="usage"),
        pytest.param(click.Abort(), 130, id="interrupted"),
        pytest.param(KeyboardInterrupt(), 130, id="interrupted before click"),
        pytest.param(ZeroDivisionError(), 70, id="a fault of ours"),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exits.exit_code(error) == code


def test_a_fault_is_reported_by_an_id_and_its_trace_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        raise ZeroDivisionError("one over nothing")
    assert exits.ended(raised.value, Asked(profile=tmp_path)) == 70
    said = capsys.readouterr()
    (report,) = (tmp_path / "reports").iterdir()
    assert said.out == ""
    assert report.stem in said.err
    assert "one over nothing" not in said.err
    assert "ZeroDivisionError: one over nothing" in report.read_text()
    assert report.stat().st_mode & 0o077 == 0


def test_a_fault_where_nothing_can_be_written_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reports").write_text("a file where a folder should be")
    assert exits.ended(ZeroDivisionError("one"), Asked(profile=tmp_path)) == 70
    assert "ZeroDivisionError: one" in capsys.readouterr().err


def test_errors_are_json_where_json_was_asked_for(outrider: Outrider) -> None:
    ran = outrider.plain("mission", "charter", "show", "--json", "--profile", outrider.folder / "none")
    assert (ran.code, ran.out) == (2, "")
    said = json.loads(ran.err)
    assert (said["schema"], said["exit"]) == (1, 2)


def test_what_others_wrote_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    exits.ended(errors.Unknown("no channel \x1b[2J\u202e"), Asked())
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(["nonsense"], id="no such verb"),
        pytest.param(["mission", "nonsense"], id="no such verb of a group"),
        pytest.param(["mission", "charter", "show", "--nonsense"], id="no such option"),
        pytest.param(["send"], id="an option missing"),
        pytest.param(["mission", "charter", "show", "/nonexistent/charter.note"], id="no such file"),
        pytest.param(["enrol", "/nonexistent/invite.txt"], id="no such invite"),
    ],
)
def test_wrong_usage_is_2_and_says_so_on_stderr(outrider: Outrider, line: list[str]) -> None:
    ran = outrider.plain(*line)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("outrider: ")


def test_no_profile_is_6_and_says_what_to_do(outrider: Outrider) -> None:
    ran = outrider("nobody", "mission", "charter", "show")
    assert ran.code == 6
    assert "enrol" in ran.err


def test_the_wrong_passphrase_is_6(outrider: Outrider) -> None:
    outrider.founded()
    wrong = outrider.folder / "wrong"
    wrong.write_text("wrong horse\n")
    ran = outrider.plain(
        "--profile", outrider.folder / "registrar", "--passphrase-file", wrong, "mission", "charter", "show"
    )
    assert ran.code == 6
    assert "wrong horse" not in ran.err
