"""KeyPackages (RFC 9420 sections 10 and 10.1), in an Add that a member commits; their leaves are in `test_leaves.py`."""

from dataclasses import replace

from keys.mls import Add, BadKey, BadSignature, InvalidKeyPackage, InvalidLeafNode, InvalidProposal
from tests.keys.mls.hostile.scene import CHARTER, HONEST, LOW, TWIN, add, commit, guest
from tests.keys.mls.hostile.table import Row, judge, table


@table(
    Row("10.1", "the version is the group's", add(version=2), InvalidKeyPackage, "another version or cipher suite"),
    Row("10.1", "the suite is the group's", add(cipher_suite=3), InvalidKeyPackage, "another version or cipher suite"),
    Row(
        "10.1",
        "init key and encryption key differ",
        add(init_key=HONEST.leaf_node.encryption_key),
        InvalidKeyPackage,
        "init key and encryption key are one",
    ),
    Row(
        "10.1",
        "it is signed by its leaf's key",
        commit([Add(replace(HONEST, signature=bytes(64)))], [Add(HONEST)]),
        BadSignature,
        "KeyPackageTBS",
    ),
    Row("10", "the init key is a key of the suite", add(init_key=b"short"), BadKey, "of 5 bytes"),
    Row("10", "the init key is usable", add(init_key=LOW), BadKey, "low order"),
    Row("13.4", "no extension stands twice", add(extensions=(CHARTER, CHARTER)), InvalidLeafNode, "two extensions"),
    Row(
        "10",
        "no two Adds have one init key",
        commit(
            lambda: [Add(HONEST), Add(guest(TWIN, init_key=HONEST.init_key))], lambda: [Add(HONEST), Add(guest(TWIN))]
        ),
        InvalidProposal,
        "two Adds with one init key",
    ),
)
def test_a_key_package(row: Row) -> None:
    judge(row)
