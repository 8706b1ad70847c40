"""Pre-shared keys of all kinds: found where they are, mixed in by everybody, kept no longer than said, named by the rules."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.mls import (
    DEFAULT_LIMITS,
    Add,
    DecodeError,
    Group,
    InvalidProposal,
    MissingPreSharedKey,
    PendingCommit,
    PreSharedKey,
    PreSharedKeyID,
    PreSharedKeys,
    Remove,
    ResumptionPsk,
    cipher_suite,
)
from keys.mls.codec import Vector, encode_with
from keys.mls.messages import ApplicationPsk, ExternalPsk
from keys.mls.parts import join_parts
from keys.mls.presharedkeys import KeptPsk, kept_with, load_resumption, resumption_part
from tests.keys.mls.kin import Ready, ready, welcome_with
from tests.keys.mls.people import NOW, Names, World

SUITE = cipher_suite(1)
HELD = PreSharedKeys(external={b"id": b"words", b"other": b"more"}, application={(0x8001, b"id"): b"a component's"})


def resumption(here: World, epoch: int, group_id: bytes = b"the group") -> PreSharedKey:
    return PreSharedKey.resumption(here.suite, group_id, epoch, here.random)


def step(here: World, times: int = 1) -> None:
    for _ in range(times):
        here.accept(b"member 0", here[b"member 0"].commit(random=here.random))


@pytest.mark.parametrize("number", [1, 2, 5, 0xF002])
def test_keys_of_every_kind_enter_in_the_order_of_the_commit(number: int) -> None:
    suite = cipher_suite(number)
    here = World(suite, 3)
    step(here)
    named = [
        PreSharedKey.external(suite, b"id", here.random),
        PreSharedKey.application(suite, 0x8001, b"id", here.random),
        resumption(here, here.public.epoch),
        resumption(here, here.public.epoch - 1),
        PreSharedKey.external(suite, b"id", here.random),  # again, under another nonce
    ]
    pending = here[b"member 1"].commit(named, random=here.random, psks=HELD, path=False)
    here.accept(b"member 1", pending, psks=HELD)
    here.say(b"member 2")
    before = pending.group.epoch_authenticator
    assert here[b"member 0"].epoch_authenticator == before


def test_by_reference_and_without_a_path() -> None:
    here = World(SUITE, 3)
    step(here)
    here.propose(b"member 2", here[b"member 2"].propose(resumption(here, 1), random=here.random))
    pending = here[b"member 0"].commit(random=here.random, path=False)
    assert not here.public.stage(pending.message, NOW).has_path
    here.accept(b"member 0", pending)
    here.say(b"member 1")


def test_the_value_counts_and_not_the_name_alone() -> None:
    here = World(SUITE, 2)
    psk = PreSharedKey.external(SUITE, b"id", here.random)
    pending = here[b"member 0"].commit([psk], random=here.random, psks=HELD)
    group, before = here[b"member 1"], dict(here[b"member 1"].parts())
    with pytest.raises(Exception, match="confirmation tag"):
        group.process(pending.message, now_seconds=NOW, psks={b"id": b"other words"})
    with pytest.raises(MissingPreSharedKey, match="6964"):
        group.process(pending.message, now_seconds=NOW, psks={b"other": b"words"})
    with pytest.raises(MissingPreSharedKey, match="component 0x8001"):
        here[b"member 0"].commit([PreSharedKey.application(SUITE, 0x8001, b"id", here.random)], random=here.random)
    assert dict(group.parts()) == before
    group.process(pending.message, now_seconds=NOW, psks=HELD)


def test_of_another_group_that_all_are_in() -> None:
    here, there = World(SUITE, 3), World(SUITE, 3, seed="there")
    old = {
        name: replace(group, public=replace(group.public, context=replace(group.context, group_id=b"there")))
        for name, group in there.groups.items()
    }
    psk = resumption(here, 1, b"there")
    holds = {name: PreSharedKeys(groups={b"there": group}) for name, group in old.items()}
    pending = here[b"member 0"].commit([psk], random=here.random, psks=holds[b"member 0"])
    with pytest.raises(MissingPreSharedKey, match="epoch 1 of group"):
        here[b"member 1"].process(pending.message, now_seconds=NOW)
    for name in (b"member 1", b"member 2"):
        after, _ = here[name].process(pending.message, now_seconds=NOW, psks=holds[name])
        assert after.epoch_authenticator == pending.group.epoch_authenticator


# How long they are kept


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_those_of_so_many_past_epochs_are_kept_and_no_others(epochs: int) -> None:
    here = World(SUITE, 2)
    group, own, seen = here[b"member 1"], here[b"member 0"], []
    limits = replace(DEFAULT_LIMITS, resumption_epochs=epochs)
    group, own = replace(group, limits=limits), replace(own, limits=limits)
    for _ in range(6):
        seen.append(group.secrets.resumption_psk)
        pending = own.commit(random=here.random)
        group, _ = group.process(pending.message, now_seconds=NOW)
        own = own.merge(pending)
        group, own = (Group.load(one.parts(), here.auth, limits=limits) for one in (group, own))
        for one in (group, own):
            state = join_parts(one.parts())
            kept = [psk for psk in seen if psk in state]
            assert kept == seen[len(seen) - min(epochs, len(seen)) :]
    assert sorted(group.past_psks) == list(range(group.epoch - epochs, group.epoch))
    assert group.resumption_psks.by_epoch == own.resumption_psks.by_epoch
    for epoch in range(1, group.epoch):
        pending = None
        psk = resumption(here, epoch)
        if epoch in group.past_psks:
            own.commit([psk], random=here.random)
            continue
        before = dict(own.parts())
        with pytest.raises(MissingPreSharedKey, match=f"epoch {epoch} of"):
            own.commit([psk], random=here.random)
        assert dict(own.parts()) == before


def test_a_member_that_has_forgotten_one_refuses_and_stays_as_it_is() -> None:
    here = World(SUITE, 2)
    step(here, 2)
    group = replace(here[b"member 1"], past_psks={})
    pending = here[b"member 0"].commit([resumption(here, 1)], random=here.random)
    before = dict(group.parts())
    with pytest.raises(MissingPreSharedKey):
        group.process(pending.message, now_seconds=NOW)
    assert dict(group.parts()) == before
    after, _ = here[b"member 1"].process(pending.message, now_seconds=NOW)
    assert after.epoch_authenticator == pending.group.epoch_authenticator


def test_who_was_removed_keeps_none() -> None:
    here = World(SUITE, 3)
    step(here, 2)
    group = here[b"member 2"]
    psks = list(group.resumption_psks.by_epoch.values())
    assert len(psks) == 3
    pending = here[b"member 0"].commit([Remove(2)], random=here.random)
    gone, _ = group.process(pending.message, now_seconds=NOW)
    state = join_parts(gone.parts())
    assert not any(psk in state for psk in psks)
    assert gone.resumption_psks.by_epoch == {}


def test_a_joiner_was_not_in_the_epoch_that_a_resumption_key_is_of() -> None:
    """Section 8.6: who comes in has to have been in then, so a Commit that adds somebody new can't name one."""
    here = World(SUITE, 2)
    step(here)
    (guest,) = ready(SUITE, 9)
    pending = here[b"member 0"].commit([Add(guest.package), resumption(here, 1)], random=here.random)
    assert pending.welcome is not None
    with pytest.raises(MissingPreSharedKey, match="resumption"):
        guest.join(pending.welcome, None, pending.group.tree_bytes(), other=World(SUITE, 1, seed=8)[b"member 0"])


def test_kept_psks_at_rest() -> None:
    kept = {3: b"three", 4: b"four"}
    part = resumption_part(kept)
    assert load_resumption(part) == kept
    assert resumption_part(load_resumption(part)) == part
    assert load_resumption({}) == {}
    assert resumption_part({}) == {}
    content = part["resumption"]
    for cut in range(len(content)):
        with pytest.raises(DecodeError):
            load_resumption({"resumption": content[:cut]})
    with pytest.raises(DecodeError):
        load_resumption({"resumption": content + b"\0"})
    for odd in ((KeptPsk(4, b"four"), KeptPsk(3, b"three")), (KeptPsk(3, b"x"), KeptPsk(3, b"x")), ()):
        with pytest.raises(DecodeError, match="one form"):
            load_resumption({"resumption": encode_with(Vector(KeptPsk), odd)})
    assert KeptPsk.decode(KeptPsk(3, b"x").encode()) == KeptPsk(3, b"x")
    assert kept_with(kept, 5, b"five", 2) == {4: b"four", 5: b"five"}
    assert kept_with(kept, 5, b"five", 0) == {}


@given(st.binary(max_size=80))
def test_arbitrary_bytes(data: bytes) -> None:
    """Whatever is read is written again as it was; else only our own error comes out."""
    with contextlib.suppress(DecodeError):
        assert resumption_part(load_resumption({"resumption": data})) == {"resumption": data}
    with contextlib.suppress(DecodeError):
        assert PreSharedKeyID.decode(data).encode() == data


@pytest.mark.parametrize(
    ("psk", "encoding"),
    [
        pytest.param(ExternalPsk(b"id"), "01 02 6964", id="external"),
        pytest.param(ResumptionPsk(3, b"g", 7), "02 03 01 67 0000000000000007", id="resumption"),
        pytest.param(ApplicationPsk(0x8001, b"id"), "03 8001 02 6964", id="application"),
    ],
)
def test_names_have_one_form(psk: object, encoding: str) -> None:
    name = PreSharedKeyID(psk, b"nonce")  # type: ignore[arg-type]
    encoded = bytes.fromhex(encoding) + b"\x05nonce"
    assert name.encode() == encoded
    assert PreSharedKeyID.decode(encoded) == name
    for cut in range(len(encoded)):
        with pytest.raises(DecodeError):
            PreSharedKeyID.decode(encoded[:cut])
    with pytest.raises(DecodeError):
        PreSharedKeyID.decode(encoded + b"\0")
    with pytest.raises(DecodeError, match="unknown tag 4"):
        PreSharedKeyID.decode(b"\x04" + encoded[1:])


# Which may be named


def named(usage: int, nonce: bytes = bytes(32), epoch: int = 1) -> PreSharedKey:
    return PreSharedKey(PreSharedKeyID(ResumptionPsk(usage, b"the group", epoch), nonce))


def test_one_key_twice_by_reference() -> None:
    here = World(SUITE, 3)
    twice = named(1)
    for by in (b"member 1", b"member 2"):
        here.propose(by, here[by].propose(twice, random=here.random))
    references = [sent.reference for sent in here[b"member 0"].pending_proposals]
    with pytest.raises(InvalidProposal, match="twice"):
        here[b"member 0"].commit(by_reference=references, random=here.random)
    pending = here[b"member 0"].commit(random=here.random)
    here.accept(b"member 0", pending)


def _welcome(here: World, guest: Ready, psks: list[PreSharedKeyID], held: PreSharedKeys) -> Callable[[], Group]:
    pending = here[b"member 0"].commit([Add(guest.package)], random=here.random, path=False)
    welcome, tree = welcome_with(pending.group, guest, psks, held)
    return lambda: Group.join(
        welcome,
        guest.package,
        guest.secrets,
        guest.person.signature_private_key,
        Names(),
        ratchet_tree=tree,
        psks=held,
    )


def external(identity: bytes = b"id", nonce: bytes = bytes(32)) -> PreSharedKeyID:
    return PreSharedKeyID(ExternalPsk(identity), nonce)


def test_a_welcome_made_by_hand_is_taken_as_long_as_it_keeps_the_rules() -> None:
    here, (guest,) = World(SUITE, 2), ready(SUITE, 9)
    joined = _welcome(here, guest, [external(), external(b"other")], HELD)()
    assert joined.epoch == 2


def test_a_member_that_left_comes_back_by_a_key_of_an_epoch_that_it_was_in() -> None:
    """An external commit that shows by a resumption PSK that it comes from who was a member (section 12.4.3.2)."""
    here = World(SUITE, 3)
    step(here)
    lost = here[b"member 2"]
    psk = PreSharedKey.resumption(SUITE, lost.group_id, lost.epoch, here.random)
    step(here)
    info = here[b"member 0"].group_info(external=True, with_tree=True)
    person = here.people[2]
    pending = Group.join_externally(
        info,
        person.credential,
        person.signature_private_key,
        here.auth,
        random=here.random,
        remove=2,
        psk_proposals=[psk],
        psks=PreSharedKeys(groups={lost.group_id: lost}),
    )
    assert isinstance(pending, PendingCommit)
    here.groups.pop(b"member 2")
    for name in (b"member 0", b"member 1"):
        here.groups[name], received = here[name].process(pending.message, now_seconds=NOW)
        assert received.external
        assert here[name].epoch_authenticator == pending.group.epoch_authenticator
    assert pending.group.past_psks == {}
