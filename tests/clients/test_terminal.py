"""What a person at a terminal is asked: passphrases unseen and twice, and whether the words are the same."""

import os
import pty
import sys
from pathlib import Path

from clients.authority.house import found_house, write_organisation
from clients.vault import Vault
from tests.clients.programs import gateway_request

ROOT = Path(__file__).resolve().parents[2]


def converse(arguments: list[object], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run `outrider` on a terminal of its own and give each answer when its question stands there; exit code and screen."""
    line = [sys.executable, "-c", "from clients.main import main; main()", *map(str, arguments)]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execv(line[0], line)
    screen, seen = "", 0
    for question, answer in [*answers, ("", "")]:
        while not question or question not in screen[seen:]:
            try:
                data = os.read(terminal, 4_096)
            except OSError:  # Linux: the other end is closed
                data = b""
            if not data:
                break
            screen += data.decode(errors="replace")
        if question in screen[seen:] and answer:
            seen = len(screen)
            os.write(terminal, f"{answer}\n".encode())
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), screen


def test_passphrases_are_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    arguments = ["--profile", tmp_path / "p", "mission", "partner", "init", "--org", "Hostpol", "--out", tmp_path / "o"]
    answers = [
        (prompt, text) for text in ("root secret", "second secret", "profile secret") for prompt in ("New", "Repeat")
    ]
    code, screen = converse(arguments, [("New" if p == "New" else "epeat", text) for p, text in answers])
    assert code == 0, screen
    assert "secret" not in screen
    Vault.open(tmp_path / "p", "profile secret").close()


def test_words_that_are_not_the_same_stop_it(tmp_path: Path) -> None:
    request = tmp_path / "gateway.request"
    request.write_text(gateway_request())
    arguments = ["--profile", tmp_path / "p", "mission", "init", "--gateway", request, "--name", "M", "--org", "M"]
    code, screen = converse([*arguments, "--out", tmp_path / "o"], [("same words?", "n")])
    assert code == 4, screen
    assert not (tmp_path / "o").exists()


def test_a_partner_s_words_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "hostpol.org"
    file.write_text(write_organisation(found_house("Hostpol", 1_790_000_000_000, os.urandom)))
    arguments = ["mission", "partner", "add", file, "--until", "2099-12-31", "--out", tmp_path / "c"]
    code, screen = converse(arguments, [("same words?", "n")])
    assert code == 4, screen
    assert not (tmp_path / "c").exists()
