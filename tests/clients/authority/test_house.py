"""An organisation's house, and the file by which a partner shows it."""

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.authority.house import FILE_PREFIX, House, found_house, read_organisation, write_organisation
from keys.credential import Issuers
from keys.errors import BadSignature, KeysError, Malformed, NotTrusted

NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def house() -> House:
    return found_house("Hostpol", NOW, random.Random(1).randbytes)


def test_a_house_has_two_registrars_who_are_two_people(house: House) -> None:
    issuers = Issuers("Hostpol", house.root_der, tuple(r.der for r in house.registrars), frozenset())
    registrars = [issuers.verify_registrar(der) for der in issuers.registrars]
    assert len({r.person for r in registrars}) == len({r.device for r in registrars}) == 2
    assert [r.public_key for r in registrars] == [r.key.public for r in house.registrars]
    for registrar in registrars:
        registrar.check_time(NOW)


def test_the_file_shows_what_is_public(house: House) -> None:
    text = write_organisation(house)
    read = read_organisation(text)
    assert (read.name, read.root, read.registrars) == ("Hostpol", house.root_der, [r.der for r in house.registrars])
    data = urlsafe_b64decode(text.strip().removeprefix(FILE_PREFIX) + "==")
    assert all(seed not in data for seed in (house.root.seed, *(r.key.seed for r in house.registrars)))


def test_another_organisation_has_other_words(house: House) -> None:
    other = replace(house, name="Hostp0l")
    assert read_organisation(write_organisation(house)).words != read_organisation(write_organisation(other)).words


def test_a_file_signed_by_another_root_is_refused(house: House) -> None:
    thief = found_house("Hostpol", NOW, random.Random(2).randbytes)
    with pytest.raises(BadSignature):
        read_organisation(write_organisation(replace(house, root=thief.root)))


def test_registrars_of_another_root_are_refused(house: House) -> None:
    other = found_house("Hostpol", NOW, random.Random(2).randbytes)
    with pytest.raises(KeysError):
        read_organisation(write_organisation(replace(house, registrars=other.registrars)))


def test_one_registrar_named_twice_is_refused(house: House) -> None:
    with pytest.raises(NotTrusted):
        read_organisation(write_organisation(replace(house, registrars=house.registrars[:1] * 2)))


def test_a_file_cut_anywhere_is_refused(house: House) -> None:
    text = write_organisation(house)
    for end in range(len(text)):
        with pytest.raises(Malformed):
            read_organisation(text[:end])


def test_a_flipped_bit_anywhere_is_refused(house: House) -> None:
    text = write_organisation(house).strip().removeprefix(FILE_PREFIX)
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for at in range(len(data)):
        altered = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(KeysError):
            read_organisation(FILE_PREFIX + urlsafe_b64encode(altered).decode().rstrip("=") + "\n")


@given(st.text())
def test_any_text_is_malformed(text: str) -> None:
    for whole in (text, FILE_PREFIX + text + "\n"):
        with pytest.raises(Malformed):
            read_organisation(whole)
