"""How a member's state begins (RFC 9420 sections 11 and 12.4.3.1): by founding a group, or by a Welcome to one."""

from keys.mls import schedule, treemath
from keys.mls.commits import Advance
from keys.mls.errors import InvalidGroupInfo, InvalidTree, Misuse
from keys.mls.framing import interim_transcript_hash
from keys.mls.hpke import Random
from keys.mls.keypackages import KeyPackageSecrets, new_leaf
from keys.mls.leaves import AuthenticationService, Place, fits_us, verify_leaf
from keys.mls.lineage import check_link, check_new
from keys.mls.messages import GroupContext, KeyPackage
from keys.mls.nodes import MLS10, RATCHET_TREE, Capabilities, Credential, Extension, Lifetime, find_extension
from keys.mls.presharedkeys import Psks, held, link_of
from keys.mls.public import PublicGroup
from keys.mls.rules import check_group_extensions
from keys.mls.suites import CipherSuite, SuiteTable, cipher_suite
from keys.mls.tree import Tree
from keys.mls.treekem import PrivateKeys, join_path
from keys.mls.welcoming import open_welcome


def found(
    suite: CipherSuite,
    group_id: bytes,
    credential: Credential,
    signature_private_key: bytes,
    auth: AuthenticationService,
    lifetime: Lifetime,
    extensions: tuple[Extension, ...],
    capabilities: Capabilities,
    leaf_extensions: tuple[Extension, ...],
    random: Random,
) -> Advance:
    """A group of one at epoch 0, its founder at leaf 0 (section 11). Raises `Invalid` and below."""
    leaf, leaf_private = new_leaf(
        suite, credential, signature_private_key, lifetime, capabilities, leaf_extensions, random
    )
    check_group_extensions(extensions, auth)
    verify_leaf(suite, leaf, Place(group_id, 0), None)
    fits_us(leaf, extensions)
    auth.validate(credential, leaf.signature_key)
    tree = Tree.of_one(suite, leaf)
    context = GroupContext(MLS10, suite.id, group_id, 0, tree.hash(), b"", extensions)
    epoch = schedule.from_epoch_secret(suite, random(suite.hash_length))
    tag = suite.mac(epoch.confirmation_key, b"")
    interim = interim_transcript_hash(suite, b"", tag)
    public = PublicGroup(suite, auth, context, tree, tag, interim, {}, None)
    return Advance(public, epoch, {0: leaf_private}, signature_private_key)


def join(
    welcome: bytes,
    key_package: KeyPackage,
    secrets: KeyPackageSecrets,
    signature_private_key: bytes,
    auth: AuthenticationService,
    ratchet_tree: bytes | None,
    psks: Psks,
    now_seconds: int | None,
    suites: SuiteTable,
) -> tuple[int, Advance]:
    """Our leaf index and the state in a group that somebody added us to (section 12.4.3.1).

    Raises `MLSError` and below.
    """
    suite, groups = cipher_suite(key_package.cipher_suite, suites), held(psks).groups
    opened = open_welcome(suite, welcome, key_package, secrets, psks)
    if ratchet_tree is None:
        ratchet_tree = find_extension(opened.info.extensions, RATCHET_TREE)
    if ratchet_tree is None:
        raise Misuse("the Welcome has no ratchet tree inside and none was given (section 12.4.3.3)")
    public = PublicGroup.from_info(suite, opened.info, ratchet_tree, auth, now_seconds)
    check_new(public, groups)
    own = next((index for index, leaf in public.tree.members() if leaf == key_package.leaf_node), None)
    if own is None or own == opened.info.signer:
        raise InvalidGroupInfo("our leaf is not in the tree as a joiner's (section 12.4.3.1)")
    fits_us(key_package.leaf_node, public.context.extensions)
    _check_own_keys(suite, key_package, secrets, signature_private_key)
    private: PrivateKeys = {2 * own: secrets.encryption_private_key}
    if opened.path_secret is not None:
        leaf_key = secrets.encryption_private_key
        private = join_path(public.tree, own, opened.info.signer, opened.path_secret, leaf_key)
    _check_invariant(public.tree, own, private)
    epoch = schedule.new_epoch(suite, opened.member_secret, public.context)
    confirmed = public.context.confirmed_transcript_hash
    suite.verify_mac(epoch.confirmation_key, confirmed, public.confirmation_tag)
    link = link_of(opened.psks)
    if link is not None:
        check_link(public, link, groups)
    return own, Advance(public, epoch, private, signature_private_key)


def _check_own_keys(
    suite: CipherSuite, key_package: KeyPackage, secrets: KeyPackageSecrets, signature_private_key: bytes
) -> None:
    """Raise `Misuse` unless the private keys are those of the KeyPackage."""
    leaf, public_key = key_package.leaf_node, suite.hpke.kem.public_key
    if (
        public_key(secrets.init_private_key) != key_package.init_key
        or public_key(secrets.encryption_private_key) != leaf.encryption_key
        or suite.signature_public_key(signature_private_key) != leaf.signature_key
    ):
        raise Misuse("these are not the private keys of the KeyPackage")


def _check_invariant(tree: Tree, own: int, private: PrivateKeys) -> None:
    """We hold the keys of just those parents above us at which we are not unmerged (section 4.2)."""
    for node in treemath.direct_path(2 * own, tree.leaves):
        parent = tree.parent_node(node)
        if parent is not None and (node in private) == (own in parent.unmerged_leaves):
            raise InvalidTree(f"the Welcome's path secret does not fit node {node} (section 12.4.3.1)")
