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
from clients.core.timeline import Inbox
from clients.core.trust import Trust
from clients.core.turn import Turn
from gateway import wire
from keys.charter import Charter

OPEN_ERRANDS: Final = 64


@dataclass(slots=True)
class Session:
    """The memory of a session.

    On a `narrow` link one question is open at a time, in either direction one small piece is under way, and what is urgent goes
    before all else: so a FLASH waits for that piece at most.
    """

    charter: Charter
    trust: Trust
    groups: Groups
    narrow: bool = False
    ready: bool = False  # the gateway has answered the proof
    since: int = 0  # ms: when it did
    reconnect: bool = False  # the next session is to prove another certificate
    flush: bool = False  # receipts go at once: the shell is about to end
    listed: bool = False  # the gateway has named this device's channels
    newest_charter: int = 0
    prove_after: int = 0  # ms: no proofs are asked for before
    prove_rest: int = 0  # ms: on a narrow link none before but of what this device waits for
    gossip_at: int = 0  # ms: nothing that others have seen is asked about before
    gossip_asked: int = 0  # ms: when it was asked last
    gossip_last: bytes = b""  # about which device
    looked: bool = False  # whether the log has grown was asked in this session
    prove_most: int = ASKED_AT_ONCE  # fewer after a refusal: one entry that is never logged must not hold up the others
    proofs_asked: dict[int, int] = field(default_factory=dict)  # ms when this session first asked about a log index
    errands: Errands = field(default_factory=Errands)
    inboxes: dict[bytes, Inbox] = field(default_factory=dict)
    wanted: dict[bytes, None] = field(default_factory=dict)  # certificates to fetch
    given_up: set[bytes] = field(default_factory=set)  # certificates and bodies that are not to be had
    doubted: dict[tuple[bytes, int], int] = field(default_factory=dict)  # commits that wait for a list (ms)
    claims: dict[tuple[int, bytes], bytes | None] = field(default_factory=dict)  # KeyPackages by suite and device
    quiet: dict[bytes, int] = field(default_factory=dict)  # streams not to be tried before (ms)
    receipt_at: dict[bytes, int] = field(default_factory=dict)
    held: dict[bytes, int] = field(default_factory=dict)  # how much of a body to put the gateway has
    cursors: dict[bytes, int] = field(default_factory=dict)  # what the gateway was told last, in Follow or since
    came: int = 0  # deliveries since then
    came_bytes: int = 0
    step_at: dict[bytes, int] = field(
        default_factory=dict
    )  # when an alert channel is brought in step with its talk channel
    remove_at: dict[bytes, int] = field(default_factory=dict)
    restock: set[int] = field(default_factory=set)  # suites whose stock of KeyPackages is to be looked at
    unsubmitted: set[int] = field(
        default_factory=set
    )  # runs sealed in this session and not handed over: they may make way
    taken: int = 0  # deliveries that have come in over a narrow link since the gateway was told
    frames: list[wire.FromDevice] = field(default_factory=list)

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
        self.errands = Errands()
        self.given_up.clear()
        self.doubted.clear()
        self.unsubmitted.clear()
        for memory in (self.inboxes, self.wanted, self.claims, self.quiet, self.held, self.cursors):
            memory.clear()
        self.remove_at.clear()
        self.step_at.clear()
        self.proofs_asked.clear()

    def send(self, errand: Errand, make: Callable[[int], wire.FromDevice]) -> bool:
        """Ask, unless the same is asked already or too much is open."""
        if self.errands.is_open(errand) or len(self.errands.asked) >= (1 if self.narrow else OPEN_ERRANDS):
            return False
        self.frames.append(make(self.errands.open(errand)))
        return True

    def work(self, turn: Turn) -> Work:
        """What changes of channels need in this turn."""
        return Work(turn, self.trust, self.groups, self.given_up)
