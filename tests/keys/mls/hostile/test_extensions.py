"""What must be taken although nobody knows it (RFC 9420 sections 7.2, 13.4 and 13.5): the other side of the table."""

from dataclasses import replace

import pytest

from keys.mls import (
    REQUIRED_CAPABILITIES,
    Add,
    Extension,
    GroupContextExtensions,
    KeyPackage,
    Proposal,
    Remove,
    RequiredCapabilities,
)
from tests.keys.mls.hostile.forging import forge
from tests.keys.mls.hostile.scene import ABLE, ASKED, CHARTER, guest, member, scene
from tests.keys.mls.people import NOW

GREASED = replace(ABLE, extensions=(0x0A0A, 0xF0A0, 0xF0A1), proposals=(0x1A1A, 0xF0A2), credentials=(1, 3, 0x2A2A))
UNKNOWN = Extension(0x0A0A, b"what nobody knows")
DEFAULTS = Extension(REQUIRED_CAPABILITIES, RequiredCapabilities((1, 2, 5), (1, 7), (1,)).encode())


@pytest.mark.parametrize(
    "package",
    [
        pytest.param(guest(leaf={"capabilities": GREASED}), id="unknown capabilities"),
        pytest.param(guest(leaf={"capabilities": replace(ABLE, cipher_suites=(2,))}), id="suites without the group's"),
        pytest.param(guest(leaf={"capabilities": GREASED, "extensions": (UNKNOWN,)}), id="unknown leaf extensions"),
        pytest.param(guest(extensions=(UNKNOWN,)), id="unknown KeyPackage extensions"),
        pytest.param(guest(leaf={"extensions": (Extension(1, b"id"),)}), id="default extensions that are not listed"),
    ],
)
def test_key_packages_that_are_taken(package: KeyPackage) -> None:
    message = forge(member(0), [Add(package)])
    scene().public.stage(message, NOW)
    after, _ = member(1).process(message, now_seconds=NOW)
    assert after.tree.leaf(4) == package.leaf_node


@pytest.mark.parametrize(
    "proposals",
    [
        pytest.param([GroupContextExtensions(())], id="no extensions at all"),
        pytest.param([GroupContextExtensions((CHARTER, DEFAULTS))], id="defaults that are required"),
        pytest.param(
            [GroupContextExtensions((ASKED,)), Add(guest(leaf={"capabilities": replace(ABLE, extensions=(0xF0A1,))}))],
            id="a joiner that lacks what the group gives up",
        ),
        pytest.param([Remove(2), Add(guest(scene().people[2]))], id="a client that is removed and added"),
        pytest.param([Add(guest()), Remove(1 + 1)], id="a joiner beside a Remove"),
    ],
)
def test_commits_that_are_taken(proposals: list[Proposal]) -> None:
    message = forge(member(0), proposals)
    scene().public.stage(message, NOW)
    assert member(1).process(message, now_seconds=NOW)[0].epoch == 2
