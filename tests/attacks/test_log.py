"""Attacks 14 to 17 and 61 to 63 of the catalogue: on the log, its witnesses and its read path. Each is a story, told once.

Every step of them has its own tests beside the code: tests/gateway/audit, tests/clients/witness, tests/keys/tlog.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clients.auditor.remote import RemoteSource
from clients.auditor.verify import Asked, Cause, Outcome, Topic, Verdict, Verified, verify_log
from clients.core.cosigned import judge
from clients.witness.home import make, open_store
from clients.witness.judge import Judge
from gateway.audit.asking import check_witnessed
from gateway.audit.floor import FloorFile
from gateway.audit.sequencer import LogRefused, Sequencer
from gateway.audit.tiles import LogFolder
from gateway.store import database
from gateway.store.base import Conflict, WrongStore
from gateway.store.sqlite import SqliteStore
from gateway.web.log import LogReadPath, Role, Tokens
from gateway.wire import Witnessed
from keys.charter import found, sign
from keys.policy import render
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.cosignature import Ed25519Cosigner
from keys.tlog.errors import Cause as Damage
from keys.tlog.errors import Damaged, Fault, Malformed
from keys.tlog.merkle import consistency_proof
from keys.tlog.policy import Group, TrustPolicy, Witness
from keys.tlog.reader import LogReader
from keys.tlog.tile import parse_path
from tests.clients.auditor.logs import Files as Served
from tests.clients.auditor.test_remote import served
from tests.clients.witness.logs import FORK, LOG, judging
from tests.gateway.audit.test_sequencer import KEYS, VERIFIERS, Place, now
from tests.keys.mission import Mission
from tests.keys.tlog.logs import LOG_KEY, LOG_KEYS, ORIGIN, TIME, Files, build, entries, flip

OURS = Ed25519Cosigner.from_seed("ours.example", b"o" * 32)
HOSTPOL = Ed25519Cosigner.from_seed("hostpol.example", b"h" * 32)
BOTH = TrustPolicy(
    (),
    (Witness("ours", OURS.verifier_key), Witness("hostpol", HOSTPOL.verifier_key)),
    (Group("both", 2, ("ours", "hostpol")),),
    "both",
)


def cosignatures(files: Files, witnessed: bytes) -> tuple[Outcome, Cause | None]:
    """What an auditor says of the cosigned checkpoint that lies in a log."""
    held = files.changed("witnessed", witnessed)
    verified: Verified = verify_log(held.fetch, [], Asked(LOG_KEYS, TIME * 1000, log_only=True, policy=BOTH))
    return next((c.outcome, c.cause) for c in verified.claims if c.claim is Topic.COSIGNATURES)


def cosigned(checkpoint: Checkpoint, *cosigners: Ed25519Cosigner) -> bytes:
    return checkpoint.note.with_signatures(c.cosign(checkpoint.head, TIME) for c in cosigners).encode()


async def split_view(folder: Path) -> None:
    """Two histories, both signed by the log's key, each proved in itself: one to these, the other to those."""
    witness = judging(folder)
    assert witness.add_checkpoint(LOG.request(0, 256).encode()).status == 200
    assert witness.add_checkpoint(FORK.request(256, 300).encode()).status == 422  # it takes part in one of them only
    assert witness.add_checkpoint(replace(FORK.request(256, 256)).encode()).status == 422
    [(one, other)] = open_store(folder).evidence(ORIGIN)
    assert len({open_checkpoint(note, LOG_KEYS, ORIGIN).root for note in (one, other)}) == 2
    # A device that was shown the other one learns it from what witnesses have cosigned.
    policy = replace(
        Mission().policy,
        log_origin=ORIGIN,
        log_key=LOG_KEY.verifier_key.encode(),
        witnesses=tuple(BOTH.encode().decode().splitlines()),
    )
    charter = found(sign(render(policy), Mission().authorities[:2]))
    shown = cosigned(open_checkpoint(LOG.note(300).encode(), LOG_KEYS, ORIGIN), OURS, HOSTPOL)
    for log, wrong in ((LOG, False), (FORK, True)):
        held = open_checkpoint(log.note(256).encode(), LOG_KEYS, ORIGIN)
        proof = list(consistency_proof(256, 300, LOG.tree.hash_at))
        assert bool(judge(charter, held, Witnessed(1, shown, proof)).wrong) is wrong
    # So does an auditor who was handed the other one.
    other_log = build([b"x"] * 300)
    assert cosignatures(other_log, cosigned(build(entries(256)).checkpoint, OURS, HOSTPOL)) == (
        Outcome.FAIL,
        Cause.FORKED,
    )


async def rollback(folder: Path) -> None:
    """A log that is shorter than what was signed for."""
    place = Place(folder)
    await place.found()
    place.database.accept(300)
    await place.open().drain()
    shutil.copytree(folder / "log", folder / "last night")
    old = (list(place.database.leaves), place.database.note, place.database.size)
    place.database.accept(40)
    await place.open().drain()
    newest = (folder / "log" / "checkpoint").read_bytes()
    # Database and folder are restored; the floor was not in the backup.
    place.database.leaves, place.database.note, place.database.size = old
    shutil.rmtree(folder / "log")
    shutil.move(folder / "last night", folder / "log")
    with pytest.raises(LogRefused, match="ROLLBACK: the floor has 340 entries"):
        place.open()
    short, long = build(entries(300)), build(entries(340))
    assert cosignatures(short, cosigned(long.checkpoint, OURS, HOSTPOL)) == (Outcome.FAIL, Cause.CUT)
    assert open_checkpoint(newest, VERIFIERS, KEYS.origin).size == 340


async def restored_database(folder: Path) -> None:
    """Everything is restored, the floor as well; only what was cosigned is not. (With that gone too, a witness: test_witnesses.)"""
    place = Place(folder)
    await place.found()
    place.database.accept(10)
    await place.open().drain()
    old = (list(place.database.leaves), place.database.note, place.database.size)
    floor, published = (folder / "log.floor").read_bytes(), (folder / "log" / "checkpoint").read_bytes()
    place.database.accept(6)
    await place.open().drain()
    log = LogFolder(folder / "log")
    log.publish_witnessed((folder / "log" / "checkpoint").read_bytes())
    place.database.leaves, place.database.note, place.database.size = old
    (folder / "log.floor").write_bytes(floor)
    (folder / "log" / "checkpoint").write_bytes(published)
    sequencer = Sequencer.open(place.database, log, FloorFile(folder / "log.floor"), KEYS, now)
    with pytest.raises(LogRefused, match="ROLLBACK: the cosigned checkpoint has 16 entries"):
        check_witnessed(log, KEYS, sequencer.hashes())


async def two_sequencers(folder: Path) -> None:
    """Two gateways on one log: the second does not open the database; and were it open, its checkpoint is not swapped in."""
    database.create(folder / "gateway.db")
    store = SqliteStore(folder / "gateway.db", asyncio.get_running_loop())
    with pytest.raises(WrongStore, match="another gateway is running"):
        SqliteStore(folder / "gateway.db", asyncio.get_running_loop())
    await store.close()
    place = Place(folder)
    await place.found()
    one, other = place.open(), place.open()
    place.database.accept(5)
    assert await one.step()
    place.database.accept(5)
    with pytest.raises(Conflict):
        await other.step()
    assert other.head.size == 0  # nobody was shown what it signed
    assert await one.step()
    place.check()


HOSTILE = [
    "../gateway.toml", "tile/0/../../../gateway.db", "%74ile/0/000", "tile/0/%2e%2e/checkpoint", "/checkpoint",
    "tile/0/x-1", "tile/0/-01", "tile/8/000", "tile/0/x000/000", "tile/0/00", "tile/0/0000", "tile/0/000.p/0",
    "tile/0/000.p/256", "tile/0/000.p/01", "tile/entries/000.p/", "tile/0/" + "x999/" * 2_500 + "999", "tile/0/١٢٣",
    "body/" + "0" * 63, "body/../checkpoint", "receipts/../checkpoint", "witnessed/../checkpoint", ".new-checkpoint", "",
]  # fmt: skip


async def odd_paths(folder: Path) -> None:
    """Nothing but a resource of the log is ever opened, and what is asked for is never decoded or joined."""
    place = Place(folder)
    await place.found()
    place.database.accept(300)
    sequencer = place.open()
    await sequencer.drain()
    tokens = Tokens(folder / "tokens")
    token = tokens.issue(Role.AUDITOR, "gita", lambda n: bytes(n))
    charter = Mission().charter
    read = LogReadPath(
        LogFolder(folder / "log"), tokens, lambda: charter, lambda: sequencer.head.size, lambda _digest: None
    )
    assert await read.get("tile/0/000", f"Bearer {token}") is not None
    for path in HOSTILE:
        assert await read.get(path, f"Bearer {token}") is None, path
        with pytest.raises(Malformed):
            parse_path(path)


async def tampered_tile(_folder: Path) -> None:
    """A tile or bundle that is not what the checkpoint covers is named, and nothing of it is used."""
    content = entries(600)
    log = build(content)
    for path in ("tile/0/001", "tile/1/000.p/2", "tile/0/002.p/88", "tile/entries/001"):
        tampered = log.changed(path, flip(log.files[path], 40))
        faults: list[Fault] = []
        reader = LogReader(tampered.fetch, log.checkpoint, report=faults.append)
        read = {run.first + n: entry for run in reader.entries() for n, entry in enumerate(run.entries)}
        assert [fault.cause for fault in faults] == [Damage.ALTERED], path
        assert all(entry == content[index] for index, entry in read.items())
        with pytest.raises(Damaged):
            list(LogReader(tampered.fetch, log.checkpoint).entries())


def over_http(files: Files) -> Verified:
    """What an auditor finds who reads it from a server."""
    with served(Served(files.files)) as (url, _):
        source = RemoteSource(url, "secret")
        try:
            return verify_log(source.fetch, source.paths(), Asked(LOG_KEYS, TIME * 1000, log_only=True, policy=BOTH))
        finally:
            source.close()


async def tampered_over_http(_folder: Path) -> None:
    """A server alters a tile or an entry on the way: an auditor who reads from it says so, and of what it serves untouched he does not."""
    log = build(entries(300)).changed("witnessed", cosigned(build(entries(300)).checkpoint, OURS, HOSTPOL))
    assert {c.outcome for c in over_http(log).claims} <= {Outcome.PASS, Outcome.UNCHECKED}
    for path in ("tile/0/000", "tile/entries/000", "tile/entries/001.p/44"):
        verified = over_http(log.changed(path, flip(log.files[path], 40)))
        assert verified.verdict is Verdict.FAIL, path
        assert Cause.ALTERED in {c.cause for c in verified.claims if c.outcome is Outcome.FAIL}, path


async def one_witness_over_http(_folder: Path) -> None:
    """A server shows what the stolen key alone has cosigned: too few."""
    log = build(entries(300))
    shown = over_http(log.changed("witnessed", cosigned(log.checkpoint, HOSTPOL)))
    (claim,) = [c for c in shown.claims if c.claim is Topic.COSIGNATURES]
    assert claim.outcome is Outcome.UNCHECKED


async def stolen_witness(folder: Path) -> None:
    """One witness's key is with the log's operator: it cosigns whatever it is handed. The quorum asks for two."""
    fork = open_checkpoint(FORK.note(300).encode(), LOG_KEYS, ORIGIN)
    alone = open_checkpoint(cosigned(fork, HOSTPOL), LOG_KEYS, ORIGIN)
    given = BOTH.witnessed(alone)
    assert (given.names, given.reached) == (("hostpol",), False)
    assert cosignatures(build(entries(300)), cosigned(build(entries(300)).checkpoint, HOSTPOL))[0] is Outcome.UNCHECKED
    # The honest one never signs the second history, and a charter without the stolen key ends its say.
    keys = make(folder / "ours", "ours.example", lambda n: bytes(n))
    store = open_store(folder / "ours")
    store.trust([LOG_KEY.verifier_key.encode()])
    honest = Judge(store, (keys.ed25519,), lambda: TIME)
    assert honest.add_checkpoint(LOG.request(0, 256).encode()).status == 200
    assert honest.add_checkpoint(FORK.request(256, 300).encode()).status == 422
    without = TrustPolicy((), BOTH.witnesses[:1], (), "ours")
    assert without.witnessed(alone).names == ()


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(split_view, id="attack-14"),
        pytest.param(rollback, id="attack-15"),
        pytest.param(restored_database, id="attack-16"),
        pytest.param(two_sequencers, id="attack-17"),
        pytest.param(odd_paths, id="attack-61"),
        pytest.param(tampered_tile, id="attack-62"),
        pytest.param(stolen_witness, id="attack-63"),
        pytest.param(tampered_over_http, id="attack-62 over HTTP"),
        pytest.param(one_witness_over_http, id="attack-63 over HTTP"),
    ],
)
async def test_attacks_on_the_log(attack: Callable[[Path], Awaitable[None]], tmp_path: Path) -> None:
    await attack(tmp_path)
