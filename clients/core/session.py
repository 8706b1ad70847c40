"""What the machine holds in memory for one session with the gateway, and nothing that may not be lost.

Questions that are open, deliveries not processed yet, KeyPackages claimed, how much of a body the gateway has. The ledger has
the rest; when a session ends, `forget` empties this and the next begins from what is durable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from clients.core.commits import Work
from clients.core.errands import Errand, Errands
from clients.core.groups import Groups
from clients.core.proof import ASKED_AT_ONCE
from clients.core.timeline import Inboxes
from clients.core.trust import Trust
from clients.core.turn import Turn
from clients.core.watch import Marks, Table, Watch
from gateway import wire
from keys.charter import Charter

OPEN_ERRANDS: Final = 64
TALLIES: Final = frozenset({"came", "came_bytes", "taken", "frames", "let_go_at"})


@dataclass(slots=True)
class Session:
    """The memory of a session.

    On a `narrow` link one question is open at a time, in either direction one small piece is under way, and what is urgent goes
    before all else: so a FLASH waits for that piece at most.

    Tables report to the `watch` what changes in them. A plain field that changes (they seldom do) has everybody look again; but for the
    `TALLIES`, for which no step waits.
    """

    watch: Watch
    charter: Charter
    trust: Trust
    groups: Groups
    narrow: bool = False
    ready: bool = False  # the gateway has answered the proof
    since: int = 0  # ms: when it did (`Turn.awake`)
    reconnect: bool = False  # the next session is to prove another certificate
    flush: bool = False  # receipts go at once: the shell is about to end
    listed: bool = False  # the gateway has named this device's channels
    newest_charter: int = 0
    beside: dict[bytes, bytes] = field(default_factory=dict)  # the channels, by the stream of receipts beside each
    let_go_at: int = 0  # ms: when it is looked next whether anything on this device has reached its end
    prove_after: int = 0  # ms: no proofs are asked for before
    prove_rest: int = 0  # ms: on a narrow link none before but of what this device waits for
    gossip_at: int = 0  # ms: nothing that others have seen is asked about before
    gossip_asked: int = 0  # ms: when it was asked last (`Turn.awake`)
    gossip_last: bytes = b""  # about which device
    looked: bool = False  # whether the log has grown was asked in this session
    prove_most: int = ASKED_AT_ONCE  # fewer after a refusal: one entry that is never logged must not hold up the others
    came: int = 0  # deliveries since the gateway was told how far everything is stored
    came_bytes: int = 0
    came_at: int = 0  # ms: when the last of them came, or a piece of a body
    taken: int = 0  # deliveries that have come in over a narrow link since the gateway was told
    frames: list[wire.FromDevice] = field(default_factory=list)
    errands: Errands = field(init=False)
    inboxes: Inboxes = field(init=False)
    proofs_asked: Table[int, int] = field(init=False)  # when this session first asked about a log index (`Turn.awake`)
    wanted: Marks[bytes] = field(init=False)  # certificates to fetch
    given_up: Marks[bytes] = field(init=False)  # certificates and bodies that are not to be had
    unrenewed: Marks[bytes] = field(init=False)  # channels whose leaf did not take this device's newest certificate
    doubted: Table[tuple[bytes, int], int] = field(init=False)  # commits that wait for a list (ms)
    claims: Table[tuple[int, bytes], bytes | None] = field(init=False)  # KeyPackages by suite and device
    quiet: Table[bytes, int] = field(init=False)  # streams not to be tried before (ms)
    over: Table[bytes, int] = field(init=False)  # epochs that are over: no commit there before (ms)
    receipt_at: Table[bytes, int] = field(init=False)
    held: Table[bytes, int] = field(init=False)  # how much of a body to put the gateway has
    cursors: Table[bytes, int] = field(init=False)  # what the gateway was told last, in Follow or since
    step_at: Table[bytes, int] = field(init=False)  # when an alert channel is brought in step with its talk channel
    remove_at: Table[bytes, int] = field(init=False)
    restock: Marks[int] = field(init=False)  # suites whose stock of KeyPackages is to be looked at
    unsubmitted: Marks[int] = field(init=False)  # runs sealed in this session and not handed over: they may make way

    def __post_init__(self) -> None:
        watch = self.watch
        self.errands, self.inboxes = Errands(watch), Inboxes(watch)
        self.proofs_asked, self.doubted = Table(watch, "proofs asked"), Table(watch, "doubted")
        self.wanted, self.given_up = Marks(watch, "wanted"), Marks(watch, "given up")
        self.unrenewed = Marks(watch, "unrenewed")
        self.claims, self.quiet, self.held = Table(watch, "claims"), Table(watch, "quiet"), Table(watch, "held")
        self.receipt_at, self.cursors = Table(watch, "receipt at"), Table(watch, "cursors")
        self.over = Table(watch, "over")
        self.step_at, self.remove_at = Table(watch, "step at"), Table(watch, "remove at")
        self.restock, self.unsubmitted = Marks(watch, "restock"), Marks(watch, "unsubmitted")

    def __setattr__(self, name: str, value: object) -> None:
        known = getattr(self, name, None)
        object.__setattr__(self, name, value)
        if name not in TALLIES and known is not value and known != value:
            self.watch.everything()

    @property
    def piece(self) -> int:
        """The longest body that travels in a frame, and the longest chunk of one (bytes)."""
        return wire.WINDOW_LEAST if self.narrow else wire.CHUNK

    @property
    def window(self) -> int:
        """How many bytes of deliveries may be under way."""
        return wire.WINDOW_LEAST if self.narrow else wire.WINDOW_MOST

    def at_once(self, many: int) -> int:
        """How many of something go into one question: on a narrow link one."""
        return 1 if self.narrow else many

    def forget(self) -> None:
        """The session is over."""
        self.ready = self.listed = False
        self.taken = self.came = self.came_bytes = 0
        self.prove_after, self.prove_most, self.gossip_at, self.looked = 0, ASKED_AT_ONCE, 0, False
        self.errands = Errands(self.watch)
        self.inboxes.clear()
        for marks in (self.wanted, self.given_up, self.unrenewed, self.unsubmitted):
            marks.clear()
        for table in (self.proofs_asked, self.doubted, self.claims, self.quiet, self.over, self.held, self.cursors):
            table.clear()
        self.remove_at.clear()
        self.step_at.clear()
        self.watch.everything()

    def send(self, errand: Errand, make: Callable[[int], wire.FromDevice]) -> bool:
        """Ask, unless the same is asked already or too much is open."""
        if self.errands.is_open(errand) or self.errands.full(1 if self.narrow else OPEN_ERRANDS):
            return False
        self.frames.append(make(self.errands.open(errand)))
        return True

    def work(self, turn: Turn) -> Work:
        """What changes of channels need in this turn."""
        return Work(turn, self.trust, self.groups, self.given_up)
