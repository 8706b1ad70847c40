"""Who has looked at what: a step that found nothing to do rests until something that it has looked at is another.

After each input everything that can go on goes on (`clients.core.device`). That is a sequence of steps, each about the whole
device or about one channel or stream, and nearly all of them find nothing to do. What a step does follows from what it looks
at: the ledger, the session's memory, the clock. So if nothing of that has changed since it did nothing, it would do nothing
again, and is passed over.

    looked     a step that is under way reads a place            `Draft`, `Table`, `Marks`, `Groups`: whoever reads reports it
    changed    a place is written: whoever had looked there is to look again
    reached    has it come to this time? if not, the step looks again when it has
    clock      the time by itself: a step that reads it and does nothing is asked at every turn
    awake      how long turns have followed one another, whatever the clock was set to: what somebody else is given to answer is
               measured by this, or a suspended machine would wake up to a gateway that has been silent for hours

A place is a shelf with the first 16 bytes of a key (most keys begin with a channel), or with `ALL` or `KEYS` for whoever goes
over a whole shelf. Nobody has to say what follows from what, and nothing is durable: a machine made anew looks everywhere.
A step that changes what it has looked at is asked again at the next turn, so an effect is never lost by resting.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping, MutableSet
from typing import Any, Final, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Place = tuple[str, bytes]
Step = tuple[Callable[..., None], *tuple[bytes, ...]]

ALL: Final = b""
"""Any key of a shelf."""
KEYS: Final = b"which keys"
"""Which keys a shelf has, whatever stands there: shorter than the ids that keys begin with."""
LONG: Final = 16  # bytes of a key that name a place: an id
NEVER: Final = 2**63
LOOKS: Final = (
    10_000  # ms from one turn to the next that count as awake, at most: who waits for something looks far more often
)


class Watch:
    """Which steps rest, what each of them has looked at, and until when (ms)."""

    def __init__(self) -> None:
        self.now = 0
        self.turns = 0
        """How many have begun: while it stays, nothing but the clock is another."""
        self._asleep = 0  # ms by which the clock has gone further than this device was awake
        self._resting: dict[Step, tuple[set[Place], int]] = {}
        self._lookers: dict[Place, set[Step]] = {}
        self._first = NEVER  # when the first of them is to look again by the clock
        self._looked: set[Place] | None = None  # by the step that is under way
        self._until = NEVER
        self._again = False

    def begin(self, now: int) -> None:
        """A turn begins. A clock that was set back was looked at by everybody."""
        if now < self.now:
            self.everything()
        self._asleep += (now - self.now) - min(max(now - self.now, 0), LOOKS)
        self.now = now
        self.turns += 1
        if now < self._first:
            return
        for step in [step for step, (_, until) in self._resting.items() if until <= now]:
            self._wake(step)
        self._first = min((until for _, until in self._resting.values()), default=NEVER)

    @property
    def first(self) -> int:
        """When one of those that rest may find something by the clock alone (ms); NEVER where none waits for a moment."""
        return self._first

    def look(self, session: Any, turn: Any, action: Callable[..., None], *about: bytes) -> None:
        """Take this step, unless it rests."""
        step: Step = (action, *about)
        if step in self._resting:
            return
        looked = self._looked = set()
        self._until, self._again = NEVER, False
        try:
            action(session, turn, *about)
        finally:
            self._looked = None
        if not self._again and self._until > self.now:
            self._rest(step, looked, self._until)

    def each(self, session: Any, turn: Any, action: Callable[..., None], all_about: Iterable[bytes]) -> None:
        """Take this step about each of these, unless that one rests."""
        for about in all_about:
            if (action, about) not in self._resting:
                self.look(session, turn, action, about)

    def _rest(self, step: Step, looked: set[Place], until: int) -> None:
        self._resting[step] = looked, until
        self._first = min(self._first, until)
        for place in looked:
            self._lookers.setdefault(place, set()).add(step)

    def _wake(self, step: Step) -> None:
        looked, _ = self._resting.pop(step)
        for place in looked:
            lookers = self._lookers[place]
            lookers.discard(step)
            if not lookers:
                del self._lookers[place]

    def everything(self) -> None:
        """All look again."""
        self._resting.clear()
        self._lookers.clear()
        self._first, self._again = NEVER, True

    # --- what is reported ---

    def looked(self, where: str, key: bytes) -> None:
        """The step under way has read this."""
        if self._looked is not None:
            self._looked.add((where, key[:LONG]))

    def changed(self, where: str, key: bytes) -> None:
        """This is another than before."""
        self._tell((where, key[:LONG]))
        if key:
            self._tell((where, ALL))

    def keys_changed(self, where: str) -> None:
        """A key has come to a shelf, or has gone."""
        self._tell((where, KEYS))

    def _tell(self, place: Place) -> None:
        if self._looked is not None and place in self._looked:
            self._again = True
        if place in self._lookers:
            for step in list(self._lookers[place]):
                self._wake(step)

    def reached(self, when: int) -> bool:
        """Whether it is that time (ms)."""
        if self.now >= when:
            return True
        self._until = min(self._until, when)
        return False

    def awake(self) -> int:
        """How long this device has been awake (ms), from no particular moment on."""
        return self.clock() - self._asleep

    def has_had(self, since: int, ms: int) -> bool:
        """Whether it was awake for so long since then (`awake`)."""
        return self.reached(since + ms + self._asleep)

    def clock(self) -> int:
        """The time (ms) by itself."""
        self._until = self.now
        return self.now


class Table(MutableMapping[K, V]):
    """A dict of the session's memory that reports who reads it and what changes in it."""

    def __init__(self, watch: Watch, name: str) -> None:
        self._watch, self._name = watch, name
        self._items: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        self._watch.looked(self._name, _place(key))
        return self._items[key]

    def __contains__(self, key: object) -> bool:
        self._watch.looked(self._name, _place(key))
        return key in self._items

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self._items or self._items[key] != value:
            self._items[key] = value
            self._watch.changed(self._name, _place(key))

    def __delitem__(self, key: K) -> None:
        del self._items[key]
        self._watch.changed(self._name, _place(key))

    def __iter__(self) -> Iterator[K]:
        self._watch.looked(self._name, ALL)
        return iter(self._items)

    def __len__(self) -> int:
        self._watch.looked(self._name, ALL)
        return len(self._items)


class Marks(MutableSet[K]):
    """A set that does the same; it keeps the order in which things came."""

    def __init__(self, watch: Watch, name: str) -> None:
        self._watch, self._name = watch, name
        self._items: dict[K, None] = {}

    def __contains__(self, item: object) -> bool:
        self._watch.looked(self._name, _place(item))
        return item in self._items

    def __iter__(self) -> Iterator[K]:
        self._watch.looked(self._name, ALL)
        return iter(self._items)

    def __len__(self) -> int:
        self._watch.looked(self._name, ALL)
        return len(self._items)

    def add(self, value: K) -> None:
        if value not in self._items:
            self._items[value] = None
            self._watch.changed(self._name, _place(value))

    def update(self, values: Iterable[K]) -> None:
        """Add each of them."""
        for value in values:
            self.add(value)

    def discard(self, value: K) -> None:
        if value in self._items:
            del self._items[value]
            self._watch.changed(self._name, _place(value))


def _place(key: object) -> bytes:
    return key if isinstance(key, bytes) else ALL
