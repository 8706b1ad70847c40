"""What MLS allows and this product does not: a commit with another kind of proposal is refused by every member's device.

The gateway has the same list (tests/gateway/core/test_roster.py); here one lets everything through.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from clients.core import records
from clients.core.records import AlarmKind, Intent
from keys import body
from keys.canonical import encode
from keys.envelope import Kind
from keys.mls import ExternalPsk, Group, PreSharedKey, PreSharedKeyID, Proposal, ReInit, ResumptionPsk
from tests.clients.core.test_hostile_gateway import Scene, _a_while, _context, _inject


def external_psk(group: Group) -> Proposal:
    return PreSharedKey(PreSharedKeyID(ExternalPsk(b"key"), bytes(32)))


def resumption_psk(group: Group) -> Proposal:
    return PreSharedKey(PreSharedKeyID(ResumptionPsk(1, group.group_id, group.epoch), bytes(32)))


def reinit(group: Group) -> Proposal:
    return ReInit(b"another", 1, group.suite.id, group.context.extensions)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        pytest.param(external_psk, "PreSharedKey", id="a pre-shared key"),
        pytest.param(resumption_psk, "PreSharedKey", id="the key of an epoch"),
        pytest.param(reinit, "ReInit", id="the end of the group"),
    ],
)
def test_a_commit_of_another_kind_is_refused(make: Callable[[Group], Proposal], name: str) -> None:
    scene = Scene()
    group = scene.mso.device.session.groups.get(scene.mso.ledger, scene.channel)
    assert group is not None
    context = _context(scene, scene.mso, Kind.COMMIT, group.epoch)
    pending = group.commit(
        [make(group)],
        authenticated_data=context.authenticated_data(),
        random=scene.world.random,
        psks={b"key": b"secret"},
    )
    commit = body.Commit(pending.message, None, sha256(pending.group_info).digest())
    _inject(scene, context, encode(commit), scene.mso)
    _a_while(scene.world)
    (alarm,) = scene.alarms(AlarmKind.COMMIT_REFUSED)
    assert f"{name} proposals are refused" in alarm.detail
    state = scene.ben.channel(scene.channel)
    assert state.epoch == group.epoch
    assert state.halted


def test_keys_of_past_epochs_are_not_kept_since_nothing_may_use_them() -> None:
    scene = Scene()
    before = {}
    for party in (scene.mso, scene.ben):
        group = party.device.session.groups.get(party.ledger, scene.channel)
        assert group is not None
        before[party.id] = group.secrets.resumption_psk
    scene.world.intend(scene.mso, Intent(scene.channel, [], [], renew=False, rekey=True, automatic=False))
    scene.world.run()
    for party in (scene.mso, scene.ben):
        parts = [data for _, data in party.ledger.scan(records.GROUPS, scene.channel, b"")]
        assert parts
        assert not any(before[party.id] in data for data in parts)
