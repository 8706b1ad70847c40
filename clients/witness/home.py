"""A witness's folder: made once by `init`, opened by every other verb.

    witness.db                    what it has cosigned
    ed25519.key  mldsa44.key      seeds of its two keys, mode 0600
    witness.vkey                  its verifier keys, to hand to missions

Both keys have the witness's name: one signs cosignature/v1 (type 0x04), the other the post-quantum form (0x06). An answer
carries a line of each.
"""

import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.witness.store import WitnessStore, WrongStore
from keys.tlog.cosignature import Ed25519Cosigner, MlDsa44Cosigner
from keys.tlog.errors import TlogError
from keys.tlog.note import VerifierKey

STORE: Final = "witness.db"
VKEYS: Final = "witness.vkey"
ED25519_KEY: Final = "ed25519.key"
ML_DSA_KEY: Final = "mldsa44.key"
SEED: Final = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """A witness's two keys."""

    ed25519: Ed25519Cosigner
    ml_dsa: MlDsa44Cosigner

    @property
    def vkeys(self) -> tuple[str, str]:
        """Its verifier keys, Ed25519 first."""
        return self.ed25519.verifier_key.encode(), self.ml_dsa.verifier_key.encode()


def make(folder: Path, name: str, random: Callable[[int], bytes]) -> Keys:
    """Make a witness; raises WrongStore where the folder holds something, Malformed where the name can be no key's."""
    seeds = random(SEED), random(SEED)
    keys = _keys(name, *seeds)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise WrongStore(f"{folder} is not empty: a witness is made in a folder of its own")
    for file, seed in zip((ED25519_KEY, ML_DSA_KEY), seeds, strict=True):
        _write(folder / file, b64encode(seed) + b"\n", 0o600)
    _write(folder / VKEYS, "".join(f"{vkey}\n" for vkey in keys.vkeys).encode(), 0o644)
    WitnessStore.create(folder / STORE)
    _sync(folder)
    return keys


def open_keys(folder: Path) -> Keys:
    """The keys in a folder; raises WrongStore where they are absent, readable by others, or not those of witness.vkey."""
    try:
        vkeys = (folder / VKEYS).read_text("ascii").splitlines()
        name = VerifierKey.decode(vkeys[0]).name
        keys = _keys(name, _seed(folder / ED25519_KEY), _seed(folder / ML_DSA_KEY))
    except (OSError, ValueError, IndexError, TlogError) as error:
        raise WrongStore(f"there is no witness at {folder}: {error}") from None
    if list(keys.vkeys) != vkeys:
        raise WrongStore(f"{folder}: the keys are not those that {VKEYS} names")
    return keys


def open_store(folder: Path) -> WitnessStore:
    """What it has cosigned; raises WrongStore."""
    return WitnessStore(folder / STORE)


def _keys(name: str, ed25519: bytes, ml_dsa: bytes) -> Keys:
    return Keys(Ed25519Cosigner.from_seed(name, ed25519), MlDsa44Cosigner.from_seed(name, ml_dsa))


def _seed(path: Path) -> bytes:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise WrongStore(f"{path} is a secret that others may read: chmod 600 {path}")
    return b64decode(path.read_text("ascii").strip(), validate=True)


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
