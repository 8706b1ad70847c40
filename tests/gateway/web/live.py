"""A real gateway process on loopback, and devices that speak to it over TLS with a WebSocket client of their own.

The client is raw on purpose: it can send what an honest library never would. `Live` stands where `tests.gateway.core.world.World`
stands for the core, so the same `Party` numbers, chains and signs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from click.testing import CliRunner

from gateway import wire
from gateway.core.errors import Refused
from gateway.main import main
from keys.authority import CharterAuthentication, issue_revocation_list
from keys.canonical import encode
from keys.charter import Charter, found, sign
from keys.envelope import Kind
from keys.identity import verify
from keys.policy import render
from keys.request import GatewayRequest, read_request
from tests.forked import Forked
from tests.gateway.core.world import Party
from tests.keys.mission import House, Mission, Registrar
from tests.waiting import PATIENCE, wait


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str | Path) -> Done:
    """One of the operator's commands, in this process; `run` is a process of its own."""
    assert arguments[0] != "run"
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return Done(result.exit_code, result.stdout, result.stderr)


def run_command(folder: Path) -> Done:
    """`run` where it is expected to end by itself."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        code = Forked("gateway.main", ["run", "--config", folder / "gateway.toml"], out, err).wait(PATIENCE)
        return Done(code, out.read_text(), err.read_text())


class Closed(Exception):
    """The gateway has closed the connection; `code` is the WebSocket close code, None where there was none."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


def ws_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """A client's frame; its mask is zeros, which leaves the payload as it is."""
    length = len(payload)
    mask = 0x80 if masked else 0
    if length < 126:
        head = bytes([fin << 7 | opcode, mask | length])
    elif length < 65_536:
        head = bytes([fin << 7 | opcode, mask | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([fin << 7 | opcode, mask | 127]) + length.to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + payload


class Link:
    """One WebSocket connection."""

    opened: ClassVar[list[Link]] = []
    """All that tests have opened and not closed."""

    def __init__(self, port: int, *, upgrade: bool = True, timeout: float = PATIENCE, receive_buffer: int = 0) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        raw = socket.socket()
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(timeout)
        raw.connect(("127.0.0.1", port))
        self.socket = context.wrap_socket(raw)
        self._data = b""
        self.frames: list[Any] = []
        self.together: list[wire.Placed] = []
        self.opened.append(self)
        if upgrade:
            self.send_raw(
                b"GET /v1/socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            head = self._until(b"\r\n\r\n")
            assert b" 101 " in head, head

    @property
    def tls_key(self) -> bytes:
        """Hash of the key that this connection sees."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self.socket.getpeercert(binary_form=True)
        assert der is not None
        key = x509.load_der_x509_certificate(der).public_key()
        return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    def _more(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except (ConnectionError, ssl.SSLEOFError):
            data = b""
        if not data:
            raise Closed(None)
        self._data += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            self._more()
        head, _, self._data = self._data.partition(mark)
        return head

    def _take(self, count: int) -> bytes:
        while len(self._data) < count:
            self._more()
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, frame: Any) -> None:
        self.send_raw(ws_frame(2, encode(frame)))

    def message(self) -> tuple[int, bytes]:
        """The next WebSocket frame: (opcode, payload). Raises Closed."""
        first, second = self._take(2)
        assert first & 0x80, "the gateway sends whole frames"
        assert not second & 0x80, "a server does not mask"
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(self._take(2), "big")
        elif length == 127:
            length = int.from_bytes(self._take(8), "big")
        payload = self._take(length)
        if first & 0x0F == 8:
            raise Closed(int.from_bytes(payload[:2], "big"))
        return first & 0x0F, payload

    def receive(self) -> Any:
        """The next frame of the protocol, several deliveries in one as one after another; pings are answered."""
        if self.together:
            return wire.Deliver(self.together.pop(0))
        while True:
            opcode, payload = self.message()
            if opcode == 9:
                self.send_raw(ws_frame(10, payload))
            elif opcode == 2:
                frame = wire.read_from_gateway(payload)
                if not isinstance(frame, wire.Deliveries):
                    return frame
                self.together = list(frame.placed)
                return wire.Deliver(self.together.pop(0))

    def ask(self, frame: Any) -> Any:
        """The answer to a request; what comes before it is kept in `frames`."""
        self.send(frame)
        while True:
            answer = self.receive()
            if getattr(answer, "id", None) == frame.id and not isinstance(answer, wire.Deliver):
                return answer
            self.frames.append(answer)

    def prove(self, indices: list[int], held: int = 0) -> wire.Proven:
        """The proof of these entries, asked for until a checkpoint covers them: the gateway waits for one some seconds only."""
        while not isinstance(answer := self.ask(wire.Prove(1, held, indices)), wire.Proven):
            assert answer.refusal is wire.Refusal.BUSY, answer
        return answer

    def until(self, kind: type) -> Any:
        """The next frame of this kind, kept ones first; others are kept."""
        for frame in self.frames:
            if isinstance(frame, kind):
                self.frames.remove(frame)
                return frame
        while not isinstance(frame := self.receive(), kind):
            self.frames.append(frame)
        return frame

    def closed(self) -> int | None:
        """The code with which the gateway closes."""
        try:
            while True:
                self.message()
        except Closed as closed:
            return closed.code

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()


@dataclass
class Process:
    """A running `outrider-gateway run`."""

    folder: Path
    process: Forked
    port: int
    metrics: int

    @classmethod
    def start(cls, folder: Path, *options: str) -> Process:
        words = ["run", "--config", folder / "gateway.toml", *options]
        process = Forked("gateway.main", words, folder / "stdout", folder / "stderr")
        ports = []
        for word in ("listening", "metrics"):
            line = process.readline()
            assert line.startswith(word), line + (folder / "stderr").read_text()
            ports.append(int(line.rsplit(":", 1)[1]))
        return cls(folder, process, *ports)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def says(self, text: str) -> None:
        """Wait until it has said this on stderr."""
        wait(lambda: text in self.errors, f"{text!r} in its log")

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_text()


@dataclass
class Live:
    """A founded mission around a running gateway."""

    folder: Path
    mission: Mission
    request: GatewayRequest
    gateway: Process
    charter: Charter
    links: dict[bytes, Link] = field(default_factory=dict)
    registrars: dict[str, list[Party]] = field(default_factory=dict)

    @classmethod
    def found(cls, folder: Path, seed: int = 1) -> Live:
        mission, request, charter = founded(folder, seed)
        live = cls(folder, mission, request, Process.start(folder), charter)
        live.registrars = {
            house.organisation.name: [Party(live, r) for r in house.registrars]  # type: ignore[arg-type]
            for house in (mission.home, mission.partner)
        }
        return live

    @property
    def now(self) -> int:
        return time.time_ns() // 1_000_000

    @property
    def random(self) -> Any:
        return self.mission.random

    @property
    def auth(self) -> Any:
        return CharterAuthentication(self.charter, lambda _: True)

    def link(self, party: Party) -> Link:
        """The party's session, opened when it is first needed."""
        if party.id not in self.links:
            self.links[party.id] = self.connect(party)
        return self.links[party.id]

    def connect(self, party: Party, **options: Any) -> Link:
        link = Link(self.gateway.port, **options)
        ready = greet(link, party, self.charter)
        assert isinstance(ready, wire.Ready), ready
        return link

    def disconnect(self) -> None:
        for link in Link.opened:
            link.close()
        Link.opened.clear()
        self.links.clear()

    def ask(self, party: Party, frame: Any) -> Any:
        """As `World.ask`: a refusal comes back as the Refused that the core raised."""
        answer = self.link(party).ask(frame)
        if isinstance(answer, wire.Refused) and answer.statement is None:
            return Refused(answer.refusal, answer.detail, answer.retry_after)
        return answer

    tell = ask

    def put(self, party: Party, data: bytes) -> None:
        for offset in range(0, len(data), wire.CHUNK):
            piece = data[offset : offset + wire.CHUNK]
            done = self.ask(party, wire.PutChunk(1, sha256(data).digest(), len(data), offset, piece))
            assert isinstance(done, wire.Done), done

    def publish_list(self, organisation: str, serials: Any = (), number: int = 1) -> Any:
        registrar = self.registrars[organisation][0]
        assert isinstance(registrar.device, Registrar)
        device = registrar.device
        listed = issue_revocation_list(device.der, device.key, number, serials, self.now, self.now + 86_400_000)
        answer = registrar.say(Kind.REVOCATION_LIST, self.charter.control_channel, listed)
        assert isinstance(answer, wire.Accepted), answer
        return answer

    def enrolled(self, *roles: str, house: House | None = None, **changes: Any) -> Party:
        house = house or self.mission.home
        party = Party(self, self.mission.device(*roles, house=house, **changes))  # type: ignore[arg-type]
        approver = self.registrars[house.organisation.name][1]
        answer = approver.say(Kind.CERTIFICATE, self.charter.control_channel, party.der)
        if isinstance(answer, Refused):
            raise answer
        assert isinstance(answer, wire.Accepted), answer
        return party

    def end(self) -> None:
        self.disconnect()
        self.gateway.end()


def founded(folder: Path, seed: int = 1) -> tuple[Mission, GatewayRequest, Charter]:
    """A gateway's folder with a charter installed."""
    made = command("init", "--dir", folder, "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    assert made.returncode == 0, made.stderr
    request = read_request((folder / "gateway.request").read_text())
    mission = Mission(seed, now=time.time_ns() // 1_000_000_000 * 1000)
    mission.policy = replace(
        mission.policy,
        gateway_key=request.gateway_key,
        gateway_url=request.url,
        tls_keys=tuple(request.tls_keys),
        log_origin=request.origin,
        log_key=request.log_key,
    )
    mission.charter = found(sign(render(mission.policy), mission.authorities[:2]))
    note = folder.parent / f"{folder.name}.charter"
    note.write_bytes(mission.charter.note)
    installed = command("charter", note, "--config", folder / "gateway.toml")
    assert installed.returncode == 0, installed.stderr
    return mission, request, mission.charter


def greet(link: Link, party: Party, charter: Charter, *, tls_key: bytes | None = None) -> Any:
    """Hello, Challenge, Proof: gives Ready, its signature checked, or whatever came instead."""
    nonce = os.urandom(32)
    link.send(wire.Hello(wire.PROTOCOL_VERSION, party.id, nonce))
    challenge = link.receive()
    if not isinstance(challenge, wire.Challenge):
        return challenge
    key = tls_key or link.tls_key
    certificate = sha256(party.der).digest()
    transcript = wire.Transcript(party.id, nonce, challenge.nonce, challenge.gateway_key, key, certificate).content()
    link.send(wire.Proof(certificate, key, party.device.key.sign("session", transcript)))
    ready = link.receive()
    if isinstance(ready, wire.Ready):
        verify(charter.policy.gateway_key, "session answer", transcript, ready.signature)
    return ready


@contextlib.contextmanager
def running(folder: Path, seed: int = 1) -> Iterator[Live]:
    live = Live.found(folder, seed)
    try:
        for name in live.registrars:
            live.publish_list(name)
        yield live
    finally:
        live.end()


def terminate(process: Process) -> int:
    """SIGTERM, and the exit code."""
    process.signal(signal.SIGTERM)
    return process.wait()
