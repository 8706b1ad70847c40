"""Channels' beginnings, proposals and commits: races, and all that the charter or MLS does not allow."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.core import limits
from gateway.core.effects import PutStream
from gateway.core.errors import Refused
from gateway.core.rows import Stream, StreamKind
from gateway.core.submit import SIGNED
from gateway.store.changes import _put_stream
from gateway.wire import Refusal
from keys import body
from keys.canonical import encode
from keys.envelope import NOTHING, Context, Envelope, Kind, Marking, seal
from keys.identity import ChannelId, SigningKey, receipt_stream
from keys.mls import (
    Add,
    Credential,
    Extension,
    GroupContextExtensions,
    PendingCommit,
    PreSharedKey,
    ReInit,
    Remove,
    cipher_suite,
)
from keys.mls.group import Group
from keys.mls.leaves import new_capabilities
from tests.gateway.core.checks import Scene, accepted, dump, given_up, refused, scene, sealed_again
from tests.gateway.core.test_kinds import follow, hand_in, leaf_of
from tests.gateway.core.world import Party, World, founded
from tests.keys.mission import DAY, Device

HOUR = 3_600_000
SUITE = cipher_suite(1)


@pytest.fixture
def s() -> Scene:
    return scene()


# --- beginnings ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return founded()


def test_a_channel_begins_with_its_creator_and_its_receipt_stream(world: World) -> None:
    officer = world.enrolled("officer")
    channel = officer.create_channel(ceiling=Marking.GREEN)
    stream, beside = world.view.stream(channel), world.view.stream(receipt_stream(channel))
    assert stream is not None
    assert (stream.kind, stream.seq, stream.epoch, stream.channel_class) == (StreamKind.CHANNEL, 1, 0, "narrow")
    assert (stream.ceiling, stream.suite, stream.blocked) == (Marking.GREEN, 1, 0)
    assert stream.expires == officer.identity.not_after
    assert beside == Stream(receipt_stream(channel), StreamKind.RECEIPTS, 0, NOTHING, parent=channel)
    assert [m.device for m in world.view.members(channel)] == [officer.id]


def created(party: Party, channel: bytes, data: bytes, **changes: Any) -> Any:
    return party.say(Kind.CHANNEL_CREATED, channel, data, **changes)


def founding(
    party: Party,
    channel: bytes,
    *,
    extensions: tuple[Extension, ...] | None = None,
    signer: SigningKey | None = None,
    der: bytes | None = None,
) -> Group:
    terms = Extension(body.TERMS_EXTENSION, body.ChannelTerms(1, "narrow", Marking.AMBER).encode())
    credential = Credential.x509([der or party.der])
    used = (terms,) if extensions is None else extensions
    return Group.create(
        SUITE,
        channel,
        credential,
        (signer or party.device.key).seed,
        Anybody(),
        extensions=used,
        capabilities=new_capabilities(
            SUITE, credential, tuple({body.TERMS_EXTENSION, *(e.extension_type for e in used)})
        ),
        not_before=party.world.now // 1000 - 60,
        not_after=party.world.now // 1000 + 86_400,
        random=party.world.random,
    )


class Anybody:
    """An Authentication Service that has no questions: for groups that the gateway must refuse."""

    def validate(self, credential: Credential, signature_key: bytes) -> None: ...

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return True


def begin(party: Party, group: Group, channel: bytes, **changes: Any) -> Any:
    return created(party, channel, encode(body.ChannelCreated(group.group_info(), group.tree_bytes())), **changes)


def of_somebody_else(world: World, officer: Party) -> Any:
    other = world.enrolled("officer")
    return begin(officer, founding(other, b"c" * 16), b"c" * 16)


def with_two(world: World, officer: Party) -> Any:
    other = world.enrolled("officer")
    group = founding(officer, b"c" * 16)
    pending = group.commit([Add(other.key_package())], random=world.random)
    return begin(officer, pending.group, b"c" * 16)


def terms(version: int = 1, name: str = "narrow", ceiling: Marking = Marking.AMBER) -> tuple[Extension, ...]:
    return (Extension(body.TERMS_EXTENSION, body.ChannelTerms(version, name, ceiling).encode()),)


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(
            lambda w, o: o.found(bytes(16), "narrow", Marking.AMBER, version=2),
            Refusal.CHARTER,
            id="charter of another version",
        ),
        pytest.param(lambda w, o: o.found(bytes(16), "narrow", Marking.RED), Refusal.TLP, id="ceiling above the class"),
        pytest.param(
            lambda w, o: o.found(bytes(16), "narrow", Marking.AMBER, suite_id=3),
            Refusal.SCHEMA,
            id="attack-28 suite of another class",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"c" * 16, extensions=terms(name="none")), b"c" * 16),
            Refusal.SCHEMA,
            id="class not in the charter",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"c" * 16, extensions=()), b"c" * 16), Refusal.SCHEMA, id="no terms"
        ),
        pytest.param(
            lambda w, o: begin(
                o, founding(o, b"c" * 16, extensions=(Extension(body.TERMS_EXTENSION, b"\x90"),)), b"c" * 16
            ),
            Refusal.SCHEMA,
            id="terms that do not read",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"c" * 16, extensions=(*terms(), Extension(0xF0D2, b""))), b"c" * 16),
            Refusal.SCHEMA,
            id="another extension beside",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"d" * 16), b"c" * 16), Refusal.SCHEMA, id="group of another id"
        ),
        pytest.param(of_somebody_else, Refusal.SCHEMA, id="somebody else's group"),
        pytest.param(with_two, Refusal.SCHEMA, id="with two members"),
        pytest.param(lambda w, o: created(o, b"c" * 16, b"\x90"), Refusal.SCHEMA, id="no beginning"),
        pytest.param(
            lambda w, o: created(o, b"c" * 16, encode(body.ChannelCreated(b"x", b"y"))),
            Refusal.SCHEMA,
            id="no GroupInfo",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"c" * 16), b"c" * 16, epoch=1), Refusal.SCHEMA, id="at another epoch"
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"c" * 16), b"c" * 16, expires=w.now + 1),
            Refusal.SCHEMA,
            id="with an end",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, b"c" * 16), b"c" * 16, marking=Marking.RED),
            Refusal.TLP,
            id="marked above its ceiling",
        ),
        pytest.param(
            lambda w, o: begin(o, founding(o, w.charter.control_channel), w.charter.control_channel),
            Refusal.DENIED,
            id="under the control channel's id",
        ),
        pytest.param(
            lambda w, o: w.enrolled("agent").found(bytes(16), "narrow", Marking.AMBER),
            Refusal.ROLE,
            id="without the verb",
        ),
    ],
)
def test_a_beginning_that_breaks_a_rule_is_refused(
    world: World, act: Callable[[World, Party], Any], refusal: Refusal
) -> None:
    officer = world.enrolled("officer")
    answer = act(world, officer)
    assert isinstance(answer, Refused)
    assert answer.refusal is refusal
    assert world.view.stream(b"c" * 16) is None


def test_no_channel_is_founded_twice_nor_under_a_receipt_streams_id(s: Scene) -> None:
    other = s.world.enrolled("officer")
    for channel in (s.channel, receipt_stream(s.channel)):
        refused(s.world, Refusal.DENIED, lambda c=channel: other.found(c, "narrow", Marking.AMBER))
    refused(s.world, Refusal.DENIED, lambda: s.officer.found(s.channel, "narrow", Marking.AMBER))


def test_no_channel_is_founded_whose_receipts_would_stand_elsewhere(world: World) -> None:
    officer, channel = world.enrolled("officer"), ChannelId(b"c" * 16)
    _put_stream(world.db, PutStream(Stream(receipt_stream(channel), StreamKind.CHANNEL, 1, bytes(32))))
    refused(world, Refusal.DENIED, lambda: officer.found(channel, "narrow", Marking.AMBER))


def test_channels_begin_under_a_fresh_revocation_list_only(world: World) -> None:
    officer = world.enrolled("officer")
    world.now += 24 * HOUR
    accepted(officer.found(b"a" * 16, "narrow", Marking.AMBER))
    world.now += 1
    refused(world, Refusal.STALE_LIST, lambda: officer.found(b"b" * 16, "narrow", Marking.AMBER))


def test_a_leaf_with_a_certificate_that_was_revoked_begins_nothing(world: World) -> None:
    officer = world.enrolled("officer")
    old_key = officer.device.key
    old, key = officer.renewed()
    group = founding(officer, b"c" * 16, der=old.der, signer=old_key)
    refused(world, Refusal.SCHEMA, lambda: begin(officer, group, b"c" * 16))  # signed by another key than the leaf's
    accepted(world.publish_list("Meridian", [old.serial], number=2))
    refused(world, Refusal.SCHEMA, lambda: begin(officer, group, b"c" * 16))
    officer.device.key = old_key
    refused(world, Refusal.DENIED, lambda: begin(officer, group, b"c" * 16))
    officer.device.key = key


def test_a_channel_that_was_founded_before_a_renewal_begins_after_it(world: World) -> None:
    officer = world.enrolled("officer")
    old_key = officer.device.key
    old, key = officer.renewed()
    group = founding(officer, b"c" * 16, der=old.der, signer=old_key)
    officer.device.key = old_key
    accepted(begin(officer, group, b"c" * 16))
    officer.device.key = key


def test_a_device_is_in_a_bounded_number_of_channels(s: Scene) -> None:
    full(s.world, s.officer.id)
    refused(s.world, Refusal.QUOTA, lambda: s.officer.found(bytes(16), "narrow", Marking.AMBER))
    late = s.world.enrolled("agent")
    full(s.world, late.id)
    refused_commit(s, Refusal.QUOTA, s.officer, [Add(late.key_package())])


def full(world: World, device: bytes) -> None:
    """As if the device were in as many channels as it may."""
    world.db.executemany(
        "INSERT INTO members VALUES (?, ?, 1, 0, x'', 0, 0, x'', 0, x'')",
        [(b"full%12d" % n, device) for n in range(limits.CHANNELS_PER_DEVICE)],
    )


# --- commits -------------------------------------------------------------------------------------------------------------


def refused_commit(s: Scene, refusal: Refusal, party: Party, proposals: list[Any], **commit: Any) -> None:
    """It is refused for good, and by signature: or its author could say nothing else there as long as the epoch lasts."""
    context, pending = party.prepare(s.channel, proposals, **commit)
    put_parts(s, party, pending)
    given_up(s.world, refusal, lambda: party.send_commit(s.channel, context, pending))


def put_parts(s: Scene, party: Party, pending: PendingCommit) -> None:
    for part in (pending.group_info, pending.welcome):
        if part is not None:
            s.world.put(party, part)


def sealed_by(party: Party, context: Context, pending: PendingCommit) -> Envelope:
    """The envelope in which `Party.send_commit` hands it in."""
    data = encode(whole(pending, welcome=sha256(pending.welcome).digest() if pending.welcome else None))
    return seal(context, data, party.device.key)


def test_a_commit_opens_the_next_epoch_with_tree_welcome_and_members(s: Scene) -> None:
    third = s.world.enrolled("agent")
    (place,) = accepted(s.officer.add(s.channel, third)).places
    member = s.world.view.member(s.channel, third.id)
    stream = s.world.view.stream(s.channel)
    assert stream is not None
    assert member is not None
    assert (stream.epoch, stream.grace_until) == (2, s.world.now + 30_000)
    assert (member.since, member.epoch, member.left, member.rolling) == (place.seq, 2, 0, stream.rolling)
    named = s.world.tell(third, wire.GetTree(1, s.channel, place.seq))
    tree = s.world.tell(third, wire.GetBody(1, named.hash, 0)).data
    assert tree == s.officer.groups[s.channel].tree_bytes()
    welcome = s.world.tell(third, wire.GetBody(1, member.welcome, 0))
    assert welcome.length == member.welcome_length
    assert isinstance(s.world.tell(s.agent, wire.GetBody(1, member.welcome, 0)), Exception)
    third.join(s.officer, s.channel)
    accepted(third.send(s.channel))


def test_of_two_officers_commits_one_wins_and_the_other_seals_again(s: Scene) -> None:
    rival = s.world.enrolled("officer")
    accepted(s.officer.add(s.channel, rival))
    rival.join(s.officer, s.channel)
    third, fourth = s.world.enrolled("agent"), s.world.enrolled("agent")
    context, pending = rival.prepare(s.channel, [Add(fourth.key_package())])
    s.world.put(rival, pending.group_info)
    s.world.put(rival, pending.welcome or b"")
    accepted(s.officer.add(s.channel, third))
    data = encode(
        body.Commit(pending.message, sha256(pending.welcome or b"").digest(), sha256(pending.group_info).digest())
    )
    envelope = seal(context, data, rival.device.key)
    said = sealed_again(
        s.world, Refusal.EPOCH_CONFLICT, envelope, lambda: rival.send_commit(s.channel, context, pending)
    )
    assert said.epoch == 3
    follow(s, rival)
    accepted(rival.commit(s.channel, [Add(fourth.key_package())], attempt=1))
    assert {m.device for m in s.world.view.members(s.channel)} == {
        p.id for p in (s.officer, s.agent, rival, third, fourth)
    }
    stream = s.world.view.stream(s.channel)
    assert stream is not None
    assert stream.epoch == 4


def test_a_commit_is_refused_by_word_only_where_the_same_bytes_are_taken_in_a_moment() -> None:
    by_word, nobody_honest = {Refusal.GAP, Refusal.BUSY, Refusal.STORAGE}, {Refusal.CANON, Refusal.DENIED}
    assert frozenset(Refusal) - SIGNED[Kind.COMMIT] == by_word | nobody_honest


def test_a_commit_that_is_dated_too_far_ahead_is_made_anew(s: Scene) -> None:
    s.world.now += limits.CLOCK_AHEAD + 1
    context, pending = s.officer.prepare(s.channel, [])
    put_parts(s, s.officer, pending)
    s.world.now -= limits.CLOCK_AHEAD + 1
    envelope = sealed_by(s.officer, context, pending)
    sealed_again(s.world, Refusal.CLOCK, envelope, lambda: s.officer.send_commit(s.channel, context, pending))
    accepted(s.officer.commit(s.channel, attempt=1))


def test_what_a_refused_commit_was_numbered_is_free_for_another(s: Scene) -> None:
    refused_commit(s, Refusal.REVOKED, s.officer, revoked(s))
    assert s.officer.commit(s.channel).refusal is Refusal.REPLAY
    accepted(s.officer.commit(s.channel, attempt=1))


def test_a_commit_of_an_epoch_that_has_not_begun_is_refused_like_a_lost_race(s: Scene) -> None:
    context, pending = s.officer.prepare(s.channel, [])
    later = pending.group.commit([], authenticated_data=context.authenticated_data(), random=s.world.random)
    s.officer.groups[s.channel] = pending.group
    context, later = s.officer.prepare(s.channel, [])
    s.world.put(s.officer, later.group_info)
    data = encode(body.Commit(later.message, None, sha256(later.group_info).digest()))
    envelope = seal(context, data, s.officer.device.key)
    sealed_again(s.world, Refusal.EPOCH_CONFLICT, envelope, lambda: s.officer.send_commit(s.channel, context, later))


def added(s: Scene, other: Party) -> list[Any]:
    return [Add(other.key_package())]


def unknown(s: Scene) -> list[Any]:
    """A device whose certificate nobody has approved (ATTACKS 8)."""
    return added(s, Party(s.world, s.world.mission.device("agent")))


def revoked(s: Scene) -> list[Any]:
    lost = s.world.enrolled("agent")
    accepted(s.world.publish_list("Meridian", [lost.device.certified.serial], number=2))
    return added(s, lost)


def expired(s: Scene) -> list[Any]:
    short = s.world.enrolled("agent", life=(s.world.now - DAY, s.world.now + HOUR))
    proposals = added(s, short)
    s.world.now += HOUR + 1
    return proposals


def guest_of(s: Scene) -> Party:
    return s.world.enrolled("guest", house=s.world.mission.partner)


def twice(s: Scene) -> list[Any]:
    third = s.world.enrolled("agent")
    renewed_package = third.key_package()
    third.renewed()
    return [Add(renewed_package), Add(third.key_package())]


def member_again(s: Scene) -> list[Any]:
    s.agent.renewed()
    return added(s, s.agent)


def partners_stale_list(s: Scene) -> list[Any]:
    guest = guest_of(s)
    s.world.now += 24 * HOUR + 1
    accepted(s.world.publish_list("Meridian", number=2))
    return added(s, guest)


def with_psk(s: Scene) -> list[Any]:
    return [PreSharedKey.external(SUITE, b"psk", s.world.random)]


def with_resumption_psk(s: Scene) -> list[Any]:
    group = s.officer.groups[s.channel]
    return [PreSharedKey.resumption(SUITE, group.group_id, group.epoch, s.world.random)]


def with_reinit(s: Scene) -> list[Any]:
    return [ReInit(b"another", 1, SUITE.id, ())]


@pytest.mark.parametrize(
    ("proposals", "refusal", "commit"),
    [
        pytest.param(unknown, Refusal.SCHEMA, {}, id="of a device nobody approved"),
        pytest.param(revoked, Refusal.REVOKED, {}, id="of a revoked device"),
        pytest.param(expired, Refusal.EXPIRED, {}, id="of an expired device"),
        pytest.param(twice, Refusal.SCHEMA, {}, id="of one device by two certificates"),
        pytest.param(member_again, Refusal.SCHEMA, {}, id="of a device that is in"),
        pytest.param(partners_stale_list, Refusal.STALE_LIST, {}, id="under a stale list of its organisation"),
        pytest.param(with_psk, Refusal.SCHEMA, {"psks": {b"psk": b"secret"}}, id="with a pre-shared key"),
        pytest.param(with_resumption_psk, Refusal.SCHEMA, {}, id="with the key of an epoch"),
        pytest.param(with_reinit, Refusal.SCHEMA, {}, id="that closes the group"),
    ],
)
def test_an_officers_commit_that_breaks_a_rule_is_refused(
    s: Scene, proposals: Callable[[Scene], list[Any]], refusal: Refusal, commit: dict[str, Any]
) -> None:
    wanted = proposals(s)
    s.officer.groups[s.channel] = trusting(s.officer.groups[s.channel])
    refused_commit(s, refusal, s.officer, wanted, **commit)


def trusting(group: Group) -> Group:
    """The same group of a member that asks nothing about credentials, so that it commits what it must not."""
    return Group.load(group.parts(), Anybody())


def test_a_guest_is_added_up_to_its_ceiling_and_until_its_agreements_end() -> None:
    s = scene(ceiling=Marking.AMBER)
    accepted(s.officer.add(s.channel, guest_of(s)))
    strict = scene(2, ceiling=Marking.AMBER_STRICT)
    refused_commit(strict, Refusal.TLP, strict.officer, added(strict, guest_of(strict)))
    ended = scene(3)
    guest = ended.world.enrolled(
        "guest", house=ended.world.mission.partner, life=(ended.world.now - DAY, ended.world.now + 100 * DAY)
    )
    officer = ended.world.enrolled("officer", life=(ended.world.now - DAY, ended.world.now + 100 * DAY))
    accepted(ended.officer.add(ended.channel, officer))
    officer.join(ended.officer, ended.channel)
    ended.world.now += 90 * DAY + 1
    for name in ("Meridian", "Hostpol"):
        accepted(ended.world.publish_list(name, number=2))
    officer.groups[ended.channel] = trusting(officer.groups[ended.channel])
    refused_commit(ended, Refusal.TLP, officer, added(ended, guest))


@pytest.mark.parametrize("what", ["add", "remove", "terms"])
def test_an_agent_has_none_of_the_verbs(s: Scene, what: str) -> None:
    proposals = {
        "add": lambda: added(s, s.world.enrolled("agent")),
        "remove": lambda: [Remove(leaf_of(s, s.officer))],
        "terms": lambda: [GroupContextExtensions(terms())],
    }[what]()
    refused_commit(s, Refusal.ROLE, s.agent, proposals)


def test_an_agent_may_renew_its_own_keys(s: Scene) -> None:
    accepted(s.agent.commit(s.channel))


def test_an_agent_removes_the_revoked_and_nobody_beside(s: Scene) -> None:
    lost, other = s.world.enrolled("agent"), s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, lost, other))
    follow(s, s.agent)
    accepted(s.world.publish_list("Meridian", [lost.device.certified.serial], number=2))
    both = [Remove(leaf_of(s, lost)), Remove(leaf_of(s, other))]
    refused_commit(s, Refusal.ROLE, s.agent, both)
    accepted(s.agent.commit(s.channel, [Remove(leaf_of(s, lost))], attempt=1))
    gone = s.world.view.member(s.channel, lost.id)
    stream = s.world.view.stream(s.channel)
    assert gone is not None
    assert stream is not None
    assert (gone.left, stream.blocked, stream.grace_until) == (stream.seq, 0, 0)


def test_the_channels_first_end_is_that_of_those_who_are_in(s: Scene) -> None:
    short = s.world.enrolled("agent", life=(s.world.now - DAY, s.world.now + HOUR))
    end = s.officer.identity.not_after

    def expires() -> int:
        stream = s.world.view.stream(s.channel)
        assert stream is not None
        return stream.expires

    assert expires() == end
    accepted(s.officer.add(s.channel, short))
    assert expires() == short.identity.not_after
    accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, short))]))
    assert expires() == end


def test_a_device_may_be_removed_and_come_back(s: Scene) -> None:
    accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, s.agent))]))
    refused(s.world, Refusal.DENIED, lambda: s.agent.send(s.channel))
    accepted(s.officer.add(s.channel, s.agent))
    s.agent.join(s.officer, s.channel)
    accepted(s.agent.send(s.channel))
    leaf = leaf_of(s, s.agent)
    accepted(s.officer.commit(s.channel, [Remove(leaf), Add(s.agent.key_package())]))
    s.agent.join(s.officer, s.channel)
    accepted(s.agent.send(s.channel))


# --- the parts of a commit -----------------------------------------------------------------------------------------------


def put_and_send(s: Scene, change: Callable[[PendingCommit], body.Commit], *puts: bytes, **context: Any) -> Any:
    third = s.world.enrolled("agent")
    made, pending = s.officer.prepare(s.channel, [Add(third.key_package())])
    for part in (pending.group_info, pending.welcome or b"", *puts):
        s.world.put(s.officer, part)
    data = encode(change(pending))
    changed = type(made)(**{**{f: getattr(made, f) for f in made.__struct_fields__}, **context})
    before = dump(s.world)
    answer = hand_in(s, s.officer, (seal(changed, data, s.officer.device.key), data))
    assert dump(s.world) == before
    return answer


def whole(pending: PendingCommit, **changes: Any) -> body.Commit:
    parts = {
        "commit": pending.message,
        "welcome": sha256(pending.welcome or b"").digest(),
        "group_info": sha256(pending.group_info).digest(),
    }
    return body.Commit(**{**parts, **changes})


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param(lambda p: whole(p, welcome=None), Refusal.SCHEMA, id="no Welcome for who is added"),
        pytest.param(lambda p: whole(p, welcome=bytes(32)), Refusal.GAP, id="Welcome not put"),
        pytest.param(lambda p: whole(p, welcome=whole(p).group_info), Refusal.SCHEMA, id="GroupInfo as Welcome"),
        pytest.param(lambda p: whole(p, welcome=sha256(b"no MLS").digest()), Refusal.SCHEMA, id="no MLS as Welcome"),
        pytest.param(lambda p: whole(p, group_info=bytes(32)), Refusal.GAP, id="GroupInfo not put"),
        pytest.param(lambda p: whole(p, group_info=whole(p).welcome), Refusal.SCHEMA, id="Welcome as GroupInfo"),
        pytest.param(lambda p: whole(p, commit=p.message[:-1]), Refusal.SCHEMA, id="commit cut short"),
        pytest.param(lambda p: whole(p, commit=p.group_info), Refusal.SCHEMA, id="no commit"),
    ],
)
def test_a_commit_comes_with_its_own_parts(
    s: Scene, change: Callable[[PendingCommit], body.Commit], refusal: Refusal
) -> None:
    assert put_and_send(s, change, b"no MLS").refusal is refusal


def test_a_commit_that_is_no_body_is_refused(s: Scene) -> None:
    given_up(s.world, Refusal.SCHEMA, lambda: s.officer.say(Kind.COMMIT, s.channel, b"\x90", epoch=1))


def test_the_welcome_is_for_exactly_those_added(s: Scene) -> None:
    others = s.world.enrolled("agent")
    _, other = s.officer.prepare(s.channel, [Add(others.key_package())])
    welcome = other.welcome or b""
    answer = put_and_send(s, lambda p: whole(p, welcome=sha256(welcome).digest()), welcome)
    assert answer.refusal is Refusal.SCHEMA


def test_no_welcome_where_nobody_is_added(s: Scene) -> None:
    context, pending = s.officer.prepare(s.channel, [])
    s.world.put(s.officer, pending.group_info)
    data = encode(whole(pending, welcome=bytes(32)))
    message = seal(context, data, s.officer.device.key), data
    given_up(s.world, Refusal.SCHEMA, lambda: hand_in(s, s.officer, message))


@pytest.mark.parametrize("which", ["epoch", "signer"])
def test_the_group_info_is_the_committers_of_the_new_epoch(s: Scene, which: str) -> None:
    now = s.officer.groups[s.channel]
    if which == "epoch":
        data = now.group_info()
    else:
        third = s.world.enrolled("officer")
        accepted(s.officer.add(s.channel, third))
        third.join(s.officer, s.channel)
        context, pending = s.officer.prepare(s.channel, [])
        after, _ = third.groups[s.channel].process(pending.message, now_seconds=None)
        s.world.put(s.officer, after.group_info())
        sent = encode(body.Commit(pending.message, None, sha256(after.group_info()).digest()))
        message = seal(context, sent, s.officer.device.key), sent
        given_up(s.world, Refusal.SCHEMA, lambda: hand_in(s, s.officer, message))
        return
    answer = put_and_send(s, lambda p: whole(p, group_info=sha256(data).digest()), data)
    assert answer.refusal is Refusal.SCHEMA


def test_a_commit_is_bound_to_its_envelope(s: Scene) -> None:
    assert put_and_send(s, whole, time=1).refusal is Refusal.DENIED


def test_a_commit_by_one_leaf_in_the_envelope_of_another_is_denied(s: Scene) -> None:
    context = s.officer.context(Kind.COMMIT, s.channel, epoch=1)
    pending = s.agent.groups[s.channel].commit(
        [], authenticated_data=context.authenticated_data(), random=s.world.random
    )
    s.world.put(s.officer, pending.group_info)
    refused(s.world, Refusal.DENIED, lambda: s.officer.send_commit(s.channel, context, pending))


def test_a_commit_of_another_epoch_than_its_envelope_says_is_denied(s: Scene) -> None:
    accepted(s.officer.commit(s.channel))
    context = s.agent.context(Kind.COMMIT, s.channel, epoch=2)
    pending = s.agent.groups[s.channel].commit(
        [], authenticated_data=context.authenticated_data(), random=s.world.random
    )
    s.world.put(s.agent, pending.group_info)
    refused(s.world, Refusal.DENIED, lambda: s.agent.send_commit(s.channel, context, pending))


def test_nobody_takes_another_persons_certificate_into_its_leaf(s: Scene) -> None:
    """ATTACKS 10: identity continuity on every leaf that is replaced."""
    other = s.world.enrolled("officer")
    group = trusting(s.agent.groups[s.channel])
    s.agent.groups[s.channel] = group
    refused_commit(
        s,
        Refusal.SCHEMA,
        s.agent,
        [],
        new_credential_and_signature_key=(Credential.x509([other.der]), other.device.key.seed),
    )


def test_a_leaf_takes_its_devices_renewed_certificate_and_signs_with_its_key_from_then_on(s: Scene) -> None:
    old_key = s.agent.device.key
    old, key = s.agent.renewed()
    credential = Credential.x509([s.agent.der])
    s.agent.device.key = old_key
    accepted(s.agent.commit(s.channel, new_credential_and_signature_key=(credential, key.seed)))
    late = s.agent.message(s.channel)
    sealed_again(s.world, Refusal.LEAF, late[0], lambda: s.agent.hand_in([late], s.channel))
    s.agent.device.key = key
    accepted(s.agent.send(s.channel, attempt=1))
    member = s.world.view.member(s.channel, s.agent.id)
    assert member is not None
    assert member.certificate == s.agent.identity.certificate
    accepted(s.world.publish_list("Meridian", [old.serial], number=2))
    accepted(s.agent.send(s.channel))


def test_no_leaf_takes_or_keeps_a_certificate_that_was_revoked(s: Scene) -> None:
    old_key = s.agent.device.key
    old, key = s.agent.renewed()
    accepted(s.world.publish_list("Meridian", [old.serial], number=2))
    s.agent.device.key = old_key
    context, pending = s.agent.prepare(s.channel, [])
    put_parts(s, s.agent, pending)
    envelope = sealed_by(s.agent, context, pending)
    sealed_again(s.world, Refusal.LEAF, envelope, lambda: s.agent.send_commit(s.channel, context, pending))
    renewed = (Credential.x509([s.agent.der]), key.seed)
    accepted(s.agent.commit(s.channel, attempt=1, new_credential_and_signature_key=renewed))
    s.agent.device.key = key
    accepted(s.agent.send(s.channel))


def test_no_leaf_takes_a_new_certificate_that_was_revoked_meanwhile(s: Scene) -> None:
    before = s.agent.device
    s.agent.renewed()
    renewed, s.agent.device = s.agent.device, before
    assert isinstance(renewed, Device)
    accepted(s.world.publish_list("Meridian", [renewed.certified.serial], number=2))
    leaf = (Credential.x509([renewed.certified.der]), renewed.key.seed)
    refused_commit(s, Refusal.REVOKED, s.agent, [], new_credential_and_signature_key=leaf)


# --- terms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extensions", "refusal"),
    [
        pytest.param(terms(ceiling=Marking.GREEN), Refusal.TLP, id="another ceiling"),
        pytest.param(terms(name="liaison"), Refusal.TLP, id="another class"),
        pytest.param(terms(version=2), Refusal.CHARTER, id="a charter that is not in force"),
        pytest.param((), Refusal.SCHEMA, id="none"),
    ],
)
def test_terms_do_not_change_in_a_channels_life(s: Scene, extensions: tuple[Extension, ...], refusal: Refusal) -> None:
    refused_commit(s, refusal, s.officer, [GroupContextExtensions(extensions)])


def test_terms_follow_the_charter(s: Scene) -> None:
    s.world.succeed()
    refused_commit(s, Refusal.CHARTER, s.officer, [GroupContextExtensions(terms())])
    accepted(s.officer.commit(s.channel, [GroupContextExtensions(terms(version=2))], attempt=1))


# --- proposals -----------------------------------------------------------------------------------------------------------


def propose(s: Scene, party: Party, proposal: Any, **changes: Any) -> Any:
    context = party.context(Kind.PROPOSAL, s.channel, **{"epoch": party.groups[s.channel].epoch, **changes})
    after, data = party.groups[s.channel].propose(
        proposal, authenticated_data=context.authenticated_data(), random=s.world.random
    )
    answer = hand_in(s, party, (seal(context, data, party.device.key), data))
    if isinstance(answer, wire.Accepted):
        party.groups[s.channel] = after
        party.numbers[s.channel] = (context.number, seal(context, data, party.device.key).link)
    return answer


def test_a_proposal_waits_for_a_commit_by_who_has_the_verb(s: Scene) -> None:
    third = s.world.enrolled("agent")
    accepted(propose(s, s.agent, Add(third.key_package())))
    proposed = s.world.view.envelope(s.channel, 3)
    assert proposed is not None
    assert "proposals" in s.world.view.group(s.channel)
    refused_commit(s, Refusal.ROLE, s.agent, [])
    group = s.officer.groups[s.channel]
    s.officer.groups[s.channel], _ = group.process(proposed.body or b"", now_seconds=None)
    accepted(s.officer.commit(s.channel))
    assert third.id in {m.device for m in s.world.view.members(s.channel)}
    assert "proposals" not in s.world.view.group(s.channel)


def test_an_update_by_reference_replaces_a_leaf(s: Scene) -> None:
    old_key = s.agent.device.key
    _, key = s.agent.renewed()
    s.agent.device.key = old_key
    context = s.agent.context(Kind.PROPOSAL, s.channel, epoch=1)
    _, data = s.agent.groups[s.channel].propose_update(
        authenticated_data=context.authenticated_data(),
        new_credential_and_signature_key=(Credential.x509([s.agent.der]), key.seed),
        random=s.world.random,
    )
    accepted(hand_in(s, s.agent, (seal(context, data, old_key), data)))
    s.officer.groups[s.channel], _ = s.officer.groups[s.channel].process(data, now_seconds=None)
    accepted(s.officer.commit(s.channel))
    member = s.world.view.member(s.channel, s.agent.id)
    assert member is not None
    assert member.certificate == s.agent.identity.certificate


def foreign_sender(s: Scene) -> Any:
    context = s.officer.context(Kind.PROPOSAL, s.channel, epoch=1)
    _, data = s.agent.groups[s.channel].propose_update(
        authenticated_data=context.authenticated_data(), random=s.world.random
    )
    return hand_in(s, s.officer, (seal(context, data, s.officer.device.key), data))


def unbound(s: Scene) -> Any:
    context = s.agent.context(Kind.PROPOSAL, s.channel, epoch=1)
    _, data = s.agent.groups[s.channel].propose_update(authenticated_data=bytes(32), random=s.world.random)
    return hand_in(s, s.agent, (seal(context, data, s.agent.device.key), data))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(foreign_sender, Refusal.DENIED, id="attack-11 by another leaf"),
        pytest.param(unbound, Refusal.DENIED, id="attack-25 bound to another context"),
        pytest.param(lambda s: s.agent.say(Kind.PROPOSAL, s.channel, b"no", epoch=1), Refusal.SCHEMA, id="no proposal"),
        pytest.param(lambda s: propose(s, s.agent, with_psk(s)[0]), Refusal.SCHEMA, id="a pre-shared key"),
        pytest.param(
            lambda s: propose(s, s.agent, with_resumption_psk(s)[0]), Refusal.SCHEMA, id="the key of an epoch"
        ),
        pytest.param(lambda s: propose(s, s.agent, with_reinit(s)[0]), Refusal.SCHEMA, id="the end of the group"),
        pytest.param(
            lambda s: propose(s, s.agent, Remove(0), marking=Marking.RED), Refusal.TLP, id="marked above the ceiling"
        ),
    ],
)
def test_a_proposal_that_breaks_a_rule_is_refused(s: Scene, act: Callable[[Scene], Any], refusal: Refusal) -> None:
    refused(s.world, refusal, lambda: act(s))


def test_a_proposal_of_an_epoch_that_has_ended_is_sealed_again(s: Scene) -> None:
    accepted(s.officer.commit(s.channel))
    context = s.agent.context(Kind.PROPOSAL, s.channel, epoch=1)
    _, data = s.agent.groups[s.channel].propose_update(
        authenticated_data=context.authenticated_data(), random=s.world.random
    )
    envelope = seal(context, data, s.agent.device.key)
    sealed_again(s.world, Refusal.EPOCH_CONFLICT, envelope, lambda: hand_in(s, s.agent, (envelope, data)))


def test_a_bounded_number_of_proposals_waits(s: Scene) -> None:
    third = s.world.enrolled("agent")
    for _ in range(limits.PROPOSALS_PER_EPOCH):
        accepted(propose(s, s.agent, Add(third.key_package())))
    refused(s.world, Refusal.QUOTA, lambda: propose(s, s.agent, Remove(0)))
