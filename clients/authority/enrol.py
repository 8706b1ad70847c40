"""`outrider enrol`: join a mission, or approve who asks to join.

person      outrider enrol INVITE            makes the profile, asks, shows the words, waits
registrar   outrider enrol approve           compares the words with the person, issues the certificate
officer     outrider enrol approve           a second person compares them too; from then on the device counts
"""

import sys
from pathlib import Path
from typing import Final

import click

from clients.authority.keychain import open_file
from clients.authority.keyfile import Purpose, is_key_file, read_key_file
from clients.authority.seat import new_seat, take_seat
from clients.core.records import ENROLLING
from clients.core.text import visible
from clients.moments import SYNC, Duration, iso
from clients.shell import Verb, passphrase, profile, read_text, run, show, tell
from clients.station import Station
from clients.vault import Vault
from keys.authority import INVITE_PREFIX, LINK_LIMIT, Invite, read_invite

TIME_LIMIT: Final = 5


@click.command(cls=Verb)
@click.argument("invite", required=False)
@click.option("--no-wait", is_flag=True, help="Ask, show the words, and end; the same command later goes on.")
@click.option(
    "--timeout", type=Duration(), metavar="10m", help="How long to wait for the approvals; else as long as it takes."
)
@click.option(
    "--key-passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Passphrase of a registrar's key file.",
)
def join(invite: str | None, no_wait: bool, timeout: int | None, key_passphrase_file: Path | None) -> int:
    """Join with INVITE: its link, a file that holds it, or - for standard input; a registrar joins with the key file from the
    ceremony. Without INVITE an enrolment that was begun goes on.

    Example: outrider enrol invite.txt
    """
    text = _text(invite)
    if text is not None and is_key_file(text):
        return _take_seat(Path(str(invite)), key_passphrase_file)
    with _station(new=text is not None) as station:
        link = text.strip() if text is not None else _begun(station.vault)
        made = read_invite(link)
        if station.enrolled:
            tell("This profile is enrolled already.")
            return 0
        return run(_join(station, made, None if timeout is None else timeout / 1000, no_wait))


def _text(invite: str | None) -> str | None:
    if invite is None:
        return None
    if invite == "-":
        return sys.stdin.read(LINK_LIMIT + 1)
    return invite if invite.startswith(INVITE_PREFIX) else read_text(Path(invite))


def _station(*, new: bool) -> Station:
    if Vault.exists(profile()) or not new:
        return Station.open(profile(), passphrase())
    return Station.create(profile(), passphrase(new=True))


def _begun(vault: Vault) -> str:
    under_way = ENROLLING.get(vault)
    if under_way is None:
        raise click.UsageError("no enrolment was begun in this profile: name the INVITE")
    return under_way.link


async def _join(station: Station, made: Invite, seconds: float | None, no_wait: bool) -> int:
    """Ask, show the words before anything else is waited for, then wait for both approvals."""
    asked_for = await station.enrol(made.link(), timeout=0)
    tell(f"mission  {visible(station.charter.policy.mission)}, as {made.role} of {visible(made.organisation)}")
    tell(f"words    {asked_for.words}")
    tell("Read these words to the registrar and to the second officer, by voice. They must see the same.")
    tell("What you sign here is lasting proof of what you said: it can be shown to an auditor.")
    if not asked_for.done and not no_wait:
        tell("waiting for both approvals …")
        asked_for = await station.enrol(made.link(), timeout=seconds)
    if asked_for.done:
        await station.sync(SYNC)  # leaves KeyPackages, without which nobody can add this device to a channel
    show(
        {
            "words": asked_for.words,
            "done": asked_for.done,
            "name": asked_for.name,
            "call_sign": asked_for.call_sign,
            "organisation": made.organisation,
            "roles": list(asked_for.roles),
            "device": station.device.hex() if asked_for.done else None,
            "invite": made.id.hex(),
        },
        f"enrolled {visible(asked_for.call_sign)} {visible(asked_for.name)}".rstrip()
        if asked_for.done
        else f"waiting  for both approvals; `outrider enrol` goes on, until {iso(made.expires)}",
    )
    return 0 if asked_for.done or no_wait else TIME_LIMIT


def _take_seat(file: Path, passphrase_file: Path | None) -> int:
    """A registrar's profile from the ceremony's key file."""
    if Vault.exists(profile()):
        raise click.UsageError(f"{profile()} is somebody's profile already: name a new one with --profile")
    _, kept = open_file(file, Purpose.REGISTRAR, passphrase_file)
    organisation = read_key_file(read_text(file)).name
    seat = new_seat(kept.number, organisation, kept.certificate)
    with Vault.create(profile(), passphrase(new=True)) as vault:
        take_seat(vault, kept.seed, kept.certificate, seat, [kept.charter] if kept.charter else [])
    show(
        {
            "organisation": organisation,
            "registrar": seat.number,
            "device": seat.device.hex(),
            "profile": str(profile()),
        },
        f"profile  {profile()}: registrar {seat.number} of {visible(organisation)}",
    )
    tell(f"Delete {file} now: the same key in two profiles would contradict itself.")
    if not kept.charter:
        tell("Next, once the mission has named your organisation: outrider mission charter accept charter.note …")
    return 0
