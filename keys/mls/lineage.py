"""Groups that come from others (RFC 9420 sections 11.2 and 11.3): one that continues a group, and one that branches off.

    ReInit     its Commit closes the old group; a new one with the same members and the parameters it names goes on
    branch     some members found a new group with the parameters of the old, which stays as it is

A resumption PSK of the old group, used by the new group's founder in its first Commit and named in the Welcome, ties
the two together: who joins has to have been in the old group, and holds the new one against it here. How a new group
is founded stands in `founding.py`.

Who is the same member in both is asked of the Authentication Service (`is_successor`).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from keys.mls.errors import InvalidGroupInfo, InvalidProposal, MissingPreSharedKey
from keys.mls.leaves import AuthenticationService, check_extensions
from keys.mls.messages import GroupContext, ReInit, ResumptionPsk
from keys.mls.nodes import Credential
from keys.mls.presharedkeys import BRANCH

if TYPE_CHECKING:
    from keys.mls.group import Group
    from keys.mls.public import PublicGroup


def check_reinit(context: GroupContext, reinit: ReInit) -> None:
    """Is this ReInit valid by itself (section 12.1.5)? Raises `InvalidProposal`, `InvalidLeafNode`."""
    if reinit.version < context.version:
        raise InvalidProposal(f"a ReInit to version {reinit.version}, lower than the group's (section 12.1.5)")
    check_extensions(reinit.extensions)


def check_new(public: "PublicGroup", groups: "Mapping[bytes, Group]") -> None:
    """Raise `InvalidGroupInfo` if the new group has the id of one that we are in (section 12.4.3)."""
    ours = groups.get(public.group_id)
    if ours is not None and ours.public.reinit is None and not ours.removed:
        raise InvalidGroupInfo("a new group with the id of one that we are in (section 12.4.3)")


def check_link(public: "PublicGroup", link: ResumptionPsk, groups: "Mapping[bytes, Group]") -> None:
    """Is the new group what the key that links it says (section 12.4.3.1, last point)?

    Raises `InvalidGroupInfo`, `MissingPreSharedKey`.
    """
    if public.epoch != 1:
        raise InvalidGroupInfo(f"a new group that is linked to another in its epoch {public.epoch} (section 12.4.3.1)")
    old = groups[link.psk_group_id]
    if link.usage == BRANCH:
        _check_branch(public, link, old)
    else:
        _check_successor(public, link, old)


def _check_successor(public: "PublicGroup", link: ResumptionPsk, old: "Group") -> None:
    """It is the group that the ReInit asked for, with the members of the old one (sections 11.2 and 12.4.3.1)."""
    reinit, context = old.public.reinit, public.context
    if reinit is None:
        raise InvalidGroupInfo("a successor of a group whose last Commit holds no ReInit (section 12.4.3.1)")
    if link.psk_epoch != old.epoch:
        raise InvalidGroupInfo(f"a successor from epoch {link.psk_epoch}, the ReInit led to {old.epoch} (section 11.2)")
    if context.group_id != reinit.group_id:
        raise InvalidGroupInfo("a successor with another group id than the ReInit's (section 12.4.3.1)")
    if context.version != reinit.version:
        raise InvalidGroupInfo("a successor with another version than the ReInit's (section 12.4.3.1)")
    if context.cipher_suite != reinit.cipher_suite:
        raise InvalidGroupInfo("a successor with another cipher suite than the ReInit's (section 12.4.3.1)")
    if context.extensions != reinit.extensions:
        raise InvalidGroupInfo("a successor with other extensions than the ReInit's (section 12.4.3.1)")
    before = [leaf.credential for _, leaf in old.tree.members()]
    after = [leaf.credential for _, leaf in public.tree.members()]
    if _unmatched(public.auth, before, after):
        raise InvalidGroupInfo("a successor without a member of the old group (section 12.4.3.1)")
    if _newcomers(public.auth, before, after):
        raise InvalidGroupInfo("a successor with a member that the old group had not (section 11.2)")


def _check_branch(public: "PublicGroup", link: ResumptionPsk, old: "Group") -> None:
    """Its parameters are the old group's, and its members are some of that group's (sections 11.3 and 12.4.3.1)."""
    if public.context.version != old.context.version:
        raise InvalidGroupInfo("a branch with another version than the old group's (section 11.3)")
    if public.context.cipher_suite != old.context.cipher_suite:
        raise InvalidGroupInfo("a branch with another cipher suite than the old group's (section 11.3)")
    leaves = old.leaves_in(link.psk_epoch)
    if leaves is None:
        raise MissingPreSharedKey(
            f"the members of epoch {link.psk_epoch} of the old group are forgotten (section 11.3)"
        )
    before = [leaf.credential for leaf in leaves if leaf is not None]
    after = [leaf.credential for _, leaf in public.tree.members()]
    if _newcomers(public.auth, before, after):
        raise InvalidGroupInfo("a branch with a member that the old group had not (section 11.3)")


def _unmatched(auth: AuthenticationService, before: Iterable[Credential], after: Iterable[Credential]) -> bool:
    """Whether one of those before is nobody after; one and the same credential is one and the same member."""
    now = set(after)
    return any(old not in now and not any(auth.is_successor(old, new) for new in now) for old in before)


def _newcomers(auth: AuthenticationService, before: Iterable[Credential], after: Iterable[Credential]) -> bool:
    """Whether one of those after was nobody before."""
    then = set(before)
    return any(new not in then and not any(auth.is_successor(old, new) for old in then) for new in after)
