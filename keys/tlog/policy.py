"""Trust policies: which logs, which witnesses, and how many of them (c2sp.org/tlog-policy).

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>…
    quorum <name>|none

A line names only what stands above it, each name is a member of one group at most, and there is one quorum line. So a policy is
a tree whose leaves are witnesses, and it is evaluated by going down its lines once:

    policy = TrustPolicy.decode(data)
    policy.reached({"ours", "hostpol"})          # whether these, if they cosigned, are enough
    policy.witnessed(checkpoint)                 # who of its witnesses has cosigned it, and whether that is enough
    checkpoint, witnessed = policy.open(note)    # the same, of one of the policy's own logs

`witnessed` takes a `Checkpoint`, which a key of the log has signed already; a policy's own `log` lines are for those who have
no other source. Names are opaque octets: they are compared and never shown as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Final

from keys.tlog.checkpoint import Checkpoint, verify_checkpoint
from keys.tlog.cosignature import (
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    Cosignature,
    check_cosignatures,
    verifier_of,
)
from keys.tlog.errors import Malformed, TooLarge
from keys.tlog.note import ED25519, Note, NoteVerifier, VerifierKey

MAX_POLICY: Final = 1 << 20
MAX_OF_EACH: Final = 64
"""Logs, witnesses, groups; the format recommends 32 of each at least."""

NONE: Final = "none"
"""The name of the quorum that asks for no cosignature."""

LOG_TYPES: Final = frozenset({ED25519, ML_DSA_44_COSIGNATURE})
WITNESS_TYPES: Final = frozenset({ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE})

_BLANK: Final = re.compile("[ \t]+")
_THRESHOLD: Final = re.compile("[1-9][0-9]{0,3}", re.ASCII)
_FORBIDDEN: Final = frozenset(range(0x20)) - {0x09, 0x0A} | {0x7F}


@dataclass(frozen=True, slots=True)
class Log:
    """A log that the policy accepts. The key's name is the log's origin."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness under the name that this policy gives it; `url` is its submission prefix."""

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """At least `threshold` of the members."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What cosignatures a checkpoint carries of a policy's witnesses: by name of the policy, with their times (POSIX seconds)."""

    cosignatures: tuple[tuple[str, Cosignature], ...]
    reached: bool
    """Whether they are enough: the policy's quorum."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.cosignatures)

    @property
    def time(self) -> int:
        """The newest cosignature's time; 0 where there is none."""
        return max((cosignature.time for _, cosignature in self.cosignatures), default=0)


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A trust policy, whole: its names are defined before they are used, no key stands twice, and its quorum is one of them."""

    logs: tuple[Log, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE

    def __post_init__(self) -> None:
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > MAX_OF_EACH:
            raise TooLarge(f"a policy has at most {MAX_OF_EACH} logs, witnesses and groups each")
        _check_keys([log.key for log in self.logs], LOG_TYPES, "log")
        _check_keys([witness.key for witness in self.witnesses], WITNESS_TYPES, "witness")
        for token in self._tokens():
            _check_token(token)
        defined = [NONE]
        for name in (witness.name for witness in self.witnesses):
            _define(name, defined)
        free = set(defined[1:])
        for group in self.groups:
            if not set(group.members) <= free or len(set(group.members)) != len(group.members):
                raise Malformed(f"group {group.name!r}: a member is defined above, and is in one group once")
            if not 1 <= group.threshold <= len(group.members):
                raise Malformed(f"group {group.name!r} asks for {group.threshold} of {len(group.members)}")
            _define(group.name, defined)
            free = free - set(group.members) | {group.name}
        if self.quorum not in defined:
            raise Malformed(f"the quorum {self.quorum!r} is no witness and no group")

    def _tokens(self) -> Iterator[str]:
        for log in self.logs:
            yield from filter(None, (log.url,))
        for witness in self.witnesses:
            yield from filter(None, (witness.url,))
            yield witness.name
        for group in self.groups:
            yield group.name

    # ------------------------------------------------------------------ as a file

    def encode(self) -> bytes:
        """The file's bytes: logs, witnesses, groups, quorum, a line each, single blanks, no comments."""
        lines = [f"log {log.key.encode()} {log.url}".rstrip(" ") for log in self.logs]
        lines += [f"witness {w.name} {w.key.encode()} {w.url}".rstrip(" ") for w in self.witnesses]
        lines += [f"group {g.name} {_rule(g)} {' '.join(g.members)}" for g in self.groups]
        return _bytes("".join(f"{line}\n" for line in (*lines, f"quorum {self.quorum}")))

    @classmethod
    def decode(cls, data: bytes) -> TrustPolicy:
        """Read a policy's file; raises Malformed or TooLarge. Blanks and comments are the writer's affair."""
        if len(data) > MAX_POLICY:
            raise TooLarge(f"a policy of {len(data)} bytes, over {MAX_POLICY}")
        if not _FORBIDDEN.isdisjoint(data):
            raise Malformed("a policy has no control characters but tabs and newlines")
        if data and not data.endswith(b"\n"):
            raise Malformed("each line of a policy ends in a newline")
        found = _Reader()
        for line in data.decode("utf-8", "surrogateescape").split("\n"):
            words = [word for word in _BLANK.split(line) if word]
            if words and not words[0].startswith("#"):
                found.take(words[0], words[1:])
        return found.end()

    # ------------------------------------------------------------------ as a rule

    def reached(self, names: Collection[str]) -> bool:
        """Whether these witnesses, cosigning one checkpoint, make the quorum."""
        met = set(names) & {witness.name for witness in self.witnesses}
        for group in self.groups:  # a group's members stand above it
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum == NONE or self.quorum in met

    def open(self, data: bytes) -> tuple[Checkpoint, Witnessed]:
        """A checkpoint of one of the policy's own logs, and what cosignatures it carries: it counts where they are `reached`.

        Raises UnknownKey where none of its logs has signed it, BadSignature, Malformed, TooLarge.
        """
        note = Note.decode(data)
        origin = note.text.split("\n", 1)[0]
        checkpoint = verify_checkpoint(note, [log for log in self.log_verifiers if log.name == origin], origin)
        return checkpoint, self.witnessed(checkpoint)

    def witnessed(self, checkpoint: Checkpoint) -> Witnessed:
        """Who of this policy's witnesses has cosigned the checkpoint, and whether they are enough.

        Raises BadSignature where a line in the name of one of them fails: then the whole note counts for nothing.
        """
        names = {(w.key.name, w.key.key_id): w.name for w in self.witnesses}
        found = check_cosignatures(checkpoint, self.witness_verifiers)
        given = tuple(sorted(((names[c.name, c.key_id], c) for c in found), key=lambda one: one[0]))
        return Witnessed(given, self.reached([name for name, _ in given]))

    @property
    def log_verifiers(self) -> list[NoteVerifier]:
        """Verifiers of the logs that the policy accepts."""
        return [verifier_of(log.key) for log in self.logs]

    @property
    def witness_verifiers(self) -> list[NoteVerifier]:
        """Verifiers of its witnesses."""
        return [verifier_of(witness.key) for witness in self.witnesses]


class _Reader:
    """Takes the lines of a file, in their order."""

    def __init__(self) -> None:
        self._logs: list[Log] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._names = {NONE}
        self._quorum: str | None = None
        self._lines: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._choose,
        }

    def take(self, keyword: str, words: list[str]) -> None:
        if keyword not in self._lines:
            raise Malformed(f"no line of a policy begins with {keyword!r}")
        self._lines[keyword](words)

    def end(self) -> TrustPolicy:
        if self._quorum is None:
            raise Malformed("a policy has a quorum line")
        return TrustPolicy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise Malformed("log <vkey> [<url>]")
        self._logs.append(Log(VerifierKey.decode(words[0]), *words[1:]))

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise Malformed("witness <name> <vkey> [<url>]")
        self._witnesses.append(Witness(words[0], VerifierKey.decode(words[1]), *words[2:]))
        self._names.add(words[0])

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise Malformed("group <name> all|any|<k> <member>…")
        name, rule, *members = words
        if not set(members) <= self._names - {NONE}:
            raise Malformed(f"group {name!r} names what is not defined above it")
        self._groups.append(Group(name, _threshold(rule, len(members)), tuple(members)))
        self._names.add(name)

    def _choose(self, words: list[str]) -> None:
        if len(words) != 1 or self._quorum is not None:
            raise Malformed("a policy has one line: quorum <name>")
        if words[0] not in self._names:
            raise Malformed(f"the quorum {words[0]!r} is not defined above")
        self._quorum = words[0]


def _threshold(rule: str, members: int) -> int:
    if rule in ("all", "any"):
        return members if rule == "all" else 1
    if not _THRESHOLD.fullmatch(rule):
        raise Malformed(f"{rule!r} is not all, any or a number")
    return int(rule)


def _rule(group: Group) -> str:
    if group.threshold == len(group.members):
        return "all"
    return "any" if group.threshold == 1 else str(group.threshold)


def _define(name: str, defined: list[str]) -> None:
    if name in defined:
        raise Malformed(f"the name {name!r} is defined twice, or is {NONE}")
    defined.append(name)


def _check_keys(keys: list[VerifierKey], types: Collection[int], what: str) -> None:
    """Duplicates are of the same public key, under whatever name and id (tlog-policy, "Public key representation")."""
    for key in keys:
        if key.type not in types:
            raise Malformed(f"{key.name} is of type {key.type:#04x}, which is none of a {what}'s")
        verifier_of(key)  # its length and form
    if len({key.public_key for key in keys}) != len(keys):
        raise Malformed(f"two {what} lines hold the same key")


def _check_token(token: str) -> None:
    data = _bytes(token)
    if not data or not _FORBIDDEN.isdisjoint(data) or not {0x09, 0x0A, 0x20}.isdisjoint(data):
        raise Malformed("a name or URL is one word")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Malformed("a name or URL is no octets") from None
