"""The rules of disclosure: an auditor asks for one message, others of the mission agree, a participant opens it or refuses.

    DISCLOSURE_REQUEST   by an auditor, who may write nothing else; names one envelope with content
    DISCLOSURE_VOTE      by who may, once a person, and never by the message's author or by who asked
    DISCLOSURE           by a device that was in the channel at that place: a sealed package, once enough have agreed; or a refusal

The gateway sees that somebody asked for a message and who agreed. Why, and what the message says, it does not.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, TypeVar

from gateway.core import limits
from gateway.core.effects import Effect, PutDisclosed, PutDisclosure, PutVote
from gateway.core.errors import Refused, denied
from gateway.core.rows import CertificateRow, DisclosureRow, Stream
from gateway.core.run import HOUR, Run, check_control, check_verb, read_named
from gateway.core.view import View
from gateway.wire import Refusal
from keys.charter import Charter
from keys.disclosure import Ballot, Disclosure, Request, Vote, read_disclosure, read_request, read_vote
from keys.envelope import ENCRYPTED
from keys.errors import KeysError, NotPermitted
from keys.identity import ChannelId
from keys.policy import Verb

T = TypeVar("T", Request, Vote, Disclosure)
DAY: Final = 24 * HOUR


def request(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """An auditor asks. What it names exists and has content; how many it may name in a day is bounded."""
    check_control(run)
    check_verb(run, Verb.AUDIT)
    verified, asked = read_named(run, read_request)
    _check_quota(view, run)
    row = DisclosureRow(
        request=verified,
        channel=ChannelId(asked.channel),
        seq=asked.seq,
        requester=run.who.person,
        author=_author_of(view, asked).person,
        time=run.now,
    )
    return run.stream, (PutDisclosure(row),)


def _check_quota(view: View, run: Run) -> None:
    if view.disclosures_since(run.who.person, run.now - DAY) >= limits.DISCLOSURES_A_DAY:
        raise Refused(Refusal.QUOTA, f"at most {limits.DISCLOSURES_A_DAY} requests a day", retry_after=HOUR // 1000)


def _author_of(view: View, asked: Request) -> CertificateRow:
    """Who wrote what is asked for: an envelope with content at that very place."""
    stored = view.envelope(asked.channel, asked.seq)
    named = (asked.index, asked.header_hash)
    if stored is None or stored.kind not in ENCRYPTED or (stored.index, sha256(stored.header).digest()) != named:
        raise Refused(Refusal.SCHEMA, "this request names no message at that place")
    author = view.certificates(stored.device)
    assert author  # what was accepted has an author whose certificate counts
    return author[0]


def vote(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """Somebody who may agrees or does not."""
    check_control(run)
    check_verb(run, Verb.DISCLOSE)
    _, said = read_named(run, read_vote)
    row = _asked(view, said.request)
    voter = view.certificate(run.who.certificate)
    if voter is None:  # a registrar's: it has no vote
        raise denied()
    try:
        ballot_of(row).check_vote(run.charter, run.charter.verify_certificate(voter.der))
    except NotPermitted as error:
        raise Refused(Refusal.ROLE, str(error)) from None
    except KeysError:
        raise denied() from None
    return run.stream, (PutVote(said.request, run.who.person, said.agrees),)


def _asked(view: View, request: bytes) -> DisclosureRow:
    row = view.disclosure(request)
    if row is None:
        raise Refused(Refusal.SCHEMA, "there is no such request")
    return row


def ballot_of(row: DisclosureRow) -> Ballot:
    """How a request stands."""
    return Ballot(row.requester, row.author, row.agreed, row.against)


def disclosure(view: View, run: Run) -> tuple[Stream, Sequence[Effect]]:
    """A participant's device answers, once: with a package if enough have agreed, or with its refusal."""
    check_control(run)
    _, said = read_named(run, read_disclosure)
    row = _asked(view, said.request)
    if not participated(view, row, run.who.device):
        raise Refused(Refusal.ROLE, "who discloses a message was in its channel then")
    if run.who.device in row.answered:
        raise Refused(Refusal.REPLAY, "this device has answered this request")
    if said.package is not None and not agreed_to(row, run.charter):
        quorum = run.charter.policy.disclosure_quorum
        raise Refused(Refusal.ROLE, f"{len(row.agreed)} of {quorum} have agreed to this disclosure")
    return run.stream, (PutDisclosed(said.request, run.who.device),)


def participated(view: View, row: DisclosureRow, device: bytes) -> bool:
    """Whether the device was in the message's channel where it stands."""
    member = view.member(row.channel, device)
    return member is not None and member.since < row.seq and (not member.left or row.seq <= member.left)


def agreed_to(row: DisclosureRow, charter: Charter) -> bool:
    """Whether enough have agreed."""
    return ballot_of(row).agreed_to(charter)
