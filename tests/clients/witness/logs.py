"""A log that grows, as a witness sees one, and a folder with a witness in it."""

from __future__ import annotations

import random
from pathlib import Path

from clients.witness.home import Keys, make, open_store
from clients.witness.judge import Judge
from clients.witness.store import WitnessStore
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.merkle import consistency_proof, leaf_hash
from keys.tlog.note import Note
from keys.tlog.witness import AddCheckpoint
from tests.keys.tlog.logs import LOG_KEY, LOG_PQ_KEY, ORIGIN, TIME, Levels

NAME = "witness.example/w1"
VKEYS = [LOG_KEY.verifier_key.encode(), LOG_PQ_KEY.verifier_key.encode()]
MOST = 600


class GrowingLog:
    """A log of up to MOST entries, and one that is the same up to `forks_at`."""

    def __init__(self, forks_at: int = MOST) -> None:
        self.tree = Levels([leaf_hash(b"%d%s" % (n, b"" if n < forks_at else b"!")) for n in range(MOST)])

    def head(self, size: int) -> TreeHead:
        return TreeHead(ORIGIN, size, self.tree.root(size))

    def note(self, size: int) -> Note:
        head = self.head(size)
        return sign_checkpoint(head, [LOG_KEY]).with_signatures([LOG_PQ_KEY.cosign(head, TIME)])

    def request(self, old: int, size: int) -> AddCheckpoint:
        proof = consistency_proof(old, size, self.tree.hash_at) if old <= size else ()
        return AddCheckpoint(old, proof, self.note(size))


LOG = GrowingLog()
FORK = GrowingLog(forks_at=100)


def made(folder: Path) -> tuple[Keys, WitnessStore]:
    """A witness that cosigns for the log."""
    keys = make(folder, NAME, random.Random(7).randbytes)
    store = open_store(folder)
    store.trust(VKEYS)
    return keys, store


def judging(folder: Path, now: int = TIME) -> Judge:
    keys, store = made(folder)
    return Judge(store, (keys.ed25519, keys.ml_dsa), lambda: now)
