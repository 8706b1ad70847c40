"""`outrider enrol approve`: two people look at who asks to join.

First the registrar who made the invite: the request was made with the invite's secret, the person reads the same words, and the
certificate is issued. Then a second officer, or the organisation's other registrar, for whom the person reads the words again;
that approval is logged, and from then on the device counts. Which of the two this is, the profile says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click

from clients.authority.invite import keep
from clients.authority.mission import check_words
from clients.authority.seat import INVITES, SEAT, InviteState, NamedInvite
from clients.authority.session import as_registrar
from clients.core.errors import NotReached, Unknown
from clients.core.text import visible
from clients.device import SYNC, device, label, short
from clients.enrolments import PendingEnrolment
from clients.moments import Duration, iso
from clients.registrar import Registrar
from clients.shell import Verb, ask, fit_name, interactive, passphrase, pick, profile, run, same_words, show, tell
from clients.vault import Vault
from keys.authority import read_invite
from keys.credential import Certified

DAY: Final = 86_400_000  # ms
RENEWAL: Final = "renewal"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options of `enrol approve` say."""

    request: str | None
    words: str | None
    trust_words: bool
    name: str | None
    call_sign: str | None
    life: int


@click.command(cls=Verb)
@click.argument("request", required=False)
@click.option("--words", help="The words that the person reads: checked instead of asked for.")
@click.option(
    "--yes-words", is_flag=True, help="The words were compared already. Without comparing, anybody may be let in."
)
@click.option(
    "--person",
    "name",
    metavar="NAME",
    callback=fit_name,
    help="Registrar: the name on the card, if not as in the invite. Officer: what you call them.",
)
@click.option("--call-sign", callback=fit_name, help="The same, for their call sign.")
@click.option(
    "--valid", type=Duration(), default="30d", show_default=True, help="Registrar: how long the certificate holds."
)
def approve(
    request: str | None, words: str | None, yes_words: bool, name: str | None, call_sign: str | None, valid: int
) -> None:
    """Approve REQUEST, named by the beginning of its id, by the person's name or by its words; the only one if there is one.
    A registrar issues the certificate; a second officer, or the other registrar, approves what was issued.

    Example: outrider enrol approve --words "sulom-…"
    """
    choice = Choice(request, words, yes_words, name, call_sign, valid)
    if _is_registrar():
        as_registrar(lambda registrar, vault, _: _by_registrar(registrar, vault, choice))
    else:
        _by_officer(choice)


def _is_registrar() -> bool:
    with Vault.open(profile(), passphrase()) as vault:
        return SEAT.get(vault) is not None


async def _by_registrar(registrar: Registrar, vault: Vault, choice: Choice) -> None:
    waiting = [p for p in await registrar.pending_enrolments() if p.role != RENEWAL and p.request]
    names = dict(INVITES.scan(vault))
    mine = [p for p in waiting if not p.certificate and p.invite in names]
    others = [p for p in waiting if p.certificate and p.invite not in names]
    pending = _chosen([*mine, *others], choice, names)
    named = names.get(pending.invite)
    if pending.certificate:
        await _approve_other(registrar, pending, choice)
    else:
        assert named is not None
        await _grant(registrar, vault, pending, named, choice)


def _chosen(waiting: Sequence[PendingEnrolment], choice: Choice, names: dict[bytes, NamedInvite]) -> PendingEnrolment:
    """The request that is meant. Raises Unknown where there is none, or several and none is named."""
    if not waiting:
        raise Unknown(
            "nobody waits for you: has the person run `outrider enrol`, and has the registrar issued the certificate?"
        )
    if choice.request is not None:
        return pick(waiting, choice.request, lambda p: _names(p, names), "request")
    if len(waiting) == 1:
        return waiting[0]
    for p in waiting:
        tell(f"{p.invite.hex()[:8]}  {_title(p, names)}  {p.words}")
    raise Unknown(f"{len(waiting)} requests wait: name one")


def _names(p: PendingEnrolment, names: dict[bytes, NamedInvite]) -> tuple[str, ...]:
    named = names.get(p.invite)
    return (p.invite.hex(), p.words, *((named.name, named.call_sign) if named else ()))


def _title(p: PendingEnrolment, names: dict[bytes, NamedInvite]) -> str:
    named = names.get(p.invite)
    who = f"{visible(named.name)} " if named else ""
    return f"{who}as {visible(p.role)} of {visible(p.organisation)}"


def _compare(pending: PendingEnrolment, title: str, choice: Choice) -> None:
    """The person's words against those of the key in the request: the one step that no machine can do."""
    tell(f"request  {pending.invite.hex()[:8]}: {title}")
    if choice.words is not None:
        check_words(choice.words, pending.words, "this request")
    elif not choice.trust_words:
        tell(f"words    {pending.words}")
        same_words("Does the person, whom you know, read the same words to you now?", "--words or --yes-words")


async def _grant(
    registrar: Registrar, vault: Vault, pending: PendingEnrolment, named: NamedInvite, choice: Choice
) -> None:
    _compare(pending, _title(pending, {pending.invite: named}), choice)
    name = choice.name or named.name or ask("The person's name, as others will see it", "--person")
    call_sign = choice.call_sign if choice.call_sign is not None else named.call_sign
    if choice.call_sign is None and not call_sign and interactive():
        call_sign = str(click.prompt("Call sign (may be empty)", default="", show_default=False, err=True))
    made = read_invite(named.link)
    certified = await registrar.grant(made, name, call_sign, life_days=max(1, choice.life // DAY))
    granted = NamedInvite(named.link, name, call_sign, certified.person, named.created, InviteState.GRANTED)
    keep(vault, pending.invite, granted)
    show(
        {
            "act": "granted",
            "invite": pending.invite.hex(),
            "words": pending.words,
            "device": certified.device.hex(),
            "person": certified.person.hex(),
            "name": name,
            "call_sign": call_sign,
            "organisation": certified.organisation,
            "roles": sorted(certified.roles),
            "not_after": iso(certified.not_after),
        },
        f"granted  {visible(name)} {visible(call_sign)}: device {certified.device.hex()[:8]}, until {iso(certified.not_after)}",
    )
    tell("Next, a second officer, or the other registrar: outrider enrol approve")


async def _approve_other(registrar: Registrar, pending: PendingEnrolment, choice: Choice) -> None:
    _compare(pending, _title(pending, {}), choice)
    await registrar.approve(pending.invite)
    _told(pending, registrar.charter.verify_certificate(pending.certificate))


def _by_officer(choice: Choice) -> None:
    with device() as station:

        async def work() -> None:
            report = await station.sync(SYNC)
            if not report.connected:
                raise NotReached(f"gateway not reached{f': {report.error}' if report.error else ''}; nothing was sent")
            waiting = [p for p in await station.pending_enrolments() if p.certificate and p.role != RENEWAL]
            pending = _chosen(waiting, choice, {})
            _compare(pending, _title(pending, {}), choice)
            await station.approve(pending.invite)
            certified = station.charter.verify_certificate(pending.certificate)
            name, call_sign = _label(choice)
            if name or call_sign:
                label(station, certified.device, name, call_sign)
            _told(pending, certified)
            tell(
                f"To add them to a channel: outrider channel add CHANNEL {call_sign or name or short(certified.device)}"
            )

        run(work())


def _label(choice: Choice) -> tuple[str, str]:
    """What the officer calls the device until its card comes in a channel."""
    name, call_sign = choice.name or "", choice.call_sign or ""
    if not name and not call_sign and interactive() and not choice.trust_words:
        name = str(
            click.prompt("Their name, for your own list (may be empty)", default="", show_default=False, err=True)
        )
    return name, call_sign


def _told(pending: PendingEnrolment, certified: Certified) -> None:
    show(
        {
            "act": "approved",
            "invite": pending.invite.hex(),
            "words": pending.words,
            "device": certified.device.hex(),
            "person": certified.person.hex(),
            "organisation": certified.organisation,
            "roles": sorted(certified.roles),
            "not_after": iso(certified.not_after),
        },
        f"approved {pending.invite.hex()[:8]}: device {short(certified.device)} {_title(pending, {})}",
    )
