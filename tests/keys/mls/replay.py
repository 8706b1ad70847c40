"""Replay the MLS working group's passive-client files: `python tests/keys/mls/replay.py FILE…` (plain or .gz).

Each case is one client: it joins by a Welcome and follows the group for as long as the file goes on (mlswg's
mls-implementations, test-vectors.md, "Passive Client Scenarios"; passive-client-*.json and interop/passive/*.json
there). After each step its epoch authenticator must be the one in the file. Every failure is a line that names
file, case, suite, epoch and error; the last line is `N passed, M failed`, and the exit status 1 if M is not 0. A file
that can't be read counts as one failure. Cases of suites 4 and 6 (X448), which we don't do, are counted apart.

A Welcome into a branch or a reinitialised group asks for a resumption PSK, which the format can't carry: it is taken
from the group in which the same client's earlier case of the same file ended. Needs the core install alone.
"""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from keys.mls import (
    Credential,
    Group,
    KeyPackage,
    KeyPackageSecrets,
    Limits,
    MissingPreSharedKey,
    MLSError,
    MLSMessage,
    PreSharedKeys,
    cipher_suite,
)

UNSUPPORTED = (4, 6)
"""Suites on X448 and Ed448."""

SCALARS = {2: 32, 5: 66, 7: 48}
"""Length of a private key of each NIST curve; some writers of such files drop its leading zeros."""


LIMITS = Limits(resumption_epochs=1 << 16)
"""A history may name the resumption PSK of any epoch that its client lived in."""


class Malformed(Exception):
    """The file, or a case in it, is not of the format."""


class Mismatch(Exception):
    """The group is in another state than the file says."""


class Anybody:
    """An Authentication Service that vouches for everyone: the format says nothing of who is who."""

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        pass

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object of a case, read strictly; `place` says where it stands."""

    values: Mapping[str, object]
    place: str

    @classmethod
    def of(cls, value: object, place: str) -> "Fields":
        if not isinstance(value, dict):
            raise Malformed(f"{place} is not an object")
        return cls(value, place)

    def number(self, name: str) -> int:
        value = self.values.get(name)
        if type(value) is not int:
            raise Malformed(f"{self.place}: {name} is not a number")
        return value

    def hex(self, name: str) -> bytes:
        return unhex(self.values.get(name), f"{self.place}: {name}")

    def hex_or_none(self, name: str) -> bytes | None:
        return None if self.values.get(name) is None else self.hex(name)

    def list(self, name: str) -> Sequence[object]:
        value = self.values.get(name, [])
        if not isinstance(value, list):
            raise Malformed(f"{self.place}: {name} is not a list")
        return value


def unhex(value: object, place: str) -> bytes:
    if not isinstance(value, str):
        raise Malformed(f"{place} is not a string")
    try:
        return bytes.fromhex(value)
    except ValueError as error:
        raise Malformed(f"{place} is not hexadecimal") from error


@dataclass(slots=True)
class Replay:
    """One client on its way through a case."""

    case: Fields
    suite: int
    earlier: Sequence[Group]
    """Where the cases before this one ended."""
    step: str = "joining"

    def run(self) -> Group:
        """The group at the end. Raises `MLSError`, `Malformed`, `Mismatch`."""
        psks = PreSharedKeys(self._external_psks())
        try:
            group = self._join(psks)
        except MissingPreSharedKey:  # perhaps a branch, or a group begun anew, of one where the client was before
            group = self._join(replace(psks, groups={group.group_id: group for group in self.earlier}))
        self._compare(group, self.case.hex("initial_epoch_authenticator"))
        for number, value in enumerate(self.case.list("epochs")):
            self.step = f"epoch entry {number} (from epoch {group.epoch})"
            group = self._follow(group, Fields.of(value, f"epochs[{number}]"), psks)
        return group

    def _external_psks(self) -> dict[bytes, bytes]:
        entries = [Fields.of(value, "external_psks") for value in self.case.list("external_psks")]
        return {entry.hex("psk_id"): entry.hex("psk") for entry in entries}

    def _private_key(self, name: str) -> bytes:
        return self.case.hex(name).rjust(SCALARS.get(self.suite, 0), b"\0")

    def _join(self, psks: PreSharedKeys) -> Group:
        return Group.join(
            self.case.hex("welcome"),
            read_key_package(self.case.hex("key_package")),
            KeyPackageSecrets(self._private_key("init_priv"), self._private_key("encryption_priv")),
            self._private_key("signature_priv"),
            Anybody(),
            ratchet_tree=self.case.hex_or_none("ratchet_tree"),
            psks=psks,
            limits=LIMITS,
        )

    def _follow(self, group: Group, epoch: Fields, psks: PreSharedKeys) -> Group:
        """The group after an entry; a proposal that is refused counts only if the Commit can't do without it."""
        refused = []
        for number, value in enumerate(epoch.list("proposals")):
            message = unhex(value, f"{epoch.place}.proposals[{number}]")
            try:
                group, _ = group.process(message, now_seconds=None)
            except MLSError as error:
                refused.append(f"proposal {number} was refused: {type(error).__name__}: {error}")
        try:
            group, _ = group.process(epoch.hex("commit"), now_seconds=None, psks=psks)
        except MLSError as error:
            for note in refused:
                error.add_note(note)
            raise
        self._compare(group, epoch.hex("epoch_authenticator"))
        return group

    def _compare(self, group: Group, expected: bytes) -> None:
        if group.epoch_authenticator != expected:
            raise Mismatch(f"epoch authenticator {group.epoch_authenticator.hex()}, not {expected.hex()}")


def read_key_package(data: bytes) -> KeyPackage:
    """A KeyPackage in an MLSMessage, as the published files have it, or bare, as their description says."""
    try:
        value = MLSMessage.unwrap(data)
    except MLSError:
        return KeyPackage.decode(data)
    if not isinstance(value, KeyPackage):
        raise Malformed("key_package is another message")
    return value


@dataclass(slots=True)
class Tally:
    """What came of all cases."""

    passed: int = 0
    failed: int = 0
    unsupported: dict[int, int] = field(default_factory=dict)

    def fail(self, text: str) -> None:
        self.failed += 1
        print(f"FAILED {text}", flush=True)

    def lines(self) -> Iterator[str]:
        if self.unsupported:
            suites = ", ".join(f"{count} in suite {suite}" for suite, count in sorted(self.unsupported.items()))
            yield f"{sum(self.unsupported.values())} unsupported ({suites})"
        yield f"{self.passed} passed, {self.failed} failed"


def read(path: str) -> Sequence[object]:
    """The cases of a file; raises `Malformed`."""
    try:
        data = Path(path).read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise Malformed(f"can't be read: {error}") from error
    try:
        cases = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(cases, list):
        raise Malformed("not a list of cases")
    return cases


def replay_file(path: str, tally: Tally) -> None:
    """Play all cases of a file and count them."""
    try:
        cases = read(path)
    except Malformed as error:
        tally.fail(f"{path}: {error}")
        return
    ended: list[Group] = []
    for index, value in enumerate(cases):
        place = f"{path}: case {index}"
        try:
            case = Fields.of(value, "the case")
            number = case.number("cipher_suite")
        except Malformed as error:
            tally.fail(f"{place}: {error}")
            continue
        if number in UNSUPPORTED:
            tally.unsupported[number] = tally.unsupported.get(number, 0) + 1
            continue
        replay = Replay(case, number, ended)
        try:
            cipher_suite(number)
            ended.append(replay.run())
            tally.passed += 1
        except Exception as error:  # whatever it is, the other cases are played
            told = "; ".join([str(error), *getattr(error, "__notes__", ())])
            tally.fail(f"{place}, suite {number}, {replay.step}: {type(error).__name__}: {told}")


def main(paths: Sequence[str]) -> int:
    """Replay these files; 0 if nothing failed, 1 if something did, 2 if there is nothing to replay."""
    if not paths or any(path.startswith("-") for path in paths):
        print("usage: replay.py FILE…  (the MLS working group's passive-client files, plain or .gz)", file=sys.stderr)
        return 2
    tally = Tally()
    for path in paths:
        replay_file(path, tally)
    for line in tally.lines():
        print(line)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
