"""Coming in again, as an auditor replays it: sound when an officer approved it in that epoch, a finding in each other case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clients.auditor.verify import Cause, Topic, Verdict
from keys import body
from keys.canonical import encode
from keys.envelope import Kind
from keys.mls import Credential, ExternalPsk, PreSharedKey, PreSharedKeyID
from keys.mls.group import Group
from keys.mls.leaves import new_capabilities
from tests.clients.auditor.logs import Party
from tests.clients.auditor.test_content import Scene, against, check


def approve(s: Scene, by: Party | None = None, of: Party | None = None, **changes: Any) -> int:
    by, of = by or s.chen, of or s.ayo
    group = by.groups[s.channel]
    fields = {"device": of.id, "epoch": group.epoch, "group_info": group.group_info(external=True), **changes}
    data = encode(body.ResyncApproval(**fields))
    return by.say(Kind.RESYNC_APPROVAL, s.channel, data, epoch=group.epoch, heard=s.book.heard(s.channel))


def rejoin(s: Scene, who: Party | None = None, **changes: Any) -> int:
    who, group = who or s.ayo, s.bea.groups[s.channel]
    context = who.context(Kind.COMMIT, s.channel, epoch=group.epoch, heard=s.book.heard(s.channel))
    credential = Credential.x509([who.der])
    pending = Group.join_externally(
        group.group_info(external=True),
        credential,
        who.key.seed,
        s.book.auth,
        ratchet_tree=group.tree_bytes(),
        remove=who.leaf(s.channel),
        capabilities=new_capabilities(group.suite, credential, (body.TERMS_EXTENSION,)),
        random=s.book.random,
        **{"authenticated_data": context.authenticated_data(), **changes},
    )
    return who.send_commit(context, pending)


def test_a_member_that_was_let_in_again_breaks_nothing() -> None:
    s = Scene()
    approve(s)
    rejoin(s)
    s.ayo.message(s.channel)
    s.bea.message(s.channel)
    verified = check(s.book)
    assert verified.verdict is Verdict.CONSISTENT, against(verified)


def unapproved(s: Scene) -> int:
    return rejoin(s)


def approved_before(s: Scene) -> int:
    approve(s)
    s.bea.commit(s.channel)
    return rejoin(s)


def twice(s: Scene) -> int:
    approve(s)
    rejoin(s)
    return rejoin(s)


def bound_elsewhere(s: Scene) -> int:
    approve(s)
    return rejoin(s, authenticated_data=b"another header")


def with_more(s: Scene) -> int:
    """No member could follow it, for want of the key; the auditor says what is wrong with it all the same."""
    approve(s)
    held, s.book.parties = s.book.parties, []
    named = PreSharedKeyID(ExternalPsk(b"key"), bytes(32))
    index = rejoin(s, psk_proposals=[PreSharedKey(named)], psks={b"key": b"secret"})
    s.book.parties = held
    return index


ROSTERS: list[Any] = [
    pytest.param(unapproved, id="without an approval"),
    pytest.param(approved_before, id="with the approval of an epoch before"),
    pytest.param(twice, id="twice by one approval"),
    pytest.param(bound_elsewhere, id="bound to another header"),
    pytest.param(with_more, id="with a pre-shared key beside"),
    pytest.param(lambda s: approve(s, of=s.emil), id="an approval for no member"),
    pytest.param(lambda s: approve(s, of=s.chen), id="an approval for oneself"),
    pytest.param(lambda s: approve(s, epoch=7), id="an approval for another epoch"),
    pytest.param(lambda s: approve(s, group_info=b"none"), id="an approval without a GroupInfo"),
]


@pytest.mark.parametrize("make", ROSTERS)
def test_who_comes_in_otherwise_is_found(make: Callable[[Scene], int]) -> None:
    s = Scene()
    index = make(s)
    found = [(c.claim, c.index, c.cause) for c in against(check(s.book))]
    assert (Topic.ROSTERS, index, Cause.INJECTED) in found


def test_an_approval_by_who_may_not_is_found() -> None:
    s = Scene()
    index = approve(s, by=s.bea)
    found = [(c.claim, c.index, c.cause) for c in against(check(s.book))]
    assert found == [(Topic.ROLES, index, Cause.INJECTED)]
