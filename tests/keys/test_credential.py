"""The certificate profile, hole by hole, and the path of three.

Certificates that are almost of the profile are written here by hand, part by part, and properly signed: what refuses them is
the profile and not the signature.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from keys import der
from keys.credential import (
    DEVICE_LIMIT,
    Issuers,
    issue_device,
    issue_registrar,
    issue_root,
    read_certificate,
    read_root,
    verify_certificate,
)
from keys.errors import BadSignature, Expired, Malformed, NotTrusted
from keys.identity import DeviceId, PersonId, SigningKey
from keys.profile import ROLES_OID, is_role_name
from tests.keys.goldens import check_golden
from tests.keys.mission import DAY, LIFE, NOW, Mission

MISSION = Mission()
HOME, PARTNER = MISSION.home, MISSION.partner
REGISTRAR = HOME.registrars[0]
ISSUERS = HOME.organisation.issuers
DEVICE = MISSION.device("agent", "leader")
CERTIFIED = DEVICE.certified
PERSON, ID = CERTIFIED.person, CERTIFIED.device

# --- the parts of a certificate, each as it should be ----------------------------------------------------------------

ED25519 = der.ED25519
X25519 = der.sequence(der.identifier("1.3.101.110"))
ED25519_NULL = der.sequence(der.identifier("1.3.101.112"), b"\x05\x00")
P256 = (
    ec.derive_private_key(7, ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)
BASIC, USAGE, NAME, ROLES = "2.5.29.19", "2.5.29.15", "2.5.29.17", ROLES_OID.dotted_string


def extension(oid: str, content: bytes, critical: bytes = b"") -> bytes:
    return der.sequence(der.identifier(oid), critical, der.octets(content))


def uri(text: str) -> bytes:
    return der.tagged(0x86, text.encode())


URI = uri(f"outrider:device:{PERSON.hex()}:{ID.hex()}")
NOT_CA = extension(BASIC, der.sequence(), der.TRUE)
SIGNS = extension(USAGE, b"\x03\x02\x07\x80", der.TRUE)
ALTERNATIVE = extension(NAME, der.sequence(URI))
GRANTED = extension(ROLES, der.text("agent,leader"))
CN = der.identifier("2.5.4.3")


def rdn(value: bytes, oid: bytes = CN) -> bytes:
    return der.one_of_a_set(der.sequence(oid, value))


def when(tag: int, text: str) -> bytes:
    return der.tagged(tag, text.encode())


def parts(**changes: bytes) -> list[bytes]:
    """The fields of TBSCertificate of a sound device certificate; b"" leaves one out."""
    sound = {
        "version": der.tagged(0xA0, der.integer(2)),
        "serial": der.integer(77),
        "algorithm": ED25519,
        "issuer": der.name(REGISTRAR.device.hex()),
        "validity": der.sequence(der.moment(LIFE[0]), der.moment(LIFE[1])),
        "subject": der.name(ID.hex()),
        "key": der.sequence(ED25519, der.bits(DEVICE.key.public)),
        "ids": b"",
        "extensions": der.tagged(0xA3, der.sequence(NOT_CA, SIGNS, ALTERNATIVE, GRANTED)),
    }
    assert changes.keys() <= sound.keys()
    return list((sound | changes).values())


def written(signer: SigningKey = REGISTRAR.key, /, **changes: bytes) -> bytes:
    return der.sign(der.sequence(*parts(**changes)), signer)


def extended(*extensions: bytes) -> bytes:
    return written(extensions=der.tagged(0xA3, der.sequence(*extensions)))


def named(*names: bytes, critical: bytes = b"") -> bytes:
    return extended(NOT_CA, SIGNS, extension(NAME, der.sequence(*names), critical), GRANTED)


def granted(content: bytes, critical: bytes = b"") -> bytes:
    return extended(NOT_CA, SIGNS, ALTERNATIVE, extension(ROLES, content, critical))


def outer(algorithm: bytes = ED25519, unused: bytes = b"\x00", tail: bytes = b"", extra: bytes = b"") -> bytes:
    """A sound TBSCertificate in another wrapping."""
    content = der.sequence(*parts())
    signature = Ed25519PrivateKey.from_private_bytes(REGISTRAR.key.seed).sign(content)
    return der.sequence(content, algorithm, der.tagged(0x03, unused, signature + tail), extra)


def test_the_parts_make_a_sound_certificate() -> None:
    certified = ISSUERS.verify(written())
    assert (certified.person, certified.device, certified.roles) == (PERSON, ID, CERTIFIED.roles)
    assert (certified.organisation, certified.issuer) == ("Meridian", REGISTRAR.device)
    assert (certified.not_before, certified.not_after, certified.serial) == (*LIFE, 77)


def test_our_writer_writes_what_the_cryptography_package_writes() -> None:
    """Two encoders that know nothing of each other agree on every byte."""
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])  # noqa: E731
    no = ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"]
    usage = dict.fromkeys([*no, "encipher_only", "decipher_only"], False)
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"outrider:device:{PERSON.hex()}:{ID.hex()}")])
    theirs = (
        x509.CertificateBuilder()
        .issuer_name(name(REGISTRAR.device.hex()))
        .subject_name(name(ID.hex()))
        .serial_number(77)
        .public_key(Ed25519PublicKey.from_public_bytes(DEVICE.key.public))
        .not_valid_before(datetime.fromtimestamp(LIFE[0] // 1000, tz=UTC))
        .not_valid_after(datetime.fromtimestamp(LIFE[1] // 1000, tz=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.UnrecognizedExtension(ROLES_OID, der.text("agent,leader")), critical=False)
        .sign(Ed25519PrivateKey.from_private_bytes(REGISTRAR.key.seed), None)
    )
    assert theirs.public_bytes(Encoding.DER) == written()


def test_goldens() -> None:
    check_golden("keys.json", "certificate of a device", written())
    fixed = lambda n: bytes(range(n))  # noqa: E731
    root = SigningKey(fixed(32))
    check_golden("keys.json", "certificate of a root", issue_root(root, LIFE, fixed))


A, B = PERSON.hex(), ID.hex()
NOT_OF_THE_PROFILE = [
    pytest.param(written(version=b""), id="version 1"),
    pytest.param(written(version=der.tagged(0xA0, der.integer(1))), id="version 2"),
    pytest.param(written(version=der.tagged(0xA0, der.integer(3))), id="version 4"),
    pytest.param(written(serial=der.integer(0)), id="serial 0"),
    pytest.param(written(serial=b"\x02\x01\xff"), id="a serial below zero"),
    pytest.param(written(serial=b"\x02\x02\x00\x4d"), id="a serial longer than it need be"),
    pytest.param(written(serial=der.integer(1 << 127)), id="a serial of 128 bits"),
    pytest.param(written(algorithm=ED25519_NULL), id="an algorithm with a parameter"),
    pytest.param(written(algorithm=der.sequence(der.identifier("1.3.101.113"))), id="inner algorithm Ed448"),
    pytest.param(outer(der.sequence(der.identifier("1.3.101.113"))), id="outer algorithm Ed448"),
    pytest.param(outer(ED25519_NULL), id="outer algorithm with a parameter"),
    pytest.param(outer(tail=b"\x00"), id="a signature of 65 bytes"),
    pytest.param(outer(extra=b"\x05\x00"), id="a fourth part"),
    pytest.param(written() + b"\x00", id="a byte left over"),
    pytest.param(written(issuer=der.sequence()), id="no issuer"),
    pytest.param(written(issuer=der.name(REGISTRAR.device.hex().upper())), id="an issuer in upper case"),
    pytest.param(written(issuer=der.name("Registrar Meridian")), id="an issuer with a name"),
    pytest.param(
        written(issuer=der.sequence(rdn(der.tagged(0x13, REGISTRAR.device.hex().encode())))),
        id="an issuer as PrintableString",
    ),
    pytest.param(
        written(issuer=der.sequence(rdn(der.text(REGISTRAR.device.hex())), rdn(der.text("x")))),
        id="an issuer with two names",
    ),
    pytest.param(
        written(issuer=der.sequence(rdn(der.text(REGISTRAR.device.hex()), der.identifier("2.5.4.10")))),
        id="an issuer that is an organisation name",
    ),
    pytest.param(written(subject=der.sequence()), id="no subject"),
    pytest.param(written(subject=der.name(A)), id="a subject that is not the device"),
    pytest.param(written(subject=der.name("Jane Roe")), id="a subject with a person's name"),
    pytest.param(written(subject=der.sequence(rdn(der.tagged(0x13, B.encode())))), id="a subject as PrintableString"),
    pytest.param(
        written(subject=der.sequence(rdn(der.text(B)), rdn(der.text("Jane")))), id="a subject with a second name"
    ),
    pytest.param(
        written(validity=der.sequence(when(0x18, "20260920000000Z"), der.moment(LIFE[1]))),
        id="GeneralizedTime before 2050",
    ),
    pytest.param(
        written(validity=der.sequence(when(0x17, "2609200000Z"), der.moment(LIFE[1]))), id="a time without seconds"
    ),
    pytest.param(
        written(validity=der.sequence(when(0x17, "260920000000+0000"), der.moment(LIFE[1]))), id="a time with an offset"
    ),
    pytest.param(
        written(validity=der.sequence(der.moment(LIFE[0]), when(0x18, "20600920000000.5Z"))),
        id="a time with a fraction",
    ),
    pytest.param(
        written(validity=der.sequence(der.moment(LIFE[1]), der.moment(LIFE[0]))), id="it ends before it begins"
    ),
    pytest.param(
        written(validity=der.sequence(when(0x17, "600101000000Z"), der.moment(LIFE[1]))), id="it begins in 1960"
    ),
    pytest.param(
        written(key=der.sequence(ED25519_NULL, der.bits(DEVICE.key.public))), id="a key whose algorithm has a parameter"
    ),
    pytest.param(written(key=der.sequence(X25519, der.bits(DEVICE.key.public))), id="an X25519 key"),
    pytest.param(written(key=P256), id="a P-256 key"),
    pytest.param(written(key=der.sequence(ED25519, der.bits(DEVICE.key.public[:31]))), id="a key of 31 bytes"),
    pytest.param(written(ids=der.tagged(0x81, b"\x00", b"id")), id="an issuer's unique id"),
    pytest.param(written(ids=der.tagged(0x82, b"\x00", b"id")), id="a subject's unique id"),
    pytest.param(written(extensions=b""), id="no extensions"),
    pytest.param(extended(SIGNS, ALTERNATIVE, GRANTED), id="no BasicConstraints"),
    pytest.param(extended(NOT_CA, ALTERNATIVE, GRANTED), id="no KeyUsage"),
    pytest.param(extended(NOT_CA, SIGNS, GRANTED), id="no alternative name"),
    pytest.param(extended(NOT_CA, SIGNS, ALTERNATIVE), id="no roles"),
    pytest.param(extended(SIGNS, NOT_CA, ALTERNATIVE, GRANTED), id="extensions in another order"),
    pytest.param(extended(NOT_CA, NOT_CA, SIGNS, ALTERNATIVE, GRANTED), id="an extension twice"),
    pytest.param(extended(NOT_CA, SIGNS, ALTERNATIVE, GRANTED, GRANTED), id="roles twice"),
    pytest.param(
        extended(NOT_CA, SIGNS, ALTERNATIVE, GRANTED, extension("1.2.3.4", b"\x05\x00")), id="an unknown extension"
    ),
    pytest.param(
        extended(NOT_CA, SIGNS, ALTERNATIVE, GRANTED, extension("1.2.3.4", b"\x05\x00", der.TRUE)),
        id="an unknown critical extension",
    ),
    pytest.param(
        extended(NOT_CA, SIGNS, ALTERNATIVE, GRANTED, extension("2.5.29.14", der.octets(b"k" * 20))),
        id="a key identifier",
    ),
    pytest.param(
        extended(
            NOT_CA, SIGNS, ALTERNATIVE, GRANTED, extension("2.5.29.37", der.sequence(der.identifier("2.5.29.37.0")))
        ),
        id="an extended key usage",
    ),
    pytest.param(
        extended(extension(BASIC, der.sequence()), SIGNS, ALTERNATIVE, GRANTED), id="BasicConstraints not critical"
    ),
    pytest.param(
        extended(extension(BASIC, der.sequence(), b"\x01\x01\x00"), SIGNS, ALTERNATIVE, GRANTED),
        id="not critical, written out",
    ),
    pytest.param(
        extended(extension(BASIC, der.sequence(), b"\x01\x01\x01"), SIGNS, ALTERNATIVE, GRANTED), id="true as 1"
    ),
    pytest.param(
        extended(extension(BASIC, der.sequence(b"\x01\x01\x00"), der.TRUE), SIGNS, ALTERNATIVE, GRANTED),
        id="no CA, written out",
    ),
    pytest.param(
        extended(extension(BASIC, der.sequence(der.TRUE), der.TRUE), SIGNS, ALTERNATIVE, GRANTED), id="a device as CA"
    ),
    pytest.param(
        extended(extension(BASIC, der.sequence(der.TRUE, der.integer(0)), der.TRUE), SIGNS, ALTERNATIVE, GRANTED),
        id="a device as CA of length 0",
    ),
    pytest.param(
        extended(NOT_CA, extension(USAGE, b"\x03\x02\x07\x80"), ALTERNATIVE, GRANTED), id="KeyUsage not critical"
    ),
    pytest.param(
        extended(NOT_CA, extension(USAGE, b"\x03\x02\x02\x84", der.TRUE), ALTERNATIVE, GRANTED),
        id="a device that may sign certificates",
    ),
    pytest.param(
        extended(NOT_CA, extension(USAGE, b"\x03\x03\x07\x80\x00", der.TRUE), ALTERNATIVE, GRANTED),
        id="KeyUsage with a byte more",
    ),
    pytest.param(
        extended(NOT_CA, extension(USAGE, b"\x03\x02\x00\x80", der.TRUE), ALTERNATIVE, GRANTED),
        id="KeyUsage with other unused bits",
    ),
    pytest.param(
        extended(NOT_CA, extension(USAGE, b"\x03\x02\x06\xc0", der.TRUE), ALTERNATIVE, GRANTED),
        id="KeyUsage with content commitment",
    ),
    pytest.param(named(URI, critical=der.TRUE), id="a critical alternative name"),
    pytest.param(named(), id="an empty alternative name"),
    pytest.param(named(URI, URI), id="two alternative names"),
    pytest.param(named(URI, der.tagged(0x82, b"example.org")), id="a host name beside it"),
    pytest.param(named(der.tagged(0x82, b"example.org")), id="a host name"),
    pytest.param(named(uri(f"outrider:device:{A.upper()}:{B}")), id="ids in upper case"),
    pytest.param(named(uri(f"outrider:device:{A[:30]}:{B}")), id="a short person id"),
    pytest.param(named(uri(f"outrider:device:{A}:{B}00")), id="a long device id"),
    pytest.param(named(uri(f"outrider:device:{A[:30]}zz:{B}")), id="ids not hexadecimal"),
    pytest.param(named(uri(f"outrider:device:{A}:{B}:x")), id="a fifth part of the name"),
    pytest.param(named(uri(f"outrider:device:{A}:{B}\n")), id="a line break after the name"),
    pytest.param(named(uri(f"Outrider:device:{A}:{B}")), id="another scheme"),
    pytest.param(named(uri(f"outrider:root:{A}:{B}")), id="no such kind"),
    pytest.param(named(uri(f"outrider:registrar:{A}:{B}")), id="a registrar's name in a device's certificate"),
    pytest.param(granted(der.text("agent,leader"), der.TRUE), id="critical roles"),
    pytest.param(granted(der.text("leader,agent")), id="roles not in order"),
    pytest.param(granted(der.text("agent,agent")), id="a role twice"),
    pytest.param(granted(der.text("")), id="no role"),
    pytest.param(granted(der.text("agent,")), id="an empty role"),
    pytest.param(granted(der.text("Agent")), id="a role in upper case"),
    pytest.param(granted(der.text("agént")), id="a role that is not ASCII"),
    pytest.param(granted(der.text("agent leader")), id="a role with a space"),
    pytest.param(granted(der.text("-agent")), id="a role that begins with a hyphen"),
    pytest.param(granted(der.text("a" * 25)), id="a role too long"),
    pytest.param(granted(der.text(",".join("abcdefghi"))), id="nine roles"),
    pytest.param(granted(der.tagged(0x13, b"agent")), id="roles as PrintableString"),
    pytest.param(granted(b"\x0c\x81\x05agent"), id="roles with a long length"),
    pytest.param(granted(der.text("agent") + b"\x00"), id="a byte after the roles"),
    pytest.param(granted(b""), id="an empty roles extension"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"\x30\x00", id="an empty sequence"),
    pytest.param(HOME.organisation.root, id="a root"),
    pytest.param(b"-----BEGIN CERTIFICATE-----\n", id="PEM"),
]


@pytest.mark.parametrize("data", NOT_OF_THE_PROFILE)
def test_not_of_the_profile(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_certificate(data)
    with pytest.raises(Malformed):
        MISSION.charter.verify_certificate(data)


def test_longer_than_any_of_ours() -> None:
    padded = extended(NOT_CA, SIGNS, ALTERNATIVE, GRANTED, extension("1.2.3", bytes(800)))
    assert len(padded) > DEVICE_LIMIT
    with pytest.raises(Malformed, match="at most 1024 bytes"):
        read_certificate(padded)


def test_truncated_at_every_byte() -> None:
    for n in range(len(CERTIFIED.der)):
        with pytest.raises(Malformed):
            read_certificate(CERTIFIED.der[:n])


@pytest.mark.parametrize("bit", [0, 7])
def test_one_bit_changed_anywhere(bit: int) -> None:
    for n in range(len(CERTIFIED.der)):
        data = bytearray(CERTIFIED.der)
        data[n] ^= 1 << bit
        with pytest.raises((Malformed, BadSignature, NotTrusted)):
            ISSUERS.verify(bytes(data))


@given(st.binary(max_size=500))
def test_arbitrary_bytes(data: bytes) -> None:
    for read in (read_certificate, read_root):
        with pytest.raises(Malformed):
            read(data)


@given(
    st.frozensets(st.from_regex(r"[a-z]{1,9}(-[a-z0-9]{1,5})?", fullmatch=True), min_size=1, max_size=8),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 4_000_000_000),
    st.integers(0, 4_000_000_000),
)
def test_what_is_issued_reads_back(roles: frozenset[str], some_id: bytes, begin: int, length: int) -> None:
    life = (begin * 1000, (begin + length) * 1000)
    der_bytes = issue_device(
        REGISTRAR.der, REGISTRAR.key, DEVICE.key.public, PersonId(some_id), ID, roles, life, MISSION.random
    )
    read = read_certificate(der_bytes)
    assert (read.roles, read.person, read.not_before, read.not_after) == (roles, some_id, *life)
    assert read.hash != CERTIFIED.hash


@pytest.mark.parametrize(
    "roles",
    [
        pytest.param(frozenset(), id="none"),
        pytest.param(frozenset({"Agent"}), id="upper case"),
        pytest.param(frozenset({"agent,officer"}), id="two in one"),
        pytest.param(frozenset({"agént"}), id="not ASCII"),
        pytest.param(frozenset({""}), id="empty"),
        pytest.param(frozenset("abcdefghi"), id="nine"),
        pytest.param(frozenset(letter * 24 for letter in "abcdef"), id="more than fits"),
    ],
)
def test_roles_that_no_certificate_can_hold(roles: frozenset[str]) -> None:
    with pytest.raises(Malformed):
        issue_device(REGISTRAR.der, REGISTRAR.key, DEVICE.key.public, PERSON, ID, roles, LIFE, MISSION.random)


def test_role_names() -> None:
    assert all(map(is_role_name, ("agent", "detail-leader", "a", "mso2", "a" * 24)))
    assert not any(map(is_role_name, ("", "-", "a-", "a--b", "a_b", "A", "a b", "a" * 25, "a\n", "٣")))


# --- the path ----------------------------------------------------------------------------------------------------------


def device_under(issuer_der: bytes, issuer: SigningKey, *roles: str, life: tuple[int, int] = LIFE) -> bytes:
    return issue_device(issuer_der, issuer, DEVICE.key.public, PERSON, ID, frozenset(roles), life, MISSION.random)


ROGUE_ROOT = SigningKey(b"r" * 32)
ROGUE = SigningKey(b"s" * 32)
ROGUE_ROOT_DER = issue_root(ROGUE_ROOT, LIFE, MISSION.random)


def registrar_under(root_der: bytes, root: SigningKey, device: bytes, life: tuple[int, int] = LIFE) -> bytes:
    return issue_registrar(root_der, root, ROGUE.public, PersonId(b"p" * 16), DeviceId(device), life, MISSION.random)


UNNAMED = registrar_under(HOME.organisation.root, HOME.root, b"d" * 16)
NAMESAKE = registrar_under(ROGUE_ROOT_DER, ROGUE_ROOT, REGISTRAR.device)
LATE = LIFE[0], NOW + 366 * DAY

NO_PATH = [
    pytest.param(
        device_under(UNNAMED, ROGUE, "agent"), NotTrusted, id="a registrar of the root that the charter doesn't name"
    ),
    pytest.param(device_under(NAMESAKE, ROGUE, "agent"), BadSignature, id="a stranger under a registrar's name"),
    pytest.param(device_under(REGISTRAR.der, ROGUE, "agent"), BadSignature, id="signed by another key"),
    pytest.param(
        device_under(REGISTRAR.der, HOME.registrars[1].key, "agent"), BadSignature, id="signed by the other registrar"
    ),
    pytest.param(device_under(REGISTRAR.der, HOME.root, "agent"), BadSignature, id="signed by the root"),
    pytest.param(device_under(HOME.organisation.root, HOME.root, "agent"), NotTrusted, id="issued by the root itself"),
    pytest.param(
        device_under(CERTIFIED.der, DEVICE.key, "agent"), NotTrusted, id="issued by a device: a path too long"
    ),
    pytest.param(
        device_under(REGISTRAR.der, REGISTRAR.key, "guest"), NotTrusted, id="a role that the root may not grant"
    ),
    pytest.param(
        device_under(REGISTRAR.der, REGISTRAR.key, "agent", "guest"), NotTrusted, id="one role too many of several"
    ),
    pytest.param(
        device_under(PARTNER.registrars[0].der, PARTNER.registrars[0].key, "officer"),
        NotTrusted,
        id="a partner's registrar that makes an officer",
    ),
    pytest.param(
        device_under(REGISTRAR.der, REGISTRAR.key, "agent", life=LATE), NotTrusted, id="it outlives its registrar"
    ),
    pytest.param(
        device_under(REGISTRAR.der, PARTNER.registrars[0].key, "agent"),
        BadSignature,
        id="a partner's key, our registrar's name",
    ),
    pytest.param(UNNAMED, NotTrusted, id="a registrar that the charter doesn't name"),
    pytest.param(NAMESAKE, NotTrusted, id="a stranger's registrar"),
]


@pytest.mark.parametrize(("data", "error"), NO_PATH)
def test_no_path(data: bytes, error: type[Exception]) -> None:
    assert read_certificate(data).der == data, "of the profile, so that the path alone refuses it"
    with pytest.raises(error):
        MISSION.charter.verify_certificate(data)


def test_every_device_and_registrar_of_the_charter() -> None:
    for house, role in ((HOME, "officer"), (PARTNER, "guest")):
        for registrar in house.registrars:
            certified = MISSION.charter.verify_certificate(registrar.der)
            assert (certified.organisation, certified.registrar, certified.roles) == (
                house.organisation.name,
                True,
                frozenset(),
            )
            assert certified.issuer == certified.device == registrar.device
            device = MISSION.charter.verify_certificate(device_under(registrar.der, registrar.key, role))
            assert (device.organisation, device.issuer) == (house.organisation.name, registrar.device)


def test_a_partner_s_registrar_issues_for_its_own_organisation_only() -> None:
    registrar = PARTNER.registrars[0]
    data = device_under(registrar.der, registrar.key, "guest")
    assert PARTNER.organisation.issuers.verify(data).organisation == "Hostpol"
    with pytest.raises(NotTrusted):
        ISSUERS.verify(data)
    with pytest.raises(NotTrusted):
        ISSUERS.verify_registrar(registrar.der)


def test_kinds_are_not_taken_for_each_other() -> None:
    with pytest.raises(Malformed, match="not a device"):
        ISSUERS.verify(REGISTRAR.der)
    listed = replace(ISSUERS, registrars=(CERTIFIED.der,))
    with pytest.raises(Malformed, match="not a registrar"):
        listed.verify_registrar(CERTIFIED.der)


def test_no_organisation() -> None:
    for data in (CERTIFIED.der, REGISTRAR.der):
        with pytest.raises(NotTrusted):
            verify_certificate(data, [])


def issuers(root: bytes, registrar: bytes) -> Issuers:
    return Issuers("Rogue", root, (registrar,), frozenset({"agent"}))


@pytest.mark.parametrize(
    ("chain", "error"),
    [
        pytest.param(issuers(HOME.organisation.root, NAMESAKE), BadSignature, id="a registrar of another root"),
        pytest.param(
            issuers(HOME.organisation.root, registrar_under(HOME.organisation.root, ROGUE, b"d" * 16)),
            BadSignature,
            id="a registrar whom the root has not signed",
        ),
        pytest.param(
            issuers(ROGUE_ROOT_DER, registrar_under(ROGUE_ROOT_DER, ROGUE_ROOT, b"d" * 16, (LIFE[0], LIFE[1] + 1000))),
            NotTrusted,
            id="a registrar that outlives its root",
        ),
        pytest.param(issuers(UNNAMED, UNNAMED), Malformed, id="a registrar in the place of a root"),
    ],
)
def test_registrars_that_are_none(chain: Issuers, error: type[Exception]) -> None:
    with pytest.raises(error):
        chain.verify_registrar(chain.registrars[0])


def root_like(signer: SigningKey = ROGUE_ROOT, /, **changes: bytes) -> bytes:
    ca = extension(BASIC, der.sequence(der.TRUE, der.integer(1)), der.TRUE)
    usage = extension(USAGE, b"\x03\x02\x01\x06", der.TRUE)
    itself = der.name(ROGUE_ROOT.public.hex()[:32])
    sound = {
        "issuer": itself,
        "subject": itself,
        "key": der.sequence(ED25519, der.bits(ROGUE_ROOT.public)),
        "extensions": der.tagged(0xA3, der.sequence(ca, usage)),
    }
    return written(signer, **(sound | changes))


def test_a_sound_root() -> None:
    assert read_root(root_like()) == ROGUE_ROOT.public
    assert read_root(ROGUE_ROOT_DER) == ROGUE_ROOT.public


PATH_2 = extension(BASIC, der.sequence(der.TRUE, der.integer(2)), der.TRUE)
PATH_0 = extension(BASIC, der.sequence(der.TRUE, der.integer(0)), der.TRUE)
ANY_PATH = extension(BASIC, der.sequence(der.TRUE), der.TRUE)
CA_USAGE = extension(USAGE, b"\x03\x02\x01\x06", der.TRUE)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(root_like(ROGUE), BadSignature, id="signed by another key"),
        pytest.param(root_like(issuer=der.name(A)), BadSignature, id="issued by somebody else"),
        pytest.param(root_like(subject=der.name(A), issuer=der.name(A)), Malformed, id="not named by its key"),
        pytest.param(
            root_like(extensions=der.tagged(0xA3, der.sequence(PATH_2, CA_USAGE))), Malformed, id="path length 2"
        ),
        pytest.param(
            root_like(extensions=der.tagged(0xA3, der.sequence(PATH_0, CA_USAGE))), Malformed, id="path length 0"
        ),
        pytest.param(
            root_like(extensions=der.tagged(0xA3, der.sequence(ANY_PATH, CA_USAGE))), Malformed, id="any path length"
        ),
        pytest.param(
            root_like(extensions=der.tagged(0xA3, der.sequence(ANY_PATH, CA_USAGE, ALTERNATIVE))),
            Malformed,
            id="with an alternative name",
        ),
        pytest.param(REGISTRAR.der, Malformed, id="a registrar"),
        pytest.param(CERTIFIED.der, Malformed, id="a device"),
    ],
)
def test_roots_that_are_none(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_root(data)


@pytest.mark.parametrize(
    ("now", "sound"),
    [
        pytest.param(LIFE[0] - 1, False, id="before it begins"),
        pytest.param(LIFE[0], True, id="as it begins"),
        pytest.param(LIFE[1], True, id="as it ends"),
        pytest.param(LIFE[1] + 1, False, id="after it ended"),
    ],
)
def test_life(now: int, sound: bool) -> None:
    if sound:
        CERTIFIED.check_time(now)
    else:
        with pytest.raises(Expired):
            CERTIFIED.check_time(now)


def test_der_by_its_own_words() -> None:
    table: list[tuple[bytes, str]] = [
        (der.integer(0), "020100"),
        (der.integer(127), "02017f"),
        (der.integer(128), "02020080"),
        (der.identifier("1.3.101.112"), "06032b6570"),
        (der.identifier("2.5.29.19"), "0603551d13"),
        (der.identifier("2.999"), "06028837"),
        (der.moment(0), "170d3730303130313030303030305a"),
        (der.moment(2_524_607_999_000), "170d3439313233313233353935395a"),
        (der.moment(2_524_608_000_000), "180f32303530303130313030303030305a"),
        (der.octets(bytes(127))[:2], "047f"),
        (der.octets(bytes(128))[:3], "048180"),
        (der.octets(bytes(256))[:4], "04820100"),
    ]
    assert [made.hex() for made, _ in table] == [wanted for _, wanted in table]


def test_a_certificate_past_2049() -> None:
    far: Any = (LIFE[0], 2_600_000_000_000)
    assert read_certificate(device_under(REGISTRAR.der, REGISTRAR.key, "agent", life=far)).not_after == far[1]
