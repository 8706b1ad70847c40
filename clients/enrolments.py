"""How a device begins and goes on: enrolment by invite, renewal, and what a second person approves.

Every step is durable before it is said, so an enrolment that was cut off is taken up by calling it again: the same key, the
same request, the same words.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Final

from clients.connected import Ledger, now_ms, refusal
from clients.core import records
from clients.core.errors import NotAllowed, NotNow, NotReached, Unknown, Untrusted
from clients.core.greeting import check_tls_key
from clients.core.ledger import Draft
from clients.core.records import Enrolling, Identity, Note, Seed
from clients.link import Link, Tap, backoff
from gateway import wire
from keys.authority import (
    Answer,
    Invite,
    check_renewal,
    open_answer,
    read_invite,
    read_request,
    request_enrolment,
)
from keys.canonical import encode
from keys.charter import Charter, pinned, succession
from keys.credential import Certified
from keys.errors import KeysError
from keys.identity import SigningKey

POLL_FIRST: Final = 0.1  # s before the second look whether the approval is logged
POLL_MOST: Final = 2.0
MAX_VERSIONS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Enrolled:
    """How an enrolment stands: `words` are compared by voice; `done` once the second approval is logged."""

    words: str
    done: bool
    name: str
    call_sign: str
    organisation: str
    roles: list[str]


@dataclass(frozen=True, slots=True)
class PendingEnrolment:
    """Somebody asks to be enrolled. `certificate` is empty until a registrar has granted one."""

    invite: bytes
    organisation: str
    role: str
    words: str
    certificate: bytes
    request: bytes


def pending_of(frame: wire.Enrolments) -> list[PendingEnrolment]:
    """The gateway's list, with the words of each request that is one."""
    found = []
    for p in frame.pending:
        try:
            words = read_request(p.request, p.invite).words if p.role != "renewal" and p.request else ""
        except KeysError:
            words = ""
        found.append(PendingEnrolment(p.invite, p.organisation, p.role, words, p.certificate, p.request))
    return found


def check_granted(pending: PendingEnrolment, charter: Charter, present: Certified | None) -> Certified:
    """What a second person approves: a certificate for the very key that asked, with the role invited.

    `present` is the device's certificate of before, for a renewal.

    Raises:
        NotNow: no registrar has granted it yet.
        Untrusted: the certificate is not for who asked.
    """
    if not pending.certificate:
        raise NotNow("no registrar has granted this yet")
    try:
        certified = charter.verify_certificate(pending.certificate)
        if pending.role == "renewal":
            _check_renewed(pending, certified, present)
            return certified
        request = read_request(pending.request, pending.invite)
    except KeysError as error:
        raise Untrusted(f"this enrolment does not hold: {error}") from None
    same = certified.public_key == request.public_key and certified.organisation == pending.organisation
    if not same or certified.roles != {pending.role}:
        raise Untrusted("the certificate granted is not for the key and role that were asked for")
    return certified


def _check_renewed(pending: PendingEnrolment, certified: Certified, present: Certified | None) -> None:
    if present is None:
        raise Untrusted("a renewal of a device that this one does not know")
    renewal = check_renewal(pending.request, present)
    before = (present.device, present.person, present.roles, present.organisation)
    if (certified.device, certified.person, certified.roles, certified.organisation) != before:
        raise Untrusted("a renewal keeps device, person and roles")
    if certified.public_key != renewal.public_key:
        raise Untrusted("the certificate granted is not for the key that was asked for")


class Enrolment:
    """An enrolment on a ledger, from the invite to the identity."""

    def __init__(self, ledger: Ledger, tap: Tap | None) -> None:
        self._view = ledger
        self._tap = tap

    def _write(self, draft: Draft) -> None:
        self._view.apply(draft.changes())

    @property
    def under_way(self) -> Enrolling | None:
        """The enrolment that was begun and is not finished."""
        return records.ENROLLING.get(self._view)

    def words(self) -> str:
        """What is compared by voice. Raises Unknown when there is nothing under way."""
        begun = self.under_way
        if begun is None or not begun.request:
            raise Unknown("no enrolment is under way here")
        invite = read_invite(begun.link)
        return read_request(begun.request, invite.id).words

    def begin(self, link: str) -> Enrolling:
        """Make the key and the request, durable before anybody hears of them. The same invite again changes nothing."""
        begun = self.under_way
        if begun is not None and begun.link == link:
            return begun
        try:
            invite = read_invite(link)
        except KeysError as error:
            raise Unknown(str(error)) from None
        if now_ms() > invite.expires:
            raise NotAllowed("this invite has reached its end: ask the registrar for a new one")
        key = SigningKey.generate(os.urandom)
        begun = Enrolling(link, key.seed, request_enrolment(invite, key), [])
        draft = Draft(self._view)
        records.ENROLLING.put(draft, b"", begun)
        self._write(draft)
        return begun

    async def run(self, link: str, seconds: float | None) -> Enrolled:
        """Ask, and wait for both approvals; with a time limit an enrolment that is not through comes back undone."""
        begun = self.begin(link)
        invite = read_invite(begun.link)
        until = None if seconds is None else time.monotonic() + seconds
        attempt = 0
        while True:
            try:
                done = await self._ask(begun, invite, until)
            except NotReached:
                if until is not None and time.monotonic() > until:
                    raise
                attempt += 1
                await asyncio.sleep(min(backoff(attempt), 2.0))
                continue
            if done is not None:
                return done
            return Enrolled(self.words(), False, "", "", invite.organisation, [invite.role])

    async def _ask(self, begun: Enrolling, invite: Invite, until: float | None) -> Enrolled | None:
        link = await Link.open(invite.url, None, tap=self._tap)
        try:
            charter = await self._charter(link, invite)
            answer = await _request(link, wire.Enrol(1, invite.id, begun.request))
            if isinstance(answer, wire.Refused):
                # A request that is already answered is refused a second time: what counts is whether there is an answer.
                known = await _request(link, wire.AwaitEnrolment(1, invite.id))
                if not isinstance(known, wire.Enrolment) or known.entry is None:
                    raise refusal(answer)
            pause = POLL_FIRST
            while True:
                answer = await _request(link, wire.AwaitEnrolment(1, invite.id))
                if isinstance(answer, wire.Refused):
                    raise refusal(answer)
                if isinstance(answer, wire.Enrolment) and answer.entry is not None:
                    return self._finish(begun, invite, charter, answer)
                if until is not None and time.monotonic() + pause > until:
                    return None
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, POLL_MOST)  # two officers need seconds at best, and may need a day
        finally:
            await link.close()

    async def _charter(self, link: Link, invite: Invite) -> Charter:
        """Every version, pinned by the invite's hash; the TLS key seen has to be one that it names."""
        notes: list[bytes] = []
        while len(notes) < MAX_VERSIONS:
            answer = await _request(link, wire.GetCharter(1, len(notes) + 1))
            if not isinstance(answer, wire.CharterNote):
                break
            notes.append(answer.note)
        try:
            charter = pinned(notes, invite.charter)
        except KeysError as error:
            raise Untrusted(str(error)) from None
        check_tls_key(charter, link.tls_key)
        draft = Draft(self._view)
        for version, note in enumerate(notes, 1):
            records.CHARTERS.put(draft, version.to_bytes(8, "big"), Note(note))
        self._write(draft)
        return charter

    def _finish(self, begun: Enrolling, invite: Invite, charter: Charter, frame: wire.Enrolment) -> Enrolled:
        """The answer, opened and checked: it is for this key, this role, this person. Then the identity is durable."""
        key = SigningKey(begun.seed)
        try:
            answer = open_answer(frame.answer, invite)
            certified = charter.verify_certificate(answer.certificate)
            answer.card.verify(charter)
        except KeysError as error:
            raise Untrusted(f"the answer does not hold: {error}") from None
        card = answer.card
        mine = certified.public_key == key.public and certified.roles == {invite.role} and not certified.registrar
        named = (card.device, card.person, card.organisation)
        if not mine or named != (certified.device, certified.person, certified.organisation):
            raise Untrusted("the certificate is not for the key and role that were asked for")
        draft = Draft(self._view)
        settle_identity(draft, certified, begun.seed, encode(card))
        records.ENROLLING.delete(draft, b"")
        self._write(draft)
        return _enrolled(answer, certified, self._words_of(begun, invite))

    def _words_of(self, begun: Enrolling, invite: Invite) -> str:
        return read_request(begun.request, invite.id).words


def _enrolled(answer: Answer, certified: Certified, words: str) -> Enrolled:
    card = answer.card
    return Enrolled(words, True, card.name, card.call_sign, certified.organisation, sorted(certified.roles))


def settle_identity(draft: Draft, certified: Certified, seed: bytes, card: bytes) -> None:
    """From here on this device is who the certificate says."""
    identity = Identity(
        certified.device,
        certified.person,
        certified.organisation,
        sorted(certified.roles),
        certified.der,
        certified.hash,
        certified.not_before,
        certified.not_after,
        certified.registrar,
        card,
    )
    records.IDENTITY.put(draft, b"", identity)
    records.SEEDS.put(draft, certified.hash, Seed(seed))
    if card:
        records.CARDS.put(draft, certified.device, Note(card))


def put_charters(draft: Draft, notes: list[bytes]) -> Charter:
    """Keep a succession that was checked here; gives the newest. Raises CharterRefused."""
    charters = succession(notes)
    for charter in charters:
        records.CHARTERS.put(draft, charter.policy.version.to_bytes(8, "big"), Note(charter.note))
    return charters[-1]


async def _request(link: Link, frame: wire.FromDevice) -> wire.FromGateway:
    """One question before any session; the answer is the next frame."""
    await link.send(frame)
    return (await link.receive())[0]
