"""What a device makes of the checkpoint that witnesses are said to have cosigned, and what `status` says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clients.agent.status import cosigned_lines, cosigned_object
from clients.core.cosigned import STALE, Cosigned, judge
from clients.core.records import AlarmKind
from clients.moments import now
from gateway.core import acts
from gateway.wire import Witnessed
from keys.body import Act
from keys.charter import Charter, found, sign
from keys.policy import render
from keys.tlog.checkpoint import Checkpoint, open_checkpoint
from keys.tlog.cosignature import Ed25519Cosigner, MlDsa44Cosigner
from keys.tlog.merkle import consistency_proof
from tests.clients.relay import world_of
from tests.clients.witness.logs import FORK, LOG, GrowingLog
from tests.keys.mission import Mission
from tests.keys.tlog.logs import LOG_KEY, LOG_KEYS, ORIGIN, TIME

OURS = Ed25519Cosigner.from_seed("ours.example", b"o" * 32)
HOSTPOL = MlDsa44Cosigner.from_seed("hostpol.example", b"h" * 32)


def charter() -> Charter:
    mission = Mission()
    lines = (
        f"witness ours {OURS.verifier_key.encode()}",
        f"witness hostpol {HOSTPOL.verifier_key.encode()}",
        "group both all ours hostpol",
        "quorum both",
    )
    policy = replace(mission.policy, log_origin=ORIGIN, log_key=LOG_KEY.verifier_key.encode(), witnesses=lines)
    return found(sign(render(policy), mission.authorities[:2]))


CHARTER = charter()


def held(size: int, log: GrowingLog = LOG) -> Checkpoint:
    return open_checkpoint(log.note(size).encode(), LOG_KEYS, ORIGIN)


def answer(size: int, other: int, *cosigners: Ed25519Cosigner | MlDsa44Cosigner, log: GrowingLog = LOG) -> Witnessed:
    checkpoint = held(size, log)
    note = checkpoint.note.with_signatures(c.cosign(checkpoint.head, TIME) for c in cosigners)
    proof = consistency_proof(*sorted((size, other)), log.tree.hash_at)
    return Witnessed(1, note.encode(), list(proof))


@pytest.mark.parametrize(
    ("own", "shown", "names", "reached", "wrong"),
    [
        pytest.param(held(300), answer(256, 300, OURS, HOSTPOL), ("hostpol", "ours"), True, "", id="older than mine"),
        pytest.param(held(300), answer(300, 300, OURS, HOSTPOL), ("hostpol", "ours"), True, "", id="the one I hold"),
        pytest.param(held(300), answer(400, 300, OURS, HOSTPOL), ("hostpol", "ours"), True, "", id="newer than mine"),
        pytest.param(None, answer(256, 0, OURS, HOSTPOL), ("hostpol", "ours"), True, "", id="I hold none yet"),
        pytest.param(held(300), answer(256, 300, OURS), ("ours",), False, "", id="too few of them"),
        pytest.param(held(300), Witnessed(1, b"", []), (), False, "", id="none yet"),
        pytest.param(held(300), Witnessed(1, b"rubbish", []), (), False, "note", id="no note"),
        pytest.param(
            held(300),
            answer(256, 300, OURS, HOSTPOL, log=FORK),
            (),
            False,
            "another root",
            id="attack-14 of another log",
        ),
        pytest.param(
            held(256, FORK), answer(256, 256, OURS, HOSTPOL), (), False, "two roots", id="attack-14 two roots"
        ),
        pytest.param(
            held(300),
            Witnessed(1, answer(256, 300, OURS, HOSTPOL).checkpoint, []),
            (),
            False,
            "too short",
            id="without the proof",
        ),
    ],
)
def test_what_is_shown_is_judged(
    own: Checkpoint | None, shown: Witnessed, names: tuple[str, ...], reached: bool, wrong: str
) -> None:
    told = judge(CHARTER, own, shown)
    assert (told.names, told.reached) == (names, reached)
    assert wrong in told.wrong
    assert bool(told.wrong) is bool(wrong)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        pytest.param(Cosigned(), "not yet cosigned by the quorum: nobody", id="nobody yet"),
        pytest.param(Cosigned(("ours",), 5, 1), "not yet cosigned by the quorum: ours so far", id="too few"),
        pytest.param(Cosigned(("ours",), 5, now(), True), "5 entries, cosigned by ours", id="cosigned"),
        pytest.param(
            Cosigned(("o",), 5, now() - STALE - 1, True), "may be shown to you alone", id="attack-34 long ago"
        ),
        pytest.param(Cosigned(wrong="two roots"), "does not hold: two roots", id="wrong"),
    ],
)
def test_status_says_it(told: Cosigned, says: str) -> None:
    assert says in "\n".join(cosigned_lines(told))
    shown = cosigned_object(told)
    assert shown["quorum"] is told.reached
    assert (shown["age"] is None) is (told.time == 0)


def test_officers_are_told_that_the_quorum_is_late() -> None:
    world = world_of("Chen officer", "Ayo agent")
    chen, ayo = world.parties
    relay, text = world.relay, "witnesses: no quorum has cosigned for 5 min"
    relay._decide(lambda: acts.act(relay.view, relay.gateway, Act.WITNESSES, text, world.now, world.random))
    world.run()
    assert [(alarm.kind, alarm.detail) for alarm in chen.alarms()] == [(AlarmKind.WITNESSES, text)]
    assert not ayo.alarms()
