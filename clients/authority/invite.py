"""`outrider invite`: a registrar invites a person, by a link that is short-lived and good once.

The link holds a secret that the gateway knows only by its hash; the person's name stays in this vault until it goes out, sealed, in
the answer. Give the link by a road of your own, and to nobody else: who has it can ask to be enrolled in the person's place, and
only the words that you compare would tell.
"""

import sys
from pathlib import Path

import click

from clients.authority.seat import INVITES, InviteState, NamedInvite, Seat, seat_of
from clients.authority.session import as_registrar
from clients.core.ledger import Draft
from clients.core.text import visible
from clients.moments import Duration, iso, now
from clients.registrar import Registrar
from clients.shell import Verb, asked, fit_name, passphrase, pick, profile, show, table, tell, write_new
from clients.vault import Vault
from keys.authority import Invite, read_invite


@click.command(cls=Verb)
@click.option("--role", required=True, help="A role that the organisation's root may grant.")
@click.option("--org", "organisation", help="Your organisation: said to be sure, since no other can be.")
@click.option("--person", required=True, metavar="NAME", callback=fit_name, help="Whom it is for, as others see it.")
@click.option("--call-sign", default="", callback=fit_name, help="Their call sign, such as LANCE-3.")
@click.option("--person-id", metavar="HEX", help="Another device of somebody enrolled: their id from `devices list`.")
@click.option("--new-person", is_flag=True, help="Somebody else of the same name.")
@click.option("--expires", type=Duration(), default="1h", show_default=True, help="How long it may be used.")
@click.option("--qr", is_flag=True, help="Show it as a QR code too.")
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="Write the link to FILE instead of showing it."
)
def new(
    role: str,
    organisation: str | None,
    person: str,
    call_sign: str,
    person_id: str | None,
    new_person: bool,
    expires: int,
    qr: bool,
    file: Path | None,
) -> None:
    """Make an invite for a person, and show its link.

    Example: outrider invite new --role agent --person "Ayo Bello" --call-sign LANCE-3 --qr
    """

    async def work(registrar: Registrar, vault: Vault, seat: Seat) -> Invite:
        _check_organisation(organisation, seat)
        whose = _person(vault, person, person_id, new_person)
        made = registrar.invite(role, expires=now() + expires, person=whose)
        named = NamedInvite(made.link(), person, call_sign, whose or bytes(16), now(), InviteState.OPEN)
        keep(vault, made.id, named)
        await registrar.put_invite(made)
        return made

    made = as_registrar(work)
    if file is not None:
        write_new(file, f"{made.link()}\n".encode(), secret=True)
    show(
        {
            "invite": made.id.hex(),
            "link": None if file else made.link(),
            "file": str(file) if file else None,
            "role": role,
            "organisation": made.organisation,
            "person": person,
            "call_sign": call_sign,
            "expires": iso(made.expires),
        },
        str(file) if file else made.link(),
    )
    if qr:
        _show_qr(made.link())
    tell(f"for {visible(person)}, once, until {iso(made.expires)}: they run `outrider enrol {file or 'LINK'}`")
    tell("Then: outrider enrol approve")


def _check_organisation(given: str | None, seat: Seat) -> None:
    if given is not None and given != seat.organisation:
        raise click.UsageError(
            f"this profile is a registrar of {seat.organisation}: only {given}'s own can invite for it"
        )


def _person(vault: Vault, name: str, person_id: str | None, new_person: bool) -> bytes:
    """The person's id where they are enrolled already; empty for somebody new. Two people are never taken for one."""
    if person_id is not None:
        try:
            given = bytes.fromhex(person_id)
        except ValueError:
            given = b""
        if len(given) != 16:
            raise click.UsageError("--person-id is 32 hexadecimal digits, as `outrider devices list --json` has it")
        return given
    known = {i.person.hex() for _, i in INVITES.scan(vault) if i.name == name and i.state is InviteState.GRANTED}
    if known and not new_person:
        raise click.UsageError(
            f"{name} is enrolled already: add --person-id {min(known)} for another device of theirs, "
            "or --new-person for somebody else of that name"
        )
    return b""


def keep(vault: Vault, invite_id: bytes, named: NamedInvite) -> None:
    """Keep what became of an invite."""
    draft = Draft(vault)
    INVITES.put(draft, invite_id, named)
    vault.apply(draft.changes())


def _show_qr(link: str) -> None:
    import segno

    segno.make(link, error="l").terminal(out=sys.stderr, compact=True)


@click.command("list", cls=Verb)
@click.option("--all", "everything", is_flag=True, help="Those used, cancelled and ended as well.")
def list_invites(everything: bool) -> None:
    """List the invites made on this machine that may still be used.

    Example: outrider invite list --all --json
    """
    with Vault.open(profile(), passphrase()) as vault:
        seat_of(vault)
        invites = [(key, named) for key, named in INVITES.scan(vault)]
    rows = [(key, named, read_invite(named.link), _state(named)) for key, named in invites]
    listed = [row for row in rows if everything or row[3] == "open"]
    if asked().json:
        for key, named, made, state in listed:
            show(
                {
                    "invite": key.hex(),
                    "person": named.name,
                    "call_sign": named.call_sign,
                    "role": made.role,
                    "organisation": made.organisation,
                    "created": iso(named.created),
                    "expires": iso(made.expires),
                    "state": state,
                }
            )
        return
    for line in table(
        (
            key.hex()[:8],
            visible(named.name),
            visible(named.call_sign) or "-",
            made.role,
            state,
            f"until {iso(made.expires)}",
        )
        for key, named, made, state in listed
    ):
        click.echo(line)
    if not listed:
        tell("no open invites" if not everything else "no invites yet")


def _state(named: NamedInvite) -> str:
    if named.state is InviteState.OPEN and now() > read_invite(named.link).expires:
        return "ended"
    return named.state.name.lower()


@click.command(cls=Verb)
@click.argument("name", metavar="INVITE")
def cancel(name: str) -> None:
    """Take INVITE back, named by the beginning of its id or by the person's name.

    Example: outrider invite cancel 3fa29c01
    """

    async def work(registrar: Registrar, vault: Vault, _: Seat) -> tuple[bytes, NamedInvite]:
        open_ones = [row for row in INVITES.scan(vault) if row[1].state is InviteState.OPEN]
        key, named = pick(open_ones, name, lambda row: (row[1].name, row[0].hex()), "open invite")
        await registrar.cancel_invite(key)
        cancelled = NamedInvite(
            named.link, named.name, named.call_sign, named.person, named.created, InviteState.CANCELLED
        )
        keep(vault, key, cancelled)
        return key, cancelled

    key, named = as_registrar(work)
    show(
        {"invite": key.hex(), "person": named.name, "state": "cancelled"},
        f"cancelled {key.hex()[:8]} {visible(named.name)}",
    )
