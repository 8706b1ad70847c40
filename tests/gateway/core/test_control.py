"""The control channel: certificates that begin to count, revocation lists, charters and the gateway's own acts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.core import acts, limits
from gateway.core.errors import Refused
from gateway.wire import CHUNK, GetBody, Refusal
from keys.authority import issue_revocation_list
from keys.body import Act, read_gateway_act
from keys.charter import sign
from keys.credential import issue_device, issue_registrar
from keys.envelope import Kind
from keys.identity import DeviceId, PersonId, SigningKey
from keys.policy import Verb, render
from tests.gateway.core.checks import accepted, refused
from tests.gateway.core.world import Party, World, founded
from tests.keys.mission import DAY, LIFE, NOW, House, Registrar

HOUR = 3_600_000


@pytest.fixture
def world() -> World:
    return founded()


def approve(approver: Party, der: bytes, **changes: Any) -> Any:
    return approver.say(Kind.CERTIFICATE, approver.world.charter.control_channel, der, **changes)


def second(world: World, organisation: str = "Meridian") -> Party:
    """The registrar who did not issue."""
    return world.registrars[organisation][1]


def made(world: World, *roles: str, house: House | None = None, **fields: Any) -> bytes:
    """A certificate by the first registrar, nobody's yet."""
    house = house or world.mission.home
    registrar = house.registrars[0]
    values = {
        "public_key": SigningKey.generate(world.random).public,
        "person": PersonId(world.random(16)),
        "device": DeviceId(world.random(16)),
        "roles": frozenset(roles),
        "lifetime": LIFE,
        **fields,
    }
    return issue_device(registrar.der, registrar.key, random=world.random, **values)


# --- certificates --------------------------------------------------------------------------------------------------------


def test_a_certificate_counts_from_its_approval_on(world: World) -> None:
    der = made(world, "agent")
    (place,) = accepted(approve(second(world), der)).places
    (row,) = [r for r in world.view.directory(bytes(16), 9) if r.der == der]
    assert (row.organisation, row.roles, row.revoked, row.seq, row.index) == (
        "Meridian",
        frozenset({"agent"}),
        False,
        place.seq,
        place.index,
    )


def test_an_officer_approves_for_its_own_and_for_a_partner(world: World) -> None:
    officer = world.enrolled("officer")
    accepted(approve(officer, made(world, "agent")))
    accepted(approve(officer, made(world, "guest", house=world.mission.partner)))


def by_its_own_registrar(w: World) -> Any:
    return approve(w.registrars["Meridian"][0], made(w, "agent"))


def by_the_registrars_other_device(w: World) -> Any:
    person = w.mission.home.registrars[0].person
    officer = w.enrolled("officer", person=person)
    return approve(officer, made(w, "agent"))


def by_its_holder(w: World) -> Any:
    officer = w.enrolled("officer")
    return approve(officer, made(w, "agent", person=officer.identity.person))


def already_counting(w: World) -> Any:
    return approve(second(w), w.enrolled("agent").der)


def of_a_registrar(w: World) -> Any:
    return approve(second(w), w.registrars["Meridian"][0].der)


def of_the_gateways_device(w: World) -> Any:
    return approve(second(w), made(w, "agent", device=w.charter.gateway_device))


def of_a_registrars_device(w: World) -> Any:
    return approve(second(w), made(w, "agent", device=w.registrars["Hostpol"][0].id))


def of_another_persons_device(w: World) -> Any:
    return approve(second(w), made(w, "agent", device=w.enrolled("agent").id))


def with_more_roles_than_before(w: World) -> Any:
    agent = w.enrolled("agent")
    return approve(second(w), made(w, "officer", device=agent.id, person=agent.identity.person))


def of_another_organisations_device(w: World) -> Any:
    agent = w.enrolled("agent")
    der = made(w, "guest", house=w.mission.partner, device=agent.id, person=agent.identity.person)
    return approve(second(w, "Hostpol"), der)


def from_nowhere(w: World) -> Any:
    return approve(second(w), made(World(9), "agent"))


def on_the_list(w: World) -> Any:
    der = made(w, "agent")
    serial = w.charter.verify_certificate(der).serial
    accepted(w.publish_list("Meridian", [serial], number=2))
    return approve(second(w), der)


def of_a_device_that_was_revoked(w: World) -> Any:
    """Whoever has taken it may have asked for its renewal before."""
    agent = w.enrolled("agent")
    present = w.charter.verify_certificate(agent.der)
    accepted(w.publish_list("Meridian", [present.serial], number=2))
    return approve(second(w), made(w, "agent", device=agent.id, person=present.person))


def over_a_stale_list(w: World) -> Any:
    w.now += 24 * HOUR + 1
    return approve(second(w), made(w, "agent"))


def ended(w: World) -> Any:
    der = made(w, "agent", lifetime=(NOW - DAY, NOW - 1_000))
    return approve(second(w), der)


def before_the_approvers_own_time(w: World) -> Any:
    officer = w.enrolled("officer", life=(NOW + HOUR, NOW + DAY))
    return approve(officer, made(w, "agent"))


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(by_its_own_registrar, Refusal.ROLE, id="by the registrar who made it"),
        pytest.param(by_the_registrars_other_device, Refusal.ROLE, id="by that registrar's other device"),
        pytest.param(by_its_holder, Refusal.ROLE, id="by its holder"),
        pytest.param(
            lambda w: approve(w.enrolled("agent"), made(w, "agent")), Refusal.ROLE, id="by an agent without the verb"
        ),
        pytest.param(
            lambda w: approve(second(w, "Hostpol"), made(w, "agent")), Refusal.ROLE, id="by another's registrar"
        ),
        pytest.param(
            lambda w: approve(second(w), made(w, "guest", house=w.mission.partner)),
            Refusal.ROLE,
            id="by the home registrar of a partner's",
        ),
        pytest.param(already_counting, Refusal.DENIED, id="that counts already"),
        pytest.param(of_a_registrar, Refusal.DENIED, id="of a registrar"),
        pytest.param(of_the_gateways_device, Refusal.DENIED, id="of the gateway's device id"),
        pytest.param(of_a_registrars_device, Refusal.DENIED, id="of a registrar's device id"),
        pytest.param(of_another_persons_device, Refusal.ROLE, id="of another person's device id"),
        pytest.param(of_another_organisations_device, Refusal.ROLE, id="of another organisation's device id"),
        pytest.param(with_more_roles_than_before, Refusal.ROLE, id="of a renewal with other roles"),
        pytest.param(from_nowhere, Refusal.DENIED, id="of another mission"),
        pytest.param(lambda w: approve(second(w), b"no DER"), Refusal.SCHEMA, id="that is none"),
        pytest.param(on_the_list, Refusal.REVOKED, id="that was revoked before it counted"),
        pytest.param(of_a_device_that_was_revoked, Refusal.REVOKED, id="of a device that was revoked"),
        pytest.param(over_a_stale_list, Refusal.STALE_LIST, id="under a stale list"),
        pytest.param(ended, Refusal.EXPIRED, id="that has ended"),
        pytest.param(before_the_approvers_own_time, Refusal.EXPIRED, id="by who is not valid yet"),
        pytest.param(lambda w: approve(second(w), made(w, "agent"), epoch=1), Refusal.DENIED, id="at an epoch"),
    ],
)
def test_a_certificate_that_breaks_a_rule_does_not_count(
    world: World, act: Callable[[World], Any], refusal: Refusal
) -> None:
    before = len(world.view.directory(bytes(16), 99))
    answer = act(world)
    assert isinstance(answer, Refused), answer
    assert answer.refusal is refusal
    assert len(world.view.directory(bytes(16), 99)) - before <= 1  # whom the case has enrolled for it


def test_a_refused_certificate_leaves_nothing(world: World) -> None:
    der = made(world, "agent")
    refused(world, Refusal.ROLE, lambda: approve(world.registrars["Meridian"][0], der))
    refused(
        world,
        Refusal.DENIED,
        lambda: approve(second(world), made(world, "agent", device=world.registrars["Hostpol"][0].id)),
    )


def test_certificates_and_lists_stand_in_the_control_channel_alone(world: World) -> None:
    officer = world.enrolled("officer")
    channel = officer.create_channel()
    refused(world, Refusal.DENIED, lambda: officer.say(Kind.CERTIFICATE, channel, made(world, "agent")))
    refused(world, Refusal.DENIED, lambda: officer.say(Kind.REVOCATION_LIST, channel, b""))
    refused(world, Refusal.DENIED, lambda: officer.say(Kind.ACK, world.charter.control_channel, b""))


def test_a_renewed_device_has_its_old_key_packages_dropped(world: World) -> None:
    from gateway import wire

    agent = world.enrolled("agent")
    world.ask(agent, wire.PutKeyPackages(1, 1, [agent.key_package().encode()], None))
    assert world.view.packages_left(agent.id) == 1
    agent.renewed()
    assert world.view.packages_left(agent.id) == 0


# --- revocation lists ------------------------------------------------------------------------------------------------------


def listing(
    world: World, organisation: str = "Meridian", author: Party | None = None, signer: int = 0, **fields: Any
) -> Any:
    registrar = world.registrars[organisation][signer].device
    assert isinstance(registrar, Registrar)
    values = {"number": 2, "serials": (), "this_update": world.now, "next_update": world.now + DAY, **fields}
    der = issue_revocation_list(registrar.der, registrar.key, **values)
    author = author or world.registrars[organisation][0]
    return author.say(Kind.REVOCATION_LIST, world.charter.control_channel, der)


def test_a_list_takes_effect_with_its_entry(world: World) -> None:
    officer = world.enrolled("officer")
    channel = officer.create_channel()
    accepted(listing(world, serials=[officer.device.certified.serial]))
    row, stream = world.view.certificate(officer.identity.certificate), world.view.stream(channel)
    held = world.view.revocations("Meridian")
    assert row is not None
    assert stream is not None
    assert held is not None
    assert (row.revoked, stream.blocked, held.number) == (True, 1, 2)
    assert held.serials == {officer.device.certified.serial}
    refused(world, Refusal.REVOKED, lambda: officer.send(channel))


def forged(w: World) -> Any:
    stranger = World(9).mission.home.registrars[0]
    der = issue_revocation_list(stranger.der, stranger.key, 2, (), w.now, w.now + DAY)
    return w.registrars["Meridian"][0].say(Kind.REVOCATION_LIST, w.charter.control_channel, der)


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda w: listing(w, number=1), Refusal.REPLAY, id="of the number held"),
        pytest.param(lambda w: listing(w, number=0), Refusal.REPLAY, id="of an older number"),
        pytest.param(lambda w: listing(w, number=1 + 2**16 + 1), Refusal.REPLAY, id="of a number far ahead"),
        pytest.param(
            lambda w: listing(w, author=w.registrars["Hostpol"][0]), Refusal.DENIED, id="by another's registrar"
        ),
        pytest.param(lambda w: listing(w, author=w.enrolled("officer")), Refusal.ROLE, id="by an officer"),
        pytest.param(
            lambda w: listing(
                w, this_update=(w.now + limits.CLOCK_AHEAD) // 1000 * 1000 + 1_000, next_update=w.now + DAY
            ),
            Refusal.CLOCK,
            id="from the future",
        ),
        pytest.param(forged, Refusal.DENIED, id="signed by nobody here"),
        pytest.param(
            lambda w: w.registrars["Meridian"][0].say(Kind.REVOCATION_LIST, w.charter.control_channel, b"no"),
            Refusal.SCHEMA,
            id="that is none",
        ),
    ],
)
def test_a_list_that_breaks_a_rule_is_refused(world: World, act: Callable[[World], Any], refusal: Refusal) -> None:
    answer = act(world)
    assert isinstance(answer, Refused), answer
    assert answer.refusal is refusal
    held = world.view.revocations("Meridian")
    assert held is not None
    assert (held.number, held.serials) == (1, frozenset())


def test_a_refused_list_leaves_nothing(world: World) -> None:
    refused(world, Refusal.REPLAY, lambda: listing(world, number=1))


def test_no_list_forgets_a_revocation(world: World) -> None:
    accepted(listing(world, serials=[5, 6]))
    refused(world, Refusal.REPLAY, lambda: listing(world, number=3, serials=[5, 7]))
    accepted(listing(world, number=3, serials=[5, 6, 7]))


def test_a_revoked_registrar_does_nothing_any_more(world: World) -> None:
    first, other = world.registrars["Meridian"]
    serial = world.charter.verify_certificate(other.der).serial
    accepted(listing(world, serials=[serial]))
    refused(world, Refusal.REVOKED, lambda: approve(other, made(world, "agent")))
    refused(world, Refusal.REVOKED, lambda: listing(world, number=3, author=other, signer=1, serials=[serial]))
    refused(world, Refusal.REPLAY, lambda: listing(world, number=3, signer=1, serials=[serial]))
    accepted(listing(world, number=3, serials=[serial]))
    assert first is not other


def test_a_long_list_is_read_by_everybody(world: World) -> None:
    agent = world.enrolled("agent")
    accepted(listing(world, serials=range(1, 3_000)))
    channel = world.charter.control_channel
    stored = world.view.envelopes(channel, 0, 99)[-1]
    assert stored.body is None
    assert stored.body_length > CHUNK
    assert world.tell(agent, GetBody(1, stored.body_hash, 0)).length == stored.body_length


# --- charters ------------------------------------------------------------------------------------------------------------


def successor(world: World, signers: slice = slice(0, 2), **changes: Any) -> bytes:
    policy = replace(world.mission.policy, **{"version": 2, **changes})
    return sign(render(policy), world.mission.authorities[signers])


def install(world: World, note: bytes, **others: Any) -> Any:
    values = {"key": world.mission.gateway, "log_key": world.mission.policy.log_key, **others}
    try:
        return world.run(lambda: acts.install_charter(world.view, note, now=world.now, random=world.random, **values))
    except Refused as refused_:
        return refused_


def test_a_successor_is_put_in_force_and_into_the_log(world: World) -> None:
    note = successor(world)
    accepted(install(world, note))
    charter = world.view.charter()
    assert charter is not None
    assert (charter.policy.version, charter.note) == (2, note)
    stored = world.view.envelopes(charter.control_channel, 0, 99)[-1]
    assert (stored.kind, stored.device, stored.number, stored.body) == (
        Kind.CHARTER,
        charter.gateway_device,
        2,
        note,
    )


def test_the_same_charter_again_changes_nothing(world: World) -> None:
    before = world.snapshot()
    assert install(world, world.charter.note) is None
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(lambda w: successor(w, slice(0, 1)), id="signed by too few"),
        pytest.param(lambda w: successor(w, version=3), id="that skips a version"),
        pytest.param(lambda w: successor(w, version=1, break_glass=False), id="of the same version"),
        pytest.param(lambda w: successor(w, mission="Another"), id="of another mission"),
        pytest.param(lambda w: successor(w, gateway_key=SigningKey(bytes(32)).public), id="of another gateway"),
        pytest.param(lambda w: b"no note", id="that is none"),
    ],
)
def test_a_charter_that_may_not_follow_is_refused(world: World, note: Callable[[World], bytes]) -> None:
    offered = note(world)
    refused(world, Refusal.CHARTER, lambda: install(world, offered))


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"key": SigningKey(bytes(32))}, id="signing key"),
        pytest.param({"log_key": "log.test/meridian+00000000+AAAA"}, id="log key"),
    ],
)
def test_a_gateway_takes_no_charter_of_another(world: World, others: dict[str, Any]) -> None:
    world.db.execute("DELETE FROM charters")
    refused(world, Refusal.CHARTER, lambda: install(world, world.charter.note, **others))


def test_whom_a_successor_drops_has_no_standing(world: World) -> None:
    officer, guest = world.enrolled("officer"), world.enrolled("guest", house=world.mission.partner)
    channel = officer.create_channel()
    roles = frozenset({"agent", "leader"})
    home = replace(world.mission.home.organisation, roles=roles)
    who, registrar = guest.identity, world.registrars["Hostpol"][0]
    identity, leader = registrar.identity, officer.identity
    world.succeed(organisations=(home,))
    from gateway import wire

    frame = wire.CancelInvite(1, bytes(32))
    for identity_ in (who, identity, leader):
        with pytest.raises(Refused) as caught:
            world.decide(identity_, frame)
        assert caught.value.refusal is Refusal.DENIED
    assert world.view.stream(channel) is not None


# --- the gateway's own acts ----------------------------------------------------------------------------------------------


def test_the_gateways_acts_are_numbered_and_chained_as_everybodys(world: World) -> None:
    channel, device = world.charter.control_channel, world.charter.gateway_device
    for decision in (
        lambda: acts.act(world.view, world.gateway, Act.START, "started", world.now, world.random),
        lambda: acts.filler(world.view, world.gateway, world.now, world.random),
    ):
        before = world.view.chain(channel, device)
        accepted(world.run(decision))
        assert world.view.chain(channel, device).number == before.number + 1
    start, filler = world.view.envelopes(channel, 0, 99)[-2:]
    assert read_gateway_act(start.body or b"").detail == "started"
    assert (filler.kind, filler.body) == (Kind.FILLER, b"")


def test_a_gateway_without_a_charter_is_founded_by_the_first(world: World) -> None:
    world.db.execute("DELETE FROM charters")
    world.db.execute("DELETE FROM streams")
    world.db.execute("DELETE FROM envelopes")
    accepted(install(world, world.charter.note))
    assert [e.kind for e in world.view.envelopes(world.charter.control_channel, 0, 9)] == [Kind.CHARTER]


def test_verbs_of_a_role_are_the_charters_not_the_certificates(world: World) -> None:
    officer = world.enrolled("officer")
    roles = tuple((n, v - {Verb.APPROVE_ENROLMENT} if n == "officer" else v) for n, v in world.mission.policy.roles)
    world.succeed(roles=roles)
    refused(world, Refusal.ROLE, lambda: approve(officer, made(world, "agent")))


def test_an_approver_whose_registrar_the_charter_dropped_approves_nothing(world: World) -> None:
    house = world.mission.home
    officer = world.enrolled("officer")  # by the first registrar
    keys = [SigningKey.generate(world.random) for _ in range(2)]
    ders = tuple(
        issue_registrar(
            house.organisation.root,
            house.root,
            key.public,
            PersonId(world.random(16)),
            DeviceId(world.random(16)),
            (NOW - DAY, NOW + 365 * DAY),
            world.random,
        )
        for key in keys
    )
    identity = officer.identity
    home = replace(house.organisation, registrars=ders)
    world.succeed(organisations=(home, world.mission.partner.organisation))
    certified_by = issue_device(
        ders[0],
        keys[0],
        SigningKey.generate(world.random).public,
        PersonId(world.random(16)),
        DeviceId(world.random(16)),
        frozenset({"agent"}),
        LIFE,
        world.random,
    )
    from gateway import wire
    from keys.envelope import seal

    envelope = seal(officer.context(Kind.CERTIFICATE, world.charter.control_channel), certified_by, officer.device.key)
    frame = wire.Submit(1, [wire.Sealed(envelope.header, envelope.signature, certified_by)])
    with pytest.raises(Refused) as caught:
        world.decide(identity, frame)
    assert caught.value.refusal is Refusal.DENIED
