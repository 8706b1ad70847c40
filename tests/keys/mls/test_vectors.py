"""Every published vector of the suites that we do, none skipped; those of suites 4 and 6 are counted."""

import pytest

from keys.mls import (
    SUPPORTED,
    Credential,
    Group,
    GroupContext,
    KeyPackage,
    KeyPackageSecrets,
    MLSMessage,
    Unsupported,
    cipher_suite,
    schedule,
    secrettree,
    treekem,
    treemath,
)
from keys.mls.codec import Reader, decode_all, encode_with, varint
from keys.mls.framing import (
    ApplicationData,
    AuthenticatedContent,
    FramedContent,
    MemberSender,
    PrivateMessage,
    ProposalContent,
    PublicMessage,
    interim_transcript_hash,
)
from keys.mls.leaves import Place, renewed, verify_leaf, verify_members
from keys.mls.messages import (
    Add,
    Commit,
    ExternalInit,
    ExternalPsk,
    GroupContextExtensions,
    GroupSecrets,
    PreSharedKey,
    PreSharedKeyID,
    ReInit,
    Remove,
    Update,
    UpdatePath,
    proposal,
)
from keys.mls.nodes import Capabilities, FromCommit, LeafNode, Lifetime, ratchet_tree
from keys.mls.presharedkeys import look_up
from keys.mls.private import MessageKeys, sender_data_key
from keys.mls.secrettree import DEFAULT_LIMITS, SecretTree
from keys.mls.suites import HPKECiphertext
from keys.mls.tree import Tree
from keys.mls.welcoming import open_welcome
from tests.keys.mls.people import seeded
from tests.keys.mls.vectors import SUITES, UNSUPPORTED, Case, load, of_suite, private_key, unhex

each_suite = pytest.mark.parametrize("number", SUITES, ids=[f"suite {number}" for number in SUITES])


class Anybody:
    """An Authentication Service that vouches for everyone."""

    def validate(self, credential: Credential, signature_key: bytes) -> None:
        pass

    def is_successor(self, old: Credential, new: Credential) -> bool:
        return True


@pytest.mark.parametrize(
    ("name", "cases", "unsupported"),
    [
        ("crypto-basics", 7, 2),
        ("key-schedule", 7, 2),
        ("psk_secret", 77, 22),
        ("transcript-hashes", 7, 2),
        ("secret-tree", 21, 6),
        ("message-protection", 7, 2),
        ("welcome", 7, 2),
        ("tree-operations", 5, 0),
        ("tree-validation", 98, 28),
        ("treekem", 77, 22),
        ("passive-client-welcome", 56, 16),
    ],
)
def test_what_is_not_run_is_counted(name: str, cases: int, unsupported: int) -> None:
    numbers = [case["cipher_suite"] for case in load(name)]
    assert len(numbers) == cases
    assert sum(number in UNSUPPORTED for number in numbers) == unsupported
    assert all(number in SUPPORTED for number in numbers if number not in UNSUPPORTED)


@pytest.mark.parametrize("number", UNSUPPORTED)
def test_suites_on_curve448_are_refused(number: int) -> None:
    with pytest.raises(Unsupported):
        cipher_suite(number)


def test_tree_math() -> None:
    for case in load("tree-math"):
        leaves = case["n_leaves"]
        top = treemath.root(leaves)
        assert treemath.node_width(leaves) == case["n_nodes"]
        assert top == case["root"]
        for node in range(case["n_nodes"]):
            parents = treemath.level(node) > 0
            assert case["left"][node] == (treemath.left(node) if parents else None)
            assert case["right"][node] == (treemath.right(node) if parents else None)
            assert case["parent"][node] == (treemath.parent(node) if node != top else None)
            assert case["sibling"][node] == (treemath.sibling(node) if node != top else None)


def test_deserialization() -> None:
    for case in load("deserialization"):
        header = unhex(case["vlbytes_header"])
        assert Reader(header).varint() == case["length"]
        assert varint(case["length"]) == header


PROPOSALS = {
    "add_proposal": Add,
    "update_proposal": Update,
    "remove_proposal": Remove,
    "pre_shared_key_proposal": PreSharedKey,
    "re_init_proposal": ReInit,
    "external_init_proposal": ExternalInit,
    "group_context_extensions_proposal": GroupContextExtensions,
    "commit": Commit,
    "group_secrets": GroupSecrets,
}


def test_messages() -> None:
    for case in load("messages"):
        for name, text in case.items():
            data = unhex(text)
            if name == "ratchet_tree":
                assert encode_with(ratchet_tree, decode_all(ratchet_tree, data)) == data
                continue
            kind = PROPOSALS.get(name, MLSMessage)
            value = kind.decode(data)
            assert value.encode() == data
            assert kind.decode(value.encode()) == value


@each_suite
def test_crypto_basics(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("crypto-basics", number):
        given = case["ref_hash"]
        assert suite.ref_hash(given["label"].encode(), unhex(given["value"])) == unhex(given["out"])
        given = case["expand_with_label"]
        context, length = unhex(given["context"]), given["length"]
        derived = suite.expand_with_label(unhex(given["secret"]), given["label"].encode(), context, length)
        assert derived == unhex(given["out"])
        given = case["derive_secret"]
        assert suite.derive_secret(unhex(given["secret"]), given["label"].encode()) == unhex(given["out"])
        given = case["derive_tree_secret"]
        context, length = given["generation"].to_bytes(4), given["length"]
        derived = suite.expand_with_label(unhex(given["secret"]), given["label"].encode(), context, length)
        assert derived == unhex(given["out"])
        given = case["sign_with_label"]
        public, private, content = unhex(given["pub"]), private_key(number, given["priv"]), unhex(given["content"])
        label = given["label"].encode()
        suite.verify_with_label(public, label, content, unhex(given["signature"]))
        suite.verify_with_label(public, label, content, suite.sign_with_label(private, label, content))
        assert suite.signature_public_key(private) == public
        given = case["encrypt_with_label"]
        public, private, plaintext = unhex(given["pub"]), private_key(number, given["priv"]), unhex(given["plaintext"])
        label, context = given["label"].encode(), unhex(given["context"])
        sealed = HPKECiphertext(unhex(given["kem_output"]), unhex(given["ciphertext"]))
        assert suite.decrypt_with_label(private, label, context, sealed) == plaintext
        sealed = suite.encrypt_with_label(public, label, context, plaintext)
        assert suite.decrypt_with_label(private, label, context, sealed) == plaintext


@each_suite
def test_key_schedule(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("key-schedule", number):
        init = unhex(case["initial_init_secret"])
        for epoch, given in enumerate(case["epochs"]):
            confirmed = unhex(given["confirmed_transcript_hash"])
            context = GroupContext(1, number, unhex(case["group_id"]), epoch, unhex(given["tree_hash"]), confirmed, ())
            assert context.encode() == unhex(given["group_context"])
            joiner = schedule.joiner_secret(suite, init, unhex(given["commit_secret"]), context)
            assert joiner == unhex(given["joiner_secret"])
            member = schedule.member_secret(suite, joiner, unhex(given["psk_secret"]))
            assert suite.derive_secret(member, b"welcome") == unhex(given["welcome_secret"])
            secrets, encryption, confirmation, _ = schedule.new_epoch(suite, member, context)
            assert encryption == unhex(given["encryption_secret"])
            assert confirmation == unhex(given["confirmation_key"])
            for name in (
                "init_secret",
                "sender_data_secret",
                "exporter_secret",
                "external_secret",
                "membership_key",
                "resumption_psk",
                "epoch_authenticator",
            ):
                assert getattr(secrets, name) == unhex(given[name]), name
            assert schedule.external_key_pair(suite, secrets)[1] == unhex(given["external_pub"])
            exported = given["exporter"]
            label, outside = exported["label"].encode(), unhex(exported["context"])
            secret = schedule.exporter(suite, secrets, label, outside, exported["length"])
            assert secret == unhex(exported["secret"])
            init = secrets.init_secret


@each_suite
def test_psk_secret(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("psk_secret", number):
        named = [PreSharedKeyID(ExternalPsk(unhex(p["psk_id"])), unhex(p["psk_nonce"])) for p in case["psks"]]
        held = {unhex(p["psk_id"]): unhex(p["psk"]) for p in case["psks"]}
        assert schedule.psk_secret(suite, look_up(named, held)) == unhex(case["psk_secret"])


@each_suite
def test_transcript_hashes(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("transcript-hashes", number):
        content = AuthenticatedContent.decode(unhex(case["authenticated_content"]))
        assert content.encode() == unhex(case["authenticated_content"])
        confirmed = content.confirmed_transcript_hash(suite, unhex(case["interim_transcript_hash_before"]))
        assert confirmed == unhex(case["confirmed_transcript_hash_after"])
        tag = content.auth.confirmation_tag
        assert tag is not None
        suite.verify_mac(unhex(case["confirmation_key"]), confirmed, tag)
        interim = interim_transcript_hash(suite, confirmed, tag)
        assert interim == unhex(case["interim_transcript_hash_after"])


@each_suite
def test_secret_tree(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("secret-tree", number):
        given = case["sender_data"]
        key, nonce = sender_data_key(suite, unhex(given["sender_data_secret"]), unhex(given["ciphertext"]))
        assert (key, nonce) == (unhex(given["key"]), unhex(given["nonce"]))
        tree = SecretTree.start(len(case["leaves"]), unhex(case["encryption_secret"]))
        for leaf, generations in enumerate(case["leaves"]):
            for given in generations:
                for kind, name in ((secrettree.HANDSHAKE, "handshake"), (secrettree.APPLICATION, "application")):
                    taken, tree = tree.take_key(suite, leaf, kind, given["generation"], DEFAULT_LIMITS)
                    assert taken == (unhex(given[f"{name}_key"]), unhex(given[f"{name}_nonce"]))


def _protection(case: Case) -> tuple[MessageKeys, bytes]:
    """The keys of a group of two whose leaf 1 sends; no tree, so leaves hold no more than the signature key."""
    suite = cipher_suite(case["cipher_suite"])
    context = GroupContext(
        1,
        suite.id,
        unhex(case["group_id"]),
        case["epoch"],
        unhex(case["tree_hash"]),
        unhex(case["confirmed_transcript_hash"]),
        (),
    )
    nothing = Capabilities((), (), (), (), ())
    leaf = LeafNode(b"", unhex(case["signature_pub"]), Credential.basic(b""), nothing, Lifetime(0, 0), (), b"")
    tree = SecretTree.start(2, unhex(case["encryption_secret"]))
    keys = MessageKeys(suite, context, unhex(case["sender_data_secret"]), tree, (leaf, leaf).__getitem__)
    return keys, private_key(suite.id, case["signature_priv"])


@each_suite
@pytest.mark.parametrize("kind", ["proposal", "commit", "application"])
def test_private_messages(number: int, kind: str) -> None:
    for case in of_suite("message-protection", number):
        keys, private = _protection(case)
        message = MLSMessage.unwrap(unhex(case[f"{kind}_priv"]))
        assert isinstance(message, PrivateMessage)
        opened, _ = keys.open(message, 0, DEFAULT_LIMITS)
        assert _plain(opened) == unhex(case[kind])
        inner = opened.framed.content
        framed = FramedContent(keys.context.group_id, keys.context.epoch, MemberSender(1), b"ad", inner)
        signed = AuthenticatedContent.sign(keys.suite, 2, framed, keys.context, private)
        if kind == "commit":
            signed = signed.with_confirmation_tag(bytes(keys.suite.hash_length))
        plaintext = inner.encode() + signed.auth.encode() + bytes(5)
        sealed, _ = keys.seal_content(1, framed, plaintext, seeded(number))
        again = MLSMessage.unwrap(sealed)
        assert isinstance(again, PrivateMessage)
        assert keys.open(again, 0, DEFAULT_LIMITS)[0] == signed


@each_suite
@pytest.mark.parametrize("kind", ["proposal", "commit"])
def test_public_messages(number: int, kind: str) -> None:
    for case in of_suite("message-protection", number):
        keys, private = _protection(case)
        suite, context, membership = keys.suite, keys.context, unhex(case["membership_key"])
        message = MLSMessage.unwrap(unhex(case[f"{kind}_pub"]))
        assert isinstance(message, PublicMessage)
        content = message.authenticated
        content.verify_signature(suite, context, unhex(case["signature_pub"]))
        assert content.membership_tag(suite, context, membership) == message.membership_tag
        assert _plain(content) == unhex(case[kind])
        signed = AuthenticatedContent.sign(suite, 1, content.framed, context, private)
        if kind == "commit":
            signed = signed.with_confirmation_tag(bytes(suite.hash_length))
        tag = signed.membership_tag(suite, context, membership)
        wrapped = MLSMessage.wrap(PublicMessage(signed.framed, signed.auth, tag))
        again = MLSMessage.unwrap(wrapped)
        assert isinstance(again, PublicMessage)
        again.authenticated.verify_signature(suite, context, unhex(case["signature_pub"]))
        assert again.membership_tag == tag


def _plain(content: AuthenticatedContent) -> bytes:
    match content.framed.content:
        case ApplicationData(data):
            return data
        case ProposalContent(inner):
            return encode_with(proposal, inner)
        case commit:
            return commit.encode()


def test_tree_operations() -> None:
    for case in load("tree-operations"):
        suite = cipher_suite(case["cipher_suite"])
        tree = Tree.decode(suite, unhex(case["tree_before"]))
        assert tree.hash() == unhex(case["tree_hash_before"])
        edit = tree.edit()
        match decode_all(proposal, unhex(case["proposal"])):
            case Add(package):
                edit.add_leaf(package.leaf_node)
            case Update(leaf):
                edit.update_leaf(case["proposal_sender"], leaf)
            case Remove(removed):
                edit.remove_leaf(removed)
                edit.truncate()
        after = edit.finish()
        assert after.encode() == unhex(case["tree_after"])
        assert after.hash() == unhex(case["tree_hash_after"])


@each_suite
def test_tree_validation(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("tree-validation", number):
        tree = Tree.decode(suite, unhex(case["tree"]))
        assert tree.encode() == unhex(case["tree"])
        assert [tree.resolution(node) for node in range(len(tree.nodes))] == case["resolutions"]
        assert [tree.node_hash(node).hex() for node in range(len(tree.nodes))] == case["tree_hashes"]
        tree.verify()
        verify_members(tree)
        for leaf_index, leaf in tree.members():
            verify_leaf(suite, leaf, Place(unhex(case["group_id"]), leaf_index), None)


@each_suite
def test_treekem(number: int) -> None:
    for case in of_suite("treekem", number):
        _treekem_case(case)


def _treekem_case(case: Case) -> None:
    suite = cipher_suite(case["cipher_suite"])
    tree = Tree.decode(suite, unhex(case["ratchet_tree"]))
    confirmed = unhex(case["confirmed_transcript_hash"])
    context = GroupContext(1, suite.id, unhex(case["group_id"]), case["epoch"], tree.hash(), confirmed, ())
    holders = {}
    for given in case["leaves_private"]:
        private = {2 * given["index"]: private_key(suite.id, given["encryption_priv"])}
        for secret in given["path_secrets"]:
            private[secret["node"]] = treekem.node_keys(suite, unhex(secret["path_secret"])).private
        for node, key in private.items():
            value = tree.nodes[node]
            assert value is not None
            assert suite.hpke.kem.public_key(key) == value.encryption_key
        holders[given["index"]] = (private, private_key(suite.id, given["signature_priv"]))
    for given in case["update_paths"]:
        sender, path = given["sender"], UpdatePath.decode(unhex(given["update_path"]))
        path.leaf_node.verify_signature(suite, context.group_id, sender)  # its capabilities don't list suite 7
        after = treekem.merge_path(tree, sender, path, frozenset())
        assert after.hash() == unhex(given["tree_hash_after"])
        provisional = GroupContext(1, suite.id, context.group_id, context.epoch, after.hash(), confirmed, ())
        for leaf, expected in enumerate(given["path_secrets"]):
            if expected is None or leaf not in holders:
                continue
            private, secret = treekem.open_path(tree, sender, leaf, path, frozenset(), holders[leaf][0], provisional)
            assert secret == unhex(given["commit_secret"])
            ancestor = treemath.common_ancestor(2 * leaf, 2 * sender)
            assert private[ancestor] == treekem.node_keys(suite, unhex(expected)).private
    _new_path_agrees(tree, case["update_paths"][0]["sender"], holders, context)


def _new_path_agrees(
    tree: Tree, sender: int, holders: dict[int, tuple[dict[int, bytes], bytes]], context: GroupContext
) -> None:
    """A path of our own in the same tree: everybody else finds its commit secret."""
    suite, place = tree.suite, Place(context.group_id, sender)
    old = tree.leaf(sender)
    assert old is not None

    def sign_leaf(key: bytes, parent_hash: bytes) -> LeafNode:
        return renewed(suite, old, key, FromCommit(parent_hash), place, old.credential, holders[sender][1])

    def context_for(tree_hash: bytes) -> GroupContext:
        return treekem.provisional_context(context, tree_hash, ())

    made = treekem.create_path(tree, sender, sign_leaf, context_for, frozenset(), seeded(context.group_id))
    merged = treekem.merge_path(tree, sender, made.path, frozenset())
    assert merged.hash() == made.tree.hash()
    merged.verify()
    for leaf, (private, _) in holders.items():
        if leaf != sender:
            _, secret = treekem.open_path(tree, sender, leaf, made.path, frozenset(), private, made.context)
            assert secret == made.commit_secret


@each_suite
def test_welcome(number: int) -> None:
    suite = cipher_suite(number)
    for case in of_suite("welcome", number):
        package = MLSMessage.unwrap(unhex(case["key_package"]))
        assert isinstance(package, KeyPackage)
        secrets = KeyPackageSecrets(private_key(number, case["init_priv"]), b"")
        opened = open_welcome(suite, unhex(case["welcome"]), package, secrets, {})
        info = opened.info
        suite.verify_with_label(unhex(case["signer_pub"]), b"GroupInfoTBS", info.to_be_signed(), info.signature)
        epoch = schedule.new_epoch(suite, opened.member_secret, info.group_context)
        confirmed = info.group_context.confirmed_transcript_hash
        suite.verify_mac(epoch.confirmation_key, confirmed, info.confirmation_tag)


@each_suite
def test_passive_client(number: int) -> None:
    for case in of_suite("passive-client-welcome", number):
        package = MLSMessage.unwrap(unhex(case["key_package"]))
        assert isinstance(package, KeyPackage)
        psks = {unhex(psk["psk_id"]): unhex(psk["psk"]) for psk in case["external_psks"]}
        tree = case["ratchet_tree"]
        group = Group.join(
            unhex(case["welcome"]),
            package,
            KeyPackageSecrets(private_key(number, case["init_priv"]), private_key(number, case["encryption_priv"])),
            private_key(number, case["signature_priv"]),
            Anybody(),
            ratchet_tree=None if tree is None else unhex(tree),
            psks=psks,
        )
        assert group.epoch_authenticator == unhex(case["initial_epoch_authenticator"])
        for epoch in case["epochs"]:
            for message in epoch["proposals"]:
                group, _ = group.process(unhex(message), now_seconds=None)
            group, _ = group.process(unhex(epoch["commit"]), now_seconds=None, psks=psks)
            assert group.epoch_authenticator == unhex(epoch["epoch_authenticator"])
