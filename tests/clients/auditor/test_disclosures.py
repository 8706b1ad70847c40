"""What an auditor of the auditors finds: a disclosure that too few agreed to, a vote in one's own matter, a request by nobody."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from clients.auditor.verify import Cause, Outcome, Topic, Verdict
from keys.canonical import encode
from keys.disclosure import Disclosure, Request, Vote
from keys.envelope import Kind, Marking
from keys.sealing import Sealed
from tests.clients.auditor.logs import Book, Party
from tests.clients.auditor.test_content import against, check
from tests.keys.mission import Device
from tests.restored import restored

PACKAGE = Sealed([bytes(80)], bytes(272))


class Scene:
    """An agent's message, two officers besides the one in the channel, and an auditor."""

    def __init__(self) -> None:
        self.book = Book()
        self.chen, self.dara = self.book.enrolled("officer"), self.book.enrolled("officer")
        self.bea, self.ayo = self.book.enrolled("leader"), self.book.enrolled("agent")
        self.gita = self.book.enrolled("auditor")
        self.channel = self.bea.found("narrow", Marking.AMBER)
        self.bea.add(self.channel, self.ayo, self.chen)
        self.message = self.ayo.message(self.channel)

    def certificate(self, party: Party) -> bytes:
        assert isinstance(party.device, Device)
        return party.device.certified.hash

    def ask(self, by: Party | None = None, index: int | None = None, **changes: Any) -> bytes:
        author = by or self.gita
        index = self.message if index is None else index
        entry = self.book.entry(index)
        named = {"seq": entry.seq, "header_hash": sha256(entry.header).digest(), **changes}
        asked = Request(
            certificate=self.certificate(author),
            channel=entry.channel,
            index=index,
            key=bytes(32),
            why=Sealed([], b""),
            **named,
        )
        at = author.say(Kind.DISCLOSURE_REQUEST, self.book.control, encode(asked))
        return sha256(self.book.entry(at).header).digest()

    def vote(self, by: Party, request: bytes, agrees: bool = True, certificate: bytes = b"") -> int:
        said = Vote(certificate or self.certificate(by), request, agrees)
        return by.say(Kind.DISCLOSURE_VOTE, self.book.control, encode(said))

    def give(self, by: Party, request: bytes, package: Sealed | None = PACKAGE) -> int:
        return by.say(Kind.DISCLOSURE, self.book.control, encode(Disclosure(self.certificate(by), request, package)))


@restored
def scene() -> Scene:
    return Scene()


def test_asked_agreed_and_given_is_sound() -> None:
    s = scene()
    request = s.ask()
    s.vote(s.chen, request)
    s.vote(s.dara, request)
    s.give(s.ayo, request)
    s.give(s.chen, request, None)
    verified = check(s.book)
    assert verified.verdict is Verdict.CONSISTENT, against(verified)
    (claim,) = [c for c in verified.claims if c.claim is Topic.DISCLOSURES]
    assert "1 asked for, 1 given" in claim.rule


def by_no_auditor(s: Scene) -> int:
    s.ask(s.chen)
    return len(s.book.leaves) - 1


def for_no_message(s: Scene) -> int:
    s.ask(index=s.message - 1)
    return len(s.book.leaves) - 1


def by_another_header(s: Scene) -> int:
    s.ask(header_hash=bytes(32))
    return len(s.book.leaves) - 1


def by_the_author(s: Scene) -> int:
    message = s.chen.message(s.channel)
    request = s.ask(index=message)
    return s.vote(s.chen, request)


def by_who_asked(s: Scene) -> int:
    return s.vote(s.gita, s.ask())


def by_an_agent(s: Scene) -> int:
    return s.vote(s.bea, s.ask())


def twice(s: Scene) -> int:
    request = s.ask()
    s.vote(s.chen, request)
    return s.vote(s.chen, request)


def under_anothers_certificate(s: Scene) -> int:
    return s.vote(s.bea, s.ask(), certificate=s.certificate(s.chen))


def about_nothing(s: Scene) -> int:
    return s.vote(s.chen, bytes(32))


def given_too_soon(s: Scene) -> int:
    request = s.ask()
    s.vote(s.chen, request)
    at = s.give(s.ayo, request)
    s.vote(s.dara, request)
    return at


def given_on_the_authors_vote(s: Scene) -> int:
    message = s.chen.message(s.channel)
    request = s.ask(index=message)
    s.vote(s.chen, request)
    s.vote(s.dara, request)
    return s.give(s.ayo, request)


def given_against_votes(s: Scene) -> int:
    request = s.ask()
    s.vote(s.chen, request, agrees=False)
    s.vote(s.dara, request)
    return s.give(s.ayo, request)


def test_without_bodies_nothing_is_said_of_them() -> None:
    s = scene()
    s.vote(s.chen, s.ask())
    files = s.book.files()
    for path in [p for p in files.files if p.startswith("body/")]:
        files = files.changed(path, None)
    assert {c.outcome for c in check(s.book, files).claims if c.claim is Topic.DISCLOSURES} == {Outcome.UNCHECKED}


@pytest.mark.parametrize(
    ("breaking", "cause"),
    [
        pytest.param(by_no_auditor, Cause.SELF_APPROVAL, id="asked by no auditor"),
        pytest.param(for_no_message, Cause.INJECTED, id="asked for what is no message"),
        pytest.param(by_another_header, Cause.INJECTED, id="asked for by another header"),
        pytest.param(by_the_author, Cause.SELF_APPROVAL, id="a vote by the author"),
        pytest.param(by_who_asked, Cause.SELF_APPROVAL, id="a vote by who asked"),
        pytest.param(by_an_agent, Cause.SELF_APPROVAL, id="a vote by who may not"),
        pytest.param(twice, Cause.SELF_APPROVAL, id="one person's second vote"),
        pytest.param(under_anothers_certificate, Cause.INJECTED, id="a vote under another's certificate"),
        pytest.param(about_nothing, Cause.INJECTED, id="a vote about nothing"),
        pytest.param(given_too_soon, Cause.SELF_APPROVAL, id="given before enough had agreed"),
        pytest.param(given_on_the_authors_vote, Cause.SELF_APPROVAL, id="given on the author's own vote"),
        pytest.param(given_against_votes, Cause.SELF_APPROVAL, id="given where one was against"),
    ],
)
def test_each_rule_is_missed(breaking: Callable[[Scene], int], cause: Cause) -> None:
    s = scene()
    index = breaking(s)
    found = [(c.index, c.cause) for c in against(check(s.book)) if c.claim is Topic.DISCLOSURES]
    assert (index, cause) in found, against(check(s.book))
