"""The founding, and what may follow it, as values."""

import random
from dataclasses import replace

import pytest

from clients.authority.ceremony import (
    Founding,
    Plan,
    changes,
    found_mission,
    key_name,
    propose,
    read_proposal,
    signed_by,
    text_of,
    with_partner,
    without_partner,
)
from clients.authority.house import DAY, OrganisationFile, found_house
from keys.charter import sign, succeed
from keys.envelope import Marking
from keys.errors import CharterRefused
from keys.identity import SigningKey
from keys.policy import Distinct, render
from keys.request import GatewayRequest
from keys.tlog.note import Ed25519Signer

NOW = 1_790_000_000_000
PLAN = Plan("Meridian Mission", "Meridian", not_after=NOW + 365 * DAY, auditors=("gita",))


def request() -> GatewayRequest:
    source = random.Random(7)
    log = Ed25519Signer.from_seed("log.test/meridian", source.randbytes(32))
    gateway = SigningKey.generate(source.randbytes)
    return GatewayRequest(
        "https://127.0.0.1:8440", "log.test/meridian", log.verifier_key.encode(), gateway.public, [source.randbytes(32)]
    )


@pytest.fixture(scope="module")
def founding() -> Founding:
    return found_mission(request(), PLAN, NOW, random.Random(1).randbytes)


def partner(seed: int = 3, name: str = "Hostpol") -> OrganisationFile:
    house = found_house(name, NOW, random.Random(seed).randbytes)
    return OrganisationFile(name, house.root_der, [r.der for r in house.registrars])


def test_the_charter_names_the_gateway_of_the_request(founding: Founding) -> None:
    policy, asked = founding.charter.policy, request()
    assert (policy.gateway_url, policy.gateway_key) == (asked.url, asked.gateway_key)
    assert (policy.log_origin, policy.log_key, list(policy.tls_keys)) == (asked.origin, asked.log_key, asked.tls_keys)
    assert policy.auditors == ("gita",)


def test_the_rules_of_alerts_are_as_decided(founding: Founding) -> None:
    usual = founding.charter.policy
    assert (usual.alert_distinct, usual.alert_deadline_seconds, usual.alert_review_hours) == (Distinct.PERSON, 300, 24)
    plan = replace(PLAN, distinct=Distinct.ROLE, deadline_seconds=600, review_hours=12, break_glass=False)
    policy = found_mission(request(), plan, NOW, random.Random(1).randbytes).charter.policy
    assert (policy.alert_distinct, policy.alert_deadline_seconds, policy.alert_review_hours) == (Distinct.ROLE, 600, 12)
    assert not policy.break_glass


def test_an_agreement_has_a_name_and_says_whether_drills_reach_the_partner(founding: Founding) -> None:
    policy = founding.charter.policy
    quiet = with_partner(policy, partner(), Marking.AMBER, NOW + 90 * DAY, ["guest"]).organisation("Hostpol")
    assert (quiet.agreement, quiet.drills) == ("", False)
    joined = with_partner(policy, partner(), Marking.AMBER, NOW + 90 * DAY, ["guest"], "HP-3", drills=True)
    assert joined.organisation("Hostpol").agreement == "HP-3"
    assert joined.plays("Hostpol", NOW)


def test_a_quorum_has_signed_it_and_no_more(founding: Founding) -> None:
    assert signed_by(founding.charter.note, founding.charter.policy) == ("authority-1.meridian", "authority-2.meridian")


@pytest.mark.parametrize(("quorum", "keys"), [(1, 1), (1, 3), (3, 3), (4, 7)])
def test_quorum_and_authorities_are_as_asked(quorum: int, keys: int) -> None:
    plan = replace(PLAN, quorum=quorum, authorities=keys)
    founded = found_mission(request(), plan, NOW, random.Random(1).randbytes)
    assert (founded.charter.policy.quorum, len(founded.charter.policy.authority_keys)) == (quorum, keys)
    assert len(signed_by(founded.charter.note, founded.charter.policy)) == quorum


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(replace(PLAN, quorum=4), id="a quorum larger than the keys"),
        pytest.param(replace(PLAN, quorum=0), id="no quorum"),
        pytest.param(replace(PLAN, not_after=NOW), id="ended before it began"),
        pytest.param(replace(PLAN, mission="two\nlines"), id="a name of two lines"),
        pytest.param(replace(PLAN, mission=""), id="no name"),
        pytest.param(replace(PLAN, organisation="Ayo\u202e"), id="a name that turns round"),
        pytest.param(replace(PLAN, auditors=("gita", "gita")), id="one auditor twice"),
    ],
)
def test_what_can_be_no_charter_is_refused(plan: Plan) -> None:
    with pytest.raises(CharterRefused):
        found_mission(request(), plan, NOW, random.Random(1).randbytes)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        pytest.param("Meridian", "meridian", id="one word"),
        pytest.param("Host Nation + Police", "host-nation-police", id="what a key name can't hold"),
        pytest.param("Ω", "mission", id="nothing left"),
    ],
)
def test_names_as_in_key_names(name: str, key: str) -> None:
    assert key_name(name) == key


def test_a_partner_follows_with_both_quorums(founding: Founding) -> None:
    held = founding.charter
    changed = with_partner(held.policy, partner(), Marking.AMBER, NOW + 90 * DAY, ["guest"])
    text = render(propose(changed, version=2))
    signers = [a.signer for a in founding.authorities]
    one = sign(text, signers[:1])
    with pytest.raises(CharterRefused):
        succeed(held, one)
    both = succeed(held, sign(text, signers[2:], one))
    assert [o.name for o in both.policy.organisations] == ["Meridian", "Hostpol"]
    assert both.policy.may_see("Hostpol", Marking.AMBER, NOW)
    assert not both.policy.may_see("Hostpol", Marking.AMBER, NOW + 91 * DAY)


def test_a_partner_again_is_a_new_agreement(founding: Founding) -> None:
    once = with_partner(founding.charter.policy, partner(), Marking.AMBER, NOW + 90 * DAY, ["guest"])
    again = with_partner(once, partner(), Marking.GREEN, NOW + 180 * DAY, ["guest"])
    assert again.organisation("Hostpol").ceiling is Marking.GREEN
    assert len(again.organisations) == 2


@pytest.mark.parametrize(
    ("file", "ceiling", "roles"),
    [
        pytest.param(partner(), Marking.AMBER_STRICT, ["guest"], id="strict stays at home"),
        pytest.param(partner(), Marking.RED, ["guest"], id="red stays at home"),
        pytest.param(partner(), Marking.AMBER, ["king"], id="a role that nobody defined"),
        pytest.param(partner(name="Meridian"), Marking.AMBER, ["guest"], id="the home's name"),
    ],
)
def test_a_partner_that_can_t_be_named_is_refused(
    founding: Founding, file: OrganisationFile, ceiling: Marking, roles: list[str]
) -> None:
    with pytest.raises(CharterRefused):
        with_partner(founding.charter.policy, file, ceiling, NOW + DAY, roles)


def test_another_root_under_a_partner_s_name_is_refused(founding: Founding) -> None:
    once = with_partner(founding.charter.policy, partner(), Marking.AMBER, NOW + DAY, ["guest"])
    with pytest.raises(CharterRefused):
        with_partner(once, partner(seed=4), Marking.AMBER, NOW + DAY, ["guest"])


def test_a_partner_is_dropped_and_the_home_is_not(founding: Founding) -> None:
    once = with_partner(founding.charter.policy, partner(), Marking.AMBER, NOW + DAY, ["guest"])
    assert without_partner(once, "Hostpol") == founding.charter.policy
    for name in ("Meridian", "Nobody"):
        with pytest.raises(CharterRefused):
            without_partner(once, name)


def test_a_proposal_is_read_with_and_without_signatures(founding: Founding) -> None:
    note, text = founding.charter.note, founding.charter.text
    assert read_proposal(note) == (founding.charter.policy, note)
    assert read_proposal(text) == (founding.charter.policy, None)
    assert text_of(note) == text_of(text) == text
    assert signed_by(text, founding.charter.policy) == ()


def test_a_forged_line_is_no_signature(founding: Founding) -> None:
    thief = Ed25519Signer.from_seed("authority-1.meridian", bytes(32))
    assert signed_by(sign(founding.charter.text, [thief]), founding.charter.policy) == ()


def test_changes_name_what_is_different_and_no_more(founding: Founding) -> None:
    before = founding.charter.policy
    after = propose(before, version=2, not_after=before.not_after + DAY)
    different = changes(before, after)
    assert len(different) == 2
    assert all("not-after" in line for line in different)
    assert changes(before, propose(before, version=2)) == []
