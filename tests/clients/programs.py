"""`outrider` run in this process: exit code, stdout and stderr, as a user would have them."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from clients.main import run
from keys.identity import SigningKey
from keys.request import GatewayRequest, write_request
from keys.tlog.note import Ed25519Signer
from tests.cheap import cheapen


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, object]:
        (one,) = self.objects
        return one


@dataclass(frozen=True, slots=True)
class Outrider:
    """`outrider` in a folder of its own, with one passphrase for every profile."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def passphrase(self) -> Path:
        file = self.folder / "passphrase"
        if not file.exists():
            file.write_text("correct horse\n")
        return file

    def __call__(self, profile: str, *arguments: object) -> Ran:
        shared = ["--profile", str(self.folder / profile), "--passphrase-file", str(self.passphrase)]
        ran = self.plain(*shared, *arguments)
        cheapen(self.folder / profile, self.passphrase.read_text().removesuffix("\n"))
        return ran

    def plain(self, *arguments: object) -> Ran:
        """Without profile and passphrase."""
        self.capture.readouterr()
        code = run([str(a) for a in arguments])
        said = self.capture.readouterr()
        return Ran(code, said.out, said.err)

    def founded(self, *, quorum: int = 2, authorities: int = 3) -> Path:
        """The ceremony's folder of a mission founded by the profile `registrar`.

        Passphrases are slow on purpose, so a mission is founded once a run for each plan and then copied.
        """
        template = _TEMPLATES.setdefault((quorum, authorities), self.folder / "template")
        if not (template / "ceremony").exists():
            template.mkdir()
            Outrider(template, self.capture)._found(quorum, authorities)
        for made in template.iterdir():
            copy = shutil.copytree if made.is_dir() else shutil.copyfile
            copy(made, self.folder / made.name)
        return self.folder / "ceremony"

    def _found(self, quorum: int, authorities: int) -> None:
        request = self.folder / "gateway.request"
        request.write_text(gateway_request())
        options = ["--quorum", quorum, "--authorities", authorities, "--key-passphrase-file", self.passphrase]
        names = ["--name", "Meridian Mission", "--org", "Meridian", "--out", self.folder / "ceremony"]
        ran = self("registrar", "mission", "init", "--gateway", request, *names, *options)
        assert ran.code == 0, ran.err


_TEMPLATES: dict[tuple[int, int], Path] = {}


def gateway_request() -> str:
    """The text of a gateway.request."""
    key = SigningKey.generate(os.urandom)
    log = Ed25519Signer.from_seed("log.test/meridian", os.urandom(32))
    return write_request(
        GatewayRequest("https://127.0.0.1:8440", log.name, log.verifier_key.encode(), key.public, [os.urandom(32)]), key
    )
