"""`outrider mission`: a mission is founded, its charter read, changed and signed, partners named.

`mission init` makes, in this order: every key in memory; the folder DIR whole, under another name first; this profile, which is
the first registrar's. If it dies between the last two, DIR is there and the profile is not: remove DIR and begin again, since no
gateway has the charter yet.
"""

import os
from pathlib import Path
from typing import Final

import click

from clients.authority.ceremony import Founding, Plan, found_mission
from clients.authority.describe import charter_words
from clients.authority.house import DAY, House
from clients.authority.keychain import ToKeep, passphrases, seal_all, write_all
from clients.authority.keyfile import Kept, Purpose
from clients.authority.seat import new_seat, take_seat
from clients.core.text import visible
from clients.moments import Duration, iso, now
from clients.shell import Verb, interactive, passphrase, profile, read_text, same_words, show, tell, write_new
from clients.vault import Vault
from keys.charter import Charter
from keys.errors import NotTrusted
from keys.policy import Distinct
from keys.request import GatewayRequest, read_request

CHARTER_FILE: Final = "charter.note"


@click.command(cls=Verb)
@click.option("--gateway", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The gateway.request.")
@click.option("--name", required=True, help="The mission's name.")
@click.option("--org", "organisation", required=True, help="The organisation at home in it.")
@click.option(
    "--quorum", type=click.IntRange(1, 32), default=2, show_default=True, help="Authority keys that must sign."
)
@click.option("--authorities", type=click.IntRange(1, 32), default=3, show_default=True, help="Authority keys in all.")
@click.option("--valid", type=Duration(), default="365d", show_default=True, help="How long this charter holds.")
@click.option("--auditor", "auditors", multiple=True, help="An auditor whom the charter names; may be repeated.")
@click.option(
    "--break-glass/--no-break-glass", default=True, show_default=True, help="May one officer send an alert alone?"
)
@click.option(
    "--approver",
    type=click.Choice([d.value for d in Distinct]),
    default=Distinct.PERSON.value,
    show_default=True,
    help="An alert's approver is another person; or in another role, or of another organisation.",
)
@click.option("--approve-within", type=Duration(), default="5m", show_default=True, help="How long a draft may wait.")
@click.option("--review-within", type=Duration(), default="24h", show_default=True, help="Of an alert sent alone.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder for the files."
)
@click.option("--words", help="The words that `outrider-gateway init` printed: checked instead of asked for.")
@click.option(
    "--key-passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Passphrases of the key files: a line each (root, authorities, registrar 2), or one line for all.",
)
def init(
    gateway: Path,
    name: str,
    organisation: str,
    quorum: int,
    authorities: int,
    valid: int,
    auditors: tuple[str, ...],
    break_glass: bool,
    approver: str,
    approve_within: int,
    review_within: int,
    out: Path,
    words: str | None,
    key_passphrase_file: Path | None,
) -> None:
    """Found a mission around a gateway: writes charter.note and the key files to DIR, and makes this profile the first
    registrar's.

    Example: outrider mission init --gateway gateway.request --name "Meridian Mission" --org Meridian --out ceremony
    """
    request = read_request(read_text(gateway))
    _compare(request, words)
    _check_free(out)
    moment = now()
    plan = Plan(
        name,
        organisation,
        quorum,
        authorities,
        moment + valid,
        auditors,
        break_glass,
        Distinct(approver),
        approve_within // 1000,
        review_within // 3_600_000,
    )
    founding = found_mission(request, plan, moment, os.urandom)
    keys = _to_keep(founding)
    secrets = passphrases(keys, key_passphrase_file)
    secret = passphrase(new=True)
    _write_folder(out, founding.charter.note, keys, secrets)
    first = founding.home.registrars[0]
    with Vault.create(profile(), secret) as vault:
        take_seat(vault, first.key.seed, first.der, new_seat(1, organisation, first.der), [founding.charter.note])
    _tell(founding, out, keys)


def _compare(request: GatewayRequest, words: str | None) -> None:
    """The request came by some road: are these the words that the operator's screen shows?"""
    if words is not None:
        check_words(words, request.words, "this gateway.request")
        return
    tell(f"gateway  {visible(request.url)}, log {visible(request.origin)}")
    tell(f"words    {request.words}")
    if interactive():
        same_words("Does the operator read the same words?", "--words")
    else:
        tell("Compare these words with those that `outrider-gateway init` printed before the charter is installed.")


def check_words(given: str, expected: str, what: str) -> None:
    """Raises NotTrusted unless the words given are those expected; case, spaces and hyphens don't matter."""
    if "-".join(given.lower().replace("-", " ").split()) != expected:
        raise NotTrusted(
            f"the words of {what} are {expected}, not those given: somebody may have swapped it. Stop here."
        )


def _check_free(out: Path) -> None:
    if out.exists():
        raise click.UsageError(f"{out} is there already: name a new folder")
    if Vault.exists(profile()):
        raise click.UsageError(f"{profile()} is somebody's profile already: name another with --profile")


def _to_keep(founding: Founding) -> list[ToKeep]:
    authorities = [
        ToKeep(f"authority-{n}.key", Purpose.AUTHORITY, a.name, Kept(a.seed))
        for n, a in enumerate(founding.authorities, 1)
    ]
    root, *registrars = house_keys(founding.home, founding.charter)
    return [root, *authorities, *registrars]


def house_keys(house: House, charter: Charter | None) -> list[ToKeep]:
    """The root and every registrar but the first, who has the profile."""
    root = ToKeep("root.key", Purpose.ROOT, house.name, Kept(house.root.seed, house.root_der))
    note = charter.note if charter else b""
    others = [
        ToKeep(f"registrar-{n}.key", Purpose.REGISTRAR, house.name, Kept(r.key.seed, r.der, n, note))
        for n, r in enumerate(house.registrars[1:], 2)
    ]
    return [root, *others]


def _write_folder(out: Path, note: bytes, keys: list[ToKeep], secrets: list[str]) -> None:
    """All files, or none: they are written to a folder beside, which then gets its name."""
    files = seal_all(keys, secrets)
    making = out.with_name(out.name + ".new")
    try:
        making.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        raise click.UsageError(f"{making} was left by an earlier try: remove it") from None
    write_new(making / CHARTER_FILE, note)
    write_all(making, files)
    making.rename(out)


def _tell(founding: Founding, out: Path, keys: list[ToKeep]) -> None:
    policy, charter = founding.charter.policy, founding.charter
    show(
        {
            "mission": policy.mission,
            "version": policy.version,
            "not_after": iso(policy.not_after),
            "hash": charter.hash.hex(),
            "words": charter_words(charter.text),
            "charter": str(out / CHARTER_FILE),
            "keys": [str(out / key.file) for key in keys],
            "profile": str(profile()),
            "registrars": [r.device.hex() for r in founding.home.registrars],
            "days": (policy.not_after - now()) // DAY,
        },
        f"founded  {visible(policy.mission)}, charter version 1, in force until {iso(policy.not_after)}",
        f"words    {charter_words(charter.text)}",
        f"profile  {profile()}: registrar 1 of {visible(founding.home.name)}",
    )
    tell(f"Next, at the gateway:    outrider-gateway charter {out / CHARTER_FILE} --config …/gateway.toml, then run it")
    tell(f"Then the second registrar, another person: outrider enrol {out}/registrar-2.key, and then delete that file.")
    tell("Then, as registrar, once the gateway runs: outrider devices crl")
    tell("Carry root.key and each authority key away, to different people and places: a lost quorum ends the mission.")
