"""Coming in again: an officer's approval for one device and one epoch, and the one commit from outside that it lets in."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway import wire
from gateway.wire import Refusal
from keys import body
from keys.canonical import encode
from keys.envelope import Kind, seal
from keys.mls import Credential, Extension, ExternalPsk, PreSharedKey, PreSharedKeyID
from keys.mls.group import Group, PendingCommit
from keys.mls.leaves import new_capabilities
from tests.gateway.core.checks import Scene, accepted, given_up, scene, sealed_again
from tests.gateway.core.test_kinds import follow, leaf_of
from tests.gateway.core.test_roster import Anybody
from tests.gateway.core.world import Party
from tests.keys.mission import Device


@pytest.fixture
def s() -> Scene:
    """The agent is stranded: the officer has committed, and the agent can't follow."""
    s = scene()
    accepted(s.officer.commit(s.channel))
    return s


def approval(s: Scene, *, by: Party | None = None, of: Party | None = None, **changes: Any) -> bytes:
    by, of = by or s.officer, of or s.agent
    group = by.groups[s.channel]
    fields = {"device": of.id, "epoch": group.epoch, "group_info": group.group_info(external=True), **changes}
    return encode(body.ResyncApproval(**fields))


def approve(s: Scene, data: bytes | None = None, *, by: Party | None = None, **changes: Any) -> Any:
    by = by or s.officer
    changes = {"epoch": by.groups[s.channel].epoch, **changes}
    return by.say(Kind.RESYNC_APPROVAL, s.channel, data or approval(s, by=by), **changes)


def outside(
    s: Scene, *, by: Party | None = None, remove: int | None = None, **changes: Any
) -> tuple[Any, PendingCommit]:
    """An external commit for the officer's present epoch."""
    by, group = by or s.agent, s.officer.groups[s.channel]
    context = by.context(Kind.COMMIT, s.channel, epoch=group.epoch)
    credential = Credential.x509([by.der])
    pending = Group.join_externally(
        group.group_info(external=True),
        credential,
        by.device.key.seed,
        Anybody(),
        ratchet_tree=group.tree_bytes(),
        remove=leaf_of(s, by) if remove is None else remove,
        capabilities=new_capabilities(group.suite, credential, (body.TERMS_EXTENSION,)),
        authenticated_data=context.authenticated_data(),
        random=s.world.random,
        **changes,
    )
    return context, pending


def rejoin(s: Scene, *, by: Party | None = None, **changes: Any) -> Any:
    context, pending = outside(s, by=by, **changes)
    return (by or s.agent).send_commit(s.channel, context, pending)


def test_a_stranded_member_comes_in_again_and_is_one_of_them(s: Scene) -> None:
    accepted(approve(s))
    seq, since = s.world.view.stream(s.channel).seq, s.world.view.member(s.channel, s.agent.id).since  # type: ignore[union-attr]
    context, pending = outside(s)
    accepted(s.agent.send_commit(s.channel, context, pending))
    s.agent.groups[s.channel] = pending.group
    follow(s, s.officer)
    assert s.officer.groups[s.channel].epoch_authenticator == pending.group.epoch_authenticator
    stream, member = s.world.view.stream(s.channel), s.world.view.member(s.channel, s.agent.id)
    assert stream is not None
    assert member is not None
    assert (stream.epoch, stream.seq, stream.grace_until) == (3, seq + 1, 0)
    assert (member.since, member.left, member.leaf) == (since, 0, pending.group.own_leaf_index)
    accepted(s.agent.send(s.channel, b"back again"))


def test_the_tree_is_named_at_the_approvals_place(s: Scene) -> None:
    place = accepted(approve(s)).places[0]
    named = s.world.tell(s.agent, wire.GetTree(1, s.channel, place.seq))
    tree = s.officer.groups[s.channel].tree_bytes()
    assert isinstance(named, wire.Named), named
    chunk = s.world.tell(s.agent, wire.GetBody(1, named.hash, 0))
    assert chunk.data == tree[: wire.CHUNK]
    assert isinstance(s.world.tell(s.world.enrolled("agent"), wire.GetTree(1, s.channel, place.seq)), Exception)


def shared(s: Scene) -> Any:
    named = PreSharedKeyID(ExternalPsk(b"key"), s.world.random(32))
    return {"psk_proposals": [PreSharedKey(named)], "psks": {b"key": b"secret"}}


REFUSED: list[Any] = [
    pytest.param(lambda s: rejoin(s), Refusal.ROLE, id="attack-09 without an approval"),
    pytest.param(
        lambda s: (accepted(approve(s)), rejoin(s, by=s.officer))[1], Refusal.ROLE, id="by another than was approved"
    ),
    pytest.param(
        lambda s: (accepted(approve(s)), rejoin(s, **shared(s)))[1],
        Refusal.SCHEMA,
        id="with a pre-shared key beside",
    ),
]


@pytest.mark.parametrize(("act", "refusal"), REFUSED)
def test_nothing_else_comes_from_outside(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    answer = act(s)
    assert answer.refusal is refusal, answer


def test_nobody_comes_in_for_another(s: Scene) -> None:
    accepted(approve(s))
    group = s.officer.groups[s.channel]
    context = s.agent.context(Kind.COMMIT, s.channel, epoch=group.epoch)
    binding = context.authenticated_data()
    pending = Group.join_externally(
        group.group_info(external=True),
        group.own_leaf.credential,
        s.officer.device.key.seed,  # even who holds another's key can't be another here
        Anybody(),
        ratchet_tree=group.tree_bytes(),
        remove=group.own_leaf_index,
        authenticated_data=binding,
        random=s.world.random,
    )
    assert s.agent.send_commit(s.channel, context, pending).refusal is Refusal.DENIED


def test_an_approval_lasts_for_its_epoch(s: Scene) -> None:
    accepted(approve(s))
    accepted(s.officer.commit(s.channel))
    assert rejoin(s).refusal is Refusal.ROLE


def test_an_approval_lets_in_once(s: Scene) -> None:
    accepted(approve(s))
    context, pending = outside(s)
    accepted(s.agent.send_commit(s.channel, context, pending))
    follow(s, s.officer)
    assert rejoin(s).refusal is Refusal.ROLE


def bare(s: Scene) -> bytes:
    return approval(s, group_info=s.officer.groups[s.channel].group_info())


def more(s: Scene) -> bytes:
    info = s.officer.groups[s.channel].group_info(external=True, extensions=(Extension(0xF123, b""),))
    return approval(s, group_info=info)


APPROVALS: list[Any] = [
    pytest.param(lambda s: approve(s, by=s.agent), Refusal.ROLE, id="by an agent"),
    pytest.param(lambda s: approve(s, approval(s, of=s.officer)), Refusal.SCHEMA, id="for oneself"),
    pytest.param(
        lambda s: approve(s, approval(s, of=s.world.enrolled("agent"))), Refusal.SCHEMA, id="for somebody outside"
    ),
    pytest.param(lambda s: approve(s, approval(s, epoch=1)), Refusal.SCHEMA, id="for an epoch that is over"),
    pytest.param(lambda s: approve(s, bare(s)), Refusal.SCHEMA, id="without the external key"),
    pytest.param(lambda s: approve(s, more(s)), Refusal.SCHEMA, id="with more than the external key"),
    pytest.param(lambda s: approve(s, approval(s, group_info=b"no")), Refusal.SCHEMA, id="with no GroupInfo"),
    pytest.param(lambda s: approve(s, b"no"), Refusal.SCHEMA, id="that is none"),
]


@pytest.mark.parametrize(("act", "refusal"), APPROVALS)
def test_an_approval_that_breaks_a_rule_is_refused(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    s.agent.groups[s.channel] = s.officer.groups[s.channel] if refusal is Refusal.ROLE else s.agent.groups[s.channel]
    answer = act(s)
    assert answer.refusal is refusal, answer
    assert s.world.view.resync(s.channel, s.agent.id) is None


def test_nobody_comes_in_again_who_was_revoked(s: Scene) -> None:
    data = approval(s)
    assert isinstance(s.agent.device, Device)
    s.world.publish_list(s.world.mission.home.organisation.name, [s.agent.device.certified.serial], 2)
    given_up(s.world, Refusal.REVOKED, lambda: approve(s, data))


def test_an_approval_of_an_epoch_before_is_sealed_again(s: Scene) -> None:
    data, epoch = approval(s), s.officer.groups[s.channel].epoch
    accepted(s.officer.commit(s.channel))
    envelope = seal(s.officer.context(Kind.RESYNC_APPROVAL, s.channel, epoch=epoch), data, s.officer.device.key)
    sealed_again(s.world, Refusal.EPOCH_CONFLICT, envelope, lambda: s.officer.hand_in([(envelope, data)], s.channel))
