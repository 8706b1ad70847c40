"""`outrider devices`: who is enrolled, until when, and how one stops being.

A revocation is a list that the organisation's registrar signs and the log keeps; a list never forgets, so there is no way back
but a new enrolment. The gateway stops a revoked device at once; the clients of those who may then take its leaves out of every
channel before they say another word there.
"""

from collections.abc import Sequence
from typing import Final

import click

from clients.authority.approve import RENEWAL
from clients.authority.seat import INVITES, SEAT, InviteState, Seat
from clients.authority.session import as_registrar, refresh_list
from clients.core import records
from clients.core.errors import NotReached
from clients.core.ledger import Draft, Shelf, View
from clients.core.text import visible
from clients.device import SYNC, device, directory, person_object, person_row
from clients.moments import iso, now
from clients.registrar import Registrar
from clients.shell import Verb, agree, asked, passphrase, pick, profile, run, show, table, tell
from clients.station import Station
from clients.vault import Vault
from clients.views import PersonInfo
from keys.canonical import Millis, Record
from keys.credential import read_certificate
from keys.policy import Verb as Permission

DAY: Final = 86_400_000  # ms
JUST_NOW: Final = 60_000  # ms: a list that was published within this is not published again
SOON: Final = 7 * DAY  # a certificate that ends within this is pointed at


class Revoked(Record, frozen=True, array_like=True):
    """Why a device was revoked, for the registrar's own files: the list itself has no room for words."""

    device: bytes
    reason: str
    time: Millis


REASONS: Final = Shelf("authority revoked", Revoked)  # device


@click.command("list", cls=Verb)
@click.option("--all", "everything", is_flag=True, help="Revoked and ended ones as well.")
def list_devices(everything: bool) -> None:
    """List devices: registrars and officers see everybody, others those they share a channel with.

    Example: outrider devices list --json
    """
    people = _directory()
    moment = now()
    listed = [p for p in people if everything or (not p.revoked and p.not_after > moment)]
    if asked().json:
        for person in listed:
            show(person_object(person))
        return
    for line in table(map(person_row, listed)):
        click.echo(line)
    if not listed:
        tell("no devices")
    for person in listed:
        if not person.revoked and person.not_after - moment < SOON:
            tell(
                f"{person.device.hex()[:8]} ends within a week: the device renews itself when both approvals are given"
            )


def _directory() -> list[PersonInfo]:
    """The directory, with the names that this profile knows."""
    if _is_registrar():
        return as_registrar(_registrar_directory)
    with device() as station:
        report = run(station.sync(SYNC))
        if not report.connected:
            tell("outrider: gateway not reached; shown is what this device has")
        return directory(station)


def _is_registrar() -> bool:
    with Vault.open(profile(), passphrase()) as vault:
        return SEAT.get(vault) is not None


async def _registrar_directory(registrar: Registrar, vault: Vault, _: Seat) -> list[PersonInfo]:
    """The gateway knows no names: a registrar's come from the invites made here."""
    granted = {i.person: i for _, i in INVITES.scan(vault) if i.state is InviteState.GRANTED}
    return [
        PersonInfo(
            device=p.device,
            person=p.person,
            organisation=p.organisation,
            roles=list(p.roles),
            name=granted[p.person].name if p.person in granted else "",
            call_sign=granted[p.person].call_sign if p.person in granted else "",
            revoked=p.revoked,
            not_after=p.not_after,
        )
        for p in await registrar.directory()
    ]


@click.command(cls=Verb)
@click.argument("who", metavar="DEVICE|PERSON")
@click.option("--reason", required=True, help="Why: kept in this registrar's files.")
@click.option("--yes", is_flag=True, help="Revoke without being asked: there is no way back.")
def revoke(who: str, reason: str, yes: bool) -> None:
    """Revoke DEVICE (the beginning of its id) or every device of PERSON (name, call sign or person id), and publish the list.

    Example: outrider devices revoke LANCE-3 --reason "phone snatched, 09:05"
    """

    async def work(registrar: Registrar, vault: Vault, seat: Seat) -> list[PersonInfo]:
        people = await _registrar_directory(registrar, vault, seat) + _registrars(registrar, seat)
        own = [p for p in people if p.organisation == seat.organisation and not p.revoked and p.device != seat.device]
        meant = _meant(own, who)
        for person in meant:
            tell("  ".join(person_row(person)))
        if not yes:
            agree(f"Revoke {len(meant)} device{'s' if len(meant) > 1 else ''}? There is no way back.", "--yes")
        serials = await _serials(registrar, {p.device for p in meant})
        await registrar.publish_revocations(serials, hours=registrar.charter.policy.crl_hours)
        draft = Draft(vault)
        for person in meant:
            REASONS.put(draft, person.device, Revoked(person.device, reason, now()))
        vault.apply(draft.changes())
        return meant

    meant = as_registrar(work)
    for person in meant:
        show(
            {**person_object(person), "revoked": True, "reason": reason, "time": iso(now())},
            f"revoked  {person.device.hex()[:8]} {visible(person.name)}",
        )
    tell(
        "The gateway has stopped it. Officers' and members' clients remove it from their channels when they are next online."
    )


def _registrars(registrar: Registrar, seat: Seat) -> list[PersonInfo]:
    """The organisation's registrars, who stand in the charter and in no directory."""
    issuers = registrar.charter.policy.organisation(seat.organisation).issuers
    listed = registrar.revocations
    return [
        PersonInfo(
            device=certified.device,
            person=certified.person,
            organisation=certified.organisation,
            roles=["registrar"],
            name=f"registrar {n}",
            call_sign="",
            revoked=listed is not None and certified.serial in listed.serials,
            not_after=certified.not_after,
        )
        for n, certified in enumerate(map(issuers.verify_registrar, issuers.registrars), 1)
    ]


async def _serials(registrar: Registrar, devices: set[bytes]) -> list[int]:
    """The serial numbers of all certificates that these devices ever had: a renewed one leaves its predecessor good till its end.

    They are those of the charter, of the log as this registrar has followed it, and the newest as the gateway names them.
    """
    issuers = registrar.charter.policy.organisation(registrar.organisation).issuers
    named = [
        certified for certified in map(issuers.verify_registrar, issuers.registrars) if certified.device in devices
    ]
    newest = [await registrar.certificate(p.certificate) for p in await registrar.directory() if p.device in devices]
    followed = registrar.act(lambda work: [der for d in devices for der in _followed(work.turn.draft, d)])
    return sorted({c.serial for c in (*named, *newest, *map(read_certificate, followed))})


def _followed(view: View, held_by: bytes) -> list[bytes]:
    """The certificates of a device that came through the log, counted yet or not."""
    found = (records.CERTIFICATES.get(view, key[16:]) for key, _ in records.HOLDERS.scan(view, held_by))
    return [record.der for record in found if record is not None]


def _meant(people: Sequence[PersonInfo], who: str) -> list[PersonInfo]:
    """A device, or all devices of one person."""
    named = [p for p in people if who in (p.name, p.call_sign) or p.person.hex() == who.lower()]
    if len({p.person for p in named}) > 1:
        raise click.UsageError(
            f"several people are called {who!r}: give a person's id from `outrider devices list --json`"
        )
    return named or [pick(people, who, lambda p: (p.device.hex(),), "device or person")]


@click.command(cls=Verb)
def crl() -> None:
    """Publish the organisation's revocation list anew. Needed at the founding; later every registrar's session sees to it.

    Example: outrider devices crl
    """

    async def work(registrar: Registrar, _: Vault, seat: Seat) -> dict[str, object]:
        await refresh_list(registrar, younger_than=JUST_NOW)
        listed = registrar.revocations
        assert listed is not None  # it was published just now
        return {
            "organisation": seat.organisation,
            "number": listed.number,
            "this_update": iso(listed.this_update),
            "next_update": iso(listed.next_update),
            "revoked": len(listed.serials),
        }

    said = as_registrar(work)
    show(
        said,
        f"list {said['number']} of {visible(str(said['organisation']))}: {said['revoked']} revoked, until {said['next_update']}",
    )


@click.command(cls=Verb)
def renew() -> None:
    """Renew certificates. A registrar grants what devices asked for with both their keys; an officer, or the other registrar,
    approves what was granted; anybody else's device asks for its own. Usually all of this happens by itself.

    Example: outrider devices renew
    """
    if _is_registrar():
        as_registrar(_renew_as_registrar)
        return
    with device() as station:
        run(_renew_as_device(station))


async def _renew_as_registrar(registrar: Registrar, vault: Vault, seat: Seat) -> None:
    names = {i.person: i.name for _, i in INVITES.scan(vault)}
    pending = [p for p in await registrar.pending_enrolments() if p.role == RENEWAL]
    for renewal in pending:
        if renewal.certificate:
            if registrar.charter.verify_certificate(renewal.certificate).issuer == seat.device:
                tell(
                    f"{renewal.invite.hex()[:8]} was granted here: a second officer, or the other registrar, approves it"
                )
                continue
            await registrar.approve(renewal.invite)
            show({"act": "approved", "invite": renewal.invite.hex()}, f"approved {renewal.invite.hex()[:8]}")
            continue
        certified = await registrar.grant_renewal(renewal.invite)
        show(
            {
                "act": "granted",
                "invite": renewal.invite.hex(),
                "device": certified.device.hex(),
                "not_after": iso(certified.not_after),
            },
            f"granted  {certified.device.hex()[:8]} {visible(names.get(certified.person, ''))} until {iso(certified.not_after)}",
        )
    if not pending:
        tell("no renewals wait")


async def _renew_as_device(station: Station) -> None:
    station.renew()
    report = await station.sync(SYNC)
    if not report.connected:
        raise NotReached("gateway not reached; the request is kept, and goes next time")
    show({"act": "asked", "device": station.device.hex()}, "asked for this device's renewal")
    roles = next((p.roles for p in station.directory() if p.device == station.device), [])
    if not station.charter.policy.permits(roles, Permission.APPROVE_ENROLMENT):
        return
    for renewal in await station.pending_enrolments():
        if renewal.role == RENEWAL and renewal.certificate:
            await station.approve(renewal.invite)
            show({"act": "approved", "invite": renewal.invite.hex()}, f"approved {renewal.invite.hex()[:8]}")
