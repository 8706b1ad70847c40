"""SelfRemove (draft-ietf-mls-extensions): a member asks to be taken out, and whoever commits next does it."""

from dataclasses import replace

import pytest

from keys.mls import (
    SUPPORTED,
    BadSignature,
    BadTag,
    Capabilities,
    CipherSuite,
    InvalidCommit,
    InvalidProposal,
    Misuse,
    MLSMessage,
    Remove,
    SelfRemove,
    cipher_suite,
)
from keys.mls.codec import encode_with
from keys.mls.framing import ProposalContent, PublicMessage
from keys.mls.messages import proposal as proposal_codec
from tests.keys.mls.insider import commit_to, send
from tests.keys.mls.outsiders import come_in, enter, forced
from tests.keys.mls.people import NOW, Person, World
from tests.keys.mls.test_external import INIT

suites = pytest.mark.parametrize("suite", [cipher_suite(number) for number in SUPPORTED], ids=repr)
SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")


def able(suite: CipherSuite = SUITE) -> Capabilities:
    return Capabilities((1,), (suite.id,), (), (SelfRemove.TYPE,), (1,))


def world(count: int = 4, suite: CipherSuite = SUITE) -> World:
    return World(suite, count, capabilities=able(suite))


def leave(here: World, name: bytes) -> bytes:
    """A member asks to be removed; everybody hears it."""
    step = here[name].propose(SelfRemove(), random=here.random)
    here.propose(name, step)
    return step[1]


def reference(here: World, at: int = 0) -> bytes:
    return list(here.public.proposals)[at]


@suites
def test_whoever_commits_next_grants_it(suite: CipherSuite) -> None:
    here = world(4, suite)
    leave(here, b"member 2")
    leave(here, b"member 3")
    pending = here[b"member 1"].commit(random=here.random)
    staged = here.public.stage(pending.message, NOW)
    assert staged.proposal_types == (0x000A, 0x000A)
    assert staged.has_path
    assert [member.leaf_index for member in staged.removes] == [2, 3]
    here.accept(b"member 1", pending)
    assert sorted(here.groups) == [b"member 0", b"member 1"]
    here.say(b"member 0")


def test_it_is_type_ten_and_empty() -> None:
    assert encode_with(proposal_codec, SelfRemove()) == b"\x00\x0a"


@suites
def test_a_joiner_grants_it(suite: CipherSuite) -> None:
    here = world(4, suite)
    guest = Person.named(suite, b"guest")
    messages = [leave(here, b"member 1"), leave(here, b"member 3")]
    pending = enter(here, guest, self_removes=messages)
    staged = here.public.stage(pending.message, NOW)
    assert staged.external
    assert sorted(staged.proposal_types) == [6, 10, 10]
    come_in(here, guest, pending)
    assert here[b"guest"].own_leaf_index == 1
    assert sorted(here.groups) == [b"guest", b"member 0", b"member 2"]
    here.say(b"guest")


def test_who_comes_back_may_take_others_out_and_need_not() -> None:
    here = world(4)
    messages = [leave(here, b"member 3")]
    come_in(here, here.people[1], enter(here, here.people[1], remove=1, self_removes=messages))
    assert sorted(here.groups) == [b"member 0", b"member 1", b"member 2"]
    messages = [leave(here, b"member 0")]
    with pytest.raises(InvalidProposal, match="two proposals change one leaf"):
        enter(here, here.people[0], remove=0, self_removes=messages)


def test_a_remove_of_the_same_leaf_does_not_count() -> None:
    here = world(4)
    leave(here, b"member 3")
    here.propose(b"member 1", here[b"member 1"].propose(Remove(3), random=here.random))
    here.propose(b"member 3", here[b"member 3"].propose_update(random=here.random))
    pending = here[b"member 0"].commit(random=here.random)
    assert here.public.stage(pending.message, NOW).proposal_types == (0x000A,)
    both = commit_to(here[b"member 0"], [reference(here, 0), reference(here, 1)])
    updated = commit_to(here[b"member 0"], [reference(here, 0), reference(here, 2)])
    for message in (both, updated):
        with pytest.raises(InvalidProposal, match="two proposals change one leaf"):
            here[b"member 1"].process(message, now_seconds=NOW)
    here.accept(b"member 0", pending)


def test_nobody_grants_its_own() -> None:
    here = world(3)
    leave(here, b"member 1")
    kept = here[b"member 1"].commit(random=here.random)
    assert here.public.stage(kept.message, NOW).proposal_types == ()
    own = commit_to(here[b"member 1"], [reference(here)])
    before = dict(here[b"member 0"].parts())
    for judge in (
        lambda: here[b"member 0"].process(own, now_seconds=NOW),
        lambda: here.public.stage(own, NOW),
        lambda: here[b"member 1"].commit(by_reference=[reference(here)], random=here.random),
    ):
        with pytest.raises(InvalidProposal, match="by the committer"):
            judge()
    assert dict(here[b"member 0"].parts()) == before


def test_it_travels_on_its_own_and_in_the_clear() -> None:
    here = world(3)
    by_value = commit_to(here[b"member 0"], [SelfRemove()])
    with pytest.raises(InvalidProposal, match="by value"):
        here[b"member 1"].process(by_value, now_seconds=NOW)
    with pytest.raises(InvalidProposal, match="by value"):
        here[b"member 0"].commit([SelfRemove()], random=here.random)
    with pytest.raises(InvalidProposal, match="SelfRemove by value"):
        here.public.stage(forced(here, GUEST, [INIT, SelfRemove()]), NOW)
    group = here[b"member 2"]
    sealed, _ = group.message_keys().seal(
        2, ProposalContent(SelfRemove()), b"", group.signature_private_key, 1, here.random
    )
    with pytest.raises(InvalidProposal, match="sealed"):
        here[b"member 1"].process(sealed, now_seconds=NOW)


def test_once_an_epoch() -> None:
    here = world(3)
    leave(here, b"member 1")
    with pytest.raises(Misuse, match="one SelfRemove an epoch"):
        here[b"member 1"].propose(SelfRemove(), random=here.random)
    here.accept(b"member 0", here[b"member 0"].commit(by_reference=[], random=here.random))
    leave(here, b"member 1")
    here.accept(b"member 0", here[b"member 0"].commit(random=here.random))
    assert b"member 1" not in here.groups


def test_two_of_one_member_are_not_committed_together() -> None:
    here = world(3)
    leave(here, b"member 1")
    signed = here[b"member 1"].participant().sign(ProposalContent(SelfRemove()), b"once more")
    second = here[b"member 1"].tagged(signed)
    here.public = here.public.proposal(second, NOW)
    for name in (b"member 0", b"member 2"):
        here.groups[name] = here[name].process(second, now_seconds=NOW)[0]
    pending = here[b"member 0"].commit(random=here.random)
    assert here.public.stage(pending.message, NOW).proposal_types == (0x000A,)
    both = commit_to(here[b"member 0"], [reference(here, 0), reference(here, 1)])
    with pytest.raises(InvalidProposal, match="two proposals change one leaf"):
        here[b"member 2"].process(both, now_seconds=NOW)
    here.accept(b"member 0", pending)


def test_everybody_who_stays_has_to_know_of_it() -> None:
    """Whoever the same Commit removes need not (RFC 9420 section 12.2)."""
    here = world(3)
    here.capabilities = None
    here.add(b"member 0", [Person.named(SUITE, b"old client")])
    with pytest.raises(Misuse, match="not every member knows"):
        here[b"member 1"].propose(SelfRemove(), random=here.random)
    message = send(here[b"member 1"], ProposalContent(SelfRemove()))
    here.public = here.public.proposal(message, NOW)
    for name in (b"member 0", b"member 2", b"old client"):
        here.groups[name] = here[name].process(message, now_seconds=NOW)[0]
    left_out = here[b"member 0"].commit(random=here.random)
    assert here.public.stage(left_out.message, NOW).proposal_types == ()
    before = dict(here[b"member 2"].parts())
    forged = commit_to(here[b"member 0"], [reference(here)])
    for judge in (
        lambda: here[b"member 2"].process(forged, now_seconds=NOW),
        lambda: here.public.stage(forged, NOW),
        lambda: enter(here, GUEST, self_removes=[message]),
    ):
        with pytest.raises(InvalidProposal, match="does not support"):
            judge()
    assert dict(here[b"member 2"].parts()) == before
    del here.groups[b"member 1"]
    here.accept(b"member 0", here[b"member 0"].commit([Remove(3)], random=here.random))
    assert sorted(here.groups) == [b"member 0", b"member 2"]


def test_it_needs_a_path() -> None:
    here = world(3)
    leave(here, b"member 2")
    with pytest.raises(InvalidCommit, match="path"):
        here[b"member 1"].process(commit_to(here[b"member 0"], [reference(here)], path=False), now_seconds=NOW)
    pending = here[b"member 0"].commit(random=here.random, path=False)
    assert here.public.stage(pending.message, NOW).has_path


def test_a_joiner_checks_all_but_the_membership_tag() -> None:
    """It can't know that key; signature and rules it can check (the draft says so)."""
    here = world(4)
    message = leave(here, b"member 3")
    public = MLSMessage.unwrap(message)
    assert isinstance(public, PublicMessage)
    untagged = MLSMessage.wrap(replace(public, membership_tag=b""))
    forged = MLSMessage.wrap(replace(public, auth=replace(public.auth, signature=bytes(64))))
    with pytest.raises(BadTag):
        here[b"member 0"].process(untagged, now_seconds=NOW)
    with pytest.raises(BadSignature):
        enter(here, GUEST, self_removes=[forged])
    come_in(here, GUEST, enter(here, GUEST, self_removes=[untagged]))
    assert b"member 3" not in here.groups
