"""`outrider mission partner`: an organisation makes its keys on its own machine, and a mission names it in its charter.

partner   mission partner init --org Hostpol --out hostpol         keys; hostpol/hostpol.org is public
mission   mission partner add hostpol.org --ceiling TLP:AMBER …    the proposal of the next charter
mission   mission charter sign … ; outrider-gateway charter …
partner   mission charter accept charter.note charter-2.note       the registrars' first charters
"""

import os
from pathlib import Path

import click

from clients.authority.ceremony import key_name, propose, with_partner
from clients.authority.charter import base_charter, write_proposal
from clients.authority.describe import organisation_object, organisation_row
from clients.authority.house import found_house, read_organisation, write_organisation
from clients.authority.keychain import passphrases, seal_all, write_all
from clients.authority.mission import check_words, house_keys
from clients.authority.seat import charter_in_force, new_seat, take_seat
from clients.core.text import visible
from clients.moments import Moment, now
from clients.shell import (
    Verb,
    asked,
    interactive,
    passphrase,
    profile,
    read_text,
    same_words,
    show,
    table,
    tell,
    write_new,
)
from clients.vault import Vault
from keys.envelope import Marking
from keys.errors import KeysError

_PATH = click.Path(path_type=Path)


@click.command("init", cls=Verb)
@click.option("--org", "organisation", required=True, help="The organisation's name, as the charter will have it.")
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="A new folder for the files.")
@click.option("--key-passphrase-file", type=_PATH, metavar="FILE", help="Passphrases of root.key and registrar-2.key.")
def init(organisation: str, out: Path, key_passphrase_file: Path | None) -> None:
    """Make a partner organisation's root and two registrars; this profile becomes the first registrar's.

    Example: outrider mission partner init --org Hostpol --out hostpol
    """
    if out.exists() or Vault.exists(profile()):
        raise click.UsageError(f"{out if out.exists() else profile()} is there already: name another")
    house = found_house(organisation, now(), os.urandom)
    keys = house_keys(house, None)
    sealed = seal_all(keys, passphrases(keys, key_passphrase_file))
    secret = passphrase(new=True)
    text = write_organisation(house)
    out.mkdir(parents=True, mode=0o700)
    file = out / f"{key_name(organisation)}.org"
    write_all(out, sealed)
    write_new(file, text.encode())
    first = house.registrars[0]
    with Vault.create(profile(), secret) as vault:
        take_seat(vault, first.key.seed, first.der, new_seat(1, organisation, first.der), [])
    words = read_organisation(text).words
    show(
        {"organisation": organisation, "file": str(file), "words": words, "profile": str(profile())},
        f"made     {visible(organisation)}: {file}",
        f"words    {words}",
    )
    tell(
        f"Send {file} to the mission, and read them the words. Keep root.key offline; registrar-2.key is another person's."
    )


@click.command("add", cls=Verb)
@click.argument("file", type=_PATH)
@click.option("--ceiling", default="TLP:AMBER", show_default=True, help="The strictest marking they may be shown.")
@click.option("--until", type=Moment(), required=True, metavar="DATE", help="When the agreement ends.")
@click.option("--agreement", default="", metavar="NAME", help="What the agreement is called, such as HP-3.")
@click.option("--drills", is_flag=True, help="They take part in exercises; otherwise nothing of one reaches them.")
@click.option("--roles", default="guest", show_default=True, help="What their root may grant, with commas.")
@click.option("--from", "base", type=_PATH, metavar="FILE", help="The charter to follow, or the proposal to change.")
@click.option("--out", type=_PATH, metavar="FILE", help="Where the proposal is written; else charter-N.toml here.")
@click.option("--words", help="The words of the file, as the partner reads them out.")
def add(
    file: Path,
    ceiling: str,
    until: int,
    agreement: str,
    drills: bool,
    roles: str,
    base: Path | None,
    out: Path | None,
    words: str | None,
) -> None:
    """Propose the charter that names the organisation in FILE as a partner.

    Example: outrider mission partner add hostpol.org --ceiling TLP:AMBER --until 2027-03-31 --roles guest
    """
    organisation = read_organisation(read_text(file))
    _compare(organisation.name, organisation.words, words)
    try:
        marking = Marking.parse(ceiling)
    except KeysError as error:
        raise click.UsageError(str(error)) from None
    policy, version = base_charter(base)
    wanted = [role.strip() for role in roles.split(",") if role.strip()]
    changed = with_partner(policy, organisation, marking, until, wanted, agreement, drills=drills)
    write_proposal(policy, propose(changed, version=version), out or Path(f"charter-{version}.toml"))


def _compare(name: str, expected: str, words: str | None) -> None:
    if words is not None:
        check_words(words, expected, f"{visible(name)}'s file")
        return
    tell(f"words    {expected}")
    if interactive():
        same_words(f"Does {visible(name)} read the same words?", "--words")
    else:
        tell(f"Compare these words with {visible(name)} before anybody signs.")


@click.command("list", cls=Verb)
def list_partners() -> None:
    """List the organisations that the charter names: ceiling, end of the agreement, roles.

    Example: outrider mission partner list --json
    """
    with Vault.open(profile(), passphrase()) as vault:
        organisations = charter_in_force(vault).policy.organisations
    if asked().json:
        for organisation in organisations:
            show(organisation_object(organisation))
        return
    for line in table(map(organisation_row, organisations)):
        click.echo(line)
