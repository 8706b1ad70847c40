"""Real processes for end-to-end tests: a gateway on loopback, and `outrider` as people start it."""

import contextlib
import io
import json
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from clients.demo.company import free_port
from clients.main import run
from tests.cheap import cheapen
from tests.forked import Forked
from tests.waiting import PATIENCE, wait


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, object]:
        (one,) = self.objects
        return one


def forked(module: str, *arguments: str) -> Ended:
    """Run one of our programs to its end."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        code = Forked(module, arguments, out, err).wait(PATIENCE)
        return Ended(code, out.read_text(), err.read_text())


@dataclass
class Party:
    """Whoever types `outrider` in a test: a profile and its passphrase. `apart` runs each verb as a process of its own; without
    it the verb runs in this one, which is sooner there."""

    profile: Path
    passphrase: Path
    apart: bool = False

    def line(self, *arguments: object) -> list[str]:
        shared = ["--profile", self.profile, "--passphrase-file", self.passphrase, "--json"]
        return [*map(str, shared), *map(str, arguments)]

    def run(self, *arguments: object) -> Ended:
        """Run a verb to its end."""
        if not self.apart:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = run(self.line(*arguments))
            cheapen(self.profile, self.passphrase.read_text().removesuffix("\n"))
            return Ended(code, out.getvalue(), err.getvalue())
        return forked("clients.main", *self.line(*arguments))

    def do(self, *arguments: object) -> list[dict[str, object]]:
        """Run a verb that has to succeed."""
        ended = self.run(*arguments)
        assert ended.code == 0, f"{arguments}: exit {ended.code}\n{ended.out}\n{ended.err}"
        return ended.objects


@dataclass
class Gateway:
    """A gateway in a folder of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: Forked | None = None

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    @property
    def request(self) -> Path:
        return self.folder / "gateway.request"

    def do(self, *arguments: object) -> Ended:
        done = forked("gateway.main", *map(str, arguments))
        assert done.code == 0, f"{arguments}: exit {done.code}\n{done.out}\n{done.err}"
        return done

    def found(self) -> dict[str, object]:
        """`init`: says the words of the request."""
        listen = ["--listen", f"127.0.0.1:{self.port}", "--metrics", "127.0.0.1:0"]
        return self.do("init", "--dir", self.folder, *listen, "--json").object

    def start(self) -> None:
        """Run until `stop`; returns when it listens."""
        (self.folder / "stderr").unlink(missing_ok=True)
        words = ["run", "--config", self.config, "--json"]
        self.process = Forked("gateway.main", words, self.folder / "stdout", self.folder / "stderr")
        assert self.process.readline(), (self.folder / "stderr").read_text()

    def reload(self, note: Path) -> None:
        """Install a charter while the gateway runs."""
        assert self.process is not None
        (self.folder / "charter.note").write_bytes(note.read_bytes())
        self.process.send_signal(signal.SIGHUP)
        wait(lambda: "of the charter" in (self.folder / "stderr").read_text(), "it says that it is taken")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None
