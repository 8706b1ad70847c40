"""Witnesses as the gateway asks them: real judges, without sockets. Nothing waits for them, nothing is believed on their word alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clients.witness.home import make, open_store
from clients.witness.judge import Judge
from gateway.audit.asking import Contradicted, HttpAsk, NotCosigned, ask_all, check_witnessed
from gateway.audit.floor import FloorFile
from gateway.audit.sequencer import LogKeys, LogRefused, Sequencer, SignedHead
from gateway.audit.tiles import LogFolder
from gateway.audit.witnesses import Witnesses
from keys.tlog.checkpoint import TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import Ed25519Cosigner
from keys.tlog.edge import Edge
from keys.tlog.merkle import leaf_hashes
from keys.tlog.note import MAX_NOTE
from keys.tlog.policy import Group, TrustPolicy, Witness
from keys.tlog.witness import encode_size, monitoring_path
from tests.gateway.audit.test_sequencer import KEYS, NOW, ORIGIN, VERIFIERS, Database, Place, now
from tests.waiting import PATIENCE, until

Answering = Callable[[str, str, bytes | None], tuple[int, bytes]]


class Post:
    """Everybody's HTTP: witnesses by their URLs. One in `down` does not answer, one in `lying` answers what it is told to."""

    def __init__(self) -> None:
        self.judges: dict[str, Judge] = {}
        self.down: set[str] = set()
        self.lying: dict[str, Answering] = {}
        self.asked: list[str] = []

    async def __call__(self, method: str, url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        host = url.removeprefix("https://").split("/")[0]
        path = url.removeprefix(f"https://{host}/")
        self.asked.append(f"{method} {host}")
        await asyncio.sleep(0)
        if host in self.down:
            raise NotCosigned("not reached")
        if host in self.lying:
            return self.lying[host](method, path, body)
        if method == "GET":
            shown = self.judges[host].checkpoint(path)
            return shown.status, shown.body
        assert (path, method) == ("add-checkpoint", "POST")
        assert body is not None
        answer = self.judges[host].add_checkpoint(body)
        return answer.status, answer.body


@dataclass
class Scene:
    """A log, three witnesses of whom two are enough, and what was said."""

    place: Place
    post: Post
    policy: TrustPolicy
    clock: list[int] = field(default_factory=lambda: [NOW])
    alarms: list[str] = field(default_factory=list)
    stops: list[Contradicted] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)

    def folder(self) -> LogFolder:
        return LogFolder(self.place.path / "log")

    def witnesses(self, **urls: str) -> Witnesses:
        async def alarm(text: str) -> None:
            self.alarms.append(text)

        return Witnesses(
            KEYS,
            self.folder(),
            lambda: self.policy,
            urls,
            self.post,
            lambda: self.clock[0],
            60,
            alarm,
            self.stops.append,
            self.faults.append,
            0.02,
        )

    async def grown(self, count: int) -> SignedHead:
        self.place.database.accept(count)
        sequencer = self.place.open()
        await sequencer.drain()
        return sequencer.head

    def cosigned(self) -> tuple[int, tuple[str, ...], bool]:
        """Size, names and quorum of what lies in `witnessed`."""
        note = self.folder().witnessed()
        if note is None:
            return 0, (), False
        checkpoint = open_checkpoint(note, VERIFIERS, ORIGIN)
        assert len(checkpoint.verified) == 2
        found = self.policy.witnessed(checkpoint)
        return checkpoint.size, found.names, found.reached


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    place = Place(tmp_path)
    await place.found()
    post, witnesses = Post(), []
    for n, name in enumerate(("ours", "hostpol", "third")):
        keys = make(tmp_path / name, f"{name}.example", random.Random(n).randbytes)
        store = open_store(tmp_path / name)
        store.trust([KEYS.ed25519.verifier_key.encode()])
        post.judges[name] = Judge(store, (keys.ed25519, keys.ml_dsa), lambda: NOW // 1000)
        key = keys.ml_dsa.verifier_key if name == "third" else keys.ed25519.verifier_key
        witnesses.append(Witness(name, key, f"https://{name}/"))
    group = Group("two", 2, tuple(w.name for w in witnesses))
    return Scene(place, post, TrustPolicy((), tuple(witnesses), (group,), "two"))


OURS = Ed25519Cosigner.from_seed("ours.example", random.Random(0).randbytes(32))


def sixteen() -> bytes:
    """Root of the log of sixteen entries."""
    database = Database()
    database.accept(16)
    return Edge().extend(leaf_hashes(database.leaves))[0].root


class Running:
    """Witnesses that are asked, until the block ends."""

    def __init__(self, witnesses: Witnesses) -> None:
        self._witnesses = witnesses

    async def __aenter__(self) -> Witnesses:
        self._task = asyncio.create_task(self._witnesses.run())
        return self._witnesses

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_a_quorum_is_collected_and_late_lines_too(scene: Scene) -> None:
    scene.post.down = {"third"}
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: witnesses.size == 16)
        assert scene.cosigned() == (16, ("hostpol", "ours"), True)
        scene.post.down = set()
        await until(lambda: len(scene.cosigned()[1]) == 3)
        witnesses.show(await scene.grown(300))
        await until(lambda: scene.cosigned() == (316, ("hostpol", "ours", "third"), True))
    assert not scene.faults
    assert not scene.alarms


async def test_without_a_quorum_the_one_before_stays(scene: Scene) -> None:
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: len(scene.cosigned()[1]) == 3)
        scene.post.down = {"ours", "third"}
        witnesses.show(await scene.grown(16))
        await until(lambda: scene.post.asked.count("POST hostpol") >= 2)
        await asyncio.sleep(0.05)
        assert scene.cosigned()[0] == 16
        assert witnesses.size == 16


async def test_a_witness_that_knows_another_size_is_caught_up(scene: Scene) -> None:
    """It was restored, or it is asked by a gateway that has started anew: the size comes from its 409."""
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(300))
        await until(lambda: len(scene.cosigned()[1]) == 3)
    async with Running(scene.witnesses()) as witnesses:  # another process, which knows nothing of them
        witnesses.show(await scene.grown(300))
        await until(lambda: scene.cosigned() == (600, ("hostpol", "ours", "third"), True))


async def test_the_same_size_again_renews_the_time(scene: Scene) -> None:
    head = await scene.grown(16)
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(head)
        await until(lambda: len(scene.cosigned()[1]) == 3)
        asked = len(scene.post.asked)
        witnesses.show(head)
        await until(lambda: len(scene.post.asked) >= asked + 3 and len(scene.cosigned()[1]) == 3)
    assert scene.post.asked.count("POST ours") <= 3


async def test_a_late_quorum_is_an_alarm_and_its_return_too(scene: Scene) -> None:
    scene.post.down = {"ours", "hostpol"}
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: scene.post.asked.count("POST third") == 1)
        assert not witnesses.late
        scene.clock[0] += 61_000
        await until(lambda: len(scene.alarms) == 1)
        assert witnesses.late
        assert "1 min" in scene.alarms[0]
        scene.post.down = set()
        witnesses.show(await scene.grown(16))
        await until(lambda: len(scene.alarms) == 2)
        assert not witnesses.late
    assert scene.cosigned()[0] == 32


async def test_where_no_quorum_is_asked_for_none_is_waited_for(scene: Scene) -> None:
    scene.policy = TrustPolicy()
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: scene.folder().witnessed() is not None)
        scene.clock[0] += 10**9
        assert not witnesses.late
    assert scene.cosigned() == (16, (), True)
    assert scene.post.asked == []


async def test_a_charters_new_witnesses_are_asked_at_once(scene: Scene) -> None:
    policy, scene.policy = scene.policy, TrustPolicy()
    async with Running(scene.witnesses(third="https://third")) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: scene.cosigned()[0] == 16)
        scene.policy = policy
        await until(lambda: len(scene.cosigned()[1]) == 3)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, b"", id="an empty answer"),
        pytest.param(200, "— other.example AAAAAAA=\n".encode(), id="another's line"),
        pytest.param(
            200, OURS.cosign(TreeHead(ORIGIN, 16, sixteen()), 0).encode().encode(), id="a line without a time"
        ),
        pytest.param(200, b"\xff" * 100, id="no text"),
        pytest.param(200, b"x" * (1 << 20), id="too much"),
        pytest.param(403, b"", id="it does not know the key"),
        pytest.param(404, b"", id="it does not know the log"),
        pytest.param(409, b"many\n", id="no size"),
        pytest.param(409, encode_size(0), id="the size that was sent"),
        pytest.param(409, encode_size(10**9), id="a size beyond the log, on its word alone"),
        pytest.param(422, b"", id="a refusal of what is so, on its word alone"),
        pytest.param(302, b"", id="go elsewhere"),
        pytest.param(500, b"", id="a fault of its own"),
    ],
)
async def test_a_witness_that_lies_holds_nobody_up(scene: Scene, status: int, body: bytes) -> None:
    scene.post.lying["ours"] = lambda method, path, sent: (404, b"") if method == "GET" else (status, body)
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: scene.cosigned()[0] == 16 and "POST ours" in scene.post.asked)
        await asyncio.sleep(0.02)
    assert scene.cosigned() == (16, ("hostpol", "third"), True)
    assert not scene.stops
    assert not scene.faults


async def test_a_line_that_fails_is_not_put_on_the_checkpoint(scene: Scene) -> None:
    other = TreeHead(ORIGIN, 16, b"x" * 32)

    def forged(method: str, path: str, sent: bytes | None) -> tuple[int, bytes]:
        keys = make(scene.place.path / f"copy{len(scene.post.asked)}", "ours.example", random.Random(0).randbytes)
        return 200, keys.ed25519.cosign(other, NOW // 1000).encode().encode()

    scene.post.lying["ours"] = forged
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: scene.cosigned()[0] == 16)
    assert "ours" not in scene.cosigned()[1]


# ---------------------------------------------------------------------- what only a signed checkpoint proves


def forked(size: int) -> bytes:
    """Another history, signed by the log's key."""
    edge, _ = Edge().extend(leaf_hashes([b"other %d" % n for n in range(size)]))
    return sign_checkpoint(TreeHead(ORIGIN, size, edge.root), [KEYS.ed25519]).encode()


@pytest.mark.parametrize(
    ("id", "size", "match"),
    [
        pytest.param("attack-14", 16, "FORK", id="attack-14 another tree of a size that the log has had"),
        pytest.param("attack-15", 900, "ROLLBACK", id="attack-15 a larger tree than the database signed for"),
    ],
)
async def test_a_checkpoint_that_contradicts_the_log_ends_it(scene: Scene, id: str, size: int, match: str) -> None:
    """At a start, and while it runs: the witness's word decides nothing, the log's own signature does."""
    head = await scene.grown(300)
    shown = forked(size)
    scene.post.lying["ours"] = lambda method, path, sent: (200, shown) if method == "GET" else (409, encode_size(901))
    with pytest.raises(Contradicted, match=match) as found:
        await ask_all(scene.policy, {}, scene.post, KEYS, scene.folder(), head)
    assert found.value.note == shown
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(head)
        await until(lambda: bool(scene.stops))
    assert match in str(scene.stops[0])


async def test_a_start_goes_on_where_witnesses_agree_or_do_not_answer(scene: Scene) -> None:
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(await scene.grown(16))
        await until(lambda: len(scene.cosigned()[1]) == 3)
    head = await scene.grown(5)
    scene.post.down = {"third"}
    stranger = LogKeys(ORIGIN, type(KEYS.ed25519).from_seed(ORIGIN, b"z" * 32), KEYS.ml_dsa)
    edge, _ = Edge().extend(leaf_hashes([b"x"] * 999))
    note = sign_checkpoint(TreeHead(ORIGIN, 999, edge.root), [stranger.ed25519]).encode()
    scene.post.lying["hostpol"] = lambda *_: (200, note)  # larger, but not by this log's key
    scene.post.asked.clear()
    await ask_all(scene.policy, {}, scene.post, KEYS, scene.folder(), head)
    assert sorted(scene.post.asked) == ["GET hostpol", "GET ours", "GET third"]
    assert (await scene.post("GET", f"https://ours/{monitoring_path(ORIGIN)}", None, 1))[0] == 200


async def test_attack_16_a_database_behind_the_last_cosigned_checkpoint_is_refused(scene: Scene) -> None:
    """Database, floor and published checkpoint restored together; what was cosigned is still there."""
    database = scene.place.database
    await scene.grown(10)
    old = (list(database.leaves), database.note, database.size)
    floor = (scene.place.path / "log.floor").read_bytes()
    head = await scene.grown(16)
    async with Running(scene.witnesses()) as witnesses:
        witnesses.show(head)
        await until(lambda: scene.cosigned()[0] == 26)
    database.leaves, database.note, database.size = old
    assert database.note is not None
    (scene.place.path / "log" / "checkpoint").write_bytes(database.note)
    (scene.place.path / "log.floor").write_bytes(floor)
    sequencer = Sequencer.open(database, scene.folder(), FloorFile(scene.place.path / "log.floor"), KEYS, now)
    with pytest.raises(LogRefused, match="ROLLBACK: the cosigned checkpoint"):
        check_witnessed(scene.folder(), KEYS, sequencer.hashes())
    with pytest.raises(Contradicted, match="ROLLBACK"):
        await ask_all(scene.policy, {}, scene.post, KEYS, scene.folder(), sequencer.head)


# ---------------------------------------------------------------------- over sockets


@pytest.mark.parametrize(
    ("pieces", "status", "length"),
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"x" * 4_000, b"x" * 5_000], 200, 9_000, id="in pieces"),
        pytest.param([b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"], 302, 0, id="elsewhere"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"x" * 4_000], None, 0, id="cut short"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n"], None, 0, id="no HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 100_000] * 30], 200, -1, id="without end"),
    ],
)  # fmt: skip
async def test_answers_over_sockets(pieces: list[bytes], status: int | None, length: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        served.set()

    served = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/add-checkpoint"
    ask = HttpAsk()
    try:
        if status is None:
            with pytest.raises(NotCosigned):
                await ask("POST", url, b"old 0\n", PATIENCE)
        else:
            found, body = await ask("POST", url, b"old 0\n", PATIENCE)
            assert found == status
            assert len(body) == length or (length < 0 and MAX_NOTE < len(body) < 2 * MAX_NOTE)
    finally:
        await ask.close()
        await served.wait()
        server.close()
        await server.wait_closed()
