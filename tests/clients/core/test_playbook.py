"""The playbook: versions are for good, and what two officers wrote apart is settled by a newer one."""

from collections.abc import Iterable

import pytest

from clients.core import playbook
from clients.core.errors import NotNow, Unknown
from clients.core.ledger import Draft
from clients.core.template_file import read
from clients.core.templates import TemplateRefused
from tests.clients.core.test_templates import SOURCE

CHEN, DARA = b"C" * 16, b"D" * 16


class Empty:
    """A ledger with nothing on it."""

    def get(self, shelf: str, key: bytes) -> bytes | None:
        return None

    def scan(self, shelf: str, prefix: bytes, after: bytes) -> Iterable[tuple[bytes, bytes]]:
        return ()


def version(number: int, about: str = "A crowd.") -> bytes:
    return SOURCE.replace("version = 3", f"version = {number}").replace("A crowd.", about).encode()


@pytest.fixture
def draft() -> Draft:
    return Draft(Empty())


def listed(draft: Draft) -> list[tuple[str, int, bool]]:
    return [(e.template.name, e.template.version, e.disputed) for e in playbook.entries(draft)]


def test_versions_are_kept_and_the_newest_is_used(draft: Draft) -> None:
    playbook.add(draft, version(1), CHEN, 10)
    playbook.add(draft, version(2), CHEN, 20)
    playbook.add(draft, version(2), CHEN, 30)  # the same again
    playbook.add(draft, version(10), CHEN, 40)
    assert listed(draft) == [("crowd", 1, False), ("crowd", 2, False), ("crowd", 10, False)]
    assert playbook.find(draft, "crowd").template.version == 10
    second = playbook.find(draft, "crowd", 2)
    assert (second.template.source, second.device, second.time) == (version(2), CHEN, 20)


def test_a_version_is_never_changed_and_never_earlier(draft: Draft) -> None:
    playbook.add(draft, version(2), CHEN, 10)
    for source in (version(2, "Another."), version(1)):
        with pytest.raises(TemplateRefused, match="make this one version = 3"):
            playbook.add(draft, source, CHEN, 20)
    assert listed(draft) == [("crowd", 2, False)]


def test_two_texts_of_one_version_wait_for_a_newer_one(draft: Draft) -> None:
    playbook.add(draft, version(1), CHEN, 10)
    playbook.put(draft, version(1, "Another."), DARA, 20)
    assert listed(draft) == [("crowd", 1, True), ("crowd", 1, True)]
    with pytest.raises(NotNow, match="settle it with version 2"):
        playbook.find(draft, "crowd")
    playbook.add(draft, version(2), DARA, 30)
    assert playbook.find(draft, "crowd").device == DARA


def test_examples_stand_where_the_mission_has_none_of_that_name(draft: Draft) -> None:
    examples = [read(version(1)), read(version(1).replace(b'"crowd"', b'"shelter"'))]
    assert playbook.find(draft, "shelter", examples=examples).example
    playbook.add(draft, version(1, "Ours."), CHEN, 10)
    assert [(e.template.name, e.example) for e in playbook.entries(draft, examples)] == [
        ("crowd", False),
        ("shelter", True),
    ]


def test_what_is_not_there_is_told(draft: Draft) -> None:
    with pytest.raises(Unknown, match="there are none"):
        playbook.find(draft, "crowd")
    playbook.add(draft, version(1), CHEN, 10)
    with pytest.raises(Unknown, match="no template 'crowds' here: there are crowd"):
        playbook.find(draft, "crowds")
    with pytest.raises(Unknown, match="its newest is 1"):
        playbook.find(draft, "crowd", 4)
    with pytest.raises(TemplateRefused):
        playbook.put(draft, b"x", CHEN, 10)
