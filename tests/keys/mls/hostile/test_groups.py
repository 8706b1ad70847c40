"""Founding a group (RFC 9420 section 11): its founder is checked like anybody."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from keys.mls import Credential, InvalidCredential, InvalidLeafNode
from tests.keys.mls.hostile.scene import ABLE, ASKED, CHARTER, SUITE
from tests.keys.mls.hostile.table import Case, Row, judge, table
from tests.keys.mls.people import Names, Person


def found(name: bytes = b"founder", **changes: Any) -> Callable[[], Case]:
    """Somebody founds a group that can't be."""
    given = {"extensions": (CHARTER, ASKED), "capabilities": ABLE}
    auth = Names({b"banned"})

    def case() -> Case:
        return Case(
            [lambda: Person.named(SUITE, name).found(auth, **{**given, **changes})],
            [lambda: Person.named(SUITE, b"founder").found(auth, **given)],
        )

    return case


def able(**changes: tuple[int, ...]) -> Callable[[], Case]:
    return found(capabilities=replace(ABLE, **changes))


@table(
    Row("5.3.1", "the founder is vouched for", found(b"banned"), InvalidCredential, "banned"),
    Row("13.4", "no extension stands twice", found(extensions=(CHARTER, CHARTER)), InvalidLeafNode, "two extensions"),
    Row("7.2", "the founder lists the version", able(versions=()), InvalidLeafNode, "does not list this version"),
    Row("7.2", "the founder lists the suite", able(cipher_suites=()), InvalidLeafNode, "the group's cipher suite"),
    Row(
        "7.2",
        "the founder lists its credential's type",
        able(credentials=(2, 3)),
        InvalidLeafNode,
        "its own credential type",
    ),
    Row(
        "13.4",
        "the founder lists the group's extensions",
        able(extensions=(0xF0A1,)),
        InvalidLeafNode,
        "the group's extension 0xf0a0",
    ),
    Row("11.1", "the founder has what is required", able(proposals=()), InvalidLeafNode, "proposal 0xf0a2"),
)
def test_a_founder(row: Row) -> None:
    judge(row)


def test_a_founder_stands_at_leaf_0_of_epoch_0() -> None:
    group = Person.named(SUITE, b"founder").found(Names(), extensions=(CHARTER,))
    assert (group.epoch, group.own_leaf_index, group.context.confirmed_transcript_hash) == (0, 0, b"")
    assert group.own_leaf.credential == Credential.basic(b"founder")
    assert group.own_leaf.capabilities.extensions == (CHARTER.extension_type,)
