"""KeyPackages of last resort: either mark counts, and only they outlive the Welcome that came by them."""

from dataclasses import replace

import pytest

from keys.mls import (
    APP_DATA_DICTIONARY,
    LAST_RESORT,
    LAST_RESORT_COMPONENT,
    Add,
    AppDataDictionary,
    ComponentData,
    Extension,
    Misuse,
    cipher_suite,
    new_key_package,
    secrets_after_welcome,
)
from tests.keys.mls.insider import key_package
from tests.keys.mls.people import NOW, Names, Person, World, seeded

SUITE = cipher_suite(1)
GUEST = Person.named(SUITE, b"guest")
ENTRIES = (ComponentData(1, b"a"), ComponentData(4, b""), ComponentData(0x8001, b"b"))


@pytest.mark.parametrize(
    ("extensions", "marked"),
    [
        pytest.param((), False, id="no mark"),
        pytest.param((Extension(LAST_RESORT, b""),), True, id="the extension"),
        pytest.param((LAST_RESORT_COMPONENT,), True, id="the component"),
        pytest.param((Extension(0xF0A0, b""), LAST_RESORT_COMPONENT), True, id="the component among others"),
        pytest.param((AppDataDictionary(ENTRIES).extension(),), True, id="the component in a fuller dictionary"),
        pytest.param(
            (AppDataDictionary((ComponentData(4, b"\0"),)).extension(),),
            False,
            id="the component with data that it has not",
        ),
    ],
)
def test_what_marks_a_last_resort(extensions: tuple[Extension, ...], marked: bool) -> None:
    listed = tuple({one.extension_type for one in extensions})
    capabilities = replace(GUEST.key_package()[0].leaf_node.capabilities, extensions=listed)
    package = key_package(GUEST, leaf={"capabilities": capabilities}, extensions=extensions)
    package.verify(SUITE, Names(), NOW)
    assert package.last_resort is marked
    assert type(package).decode(package.encode()).last_resort is marked


def test_only_a_last_resort_keeps_its_secrets_after_a_welcome() -> None:
    """One is used for two groups, as it may be; what an ordinary one had is gone after the first."""
    ordinary, its_secrets = GUEST.key_package("once")
    assert not ordinary.last_resort
    assert secrets_after_welcome(ordinary, its_secrets) is None
    package, secrets = GUEST.key_package("again", last_resort=True)
    assert package.last_resort
    kept = secrets_after_welcome(package, secrets)
    assert kept == secrets
    for seed in (1, 2):
        here = World(SUITE, 2, seed=seed)
        pending = here[b"member 0"].commit([Add(package)], random=here.random)
        here.accept(b"member 0", pending)
        here.welcome(pending, GUEST, package, kept)
        here.say(b"guest")
        here.accept(b"guest", here[b"guest"].commit(random=here.random))
        here.say(b"member 1")


def test_an_extension_that_nobody_knows_is_ignored_whether_the_leaf_lists_it_or_not() -> None:
    """Section 13.5: what makes a KeyPackage invalid is not an extension that somebody put in to see it ignored."""
    foreign = (Extension(0xF0A0, b""), Extension(0x0A0A, b"grease"))
    key_package(GUEST, extensions=foreign).verify(SUITE, Names(), NOW)
    with pytest.raises(Misuse, match="section 10"):
        new_key_package(
            SUITE,
            GUEST.credential,
            GUEST.signature_private_key,
            not_before=NOW,
            not_after=NOW + 1,
            random=seeded(0),
            extensions=foreign,
            capabilities=GUEST.key_package()[0].leaf_node.capabilities,
        )


def test_either_mark_can_be_put_on() -> None:
    assert GUEST.key_package(last_resort=True)[0].extensions == (Extension(LAST_RESORT, b""),)
    package, _ = new_key_package(
        SUITE,
        GUEST.credential,
        GUEST.signature_private_key,
        not_before=NOW,
        not_after=NOW + 1,
        random=seeded(0),
        extensions=(LAST_RESORT_COMPONENT,),
    )
    assert package.last_resort
    assert APP_DATA_DICTIONARY in package.leaf_node.capabilities.extensions
    package.verify(SUITE, Names(), NOW)
