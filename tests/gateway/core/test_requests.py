"""What a device may ask to be written besides its envelopes, and what it may ask to be told."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from gateway import wire
from gateway.core import limits
from gateway.core.errors import Refused
from gateway.wire import CHUNK, FRAME_LIMIT, Refusal
from keys.authority import Invite, renewal_id, request_enrolment, request_renewal
from keys.canonical import encode
from keys.credential import issue_device
from keys.envelope import Kind
from keys.identity import DeviceId, PersonId, SigningKey
from keys.mls import Remove
from keys.policy import Verb
from tests.gateway.core.checks import Scene, accepted, done, refused, scene
from tests.gateway.core.test_kinds import leaf_of
from tests.gateway.core.world import Party, World, founded
from tests.keys.mission import DAY, LIFE, Registrar

HOUR = 3_600_000


@pytest.fixture
def world() -> World:
    return founded()


@pytest.fixture
def s() -> Scene:
    return scene()


# --- the front doors -------------------------------------------------------------------------------------------------------

WRITES = [
    wire.Submit(1, [wire.Sealed(b"\0", b"", b"")]),
    wire.PutChunk(1, bytes(32), 1, 0, b"x"),
    wire.PutKeyPackages(1, 1, [], None),
    wire.ClaimKeyPackages(1, 1, [bytes(16)]),
    wire.PutInvite(1, bytes(32), "Meridian", "agent", 1),
    wire.CancelInvite(1, bytes(32)),
    wire.Grant(1, bytes(32), b"x", b""),
    wire.Enrol(1, bytes(32), b""),
]
READS = [
    wire.GetBody(1, bytes(32), 0),
    wire.GetTree(1, bytes(16), 1),
    wire.GetCertificates(1, [bytes(32)]),
    wire.GetDirectory(1, bytes(16)),
    wire.GetEnrolments(1),
]


@pytest.mark.parametrize("frame", WRITES, ids=lambda f: type(f).__name__)
def test_strangers_write_nothing(world: World, frame: wire.Frame) -> None:
    refused(world, Refusal.DENIED, lambda: world.ask(None, frame))


@pytest.mark.parametrize("frame", READS, ids=lambda f: type(f).__name__)
def test_strangers_are_told_nothing(world: World, frame: wire.Frame) -> None:
    refused(world, Refusal.DENIED, lambda: world.tell(None, frame))


@pytest.mark.parametrize("frame", [*WRITES, *READS], ids=lambda f: type(f).__name__)
def test_who_was_revoked_or_has_expired_writes_nothing_and_is_told_nothing(world: World, frame: Any) -> None:
    lost, short = world.enrolled("officer"), world.enrolled("officer", life=(world.now - DAY, world.now + HOUR))
    accepted(world.publish_list("Meridian", [lost.device.certified.serial], number=2))
    ask = world.tell if type(frame) in {type(f) for f in READS} else world.ask
    refused(world, Refusal.REVOKED, lambda: ask(lost, frame))
    world.now += HOUR + 1
    refused(world, Refusal.EXPIRED, lambda: ask(short, frame))


def test_a_frame_at_the_wrong_door_is_refused(world: World) -> None:
    officer = world.enrolled("officer")
    refused(world, Refusal.SCHEMA, lambda: world.ask(officer, wire.GetDirectory(1, bytes(16))))
    refused(world, Refusal.SCHEMA, lambda: world.tell(officer, wire.Submit(1, [])))


def test_who_has_no_certificate_that_counts_has_no_standing(world: World) -> None:
    nobody = Party(world, world.mission.device("officer"))
    refused(world, Refusal.DENIED, lambda: world.ask(nobody, wire.PutChunk(1, bytes(32), 1, 0, b"x")))


# --- bodies in chunks --------------------------------------------------------------------------------------------------------

LONG = bytes(range(256)) * 300


def piece(party: Party, offset: int, data: bytes, whole: bytes = LONG, length: int | None = None) -> Any:
    frame = wire.PutChunk(1, sha256(whole).digest(), len(whole) if length is None else length, offset, data)
    return party.world.ask(party, frame)


def test_a_body_is_put_piece_by_piece_and_taken_up_where_it_stopped(world: World) -> None:
    agent = world.enrolled("agent")
    assert done(piece(agent, 0, b"")) == 0
    assert done(piece(agent, 0, LONG[:CHUNK])) == CHUNK
    assert done(piece(agent, 0, b"")) == CHUNK
    before = world.snapshot()
    assert done(piece(agent, 0, LONG[:CHUNK])) == CHUNK  # said again
    assert done(piece(agent, CHUNK + 1, LONG[CHUNK + 1 :])) == CHUNK  # out of order
    assert world.snapshot() == before
    assert done(piece(agent, CHUNK, LONG[CHUNK:])) == len(LONG)
    assert done(piece(agent, 0, LONG[:CHUNK])) == len(LONG)
    for offset, length in ((0, len(LONG)), (CHUNK - 5, 10), (CHUNK, 7), (len(LONG), 5)):
        assert world.view.blob(sha256(LONG).digest(), offset, length) == LONG[offset : offset + length]


def test_a_body_that_is_another_is_dropped_whole(world: World) -> None:
    agent = world.enrolled("agent")
    done(piece(agent, 0, LONG[:CHUNK]))
    assert world.view.blob(sha256(LONG).digest(), 0, 1) is None
    assert done(piece(agent, CHUNK, b"x" + LONG[CHUNK + 1 :])) == 0
    assert world.view.upload(sha256(LONG).digest()) is None
    assert world.view.partial(sha256(LONG).digest()) == b""


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda a: piece(a, CHUNK, LONG[CHUNK:], length=len(LONG) + 1), id="another length"),
        pytest.param(lambda a: piece(a, CHUNK, LONG[CHUNK:] + b"x"), id="more than the length"),
    ],
)
def test_a_piece_that_does_not_fit_is_refused(world: World, act: Callable[[Party], Any]) -> None:
    agent = world.enrolled("agent")
    done(piece(agent, 0, LONG[:CHUNK]))
    refused(world, Refusal.SCHEMA, lambda: act(agent))


def test_a_bounded_number_of_bodies_is_half_put_for_a_bounded_time(world: World) -> None:
    agent, other = world.enrolled("agent"), world.enrolled("agent")
    for n in range(limits.OPEN_UPLOADS):
        done(piece(agent, 0, b"x", whole=b"%d" % n * CHUNK))
    refused(world, Refusal.QUOTA, lambda: piece(agent, 0, b"x"))
    done(piece(other, 0, b"x", whole=b"other" * CHUNK))
    world.now += limits.UPLOAD_LIFE
    refused(world, Refusal.QUOTA, lambda: piece(agent, 0, b"x"))
    world.now += 1
    done(piece(agent, 0, b"x"))
    assert len(world.view.uploads_open(agent.id)) == 1
    assert len(world.view.uploads_open(other.id)) == 1


def test_bodies_that_no_envelope_names_have_a_bound_in_bytes(world: World) -> None:
    agent = world.enrolled("agent")
    for n in range(limits.OPEN_BYTES // wire.BODY_LIMIT):
        done(piece(agent, 0, b"x", whole=b"%d" % n, length=wire.BODY_LIMIT))
    refused(world, Refusal.QUOTA, lambda: piece(agent, 0, b"x"))


def test_a_body_that_was_given_waits_no_longer(s: Scene) -> None:
    assert s.world.view.uploads_open(s.officer.id) == []
    accepted(s.officer.send(s.channel, LONG))
    assert s.world.view.uploads_open(s.officer.id) == []


def test_a_body_half_put_is_no_body(s: Scene) -> None:
    done(piece(s.agent, 0, LONG[:CHUNK]))
    refused(s.world, Refusal.DENIED, lambda: s.world.tell(s.agent, wire.GetBody(1, sha256(LONG).digest(), 0)))


def test_who_has_left_reads_what_it_was_sent_and_nothing_after(s: Scene) -> None:
    early = accepted(s.officer.send(s.channel, LONG)).places[0].seq
    removal = accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, s.agent))])).places[0].seq
    late = accepted(s.officer.send(s.channel, LONG + b"x")).places[0].seq

    def read(party: Party, seq: int) -> Any:
        stored = s.world.view.envelope(s.channel, seq)
        assert stored is not None
        return s.world.tell(party, wire.GetBody(1, stored.body_hash, 0))

    assert isinstance(read(s.agent, early), wire.BodyChunk)
    refused(s.world, Refusal.DENIED, lambda: read(s.agent, late))
    assert isinstance(s.world.tell(s.agent, wire.GetTree(1, s.channel, 2)), wire.Named)
    refused(s.world, Refusal.DENIED, lambda: s.world.tell(s.agent, wire.GetTree(1, s.channel, removal)))


def test_trees_are_for_the_members_of_then(s: Scene) -> None:
    late, stranger = s.world.enrolled("agent"), s.world.enrolled("officer")
    accepted(s.officer.add(s.channel, late))
    for party, seq in ((late, 2), (stranger, 2), (stranger, 3), (s.agent, 1), (s.agent, 9)):
        refused(s.world, Refusal.DENIED, lambda p=party, q=seq: s.world.tell(p, wire.GetTree(1, s.channel, q)))
    assert s.world.tell(late, wire.GetTree(1, s.channel, 3)).length > 0
    again = s.world.enrolled("agent")
    leaf = leaf_of(s, late)
    accepted(s.officer.commit(s.channel, [Remove(leaf)]))
    accepted(s.officer.add(s.channel, again))
    refused(s.world, Refusal.DENIED, lambda: s.world.tell(late, wire.GetTree(1, s.channel, 5)))


# --- KeyPackages -----------------------------------------------------------------------------------------------------------


def put(party: Party, packages: list[bytes], last: bytes | None = None, suite: int = 1) -> Any:
    return party.world.ask(party, wire.PutKeyPackages(1, suite, packages, last))


def claim(party: Party, *devices: bytes, suite: int = 1) -> Any:
    return party.world.ask(party, wire.ClaimKeyPackages(1, suite, list(devices)))


def packages(answer: Any) -> list[bytes | None]:
    assert isinstance(answer, wire.KeyPackages), answer
    return [c.package for c in answer.claims]


def test_one_time_packages_go_once_and_then_the_last_resort_stays(world: World) -> None:
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    first, second = agent.key_package().encode(), agent.key_package().encode()
    last = agent.key_package(last_resort=True).encode()
    assert done(put(agent, [first, second], last)) == 2
    assert [packages(claim(officer, agent.id))[0] for _ in range(4)] == [first, second, last, last]
    assert world.view.packages_left(agent.id) == 0
    newer = agent.key_package(last_resort=True).encode()
    assert done(put(agent, [], newer)) == 0
    assert packages(claim(officer, agent.id)) == [newer]


def test_a_request_said_again_offers_no_package_twice(world: World) -> None:
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    package = agent.key_package().encode()
    assert done(put(agent, [package, package])) == 1
    assert packages(claim(officer, agent.id)) == [package]
    before = world.snapshot()
    assert done(put(agent, [package])) == 0
    assert world.snapshot() == before
    assert packages(claim(officer, agent.id)) == [None]


def of_another(w: World) -> Any:
    return put(w.enrolled("agent"), [w.enrolled("agent").key_package().encode()])


def of_a_key_not_certified(w: World) -> Any:
    agent, key = w.enrolled("agent"), SigningKey.generate(w.random)
    agent.device.key = key
    return put(agent, [agent.key_package().encode()])


def without_terms(w: World) -> Any:
    agent = w.enrolled("agent")
    return put(agent, [agent.key_package(listed=()).encode()])


def ended(w: World) -> Any:
    agent = w.enrolled("agent")
    package = agent.key_package().encode()
    w.now += 2 * DAY
    return put(agent, [package])


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(of_another, Refusal.DENIED, id="another's"),
        pytest.param(of_a_key_not_certified, Refusal.SCHEMA, id="attack-38 of a key that is not the certificate's"),
        pytest.param(lambda w: put(w.enrolled("agent"), [b"no"]), Refusal.SCHEMA, id="none"),
        pytest.param(
            lambda w: put(a := w.enrolled("agent"), [a.key_package(3).encode()]),
            Refusal.SCHEMA,
            id="attack-38 of another suite",
        ),
        pytest.param(lambda w: put(w.enrolled("agent"), [b"x"], suite=99), Refusal.SCHEMA, id="attack-38 of no suite"),
        pytest.param(
            lambda w: put(a := w.enrolled("agent"), [a.key_package(last_resort=True).encode()]),
            Refusal.SCHEMA,
            id="last resort among the one-time ones",
        ),
        pytest.param(
            lambda w: put(a := w.enrolled("agent"), [], a.key_package().encode()),
            Refusal.SCHEMA,
            id="one-time as the last resort",
        ),
        pytest.param(ended, Refusal.SCHEMA, id="attack-38 that has ended"),
        pytest.param(without_terms, Refusal.SCHEMA, id="attack-38 that fits no channel"),
    ],
)
def test_a_package_that_nobody_could_use_is_refused(
    world: World, act: Callable[[World], Any], refusal: Refusal
) -> None:
    answer = act(world)
    assert isinstance(answer, Refused), answer
    assert answer.refusal is refusal
    assert world.db.execute("SELECT count(*) FROM packages").fetchone() == (0,)


def test_the_directory_keeps_a_bounded_number_for_a_device(world: World) -> None:
    agent = world.enrolled("agent")
    made = [agent.key_package().encode() for _ in range(limits.KEY_PACKAGES_PER_DEVICE + 1)]
    assert done(put(agent, made[:100])) == 100
    assert done(put(agent, made[100:200])) == 200
    assert done(put(agent, made[:100])) == 200
    refused(world, Refusal.QUOTA, lambda: put(agent, made[200:]))


def test_packages_that_have_ended_are_neither_counted_nor_handed_out(world: World) -> None:
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    done(put(agent, [agent.key_package().encode()], agent.key_package(last_resort=True).encode()))
    world.now += 2 * DAY
    assert packages(claim(officer, agent.id)) == [None]
    assert done(put(agent, [agent.key_package().encode()])) == 1
    assert world.db.execute("SELECT count(*) FROM packages").fetchone() == (1,)


def test_who_may_not_add_claims_nothing(world: World) -> None:
    agent, other = world.enrolled("agent"), world.enrolled("agent")
    refused(world, Refusal.ROLE, lambda: claim(agent, other.id))


def test_nobody_claims_of_whom_it_does_not_know_nor_of_the_revoked_and_expired(s: Scene) -> None:
    world = s.world
    leader, hidden = world.enrolled("leader"), world.enrolled("agent")
    lost = world.enrolled("agent")
    short = world.enrolled("agent", life=(world.now - DAY, world.now + HOUR))
    for party in (s.agent, hidden, lost, short):
        done(put(party, [party.key_package().encode()]))
    assert packages(claim(leader, s.agent.id, hidden.id, bytes(16))) == [None, None, None]
    accepted(s.officer.add(s.channel, leader))
    assert [p is not None for p in packages(claim(leader, s.agent.id, hidden.id))] == [True, False]
    accepted(world.publish_list("Meridian", [lost.device.certified.serial], number=2))
    world.now += HOUR + 1
    assert packages(claim(s.officer, lost.id, short.id)) == [None, None]


def test_claims_are_bounded_for_the_claimer_and_for_each_device(world: World) -> None:
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    done(put(agent, [], agent.key_package(last_resort=True).encode()))
    for _ in range(limits.CLAIMS_OF_ONE):
        claim(officer, agent.id)
    assert refused(world, Refusal.QUOTA, lambda: claim(officer, agent.id)).retry_after
    others = [bytes([n, 1]) * 8 for n in range(200)]
    world.db.executemany(
        "INSERT INTO claims (claimer, device, time) VALUES (?, ?, ?)",
        [(officer.id, bytes(16), world.now)] * (limits.CLAIMS_PER_HOUR - limits.CLAIMS_OF_ONE - len(others)),
    )
    claim(officer, *others)
    refused(world, Refusal.QUOTA, lambda: claim(officer, *others, bytes(16)))
    world.now += HOUR
    assert packages(claim(officer, agent.id))[0] is not None
    assert world.db.execute("SELECT count(*) FROM claims").fetchone() == (1,)


def test_as_many_packages_are_answered_as_fit_a_frame(world: World) -> None:
    officer = world.enrolled("officer")
    devices = [world.enrolled("agent") for _ in range(24)]
    for device in devices:
        done(put(device, [device.key_package(0xF001).encode()], suite=0xF001))
    answer = claim(officer, *(d.id for d in devices), suite=0xF001)
    assert 0 < len(answer.claims) < len(devices)
    assert len(encode(answer)) <= FRAME_LIMIT
    assert [c.device for c in answer.claims] == [d.id for d in devices[: len(answer.claims)]]
    rest = claim(officer, *(d.id for d in devices[len(answer.claims) :]), suite=0xF001)
    assert all(p is not None for p in packages(rest))


# --- invites and enrolments ----------------------------------------------------------------------------------------------------


class Enrolment:
    """A person on the way in, with everything that may go wrong."""

    def __init__(self, world: World, organisation: str = "Meridian", role: str = "agent") -> None:
        self.world = world
        self.first, self.second = world.registrars[organisation]
        self.invite = Invite("https://gate", world.charter.hash, world.random(16), organisation, role, world.now + HOUR)
        self.key = SigningKey.generate(world.random)
        self.request = request_enrolment(self.invite, self.key)
        self.device = DeviceId(world.random(16))

    def put(self, party: Party | None = None, **changes: Any) -> Any:
        i = self.invite
        fields = {"invite": i.id, "organisation": i.organisation, "role": i.role, "expires": i.expires, **changes}
        return self.world.ask(party or self.first, wire.PutInvite(1, **fields))

    def enrol(self, request: bytes | None = None) -> Any:
        return self.world.ask(None, wire.Enrol(1, self.invite.id, request or self.request))

    def certificate(self, issuer: int = 0, **changes: Any) -> bytes:
        registrar = self.world.registrars[self.invite.organisation][issuer].device
        assert isinstance(registrar, Registrar)
        fields = {
            "public_key": self.key.public,
            "person": PersonId(bytes(16)),
            "device": self.device,
            "roles": frozenset({self.invite.role}),
            "lifetime": LIFE,
            **changes,
        }
        return issue_device(registrar.der, registrar.key, random=self.world.random, **fields)

    def grant(self, der: bytes, party: Party | None = None) -> Any:
        return self.world.ask(party or self.first, wire.Grant(1, self.invite.id, der, b"sealed answer"))

    def wait(self) -> Any:
        return self.world.tell(None, wire.AwaitEnrolment(1, self.invite.id))

    def approve(self, der: bytes) -> Any:
        return self.second.say(Kind.CERTIFICATE, self.world.charter.control_channel, der)


@pytest.fixture
def e(world: World) -> Enrolment:
    return Enrolment(world)


def test_an_enrolment_goes_its_way_and_is_answered_only_once_it_is_logged(world: World, e: Enrolment) -> None:
    assert done(e.put()) == 0
    assert done(e.enrol()) == 0
    assert e.wait() == wire.Enrolment(1, b"", None)
    der = e.certificate()
    assert done(e.grant(der)) == 0
    assert e.wait() == wire.Enrolment(1, b"", None)
    place = accepted(e.approve(der)).places[0]
    answer = e.wait()
    assert (answer.answer, answer.entry.place, answer.entry.body) == (b"sealed answer", place, der)
    before = world.snapshot()
    for again in (e.put, e.enrol, lambda: e.grant(der)):
        assert done(again()) == 0
    assert e.wait() == answer
    assert world.snapshot() == before


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda e: e.put(e.world.enrolled("officer")), Refusal.ROLE, id="by an officer"),
        pytest.param(lambda e: e.put(e.world.registrars["Hostpol"][0]), Refusal.ROLE, id="by another's registrar"),
        pytest.param(lambda e: e.put(role="guest"), Refusal.ROLE, id="for a role its root may not grant"),
        pytest.param(lambda e: e.put(role="renewal"), Refusal.ROLE, id="for what renewals are called"),
        pytest.param(lambda e: e.put(expires=e.world.now), Refusal.EXPIRED, id="that has ended"),
        pytest.param(
            lambda e: e.put(expires=e.world.now + limits.INVITE_LIFE + 1), Refusal.EXPIRED, id="that lasts too long"
        ),
    ],
)
def test_an_invite_that_breaks_a_rule_is_refused(
    e: Enrolment, act: Callable[[Enrolment], Any], refusal: Refusal
) -> None:
    answer = act(e)
    assert isinstance(answer, Refused)
    assert answer.refusal is refusal
    assert e.world.view.invitation(e.invite.id) is None


def test_an_invite_is_not_put_again_on_other_terms(e: Enrolment) -> None:
    done(e.put())
    refused(e.world, Refusal.REPLAY, lambda: e.put(role="leader"))
    refused(e.world, Refusal.REPLAY, lambda: e.put(expires=e.invite.expires - 1))


def test_a_bounded_number_of_invites_is_out(world: World, e: Enrolment) -> None:
    for n in range(limits.INVITES_OPEN):
        done(e.put(invite=n.to_bytes(32)))
    refused(world, Refusal.QUOTA, e.put)
    done(world.ask(e.first, wire.CancelInvite(1, (0).to_bytes(32))))
    done(e.put())


def test_an_invite_is_taken_back_by_its_organisation_until_it_is_used(world: World, e: Enrolment) -> None:
    cancel = wire.CancelInvite(1, e.invite.id)
    refused(world, Refusal.DENIED, lambda: world.ask(e.first, cancel))
    done(e.put())
    refused(world, Refusal.DENIED, lambda: world.ask(None, cancel))
    refused(world, Refusal.DENIED, lambda: world.ask(world.registrars["Hostpol"][0], cancel))
    done(world.ask(e.second, cancel))
    refused(world, Refusal.DENIED, e.enrol)
    done(e.put())
    done(e.enrol())
    der = e.certificate()
    done(e.grant(der))
    accepted(e.approve(der))
    refused(world, Refusal.DENIED, lambda: world.ask(e.first, cancel))


def test_an_invite_is_used_once(world: World, e: Enrolment) -> None:
    done(e.put())
    done(e.enrol())
    other = request_enrolment(e.invite, SigningKey.generate(world.random))
    refused(world, Refusal.DENIED, lambda: e.enrol(other))
    done(e.enrol())


def ended_invite(e: Enrolment) -> Any:
    done(e.put())
    e.world.now += HOUR + 1
    return e.enrol()


def request_for_another(e: Enrolment) -> Any:
    done(e.put())
    return e.enrol(request_enrolment(Enrolment(e.world).invite, e.key))


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda e: e.enrol(), id="not there"),
        pytest.param(ended_invite, id="ended"),
        pytest.param(request_for_another, id="request for another invite"),
        pytest.param(lambda e: (done(e.put()), e.enrol(b"no request"))[1], id="no request"),
        pytest.param(
            lambda e: e.world.ask(None, wire.Enrol(1, renewal_id(e.world.enrolled("agent").id), e.request)),
            id="a renewal by a stranger",
        ),
    ],
)
def test_a_stranger_hears_the_same_of_every_invite_it_may_not_use(
    e: Enrolment, act: Callable[[Enrolment], Any]
) -> None:
    answer = act(e)
    assert isinstance(answer, Refused)
    assert (answer.refusal, answer.detail) == (Refusal.DENIED, "not for this device")


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        pytest.param(lambda e: e.grant(e.certificate(roles=frozenset({"leader"}))), Refusal.ROLE, id="of another role"),
        pytest.param(lambda e: e.grant(e.certificate(issuer=1)), Refusal.ROLE, id="made by another registrar"),
        pytest.param(
            lambda e: e.grant(e.certificate(public_key=SigningKey(bytes(32)).public)), Refusal.ROLE, id="of another key"
        ),
        pytest.param(
            lambda e: e.grant(e.certificate(device=e.world.enrolled("agent").id)), Refusal.ROLE, id="on a device there"
        ),
        pytest.param(lambda e: e.grant(b"no DER"), Refusal.SCHEMA, id="that is none"),
        pytest.param(lambda e: e.grant(Enrolment(World(9)).certificate()), Refusal.DENIED, id="of another mission"),
        pytest.param(
            lambda e: e.grant(e.certificate(), e.world.registrars["Hostpol"][0]), Refusal.DENIED, id="by another's"
        ),
        pytest.param(
            lambda e: e.grant(e.certificate(), e.world.enrolled("officer")), Refusal.DENIED, id="by an officer"
        ),
    ],
)
def test_a_grant_that_was_not_asked_for_is_refused(
    e: Enrolment, act: Callable[[Enrolment], Any], refusal: Refusal
) -> None:
    done(e.put())
    done(e.enrol())
    answer = act(e)
    assert isinstance(answer, Refused), answer
    assert answer.refusal is refusal
    held = e.world.view.invitation(e.invite.id)
    assert held is not None
    assert held.certificate == b""


def test_nothing_is_granted_unasked_or_after_the_end_or_once_more(world: World, e: Enrolment) -> None:
    der = e.certificate()
    refused(world, Refusal.DENIED, lambda: e.grant(der))
    done(e.put())
    refused(world, Refusal.DENIED, lambda: e.grant(der))
    done(e.enrol())
    done(e.grant(der))
    accepted(e.approve(der))
    refused(world, Refusal.DENIED, lambda: e.grant(e.certificate()))
    late = Enrolment(world)
    done(late.put())
    done(late.enrol())
    world.now += HOUR + 1
    refused(world, Refusal.EXPIRED, lambda: late.grant(late.certificate()))


def test_a_device_renews_its_certificate(world: World) -> None:
    agent = world.enrolled("agent")
    next_key = SigningKey.generate(world.random)
    request = request_renewal(agent.device.certified, agent.device.key, next_key)
    frame = wire.Enrol(1, renewal_id(agent.id), request)
    done(world.ask(agent, frame))
    done(world.ask(agent, frame))
    first, second = world.registrars["Meridian"]
    e = Enrolment(world)
    e.key, e.device = next_key, agent.id
    person = agent.identity.person

    def grant(der: bytes) -> Any:
        return world.ask(first, wire.Grant(1, renewal_id(agent.id), der, b""))

    refused(world, Refusal.ROLE, lambda: grant(e.certificate(person=person, roles=frozenset({"leader"}))))
    refused(world, Refusal.ROLE, lambda: grant(e.certificate(person=person, device=DeviceId(bytes(16)))))
    refused(world, Refusal.ROLE, lambda: grant(e.certificate(person=person, public_key=agent.device.key.public)))
    der = e.certificate(person=person)
    done(grant(der))
    (pending,) = world.tell(second, wire.GetEnrolments(1)).pending
    assert (pending.role, pending.certificate) == ("renewal", der)
    accepted(second.say(Kind.CERTIFICATE, world.charter.control_channel, der))
    wait = wire.AwaitEnrolment(1, renewal_id(agent.id))
    assert world.tell(agent, wait).entry.body == der
    for stranger in (None, world.enrolled("officer")):
        refused(world, Refusal.DENIED, lambda p=stranger: world.tell(p, wait))


def test_a_renewal_is_asked_for_by_the_device_itself_with_both_keys(world: World) -> None:
    agent, other = world.enrolled("agent"), world.enrolled("agent")
    request = request_renewal(agent.device.certified, agent.device.key, SigningKey.generate(world.random))
    forged = request_renewal(agent.device.certified, other.device.key, SigningKey.generate(world.random))
    mine = renewal_id(agent.id)
    refused(world, Refusal.DENIED, lambda: world.ask(other, wire.Enrol(1, mine, request)))
    refused(world, Refusal.DENIED, lambda: world.ask(other, wire.Enrol(1, renewal_id(other.id), request)))
    refused(world, Refusal.DENIED, lambda: world.ask(agent, wire.Enrol(1, mine, forged)))
    refused(world, Refusal.SCHEMA, lambda: world.ask(agent, wire.Enrol(1, mine, b"no renewal")))
    registrar = world.registrars["Meridian"][0]
    refused(world, Refusal.DENIED, lambda: world.ask(registrar, wire.Enrol(1, renewal_id(registrar.id), request)))
    refused(world, Refusal.DENIED, lambda: world.ask(None, wire.Enrol(1, mine, request)))


def test_enrolments_are_seen_by_whom_they_concern(world: World, e: Enrolment) -> None:
    partner = Enrolment(world, "Hostpol", "guest")
    for one in (e, partner):
        done(one.put())
        done(one.enrol())
    officer, agent = world.enrolled("officer"), world.enrolled("agent")

    def seen(party: Party) -> list[str]:
        return [p.organisation for p in world.tell(party, wire.GetEnrolments(1)).pending]

    assert (seen(e.first), seen(partner.first), seen(officer)) == (["Meridian"], ["Hostpol"], [])
    refused(world, Refusal.ROLE, lambda: world.tell(agent, wire.GetEnrolments(1)))
    for one in (e, partner):
        done(one.grant(one.certificate()))
    assert (seen(e.first), seen(partner.first)) == (["Meridian"], ["Hostpol"])
    assert sorted(seen(officer)) == ["Hostpol", "Meridian"]
    world.now += limits.INVITE_LIFE
    assert len(seen(officer)) == 2
    world.now += HOUR + 1
    assert seen(officer) == []


def test_a_request_whose_invite_has_ended_is_listed_no_more(world: World, e: Enrolment) -> None:
    done(e.put())
    done(e.enrol())
    world.now += HOUR + 1
    assert world.tell(e.first, wire.GetEnrolments(1)).pending == []


def test_await_knows_no_invite_that_is_not_there(world: World, e: Enrolment) -> None:
    refused(world, Refusal.DENIED, e.wait)


# --- charters, directory, certificates -------------------------------------------------------------------------------------------


def test_every_version_of_the_charter_is_public(world: World) -> None:
    first = world.charter.note
    world.succeed()
    for version, note in ((1, first), (2, world.charter.note), (0, world.charter.note)):
        assert world.tell(None, wire.GetCharter(1, version)) == wire.CharterNote(1, note)
    refused(world, Refusal.DENIED, lambda: world.tell(None, wire.GetCharter(1, 3)))


def people(party: Party, after: bytes = bytes(16)) -> list[bytes]:
    return [p.device for p in party.world.tell(party, wire.GetDirectory(1, after)).people]


def test_a_guest_knows_the_people_of_its_channels_and_nobody_else(s: Scene) -> None:
    guest, hidden = s.world.enrolled("guest", house=s.world.mission.partner), s.world.enrolled("agent")
    assert people(guest) == [guest.id]
    accepted(s.officer.add(s.channel, guest))
    assert people(guest) == sorted([s.officer.id, s.agent.id, guest.id])
    everybody = sorted([s.officer.id, s.agent.id, guest.id, hidden.id])
    assert people(s.officer) == everybody
    assert people(s.world.registrars["Hostpol"][0]) == everybody
    assert people(s.officer, everybody[1]) == everybody[2:]
    accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, guest))]))
    assert people(guest) == [guest.id]


def test_the_directory_says_what_counts_now(world: World) -> None:
    officer, agent = world.enrolled("officer"), world.enrolled("agent")
    agent.renewed()
    done(put(agent, [agent.key_package().encode()]))
    accepted(world.publish_list("Meridian", [agent.device.certified.serial], number=2))
    (person,) = [p for p in world.tell(officer, wire.GetDirectory(1, bytes(16))).people if p.device == agent.id]
    assert (person.certificate, person.revoked, person.packages) == (agent.identity.certificate, True, 1)
    assert (person.roles, person.organisation) == (["agent"], "Meridian")


def certificates(party: Party, *hashes: bytes) -> Any:
    return party.world.tell(party, wire.GetCertificates(1, list(hashes)))


def test_certificates_come_with_their_approvers_first(world: World) -> None:
    officer = world.enrolled("officer")
    mission = world.mission
    agent = Party(world, mission.device("agent"))
    accepted(officer.say(Kind.CERTIFICATE, world.charter.control_channel, agent.der))
    entries = certificates(agent, agent.identity.certificate).entries
    assert [e.body for e in entries] == [officer.der, agent.der]
    both = certificates(officer, officer.identity.certificate, agent.identity.certificate).entries
    assert [e.body for e in both] == [officer.der, agent.der]


def test_the_approver_is_the_certificate_that_signed(world: World) -> None:
    officer = world.enrolled("officer")
    old = officer.device
    agent = Party(world, world.mission.device("agent"))
    before = officer.der
    officer.renewed()
    renewed, officer.device = officer.device, old  # a session that began before the renewal
    accepted(officer.say(Kind.CERTIFICATE, world.charter.control_channel, agent.der))
    officer.device = renewed
    entries = certificates(officer, agent.identity.certificate).entries
    assert [e.body for e in entries] == [before, agent.der]


def test_certificates_are_told_of_those_who_were_in_a_channel_at_the_same_time(s: Scene) -> None:
    gone, later = s.world.enrolled("agent"), s.world.enrolled("agent")
    stranger = s.world.enrolled("agent")
    accepted(s.officer.add(s.channel, gone))
    accepted(s.officer.commit(s.channel, [Remove(leaf_of(s, gone))]))
    accepted(s.officer.add(s.channel, later))
    assert certificates(s.agent, gone.identity.certificate).entries[-1].body == gone.der
    assert certificates(gone, s.agent.identity.certificate).entries[-1].body == s.agent.der
    for asker, asked in ((later, gone), (gone, later), (stranger, gone), (s.agent, stranger)):
        refused(s.world, Refusal.DENIED, lambda a=asker, b=asked: certificates(a, b.identity.certificate))
    refused(s.world, Refusal.DENIED, lambda: certificates(s.officer, bytes(32)))


def test_as_many_certificates_are_answered_as_fit_a_frame(world: World) -> None:
    officer = world.enrolled("officer")
    hashes = [world.enrolled("agent").identity.certificate for _ in range(64)]
    answer = certificates(officer, *hashes)
    assert len(encode(answer)) <= FRAME_LIMIT
    assert 0 < len(answer.entries) <= 64
    assert answer.entries == certificates(officer, *hashes[: len(answer.entries)]).entries


def test_who_approves_sees_the_verb_in_the_charter(world: World) -> None:
    officer = world.enrolled("officer")
    roles = tuple((n, v - {Verb.DIRECTORY} if n == "officer" else v) for n, v in world.mission.policy.roles)
    hidden = world.enrolled("agent")
    assert hidden.id in people(officer)
    world.succeed(roles=roles)
    assert people(officer) == [officer.id]
