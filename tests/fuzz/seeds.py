"""Where a fuzzer begins: our own goldens, and a few samples of each text format."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from keys.mls import Credential, MLSMessage, cipher_suite, new_key_package
from tests.fuzz import FOUND
from tests.keys.mission import NOW, Mission

MISSION = Mission()
GOLDENS = Path(__file__).resolve().parents[1] / "goldens"


class Late:
    """Seeds that are made when they are asked for: some cost more than a target's whole test."""

    def __init__(self, *makers: Callable[[], bytes]) -> None:
        self._makers = makers

    def __iter__(self) -> Iterator[bytes]:
        return (make() for make in self._makers)


@functools.cache
def goldens(*files: str) -> tuple[bytes, ...]:
    """The values of these golden files; of all where none is named."""
    chosen = [GOLDENS / f"{name}.json" for name in files] or sorted(GOLDENS.glob("*.json"))
    return tuple(bytes.fromhex(data) for file in chosen for data in json.loads(file.read_text()).values())


def found(target: str) -> list[bytes]:
    """Inputs that were faults of this target once."""
    return [file.read_bytes() for file in sorted(FOUND.glob(f"{target}-*"))]


NOTE = (
    b"log.example/one\n7\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n"
    b"\xe2\x80\x94 log.example/one 2P2DdAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/QEFCQ0Q=\n"
)
HEAD = NOTE.partition(b"\n\n")[0] + b"\n"
VKEY = MISSION.log.verifier_key.encode().encode()
PROOF = b"c2sp.org/tlog-proof@v1\nindex 3\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n" + NOTE
POLICY = b"log " + VKEY + b"\nquorum none\n"
BUNDLE = b"\x00\x03abc\x00\x00\x00\x01z"
PATHS = (b"tile/0/000", b"tile/1/x001/067.p/3", b"tile/entries/x001/x234/067", b"tile/63/000.p/255", b"checkpoint")
FRAMES = (
    bytes.fromhex("818537fa213d7f9f4d5158") + bytes.fromhex("8980") + bytes(4),
    bytes.fromhex("01830000000061626300830000000064656680800000000088820000000003e8"),
    bytes.fromhex("82fe007e") + bytes(4) + b"x" * 126,
)
CAP = b"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a1</identifier><sender>s@x</sender>
<sent>2026-10-14T15:42:00-00:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
<info><category>Security</category><event>e</event><urgency>Immediate</urgency><severity>Severe</severity>
<certainty>Observed</certainty><area><areaDesc>here</areaDesc><circle>40.4,-3.7 0.4</circle></area></info></alert>"""
DURATIONS = (b"15m", b"24h", b"30s", b"2d", b"2026-10-14T15:42:00Z")
EXAMPLES = Path(__file__).resolve().parents[2] / "clients" / "officer" / "examples"
LADDER = b"""stop = "all"

[[rung]]
after = "2m"
road = "app"
"""


@functools.cache
def mls() -> tuple[bytes, ...]:
    """A KeyPackage as the message that carries it, in the classical and in the hybrid suite."""
    device = MISSION.device("agent")
    made = []
    for suite in (1, 0xF001):
        package, _ = new_key_package(
            cipher_suite(suite),
            Credential.x509([device.certified.der]),
            device.key.seed,
            not_before=NOW // 1000,
            not_after=NOW // 1000 + 86_400,
            random=MISSION.random,
        )
        made.append(MLSMessage.wrap(package))
    return tuple(made)
