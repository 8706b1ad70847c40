"""Cosignatures: each checkpoint that is shown outside goes to the charter's witnesses, and their lines are put together.

    outside beat  →  show(head)            every witness is asked, each in a task of its own (tlog-witness, add-checkpoint)
                  ←  lines                 verified, added to the head they are for; late ones too
    quorum        →  log/witnessed         the checkpoint with the lines; written again when a late one comes

Nothing waits for this: messages, alerts and the log's own checkpoints go on with every witness down. When the quorum has
not cosigned for `late` seconds that is an alarm, in the journal, in the metrics, in `status`, and as an act in the log, which
officers are sent.

What a witness says against this log stops nothing; what it shows, signed by this log's key, does (`gateway.audit.asking`).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.asking import TILES, Ask, Contradicted, NotCosigned, hear
from gateway.audit.hashes import TileCache, TreeHashes
from gateway.audit.sequencer import LogKeys, SignedHead, disk_full
from gateway.audit.tiles import LogFolder
from keys.tlog.cosignature import cosignature_time, verifier_of
from keys.tlog.errors import Malformed, TlogError, UnknownKey
from keys.tlog.merkle import consistency_proof
from keys.tlog.note import Note, Signature
from keys.tlog.policy import NONE, TrustPolicy, Witness
from keys.tlog.witness import ADD_CHECKPOINT, AddCheckpoint, decode_cosignatures, decode_size

REQUEST_SECONDS: Final = 15.0
RETRY_FIRST: Final = 1.0
RETRY_MOST: Final = 30.0
CONFLICTS: Final = 3  # answers "not my size" in a row, after which it is tried again later
KEPT: Final = 4  # heads for which late lines are still taken
TICK: Final = 1.0  # s between two looks at whether the quorum is late

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Collected:
    """A head that was shown, and the lines that witnesses have given for it."""

    head: SignedHead
    lines: dict[tuple[str, bytes], Signature] = field(default_factory=dict)

    @property
    def note(self) -> bytes:
        return Note.decode(self.head.note).with_signatures(self.lines[key] for key in sorted(self.lines)).encode()


class Witnesses:
    """The charter's witnesses, as they are asked. `policy` and `urls` are looked at whenever there is a new head.

    `alarm` is told when the quorum is late, and when it has come again; `contradicted` is told once, and has to end the process.
    """

    def __init__(
        self,
        keys: LogKeys,
        folder: LogFolder,
        policy: Callable[[], TrustPolicy],
        urls: Mapping[str, str],
        ask: Ask,
        now: Callable[[], int],
        late: float,
        alarm: Callable[[str], Awaitable[None]],
        contradicted: Callable[[Contradicted], None],
        fault: Callable[[BaseException], None],
        tick: float = TICK,
    ) -> None:
        self._keys = keys
        self._folder = folder
        self._policy_of = policy
        self._urls = urls
        self._ask = ask
        self._now = now
        self._late = late
        self._alarm = alarm
        self._contradicted = contradicted
        self.fault = fault
        self._tick = tick
        self._policy = TrustPolicy()
        self._workers: list[tuple[Worker, asyncio.Task[None]]] = []
        self._collected: OrderedDict[int, Collected] = OrderedDict()
        self._writing = asyncio.Lock()
        self._news = asyncio.Event()
        self._tiles = TileCache(folder, TILES)
        self._proving = asyncio.Lock()
        self._told = False
        self.quorum_at = now()
        """When the quorum was reached last, in ms; the start, before the first time."""
        self.size = 0
        """Size of the newest checkpoint that the quorum has cosigned, 0 before the first since the start."""

    @property
    def late(self) -> bool:
        """Whether the quorum has not cosigned for too long."""
        return self._policy.quorum != NONE and self._now() - self.quorum_at > self._late * 1000

    def show(self, head: SignedHead) -> None:
        """A checkpoint for outside. Called in the loop; returns at once."""
        self._collected[head.size] = Collected(head)
        while len(self._collected) > KEPT:
            self._collected.popitem(last=False)
        self._news.set()

    async def run(self) -> None:
        """Ask for ever. Cancel it to end."""
        try:
            while True:
                self._match_policy()
                if self._news.is_set():
                    self._news.clear()
                    await self._begin_newest()
                await self._look_at_clock()
                try:
                    async with asyncio.timeout(self._tick):
                        await self._news.wait()
                except TimeoutError:
                    pass
        finally:
            self._dismiss()

    # ------------------------------------------------------------------ who is asked

    def _match_policy(self) -> None:
        """The workers follow the charter in force."""
        policy = self._policy_of()
        if policy == self._policy:
            return
        self._dismiss()
        self._policy = policy
        by_url: dict[str, list[Witness]] = {}
        for witness in policy.witnesses:
            url = self._urls.get(witness.name, witness.url).rstrip("/")
            if url:
                by_url.setdefault(url, []).append(witness)
            else:
                _log.warning("witness %s: no url in gateway.toml, none in the charter: it is not asked", witness.name)
        for url, witnesses in by_url.items():
            worker = Worker(url, witnesses, self)
            self._workers.append((worker, asyncio.create_task(worker.run())))
        if self._collected:
            self._news.set()

    def _dismiss(self) -> None:
        for _, task in self._workers:
            task.cancel()
        self._workers = []

    async def _begin_newest(self) -> None:
        newest = next(reversed(self._collected.values()), None)
        if newest is None:
            return
        await self._add(newest, ())  # where no quorum is asked for, it is reached
        for worker, _ in self._workers:
            worker.wanted(newest)

    # ------------------------------------------------------------------ what comes back

    async def proof(self, old: int, head: SignedHead) -> tuple[bytes, ...]:
        """The way from a smaller tree; read from the disk, in a thread."""
        hashes = TreeHashes(head.edge, self._tiles)
        async with self._proving:
            return await asyncio.to_thread(consistency_proof, old, head.size, hashes.hash_at)

    async def ask(self, method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request; raises NotCosigned where there is no answer."""
        return await self._ask(method, url, body, REQUEST_SECONDS)

    async def take(self, collected: Collected, witnesses: Sequence[Witness], answer: bytes) -> None:
        """The lines of an answer, as far as they are these witnesses'; raises NotCosigned where one of them has none that holds."""
        text = Note.decode(collected.head.note).text
        try:
            lines = await asyncio.to_thread(_verified, text, witnesses, decode_cosignatures(answer))
        except TlogError as error:
            raise NotCosigned(f"what it answers is no cosignature: {error}") from None
        await self._add(collected, lines)

    async def _add(self, collected: Collected, lines: Sequence[Signature]) -> None:
        collected.lines |= {(line.name, line.key_id): line for line in lines}
        names = [w.name for w in self._policy.witnesses if (w.key.name, w.key.key_id) in collected.lines]
        if not self._policy.reached(names):
            return
        async with self._writing:
            size = collected.head.size
            if size < self.size:
                return
            try:
                await asyncio.to_thread(self._folder.publish_witnessed, collected.note)
            except OSError as error:
                if not disk_full(error):
                    raise
                _log.error("the disk is full: what the witnesses have cosigned is not shown")
                return
            self.size, self.quorum_at = size, self._now()

    async def doubt(self, witnesses: Sequence[Witness], url: str, why: str) -> None:
        """A witness says what can't be, if this log is the only one of its key: what it shows decides."""
        newest = next(reversed(self._collected.values())).head
        hashes = TreeHashes(newest.edge, TileCache(self._folder, TILES))
        try:
            await hear(witnesses[0].name, url, self._ask, REQUEST_SECONDS, self._keys, hashes)
        except Contradicted as found:
            self._contradicted(found)
            raise NotCosigned(str(found)) from None
        raise NotCosigned(f"{why}, and shows no checkpoint that says so: ask who runs it")

    # ------------------------------------------------------------------ late

    async def _look_at_clock(self) -> None:
        if self.late is self._told:
            return
        self._told = self.late
        if self._told:
            minutes = (self._now() - self.quorum_at) // 60_000
            await self._alarm(f"witnesses: no quorum has cosigned for {minutes} min")
        else:
            await self._alarm("witnesses: the quorum cosigns again")


class Worker:
    """One witness's place: one URL, at which one or more of the charter's keys cosign."""

    def __init__(self, url: str, witnesses: Sequence[Witness], owner: Witnesses) -> None:
        self._url = url
        self._witnesses = witnesses
        self._owner = owner
        self._wanted: Collected | None = None
        self._news = asyncio.Event()
        self._size = 0  # the witness's, by what it said last
        self._said = ""

    def wanted(self, collected: Collected) -> None:
        """Ask for this head next; one that was not cosigned until now is left."""
        self._wanted = collected
        self._news.set()

    async def run(self) -> None:
        """Ask for ever, the newest head each time. A request under way is finished first, so late lines are not lost."""
        pause = RETRY_FIRST
        while True:
            await self._news.wait()
            self._news.clear()
            wanted = self._wanted
            assert wanted is not None  # that is the news
            try:
                await self._submit(wanted)
            except Exception as error:  # whatever is wrong here, nothing else stops for it
                if not isinstance(error, NotCosigned):
                    self._owner.fault(error)
                self._say(f"not cosigned: {error if isinstance(error, NotCosigned) else 'a fault of ours'}")
                try:
                    async with asyncio.timeout(pause):
                        await self._news.wait()  # or a newer head
                except TimeoutError:
                    pass
                pause = min(2 * pause, RETRY_MOST)
                self._news.set()
            else:
                self._say("cosigns")
                pause = RETRY_FIRST

    def _say(self, what: str) -> None:
        """A line in the journal where it is another than the last."""
        if what != self._said:
            self._said = what
            _log.log(
                logging.INFO if what == "cosigns" else logging.WARNING, "witness %s %s", self._witnesses[0].name, what
            )

    async def _submit(self, wanted: Collected) -> None:
        head = wanted.head
        for _ in range(CONFLICTS):
            if self._size > head.size:
                await self._doubt(f"it says that it has cosigned {self._size} entries")
            proof = await self._owner.proof(self._size, head)
            body = AddCheckpoint(self._size, proof, Note.decode(head.note)).encode()
            status, answer = await self._owner.ask("POST", f"{self._url}/{ADD_CHECKPOINT}", body)
            if status == 200:
                await self._owner.take(wanted, self._witnesses, answer)
                self._size = head.size
                return
            if status == 409:
                await self._conflict(answer)
            elif status == 422:
                await self._doubt("it does not accept that the log has grown from what it knows")
            else:
                raise NotCosigned(_REFUSALS.get(status, f"it answers {status}"))
        raise NotCosigned("it says another size each time")

    async def _conflict(self, answer: bytes) -> None:
        """It knows another size: prove from there. The size that was sent is no conflict (until 2026 it meant another root)."""
        try:
            size = decode_size(answer)
        except TlogError as error:
            raise NotCosigned(f"it answers 409 without a size: {error}") from None
        if size == self._size:
            await self._doubt("it has another root for the size that it knows")
        self._size = size

    async def _doubt(self, why: str) -> None:
        self._size = 0  # ask anew, the next time
        await self._owner.doubt(self._witnesses, self._url, why)


_REFUSALS: Final = {
    403: "it does not know the log's key: hand it log.vkey",
    404: "it does not know the log: hand it log.vkey",
}


def _verified(text: str, witnesses: Sequence[Witness], lines: Sequence[Signature]) -> list[Signature]:
    """The newest line of each of these keys; others are nobody's. Raises BadSignature, Malformed."""
    found = []
    for witness in witnesses:
        verifier = verifier_of(witness.key)
        theirs = [line for line in lines if (line.name, line.key_id) == (verifier.name, verifier.key_id)]
        for line in theirs:
            verifier.verify(text, line.signature)
            if cosignature_time(line) == 0:
                raise Malformed("a cosignature on a checkpoint without a time")
        found += theirs[-1:]
    if not found:
        raise UnknownKey("no line by the key that the charter names")
    return found
