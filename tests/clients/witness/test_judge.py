"""A witness's answers, rule by rule (tlog-witness, "add-checkpoint"), and the one thing it is for: it never goes back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.witness.home import make, open_keys, open_store
from clients.witness.judge import Answer, Judge
from clients.witness.server import WitnessServer
from clients.witness.store import WitnessStore, WrongStore
from gateway.audit.asking import HttpAsk
from keys.tlog.checkpoint import TreeHead, open_checkpoint, sign_checkpoint
from keys.tlog.cosignature import check_cosignatures, verifier_of
from keys.tlog.errors import Malformed, TooLarge
from keys.tlog.note import Ed25519Signer, Note, Signature
from keys.tlog.witness import (
    MAX_REQUEST,
    SIZE_TYPE,
    AddCheckpoint,
    decode_cosignatures,
    decode_size,
    encode_cosignatures,
    encode_size,
    monitoring_path,
)
from tests.clients.witness.logs import FORK, LOG, NAME, VKEYS, judging, made
from tests.keys.tlog.logs import LOG_KEY, LOG_KEYS, ORIGIN, TIME, flip, only_own_errors
from tests.waiting import PATIENCE

STRANGER = Ed25519Signer.from_seed(ORIGIN, b"s" * 32)
OTHER_LOG = Ed25519Signer.from_seed("other.example/log", b"o" * 32)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """One that has cosigned the log at 256 entries."""
    found = judging(tmp_path)
    assert found.add_checkpoint(LOG.request(0, 256).encode()).status == 200
    return found


def signed(head: TreeHead, *signers: Ed25519Signer) -> Note:
    return sign_checkpoint(head, signers or [LOG_KEY])


def unsigned_text(text: str) -> Note:
    """A note of any text, signed by the log."""
    return Note(text, (LOG_KEY.sign(text),))


def raw(old: int, note: Note, *proof: bytes) -> bytes:
    return AddCheckpoint(old, proof, note).encode()


BROKEN_LINE = Signature(ORIGIN, LOG_KEY.verifier_key.key_id, bytes(64))
GOOD = LOG.request(256, 300)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(GOOD.encode(), 200, id="grown, and proved"),
        pytest.param(raw(256, LOG.note(256)), 200, id="the same again: a new time"),
        pytest.param(
            raw(256, signed(LOG.head(300), LOG_KEY, STRANGER), *GOOD.proof), 200, id="a stranger's line beside"
        ),
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"old 256\n", 400, id="no checkpoint"),
        pytest.param(GOOD.encode().replace(b"old 256", b"old 0256"), 400, id="a size with a zero before"),
        pytest.param(GOOD.encode().replace(b"old 256", b"old -1"), 400, id="a negative size"),
        pytest.param(GOOD.encode().replace(b"old 256", b"new 256"), 400, id="no old size"),
        pytest.param(raw(256, LOG.note(300))[:-1], 400, id="cut by a byte"),
        pytest.param(b"old 256\n" + b"A" * 43 + b"=\n" * 64 + b"\n" + LOG.note(300).encode(), 400, id="64 hashes"),
        pytest.param(b"old 256\nQUJD\n\n" + LOG.note(300).encode(), 400, id="a short hash"),
        pytest.param(b"x" * (MAX_REQUEST + 1), 400, id="too long"),
        pytest.param(raw(301, LOG.note(300)), 400, id="old above the checkpoint's size"),
        pytest.param(raw(256, unsigned_text(f"{ORIGIN}\n300\n")), 400, id="a text that is no checkpoint"),
        pytest.param(raw(256, unsigned_text(f"{ORIGIN}\n0300\n{'A' * 43}=\n")), 400, id="a size that is none"),
        pytest.param(raw(0, signed(TreeHead("other.example/log", 1, b"r" * 32), OTHER_LOG)), 404, id="another log"),
        pytest.param(raw(256, signed(LOG.head(300), STRANGER), *GOOD.proof), 403, id="no line by a key of the log"),
        pytest.param(
            raw(256, signed(LOG.head(300)).with_signatures([BROKEN_LINE]), *GOOD.proof),
            403,
            id="one line holds, one fails",
        ),
        pytest.param(LOG.request(0, 300).encode(), 409, id="an old size that is too small"),
        pytest.param(LOG.request(299, 300).encode(), 409, id="an old size that is too large"),
        pytest.param(LOG.request(100, 200).encode(), 409, id="back"),
        pytest.param(raw(256, LOG.note(300)), 422, id="no proof"),
        pytest.param(raw(256, LOG.note(300), *GOOD.proof[:-1], bytes(32)), 422, id="a wrong proof"),
        pytest.param(raw(256, LOG.note(256), bytes(32)), 422, id="a proof where none is called for"),
        pytest.param(FORK.request(256, 300).encode(), 422, id="another history, proved in itself"),
        pytest.param(raw(256, FORK.note(256)), 422, id="two roots for one size"),
    ],
)
def test_each_answer(judge: Judge, body: bytes, status: int) -> None:
    before = judge.checkpoint(monitoring_path(ORIGIN))
    answer = judge.add_checkpoint(body)
    assert answer.status == status, answer.body
    if status == 409:
        assert (answer.body, answer.content_type) == (b"256\n", SIZE_TYPE)
    if status != 200:
        assert judge.checkpoint(monitoring_path(ORIGIN)) == before
        assert judge.add_checkpoint(GOOD.encode()).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(raw(0, LOG.note(0)), 200, id="an empty log"),
        pytest.param(LOG.request(0, 300).encode(), 200, id="from nothing without a proof"),
        pytest.param(raw(0, LOG.note(300), bytes(32)), 422, id="from nothing with a proof"),
        pytest.param(
            raw(0, unsigned_text(f"{ORIGIN}\n0\n{'A' * 43}=\n")), 422, id="an empty log with a root of its own"
        ),
        pytest.param(LOG.request(5, 300).encode(), 409, id="from what was never cosigned"),
    ],
)
def test_the_first_answer(tmp_path: Path, body: bytes, status: int) -> None:
    assert judging(tmp_path).add_checkpoint(body).status == status


def test_an_answer_holds_a_line_of_each_key(judge: Judge, tmp_path: Path) -> None:
    lines = decode_cosignatures(judge.add_checkpoint(GOOD.encode()).body)
    note = GOOD.checkpoint.with_signatures(lines)
    checkpoint = open_checkpoint(note.encode(), LOG_KEYS, ORIGIN)
    witnesses = [verifier_of(vkey) for vkey in open_keys(tmp_path).vkeys]
    assert [(c.name, c.time) for c in check_cosignatures(checkpoint, witnesses)] == [(NAME, TIME)] * 2
    shown = judge.checkpoint(monitoring_path(ORIGIN))
    assert shown == Answer(200, note.encode())


def test_extension_lines_are_signed_as_they_are(tmp_path: Path) -> None:
    """Of logs that are not ours (tlog-cosignature, "Ed25519 signed message")."""
    found = judging(tmp_path)
    text = LOG.head(300).encode() + "extension one\nextension two\n"
    answer = found.add_checkpoint(raw(0, unsigned_text(text)))
    assert answer.status == 200
    for line, vkey in zip(decode_cosignatures(answer.body), open_keys(tmp_path).vkeys, strict=True):
        verifier_of(vkey).verify(text, line.signature)


def test_time_is_never_nothing_and_never_runs_back(tmp_path: Path) -> None:
    now = [0]
    keys, store = made(tmp_path)
    judge = Judge(store, (keys.ed25519,), lambda: now[0])
    times = []
    for now[0], size in ((0, 1), (50, 2), (20, 3), (60, 4)):
        assert judge.add_checkpoint(LOG.request(size - 1, size).encode()).status == 200
        record = store.record(ORIGIN)
        assert record is not None
        times.append(record.time)
    assert times == [1, 50, 50, 60]


def test_two_roots_for_one_size_are_kept_as_evidence(judge: Judge, tmp_path: Path) -> None:
    judge.add_checkpoint(raw(256, FORK.note(256)))
    judge.add_checkpoint(raw(256, LOG.note(300)))  # a proof that fails may be the carrier's fault: no evidence
    [(held, other)] = open_store(tmp_path).evidence(ORIGIN)
    one, two = (open_checkpoint(note, LOG_KEYS, ORIGIN) for note in (held, other))
    assert one.size == two.size == 256
    assert one.root != two.root


def test_nothing_is_shown_of_a_log_that_was_never_cosigned(tmp_path: Path) -> None:
    assert judging(tmp_path).checkpoint(monitoring_path(ORIGIN)).status == 404
    assert judging(tmp_path / "other").checkpoint(monitoring_path("other.example")).status == 404


def test_a_log_may_have_another_name_than_its_keys(tmp_path: Path) -> None:
    """Its key's name SHOULD be its origin, and need not be (tlog-checkpoint, "Signatures")."""
    keys, store = made(tmp_path)
    judge = Judge(store, (keys.ed25519,), lambda: TIME)
    head = TreeHead("a log of others", 1, b"r" * 32)
    assert judge.add_checkpoint(raw(0, signed(head))).status == 404
    assert store.trust(VKEYS, head.origin) == head.origin
    assert judge.add_checkpoint(raw(0, signed(head))).status == 200
    with pytest.raises(Malformed):
        store.trust(VKEYS, "two\nlines")


class FullDisk(WitnessStore):
    """Nothing can be written any more; or the disk fails."""

    fails: type[apsw.Error] = apsw.FullError

    def advance(self, held, head, time, note):  # type: ignore[no-untyped-def]
        raise self.fails


@pytest.mark.parametrize(("fails", "ends"), [(apsw.FullError, False), (apsw.IOError, True)])
async def test_what_can_t_be_stored_is_not_said(tmp_path: Path, fails: type[apsw.Error], ends: bool) -> None:
    keys, store = made(tmp_path)
    store.close()
    full = FullDisk(tmp_path / "witness.db")
    full.fails = fails
    server = WitnessServer(Judge(full, (keys.ed25519,), lambda: TIME))
    said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(server.run("127.0.0.1", 0, None, said.set_result))
    url = await asyncio.wait_for(said, PATIENCE)
    ask = HttpAsk()
    status, body = await ask("POST", f"{url}/add-checkpoint", LOG.request(0, 5).encode(), PATIENCE)
    assert (status, body) == (500, b"")
    if ends:  # what the disk holds may not be what was written
        await ask.close()  # else it would wait for this connection
        with pytest.raises(apsw.IOError):
            await asyncio.wait_for(task, PATIENCE)
    else:
        assert (await ask("GET", f"{url}/{monitoring_path(ORIGIN)}", None, PATIENCE))[0] == 404
        await ask.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_logs_keys_may_change_and_its_head_stays(judge: Judge, tmp_path: Path) -> None:
    """ATTACKS 63: the log's key is changed by whoever runs the witness, from outside."""
    other = Ed25519Signer.from_seed(ORIGIN, b"n" * 32)
    assert open_store(tmp_path).trust([other.verifier_key.encode()]) == ORIGIN
    assert judge.add_checkpoint(GOOD.encode()).status == 403
    assert judge.add_checkpoint(raw(256, signed(LOG.head(300), other), *GOOD.proof)).status == 200
    with pytest.raises(Malformed):
        open_store(tmp_path).trust([*VKEYS, OTHER_LOG.verifier_key.encode()])


# ---------------------------------------------------------------------- never back


def test_requests_in_flight_never_roll_it_back(tmp_path: Path) -> None:
    """The race of the specification: many at a time, each proved from what its sender believed."""
    keys, store = made(tmp_path)
    judge = Judge(store, (keys.ed25519,), lambda: TIME)
    given: list[int] = []

    def ask(step: int) -> None:
        size = 0
        for target in range(step, 600, step):
            while size <= target:
                answer = judge.add_checkpoint(LOG.request(size, target).encode())
                if answer.status == 200:
                    given.append(target)
                    break
                size = decode_size(answer.body)

    threads = [threading.Thread(target=ask, args=(step,)) for step in (7, 11, 13, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = store.record(ORIGIN)
    assert record is not None
    assert record.size == max(given)


class Overtaken(WitnessStore):
    """Somebody else's request is stored between the look and the store."""

    first: Callable[[], None] = staticmethod(lambda: None)

    def advance(self, held, head, time, note):  # type: ignore[no-untyped-def]
        first, self.first = self.first, lambda: None
        first()
        return super().advance(held, head, time, note)


def test_who_is_overtaken_is_told_the_newest_size_and_given_nothing(tmp_path: Path) -> None:
    keys, store = made(tmp_path)
    store.close()
    store = Overtaken(tmp_path / "witness.db")
    judge = Judge(store, (keys.ed25519,), lambda: TIME)
    store.first = lambda: judge.add_checkpoint(LOG.request(0, 300).encode())  # type: ignore[assignment]
    assert judge.add_checkpoint(LOG.request(0, 200).encode()) == Answer(409, b"300\n", SIZE_TYPE)


# ---------------------------------------------------------------------- its folder


def test_a_witness_is_made_once(tmp_path: Path) -> None:
    made(tmp_path / "w")
    with pytest.raises(WrongStore, match="not empty"):
        make(tmp_path / "w", NAME, lambda n: bytes(n))
    with pytest.raises(WrongStore):
        WitnessStore.create(tmp_path / "w" / "witness.db")
    with pytest.raises(Malformed):
        make(tmp_path / "x", "two words", lambda n: bytes(n))
    assert not (tmp_path / "x").exists()


SPOILED = [
    pytest.param(lambda f: (f / "witness.db").unlink(), id="no store"),
    pytest.param(lambda f: (f / "witness.db").write_bytes(b"x" * 4096), id="another file"),
    pytest.param(lambda f: (f / "ed25519.key").chmod(0o644), id="a key that others may read"),
    pytest.param(lambda f: (f / "mldsa44.key").unlink(), id="no key"),
    pytest.param(lambda f: (f / "mldsa44.key").write_text("QUJD\n"), id="a key that is none"),
    pytest.param(lambda f: (f / "witness.vkey").write_text("x\n"), id="no verifier key"),
    pytest.param(lambda f: (f / "ed25519.key").write_text("A" * 43 + "=\n"), id="another key than is named"),
]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_folder_that_is_no_witness_is_refused(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    _, store = made(tmp_path / "w")
    store.close()
    spoil(tmp_path / "w")
    with pytest.raises(WrongStore):
        (open_keys(tmp_path / "w"), open_store(tmp_path / "w"))


# ---------------------------------------------------------------------- the formats


def test_requests_both_ways() -> None:
    for request in (GOOD, LOG.request(0, 0), LOG.request(1, 599)):
        data = request.encode()
        assert AddCheckpoint.decode(data) == request
        assert request.origin == ORIGIN
        for end in range(len(data)):
            found = only_own_errors(AddCheckpoint.decode, data[:end])
            assert found is None or found != request
        with pytest.raises(Malformed):
            AddCheckpoint.decode(data + b"x")


def test_the_request_of_the_specification() -> None:
    proof = (
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    )
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n"
    )
    data = f"old 20852014\n{proof}\n{note}".encode()
    request = AddCheckpoint.decode(data)
    assert (request.old, len(request.proof), request.origin) == (20852014, 4, "example.com/behind-the-sofa")
    assert request.encode() == data


def test_the_answer_of_the_specification() -> None:
    data = (
        "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n"
        "— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==\n"
        "— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==\n"
    ).encode()
    lines = decode_cosignatures(data)
    assert [line.name for line in lines] == ["witness.example/w1", "witness.example/w1", "witness.example/w2"]
    assert encode_cosignatures(lines) == data
    for end in range(len(data)):
        assert only_own_errors(decode_cosignatures, data[:end]) != lines
    with pytest.raises(TooLarge):
        decode_cosignatures(b"x" * (1 << 17))


@pytest.mark.parametrize("data", [b"", b"1", b"01\n", b"1 \n", b"\xff\n", b"9" * 40 + b"\n", b"-1\n"])
def test_what_is_no_size(data: bytes) -> None:
    assert decode_size(encode_size(7)) == 7
    with pytest.raises(Malformed):
        decode_size(data)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    only_own_errors(AddCheckpoint.decode, data)
    only_own_errors(decode_cosignatures, data)
    only_own_errors(decode_size, data)


def test_every_flipped_bit_of_a_request_is_noticed(tmp_path: Path) -> None:
    """Whatever is changed on the way, a checkpoint that is cosigned is one that the log has signed."""
    _, store = made(tmp_path)
    judge = Judge(store, (), lambda: TIME)
    request = LOG.request(0, 300)
    body = request.encode()
    for place in range(0, len(body) - 3_600, 3):
        answer = judge.add_checkpoint(flip(body, place, 1 << place % 8))
        record = store.record(ORIGIN)
        assert record is not None
        assert answer.status != 200 or (record.size, record.root) == (300, LOG.tree.root(300))
        if record.size:
            break
