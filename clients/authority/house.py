"""An organisation's own keys: its root and two registrars, made on its own machine, and what it shows of them.

The root stays offline: it signs registrars, and nothing else. Two registrars are two people, so that one lost key stops
neither enrolment nor revocation. A partner makes its house itself and hands over the public part in a file that its root has
signed (`OrganisationFile`), whose words both sides compare before the mission's authorities name it in a charter.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from keys.canonical import Record, Signature, encode, reader
from keys.credential import Issuers, issue_registrar, issue_root, read_root
from keys.errors import Malformed, NotTrusted
from keys.identity import DeviceId, PersonId, Random, SigningKey, verify, words

DAY: Final = 86_400_000  # ms
ROOT_LIFE: Final = 3_650 * DAY
REGISTRAR_LIFE: Final = 730 * DAY
CLOCKS_APART: Final = 3_600_000  # ms that somebody's clock may be behind ours and still find these certificates valid
REGISTRARS: Final = 2
FILE_PREFIX: Final = "outrider-organisation:"
FILE_LIMIT: Final = 8_192
_LABEL: Final = "organisation"
Certificate = Annotated[bytes, Meta(min_length=1, max_length=1_024)]


@dataclass(frozen=True, slots=True)
class Registrar:
    """A registrar's key and certificate."""

    key: SigningKey
    der: bytes
    person: PersonId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class House:
    """An organisation's root and registrars with their private keys."""

    name: str
    root: SigningKey
    root_der: bytes
    registrars: tuple[Registrar, ...]


def found_house(name: str, now: int, random: Random) -> House:
    """A new organisation, `now` in ms."""
    begin = now - CLOCKS_APART
    root = SigningKey.generate(random)
    root_der = issue_root(root, (begin, now + ROOT_LIFE), random)
    registrars = []
    for _ in range(REGISTRARS):
        key, person, device = SigningKey.generate(random), PersonId(random(16)), DeviceId(random(16))
        der = issue_registrar(root_der, root, key.public, person, device, (begin, now + REGISTRAR_LIFE), random)
        registrars.append(Registrar(key, der, person, device))
    return House(name, root, root_der, tuple(registrars))


class OrganisationFile(Record, frozen=True, array_like=True):
    """The public part of a house, as a partner hands it over."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    root: Certificate
    registrars: Annotated[list[Certificate], Meta(min_length=REGISTRARS, max_length=8)]

    @property
    def words(self) -> str:
        """What both organisations compare by voice."""
        return words(sha256(b"Outrider 1 organisation words" + encode(self)).digest())


class _Signed(Record, frozen=True, array_like=True):
    organisation: Annotated[bytes, Meta(max_length=FILE_LIMIT)]
    signature: Signature


_read_signed = reader(_Signed, limit=FILE_LIMIT)
_read_organisation = reader(OrganisationFile, limit=FILE_LIMIT)


def write_organisation(house: House) -> str:
    """The file's one line, signed with the root."""
    content = encode(OrganisationFile(house.name, house.root_der, [r.der for r in house.registrars]))
    signed = encode(_Signed(content, house.root.sign(_LABEL, content)))
    return FILE_PREFIX + urlsafe_b64encode(signed).decode().rstrip("=") + "\n"


def read_organisation(text: str) -> OrganisationFile:
    """The organisation in a file's text.

    Raises:
        Malformed: it is none, or was cut on its way.
        BadSignature: it was altered, or a registrar in it is not under its root.
        NotTrusted: its registrars are one person, or outlive their root.
    """
    if not text.startswith(FILE_PREFIX) or not text.endswith("\n") or len(text) > 2 * FILE_LIMIT:
        raise Malformed(f"not an organisation's file: it begins with {FILE_PREFIX} and is one whole line")
    encoded = text[len(FILE_PREFIX) : -1]
    try:
        data = urlsafe_b64decode(encoded.encode("ascii") + b"=" * (-len(encoded) % 4))
    except ValueError:
        raise Malformed("this organisation's file was cut or changed") from None
    if urlsafe_b64encode(data).decode().rstrip("=") != encoded:
        raise Malformed("not the one encoding of an organisation's file")
    signed = _read_signed(data)
    organisation = _read_organisation(signed.organisation)
    verify(read_root(organisation.root), _LABEL, signed.organisation, signed.signature)
    issuers = Issuers(organisation.name, organisation.root, tuple(organisation.registrars), frozenset())
    registrars = [issuers.verify_registrar(der) for der in organisation.registrars]
    if len({r.person for r in registrars}) < REGISTRARS:
        raise NotTrusted("the registrars of this organisation are not two people")
    return organisation
