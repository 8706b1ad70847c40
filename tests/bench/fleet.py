"""A real gateway on loopback with a mission, devices and channels: everything through its own commands and its own socket.

    folder    `outrider-gateway init`, the charter made from its gateway.request, `outrider-gateway charter`
    people    revocation list and approvals as CERTIFICATE envelopes, over registrars' sessions
    channels  one CHANNEL_CREATED and one commit that adds everybody, over the creator's session

`Fleet.cpu()` is exact to the nanosecond where Linux tells (schedstat), by thread: the first is the event loop.
"""

import asyncio
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import psutil
from click.testing import CliRunner

from clients.demo.company import free_port
from gateway import config, wire
from gateway.config import Address, Tls, render
from gateway.main import main
from keys.charter import Charter
from keys.envelope import Kind
from keys.request import read_request
from tests.bench.author import Author, Channel, create_channel
from tests.bench.line import Line
from tests.bench.mission import CLASS, Device, Mission

HOST = "127.0.0.1"
CONTENT = 300  # bytes of a message's content
CHECKOUT = Path(config.__file__).resolve().parents[1]  # where the gateway measured lies
IN_FLIGHT = 32  # requests of one session at once while the fleet is made


class GatewayFailed(Exception):
    """The gateway's command ended badly; its output is the argument."""


class Fleet:
    """A gateway and who talks to it. `starter` is the command that runs gateway.main, a profiler perhaps."""

    def __init__(
        self,
        *,
        tls: bool = False,
        starter: Sequence[str] = ("-m", "gateway.main"),
        port: int = 0,
        root: Path | None = None,
    ) -> None:
        self.root = root or Path(tempfile.mkdtemp(prefix="outrider-bench-"))
        self.port = port or free_port()
        self.metrics = free_port()
        self.mission = Mission()
        self.charter: Charter
        self.process: subprocess.Popen[bytes] | None = None
        self._tls = tls
        self._starter = starter
        self._approvals: Author
        self._approver: Line | None = None

    # --- folder and process

    @property
    def folder(self) -> Path:
        return self.root / "gateway"

    def _command(self, *arguments: str, starter: Sequence[str] = ("-m", "gateway.main")) -> list[str]:
        return [sys.executable, *starter, *arguments]

    def _run(self, *arguments: str) -> None:
        """One of the operator's commands, in this process: beside whatever loop runs here."""
        with ThreadPoolExecutor(1) as beside:
            done = beside.submit(CliRunner().invoke, main, arguments).result()
        if done.exit_code:
            raise GatewayFailed(f"{arguments[0]}: exit {done.exit_code}\n{done.output}")

    def found(self) -> None:
        """Make the gateway's folder and install the charter that names it."""
        listen, metrics = Address(HOST, self.port), Address(HOST, self.metrics)
        url, origin = f"https://{listen}", "log.test/bench"
        self._run("init", "--dir", str(self.folder), "--url", url, "--origin", origin)
        tls = Tls.OWN if self._tls else Tls.PROXY
        self._config.write_text(render(url, origin, listen, metrics, tls))
        self.charter = self.mission.charter(read_request((self.folder / "gateway.request").read_text()))
        note = self.root / "charter.note"
        note.write_bytes(self.charter.note)
        self._run("charter", "--config", str(self._config), str(note))

    @property
    def _config(self) -> Path:
        return self.folder / "gateway.toml"

    def command_line(self) -> list[str]:
        """What runs the gateway."""
        return self._command("run", "--config", str(self._config), starter=self._starter)

    def start(self) -> None:
        """Start it; `ready` waits for it."""
        with (self.root / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command_line(),
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def ready(self, seconds: float = 60.0) -> None:
        """Wait until it listens."""
        assert self.process is not None
        for _ in range(int(seconds / 0.05)):
            if self.process.poll() is not None:
                raise GatewayFailed(self.output())
            try:
                _, writer = await asyncio.open_connection(HOST, self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise GatewayFailed("it does not listen\n" + self.output())

    def output(self) -> str:
        """What the gateway has printed."""
        return (self.root / "output").read_text(errors="replace")

    def stop(self, grace: float = 30.0) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill9()

    def kill9(self) -> None:
        """As a crash does it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def cleanup(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    # --- what it costs

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def cpu_by_thread(self) -> dict[int, float]:
        """CPU seconds of each thread that lives."""
        spent = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                spent[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except (OSError, ValueError):
                continue
        return spent

    def cpu(self) -> float:
        """CPU seconds of the process, ended threads included: by its own clock on Linux, in ticks of 10 ms elsewhere."""
        if sys.platform == "linux":
            return time.clock_gettime((~self.pid << 3) | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def rss(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)

    # --- people

    def tls_context(self) -> ssl.SSLContext | None:
        """Clients pin a key and know no authority; the bench takes whatever its own gateway shows."""
        if not self._tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    async def connect(self, device: Device) -> Line:
        """A session of this device that does not follow anything yet."""
        return await self.open(Line(device))

    async def open(self, line: Line) -> Line:
        """The same with a line made before."""
        return await line.open(HOST, self.port, self.charter, self.tls_context())

    async def settle(self) -> None:
        """Publish the revocation list: from here on devices can be approved."""
        author = Author(self.mission.registrars[0], self.charter.control_channel)
        line = await self.connect(self.mission.registrars[0])
        listed = author.statement(Kind.REVOCATION_LIST, self.mission.revocation_list())
        await line.ask(wire.Submit(line.next_id(), [listed]))
        await line.close()
        self._approvals = Author(self.mission.registrars[1], self.charter.control_channel)

    async def enrol(self, count: int, *roles: str) -> list[Device]:
        """New devices, approved by the second registrar."""
        devices = [self.mission.device(*roles) for _ in range(count)]
        await self.approve(devices)
        return devices

    async def approve(self, devices: Sequence[Device]) -> None:
        """Have the second registrar approve these."""
        if self._approver is None or self._approver.closed:
            self._approver = await self.connect(self.mission.registrars[1])
        line = self._approver
        for start in range(0, len(devices), IN_FLIGHT):
            part = devices[start : start + IN_FLIGHT]
            sealed = [self._approvals.statement(Kind.CERTIFICATE, device.der) for device in part]
            await asyncio.gather(*(line.ask(wire.Submit(line.next_id(), [one])) for one in sealed))

    async def channel(self, line: Line, others: Sequence[Device], kind: str = CLASS) -> tuple[Channel, Author]:
        """A channel of `line`'s device and all the others."""
        made = create_channel(line.device, others, CONTENT, kind)
        await line.ask(wire.Submit(line.next_id(), [made.created]))
        for blob in made.blobs:
            await put(line, blob)
        await line.ask(wire.Submit(line.next_id(), [made.commit]))
        return made.channel, made.author


async def put(line: Line, data: bytes) -> None:
    """Put a body in chunks."""
    digest = sha256(data).digest()
    for offset in range(0, len(data), wire.CHUNK):
        piece = data[offset : offset + wire.CHUNK]
        done = await line.ask(wire.PutChunk(line.next_id(), digest, len(data), offset, piece))
        assert done.value == offset + len(piece)


async def launched(*, tls: bool = False, starter: Sequence[str] = ("-m", "gateway.main")) -> Fleet:
    """A fleet whose gateway runs, with a revocation list and nobody enrolled."""
    fleet = Fleet(tls=tls, starter=starter)
    try:
        fleet.found()
        fleet.start()
        await fleet.ready()
        await fleet.settle()
    except BaseException:
        fleet.stop()
        fleet.cleanup()
        raise
    return fleet


def open_files() -> None:
    """As many connections as the system lets this process and its children have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
