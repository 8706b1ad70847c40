"""Makes a log as the gateway does, has a witness cosign it, and has golang.org/x/mod verify all of it.

    python -m tests.interop.tlog [ENTRIES]

With Debian's packages golang-go and golang-golang-x-mod-dev there is no need for a network: where /usr/share/gocode has the module,
Go is told to take it from there.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from keys.tlog.checkpoint import open_checkpoint
from keys.tlog.cosignature import Ed25519Cosigner
from keys.tlog.note import Note
from tests.gateway.audit.test_sequencer import KEYS, ORIGIN, VERIFIERS, Place

HERE = Path(__file__).parent
DEBIAN = Path("/usr/share/gocode")
WITNESS = Ed25519Cosigner.from_seed("witness.example/w1", b"w" * 32)


async def made(folder: Path, count: int) -> None:
    """A log of so many entries, in steps, cosigned."""
    place = Place(folder)
    await place.found()
    for _ in range(3):
        place.database.accept(count // 3)
        await place.open().drain()
    place.database.accept(count - len(place.database.leaves))
    sequencer = place.open()
    await sequencer.drain()
    checkpoint = open_checkpoint(sequencer.head.note, VERIFIERS, ORIGIN)
    note = Note.decode(sequencer.head.note).with_signatures([WITNESS.cosign(checkpoint.head, 1_790_000_000)])
    (folder / "log" / "witnessed").write_bytes(note.encode())


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 70_000
    environment = dict(os.environ)
    if (DEBIAN / "src/golang.org/x/mod/sumdb").is_dir():
        environment |= {"GO111MODULE": "off", "GOPATH": str(DEBIAN)}
    with TemporaryDirectory() as folder:
        asyncio.run(made(Path(folder), count))
        vkeys = [KEYS.ed25519.verifier_key.encode(), WITNESS.verifier_key.encode()]
        program = ["go", "run", "main.go", str(Path(folder) / "log"), *vkeys]
        return subprocess.run(program, cwd=HERE, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
