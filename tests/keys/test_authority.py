"""Enrolment from invite to approval, and what each step refuses."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace as with_fields

from keys.authority import (
    INVITE_PREFIX,
    Answer,
    Card,
    CharterAuthentication,
    EnrolmentRequest,
    Invite,
    Renewal,
    check_approval,
    check_card,
    check_renewal,
    check_renewed,
    check_request,
    open_answer,
    read_card,
    read_invite,
    read_request,
    renewal_id,
    request_enrolment,
    request_renewal,
    seal_answer,
    sign_card,
)
from keys.canonical import encode
from keys.charter import sign, succeed
from keys.credential import Certified, issue_device
from keys.envelope import Marking
from keys.errors import BadSignature, CharterRefused, Expired, Malformed, NotPermitted, NotTrusted
from keys.identity import DeviceId, PersonId, SigningKey
from keys.mls.errors import InvalidCredential
from keys.mls.nodes import Credential
from keys.policy import DEFAULT_ROLES, Verb, render
from tests.keys.goldens import check_golden
from tests.keys.mission import LIFE, NOW, House, Mission
from tests.keys.shapes import all_refused, almost, sample, values

MISSION = Mission()
CHARTER = MISSION.charter
HOME, PARTNER = MISSION.home, MISSION.partner
FIRST, SECOND = HOME.registrars
KEY, OTHER = SigningKey(b"k" * 32), SigningKey(b"o" * 32)
INVITE = Invite("https://127.0.0.1:8440", CHARTER.hash, b"s" * 16, "Meridian", "agent", NOW)
ANOTHER = with_fields(INVITE, secret=b"t" * 16)


# --- invites -----------------------------------------------------------------------------------------------------------


def test_an_invite_as_a_link() -> None:
    assert read_invite(INVITE.link()) == INVITE
    assert read_invite(f"  {INVITE.link()}\n") == INVITE
    fixed = with_fields(INVITE, charter=bytes(32))
    check_golden("keys.json", "invite link", fixed.link().encode())
    check_golden("keys.json", "invite id", fixed.id)


@given(values(Invite))
def test_every_invite_comes_back(invite: Invite) -> None:
    assert read_invite(invite.link()) == invite


def test_the_largest_invite_comes_back() -> None:
    largest = Invite("𝄞" * 200, bytes(32), bytes(16), "𝄞" * 100, "𝄞" * 24, NOW)
    assert read_invite(largest.link()) == largest


def as_link(data: bytes) -> str:
    return INVITE_PREFIX + urlsafe_b64encode(data).decode().rstrip("=")


def test_every_other_encoding_of_an_invite() -> None:
    all_refused(lambda data: read_invite(as_link(data)), almost(INVITE))


LINK = INVITE.link()


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("", id="nothing"),
        pytest.param(LINK.removeprefix(INVITE_PREFIX), id="no prefix"),
        pytest.param(LINK.upper(), id="in upper case"),
        pytest.param(LINK[:40] + "!" + LINK[40:], id="a letter that base64 passes over"),
        pytest.param(LINK[:40] + "\n" + LINK[40:], id="a line break inside"),
        pytest.param(LINK[:40] + "é" + LINK[40:], id="a letter that is not ASCII"),
        pytest.param(as_link(encode(sample(Invite))) + "=", id="padding"),
        pytest.param(LINK + "A", id="a letter more"),
        pytest.param(LINK[:-1], id="a letter less"),
        pytest.param(INVITE_PREFIX + "A" * 10_000, id="far too long"),
        pytest.param(INVITE_PREFIX, id="nothing after the prefix"),
        pytest.param(as_link(encode(with_fields(INVITE, secret=b"s" * 15))), id="a secret of 15 bytes"),
        pytest.param(as_link(encode(with_fields(INVITE, role="r" * 25))), id="a role too long"),
    ],
)
def test_links_that_are_none(link: str) -> None:
    with pytest.raises(Malformed):
        read_invite(link)


@pytest.mark.parametrize("link", [LINK.removeprefix(INVITE_PREFIX), INVITE_PREFIX + "A" * 2_201])
def test_what_is_no_link_at_all_says_so(link: str) -> None:
    with pytest.raises(Malformed, match="begins with outrider-invite:"):
        read_invite(link)


def test_plus_and_slash_are_no_second_way_to_write_a_link() -> None:
    odd = with_fields(INVITE, charter=b"\xfb\xff" * 16)
    assert read_invite(odd.link()) == odd
    changed = INVITE_PREFIX + odd.link().removeprefix(INVITE_PREFIX).replace("-", "+").replace("_", "/")
    assert changed != odd.link()
    with pytest.raises(Malformed):
        read_invite(changed)


@given(st.text(max_size=80))
def test_arbitrary_links(text: str) -> None:
    for link in (text, INVITE_PREFIX + text):
        with pytest.raises(Malformed):
            read_invite(link)


def test_the_id_tells_nothing_of_the_secret_and_names_it_alone() -> None:
    assert INVITE.id != ANOTHER.id
    assert INVITE.secret not in INVITE.id
    assert with_fields(INVITE, role="officer").id == INVITE.id


# --- requests ----------------------------------------------------------------------------------------------------------

REQUEST = request_enrolment(INVITE, KEY)


def asked(invite: Invite = INVITE, key: SigningKey = KEY, **changes: bytes) -> bytes:
    return encode(with_fields(check_request(request_enrolment(invite, key), invite, NOW), **changes))


def test_request() -> None:
    request = check_request(REQUEST, INVITE, NOW)
    assert (request.public_key, request.charter) == (KEY.public, CHARTER.hash)
    assert read_request(REQUEST, INVITE.id) == request
    fixed = with_fields(INVITE, charter=bytes(32))
    check_golden("keys.json", "enrolment request", request_enrolment(fixed, KEY))
    check_golden("keys.json", "enrolment words", asked(fixed) and check_request(asked(fixed), fixed, 0).words.encode())


def test_words_name_key_and_charter() -> None:
    spoken = {
        check_request(asked(i, k), i, 0).words
        for i in (INVITE, with_fields(INVITE, charter=bytes(32)))
        for k in (KEY, OTHER)
    }
    assert len(spoken) == 4
    assert check_request(asked(ANOTHER), ANOTHER, 0).words in spoken, "the secret is not spoken"


@pytest.mark.parametrize(
    ("data", "invite", "error"),
    [
        pytest.param(REQUEST, ANOTHER, BadSignature, id="made with another invite"),
        pytest.param(asked(mac=bytes(32)), INVITE, BadSignature, id="without the secret"),
        pytest.param(asked(public_key=OTHER.public), INVITE, BadSignature, id="the key swapped on the way"),
        pytest.param(
            asked(
                public_key=OTHER.public, proof=OTHER.sign("enrolment request", OTHER.public + CHARTER.hash + INVITE.id)
            ),
            INVITE,
            BadSignature,
            id="key and proof swapped by who knows the invite's id",
        ),
        pytest.param(asked(proof=bytes(64)), INVITE, BadSignature, id="a key that nobody holds"),
        pytest.param(
            asked(proof=KEY.sign("card", KEY.public + CHARTER.hash + INVITE.id)),
            INVITE,
            BadSignature,
            id="a proof under another label",
        ),
        pytest.param(asked(charter=bytes(32)), INVITE, BadSignature, id="the charter swapped on the way"),
        pytest.param(
            request_enrolment(with_fields(INVITE, charter=bytes(32)), KEY),
            INVITE,
            BadSignature,
            id="for another charter",
        ),
        pytest.param(asked(public_key=bytes(32)), INVITE, BadSignature, id="a key of small order"),
        pytest.param(REQUEST, with_fields(INVITE, expires=NOW - 1), Expired, id="after the invite's end"),
    ],
)
def test_requests_of_somebody_else(data: bytes, invite: Invite, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_request(data, invite, NOW)


def test_an_invite_holds_to_its_last_millisecond() -> None:
    assert check_request(REQUEST, INVITE, INVITE.expires)


def test_the_gateway_sees_that_the_key_is_held_and_no_more() -> None:
    assert read_request(asked(mac=bytes(32)), INVITE.id)
    with pytest.raises(BadSignature):
        read_request(REQUEST, ANOTHER.id)


def test_one_encoding_of_everything() -> None:
    request = read_request(REQUEST, INVITE.id)
    errors = (Malformed, BadSignature)
    all_refused(lambda data: read_request(data, INVITE.id), almost(request), errors)
    all_refused(lambda data: check_request(data, INVITE, NOW), almost(request), errors)
    all_refused(read_card, almost(sample(Card)))
    renewal = check_renewal(request_renewal(AGENT, AGENT_KEY, KEY), AGENT)
    all_refused(lambda data: check_renewal(data, AGENT), almost(renewal), errors)


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    for read in (
        lambda d: read_request(d, INVITE.id),
        lambda d: check_request(d, INVITE, NOW),
        lambda d: check_renewal(d, AGENT),
        read_card,
    ):
        with pytest.raises(Malformed):
            read(data)
    with pytest.raises(BadSignature):
        open_answer(data, INVITE)


@pytest.mark.parametrize("kind", [EnrolmentRequest, Renewal, Card, Answer])
def test_goldens(kind: type[Struct]) -> None:
    check_golden("bodies.json", kind.__name__, encode(sample(kind)))


# --- cards and answers -------------------------------------------------------------------------------------------------

DEVICE = MISSION.device("agent")
AGENT, AGENT_KEY = DEVICE.certified, DEVICE.key


def card_of(certified: Certified = AGENT, registrar: Any = FIRST, **changes: Any) -> Card:
    made = Card(certified.person, certified.device, "Jane Roe", "Falcon", certified.organisation, registrar.device, b"")
    return sign_card(with_fields(made, **changes), registrar.key)


def test_cards() -> None:
    for registrar in HOME.registrars:
        card = card_of(registrar=registrar)
        check_card(card, AGENT, CHARTER)
        assert read_card(encode(card)) == card


@pytest.mark.parametrize(
    ("card", "error"),
    [
        pytest.param(with_fields(card_of(), name="John Doe"), BadSignature, id="the name changed"),
        pytest.param(with_fields(card_of(), call_sign="Eagle"), BadSignature, id="the call sign changed"),
        pytest.param(with_fields(card_of(), name="Jane RoeF", call_sign="alcon"), BadSignature, id="a letter moved"),
        pytest.param(with_fields(card_of(), person=bytes(16)), BadSignature, id="the person changed"),
        pytest.param(with_fields(card_of(), device=bytes(16)), BadSignature, id="the device changed"),
        pytest.param(with_fields(card_of(), signature=b""), BadSignature, id="no signature"),
        pytest.param(with_fields(card_of(), issuer=SECOND.device), BadSignature, id="another registrar named"),
        pytest.param(card_of(issuer=bytes(16)), NotTrusted, id="a registrar whom nobody knows"),
        pytest.param(
            card_of(registrar=PARTNER.registrars[0]), NotTrusted, id="a partner's registrar for our organisation"
        ),
        pytest.param(card_of(organisation="Nobody"), NotTrusted, id="an organisation that the charter doesn't name"),
        pytest.param(
            with_fields(card_of(), organisation="Hostpol"), NotTrusted, id="our registrar for a partner's organisation"
        ),
    ],
)
def test_cards_that_no_registrar_signed(card: Card, error: type[Exception]) -> None:
    with pytest.raises(error):
        card.verify(CHARTER)
    with pytest.raises((BadSignature, NotTrusted)):
        check_card(card, AGENT, CHARTER)


@pytest.mark.parametrize(
    "card",
    [
        pytest.param(card_of(person=b"p" * 16), id="another person"),
        pytest.param(card_of(device=b"d" * 16), id="another device"),
        pytest.param(
            card_of(registrar=PARTNER.registrars[0], organisation="Hostpol"),
            id="a partner's registrar about our device",
        ),
    ],
)
def test_a_card_says_nothing_about_another_device(card: Card) -> None:
    card.verify(CHARTER)
    with pytest.raises(NotTrusted, match="another device"):
        check_card(card, AGENT, CHARTER)


ANSWER = Answer(AGENT.der, card_of())
SEALED = seal_answer(ANSWER, INVITE, MISSION.random)


def test_answers_open_with_the_invite_alone() -> None:
    assert open_answer(SEALED, INVITE) == ANSWER
    assert b"Jane" not in SEALED
    assert seal_answer(ANSWER, INVITE, MISSION.random) != SEALED, "a fresh nonce each"
    with pytest.raises(BadSignature):
        open_answer(SEALED, ANOTHER)


def test_answers_cut_or_changed_anywhere() -> None:
    for n in range(len(SEALED)):
        with pytest.raises(BadSignature):
            open_answer(SEALED[:n], INVITE)
        with pytest.raises(BadSignature):
            open_answer(SEALED[:n] + bytes([SEALED[n] ^ 1]) + SEALED[n + 1 :], INVITE)
    with pytest.raises(BadSignature):
        open_answer(SEALED + b"\x00", INVITE)


def test_sealed_with_the_secret_and_yet_no_answer() -> None:
    with pytest.raises(Malformed):
        open_answer(seal_answer(Answer(bytes(1_025), card_of()), INVITE, MISSION.random), INVITE)


# --- renewal -----------------------------------------------------------------------------------------------------------


def renewal(**changes: bytes) -> bytes:
    return encode(with_fields(check_renewal(request_renewal(AGENT, AGENT_KEY, KEY), AGENT), **changes))


def test_renewal() -> None:
    assert check_renewal(request_renewal(AGENT, AGENT_KEY, KEY), AGENT).public_key == KEY.public
    assert renewal_id(AGENT.device) != renewal_id(AGENT.person)
    check_golden("keys.json", "renewal id", renewal_id(bytes(16)))


CONTENT = AGENT.hash + KEY.public


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(renewal(certificate=bytes(32)), id="of another certificate"),
        pytest.param(renewal(public_key=OTHER.public), id="the new key swapped"),
        pytest.param(renewal(proof=AGENT_KEY.sign("renewal proof", CONTENT)), id="a new key that is not held"),
        pytest.param(renewal(signature=KEY.sign("renewal", CONTENT)), id="asked for by the new key alone"),
        pytest.param(
            renewal(signature=AGENT_KEY.sign("renewal proof", CONTENT)), id="the present key under another label"
        ),
        pytest.param(renewal(proof=KEY.sign("renewal", CONTENT)), id="the new key under another label"),
        pytest.param(request_renewal(AGENT, OTHER, KEY), id="asked for by a stranger"),
        pytest.param(request_renewal(MISSION.device("agent").certified, AGENT_KEY, KEY), id="for another device"),
    ],
)
def test_renewals_that_the_device_did_not_ask_for(data: bytes) -> None:
    with pytest.raises(BadSignature):
        check_renewal(data, AGENT)


def renewed(house: House = HOME, person: bytes = AGENT.person, device: bytes = AGENT.device, *roles: str) -> Certified:
    registrar = house.registrars[1]
    granted = frozenset(roles or (("agent",) if house is HOME else ("guest",)))
    der = issue_device(
        registrar.der, registrar.key, KEY.public, PersonId(person), DeviceId(device), granted, LIFE, MISSION.random
    )
    return CHARTER.verify_certificate(der)


def test_a_renewed_certificate() -> None:
    check_renewed(AGENT, renewed())


@pytest.mark.parametrize(
    "certified",
    [
        pytest.param(renewed(HOME, b"x" * 16), id="another person"),
        pytest.param(renewed(HOME, AGENT.person, b"x" * 16), id="another device"),
        pytest.param(renewed(PARTNER), id="a partner's registrar takes our device's id"),
        pytest.param(renewed(HOME, AGENT.person, AGENT.device, "agent", "officer"), id="a role more"),
        pytest.param(CHARTER.verify_certificate(FIRST.der), id="a registrar"),
    ],
)
def test_certificates_that_renew_nothing(certified: Certified) -> None:
    with pytest.raises(NotPermitted):
        check_renewed(AGENT, certified)


# --- the second officer ------------------------------------------------------------------------------------------------


def registrar_of(house: House, number: int) -> Certified:
    return CHARTER.verify_certificate(house.registrars[number].der)


OFFICER = MISSION.device("officer").certified
GUEST = MISSION.device("guest", house=PARTNER).certified


@pytest.mark.parametrize(
    ("certificate", "approver"),
    [
        pytest.param(AGENT, OFFICER, id="an officer"),
        pytest.param(AGENT, registrar_of(HOME, 1), id="the other registrar, at the founding"),
        pytest.param(GUEST, OFFICER, id="an officer of the home organisation for a partner"),
        pytest.param(GUEST, registrar_of(PARTNER, 1), id="a partner's other registrar for its own"),
    ],
)
def test_approved(certificate: Certified, approver: Certified) -> None:
    check_approval(certificate, approver, CHARTER)


SELF = MISSION.device("officer").certified
TWIN = MISSION.device("officer", person=SELF.person).certified
ISSUER_AS_OFFICER = MISSION.device("officer", person=FIRST.person).certified


@pytest.mark.parametrize(
    ("certificate", "approver", "why"),
    [
        pytest.param(AGENT, registrar_of(HOME, 0), "another person", id="the registrar who issued it"),
        pytest.param(AGENT, ISSUER_AS_OFFICER, "another person", id="the registrar's other device, an officer's"),
        pytest.param(SELF, SELF, "another person", id="the device itself"),
        pytest.param(SELF, TWIN, "another person", id="another device of the one enrolled"),
        pytest.param(AGENT, MISSION.device("agent").certified, "may not approve-enrolment", id="an agent"),
        pytest.param(AGENT, MISSION.device("leader").certified, "may not approve-enrolment", id="a leader"),
        pytest.param(AGENT, GUEST, "of its own", id="a partner's guest"),
        pytest.param(AGENT, registrar_of(PARTNER, 0), "own organisation only", id="a partner's registrar for ours"),
        pytest.param(GUEST, registrar_of(HOME, 0), "own organisation only", id="our registrar for a partner's"),
    ],
)
def test_not_approved(certificate: Certified, approver: Certified, why: str) -> None:
    with pytest.raises(NotPermitted, match=why):
        check_approval(certificate, approver, CHARTER)


def test_a_partner_s_officer_approves_its_own_and_not_ours() -> None:
    """Where the charter lets a partner's root grant a role with the verb."""
    grown = replace(PARTNER.organisation, roles=frozenset({"guest", "officer"}), ceiling=Marking.GREEN)
    policy = MISSION.successor(organisations=(HOME.organisation, grown))
    charter = succeed(CHARTER, sign(render(policy), MISSION.authorities[:2]))
    registrar = PARTNER.registrars[0]
    der = issue_device(
        registrar.der,
        registrar.key,
        KEY.public,
        PersonId(b"f" * 16),
        DeviceId(b"f" * 16),
        frozenset({"officer"}),
        LIFE,
        MISSION.random,
    )
    officer = charter.verify_certificate(der)
    check_approval(GUEST, officer, charter)
    with pytest.raises(NotPermitted, match="of its own"):
        check_approval(AGENT, officer, charter)


def test_nothing_is_approved_under_a_registrar_whom_the_charter_has_dropped() -> None:
    other = Mission(seed=4).house("Meridian", home=True, roles=HOME.organisation.roles).organisation
    policy = MISSION.successor(organisations=(other, PARTNER.organisation))
    charter = succeed(CHARTER, sign(render(policy), MISSION.authorities[:2]))
    with pytest.raises(NotTrusted, match="does not name the registrar"):
        check_approval(AGENT, OFFICER, charter)
    alone = MISSION.successor(organisations=(HOME.organisation,))
    with pytest.raises(NotTrusted):
        check_approval(GUEST, OFFICER, succeed(CHARTER, sign(render(alone), MISSION.authorities[:2])))


def test_who_may_approve_is_the_charter_s_to_say() -> None:
    roles = tuple((name, verbs - {Verb.APPROVE_ENROLMENT}) for name, verbs in DEFAULT_ROLES)
    charter = succeed(CHARTER, sign(render(MISSION.successor(roles=roles)), MISSION.authorities[:2]))
    with pytest.raises(NotPermitted, match="may not approve-enrolment"):
        check_approval(AGENT, OFFICER, charter)
    assert CharterRefused is not NotPermitted


# --- the Authentication Service ----------------------------------------------------------------------------------------

SERVICE = CharterAuthentication(CHARTER, lambda hash_: hash_ == AGENT.hash)


def credential(*certificates: bytes) -> Credential:
    return Credential.x509(certificates)


def test_a_leaf_counts_with_its_log_entry() -> None:
    SERVICE.validate(credential(AGENT.der), AGENT.public_key)
    assert SERVICE.certified(credential(AGENT.der)) == AGENT


@pytest.mark.parametrize(
    ("certificates", "key"),
    [
        pytest.param([], AGENT.public_key, id="no certificate"),
        pytest.param([AGENT.der, FIRST.der], AGENT.public_key, id="a chain"),
        pytest.param([b"rubbish"], AGENT.public_key, id="no certificate at all"),
        pytest.param([FIRST.der], FIRST.key.public, id="a registrar"),
        pytest.param([AGENT.der], OTHER.public, id="another signature key"),
        pytest.param([OFFICER.der], OFFICER.public_key, id="no approval in the log"),
        pytest.param([Mission(seed=5).device("agent").certified.der], AGENT.public_key, id="another mission's device"),
    ],
)
def test_leaves_that_do_not_count(certificates: list[bytes], key: bytes) -> None:
    with pytest.raises(InvalidCredential):
        SERVICE.validate(credential(*certificates), key)


def test_a_registrar_is_no_member_even_if_its_certificate_were_logged() -> None:
    everything = CharterAuthentication(CHARTER, lambda _: True)
    with pytest.raises(InvalidCredential, match="no member of channels"):
        everything.validate(credential(FIRST.der), FIRST.key.public)


def test_only_the_same_device_takes_a_leaf_s_place() -> None:
    assert SERVICE.is_successor(credential(AGENT.der), credential(renewed().der))
    for other in (OFFICER, renewed(HOME, b"x" * 16), renewed(HOME, AGENT.person, b"x" * 16), renewed(PARTNER)):
        assert not SERVICE.is_successor(credential(AGENT.der), credential(other.der))
