"""Proposals that MLS knows and a channel does not take: from outside, asking to leave, or naming a pre-shared key."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.wire import Refusal
from keys.envelope import Kind, seal
from keys.mls import PreSharedKey, Remove, SelfRemove, cipher_suite, external_proposal, new_member_proposal
from keys.mls.framing import ProposalContent
from tests.gateway.core.checks import Scene, accepted, refused, scene
from tests.gateway.core.test_kinds import hand_in
from tests.gateway.core.test_roster import propose

SUITE = cipher_suite(1)


def bound(s: Scene, make: Callable[[bytes], bytes]) -> Any:
    """A member's envelope around an MLS message that is bound to it."""
    context = s.agent.context(Kind.PROPOSAL, s.channel, epoch=1)
    data = make(context.authenticated_data())
    return hand_in(s, s.agent, (seal(context, data, s.agent.device.key), data))


def by_an_external_sender(s: Scene) -> Any:
    key = s.agent.device.key.seed
    return bound(s, lambda said: external_proposal(SUITE, s.channel, 1, 0, key, Remove(0), authenticated_data=said))


def by_who_wants_in(s: Scene) -> Any:
    package, key = s.officer.key_package(), s.officer.device.key.seed
    return bound(s, lambda said: new_member_proposal(s.channel, 1, package, key, authenticated_data=said))


def asking_to_leave(s: Scene) -> Any:
    group = s.agent.groups[s.channel]
    return bound(s, lambda said: group.tagged(group.participant().sign(ProposalContent(SelfRemove()), said)))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(by_an_external_sender, Refusal.SCHEMA, id="by an external sender"),
        pytest.param(by_who_wants_in, Refusal.DENIED, id="by who wants to be added"),
        pytest.param(asking_to_leave, Refusal.SCHEMA, id="asking to leave"),
        pytest.param(
            lambda s: propose(s, s.agent, PreSharedKey.external(SUITE, b"words", s.world.random)),
            Refusal.SCHEMA,
            id="naming a pre-shared key",
        ),
    ],
)
def test_a_proposal_that_channels_do_not_take(act: Callable[[Scene], Any], refusal: Refusal) -> None:
    s = scene()
    refused(s.world, refusal, lambda: act(s))
    accepted(s.officer.commit(s.channel))
