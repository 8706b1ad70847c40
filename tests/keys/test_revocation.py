"""Revocation lists: the profile hole by hole, who may sign one, and what may follow what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from keys import der
from keys.authority import RevocationList, check_newer, issue_revocation_list, read_revocation_list
from keys.errors import Malformed, NotTrusted, Revoked
from keys.identity import SigningKey
from keys.revocation import LIST_BYTES, NUMBER_STEP
from tests.keys.goldens import check_golden
from tests.keys.mission import DAY, NOW, Mission, Registrar

MISSION = Mission()
CHARTER = MISSION.charter
FIRST, SECOND = MISSION.home.registrars
FOREIGN = MISSION.partner.registrars[0]
AGENT = MISSION.device("agent").certified
GUEST = MISSION.device("guest", house=MISSION.partner).certified
THIS, NEXT = NOW, NOW + DAY


def issued(number: int = 7, *serials: int, by: Registrar = FIRST, key: SigningKey | None = None) -> bytes:
    return issue_revocation_list(by.der, key or by.key, number, serials, THIS, NEXT)


def read(data: bytes) -> RevocationList:
    return read_revocation_list(data, CHARTER.policy.issuers)


def test_a_list_revokes_what_stands_on_it() -> None:
    listed = read(issued(7, AGENT.serial, 5, 5))
    assert (listed.organisation, listed.number, listed.this_update, listed.next_update) == ("Meridian", 7, THIS, NEXT)
    assert listed.serials == {5, AGENT.serial}
    with pytest.raises(Revoked):
        listed.check(AGENT)
    listed.check(MISSION.device("agent").certified)
    listed.check(replace(AGENT, organisation="Hostpol"))


def test_a_list_is_of_its_own_organisation() -> None:
    listed = read(issued(1, AGENT.serial, by=FOREIGN))
    assert listed.organisation == "Hostpol"
    listed.check(AGENT)


def test_any_registrar_may_sign_and_may_be_revoked() -> None:
    first = CHARTER.verify_certificate(FIRST.der)
    listed = read(issued(1, first.serial, by=SECOND))
    with pytest.raises(Revoked):
        listed.check(first)
    listed.check(CHARTER.verify_certificate(SECOND.der))


@given(st.frozensets(st.integers(1, 2**127 - 1), max_size=20), st.integers(0, 2**53), st.integers(0, 4_000_000_000))
def test_every_list_comes_back(serials: frozenset[int], number: int, at: int) -> None:
    data = issue_revocation_list(FIRST.der, FIRST.key, number, serials, at * 1000, (at + 1) * 1000)
    listed = read(data)
    assert (listed.serials, listed.number, listed.this_update) == (serials, number, at * 1000)


def moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis // 1000, tz=UTC)


@pytest.mark.parametrize("serials", [(), (3, 1, 2)])
def test_our_writer_writes_what_the_cryptography_package_writes(serials: tuple[int, ...]) -> None:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, FIRST.device.hex())]))
        .last_update(moment(THIS))
        .next_update(moment(NEXT))
        .add_extension(x509.CRLNumber(7), critical=False)
    )
    for serial in sorted(serials):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment(THIS))
        builder = builder.add_revoked_certificate(entry.build())
    theirs = builder.sign(Ed25519PrivateKey.from_private_bytes(FIRST.key.seed), None)
    assert theirs.public_bytes(Encoding.DER) == issued(7, *serials)


def test_golden() -> None:
    check_golden("keys.json", "revocation list", issued(7, 1, 2))


# --- lists written by hand, properly signed ----------------------------------------------------------------------------

NUMBER = "2.5.29.20"


def extension(oid: str, content: bytes, critical: bytes = b"") -> bytes:
    return der.sequence(der.identifier(oid), critical, der.octets(content))


def entry(serial: int, at: int = THIS, more: bytes = b"") -> bytes:
    return der.sequence(der.integer(serial), der.moment(at), more)


def written(**changes: bytes) -> bytes:
    sound = {
        "version": der.integer(1),
        "algorithm": der.ED25519,
        "issuer": der.name(FIRST.device.hex()),
        "this": der.moment(THIS),
        "next": der.moment(NEXT),
        "revoked": der.sequence(entry(1), entry(2)),
        "extensions": der.tagged(0xA0, der.sequence(extension(NUMBER, der.integer(7)))),
    }
    assert changes.keys() <= sound.keys()
    return der.sign(der.sequence(*(sound | changes).values()), FIRST.key)


def revoked(*entries: bytes) -> bytes:
    return written(revoked=der.sequence(*entries))


def extended(*extensions: bytes) -> bytes:
    return written(extensions=der.tagged(0xA0, der.sequence(*extensions)))


SOUND = extension(NUMBER, der.integer(7))
REASON = der.sequence(extension("2.5.29.21", der.tagged(0x0A, b"\x01")))
OTHER_ISSUER = der.sequence(
    extension("2.5.29.29", der.sequence(der.tagged(0xA4, der.name(FOREIGN.device.hex()))), der.TRUE)
)
ED448 = der.sequence(der.identifier("1.3.101.113"))


def test_the_parts_make_a_sound_list() -> None:
    assert written() == issued(7, 1, 2)


def wrapped(algorithm: bytes, tail: bytes = b"") -> bytes:
    """Sound content under another algorithm, or with a signature that is too long."""
    parsed = x509.load_der_x509_crl(issued(7))
    return der.sequence(parsed.tbs_certlist_bytes, algorithm, der.bits(parsed.signature + tail))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(written(version=b""), id="version 1"),
        pytest.param(written(version=der.integer(2)), id="version 3"),
        pytest.param(written(algorithm=ED448), id="inner algorithm Ed448"),
        pytest.param(wrapped(ED448), id="outer algorithm Ed448"),
        pytest.param(wrapped(der.ED25519, b"\x00"), id="a signature of 65 bytes"),
        pytest.param(written(issuer=der.name("Registrar")), id="an issuer with a name"),
        pytest.param(written(issuer=der.sequence()), id="no issuer"),
        pytest.param(written(next=b""), id="no next update"),
        pytest.param(written(next=der.moment(THIS)), id="due as it is made"),
        pytest.param(written(next=der.moment(THIS - DAY)), id="due before it is made"),
        pytest.param(written(this=der.tagged(0x18, b"20260920000000Z")), id="GeneralizedTime before 2050"),
        pytest.param(written(this=der.tagged(0x17, b"600101000000Z")), id="made in 1960"),
        pytest.param(revoked(entry(2), entry(1)), id="serials not in order"),
        pytest.param(revoked(entry(1), entry(1)), id="a serial twice"),
        pytest.param(revoked(entry(1, THIS - DAY)), id="an entry with a date of its own"),
        pytest.param(revoked(entry(1, more=REASON)), id="an entry with a reason"),
        pytest.param(revoked(entry(1, more=OTHER_ISSUER)), id="an entry of another issuer (indirect)"),
        pytest.param(revoked(entry(0)), id="serial 0"),
        pytest.param(revoked(entry(1 << 127)), id="a serial of 128 bits"),
        pytest.param(revoked(), id="an empty list written out"),
        pytest.param(written(extensions=b""), id="no extensions"),
        pytest.param(extended(), id="no number"),
        pytest.param(extended(SOUND, SOUND), id="two numbers"),
        pytest.param(extended(extension(NUMBER, der.integer(7), der.TRUE)), id="a critical number"),
        pytest.param(extended(extension(NUMBER, b"\x02\x02\x00\x07")), id="a number longer than it need be"),
        pytest.param(extended(extension(NUMBER, b"\x02\x01\xff")), id="a number below zero"),
        pytest.param(extended(extension(NUMBER, der.integer(2**53 + 1))), id="a number over 2^53"),
        pytest.param(extended(SOUND, extension("1.2.3", b"\x05\x00")), id="an unknown extension"),
        pytest.param(extended(SOUND, extension("2.5.29.27", der.integer(1), der.TRUE)), id="a delta list"),
        pytest.param(
            extended(SOUND, extension("2.5.29.28", der.sequence(der.tagged(0x84, b"\xff")), der.TRUE)),
            id="an indirect list",
        ),
        pytest.param(issued() + b"\x00", id="a byte left over"),
        pytest.param(FIRST.der, id="a certificate"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_not_of_the_profile(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


def test_larger_than_a_list_may_be() -> None:
    serials = range(1 << 120, (1 << 120) + LIST_BYTES // 34)
    with pytest.raises(Malformed, match="at most"):
        read(issued(7, *serials))
    assert read(issued(7, *serials[:6_000])).serials == set(serials[:6_000])


def test_truncated_at_every_byte_and_changed_at_every_byte() -> None:
    data = issued(7, AGENT.serial)
    for n in range(len(data)):
        with pytest.raises(Malformed):
            read(data[:n])
        with pytest.raises((Malformed, NotTrusted)):
            read(data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :])


@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


STRANGER = SigningKey(b"z" * 32)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(issued(key=STRANGER), id="a stranger under a registrar's name"),
        pytest.param(issued(key=SECOND.key), id="another registrar under this one's name"),
        pytest.param(issued(key=MISSION.home.root), id="the root under a registrar's name"),
        pytest.param(issued(by=Mission(seed=6).home.registrars[0]), id="a registrar of another mission"),
    ],
)
def test_signed_by_nobody_of_the_charter(data: bytes) -> None:
    with pytest.raises(NotTrusted):
        read(data)


def test_a_registrar_of_an_organisation_that_was_not_asked_for() -> None:
    with pytest.raises(NotTrusted):
        read_revocation_list(issued(by=FOREIGN), [MISSION.home.organisation.issuers])
    with pytest.raises(NotTrusted):
        read_revocation_list(issued(), [])


HELD = read(issued(7, 1, 2))
FIRST_SERIAL = CHARTER.verify_certificate(FIRST.der).serial


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(issued(8, 1, 2), id="the same, renewed"),
        pytest.param(issued(8, 1, 2, 3), id="one more"),
        pytest.param(issued(8, 1, 2, by=SECOND), id="by the other registrar"),
        pytest.param(issued(7 + NUMBER_STEP, 1, 2), id="as far ahead as may be"),
    ],
)
def test_newer(offered: bytes) -> None:
    check_newer(HELD, read(offered))
    check_newer(None, read(offered))


@pytest.mark.parametrize(
    ("held", "offered", "why"),
    [
        pytest.param(HELD, issued(7, 1, 2), "does not follow", id="the one held"),
        pytest.param(HELD, issued(7, 1, 2, 3), "does not follow", id="the same number with more on it"),
        pytest.param(HELD, issued(6, 1, 2), "does not follow", id="an older one"),
        pytest.param(HELD, issued(8 + NUMBER_STEP, 1, 2), "does not follow", id="too far ahead"),
        pytest.param(HELD, issued(8, 1), "takes a revocation back", id="a revocation taken back"),
        pytest.param(HELD, issued(8), "takes a revocation back", id="all revocations taken back"),
        pytest.param(HELD, issued(8, 1, 2, by=FOREIGN), "does not replace", id="a list of another organisation"),
        pytest.param(
            read(issued(7, FIRST_SERIAL, by=SECOND)),
            issued(8, FIRST_SERIAL),
            "was revoked",
            id="by a registrar whom the list held has revoked",
        ),
    ],
)
def test_not_newer(held: RevocationList, offered: bytes, why: str) -> None:
    with pytest.raises(NotTrusted, match=why):
        check_newer(held, read(offered))
