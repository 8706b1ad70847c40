"""`outrider duress`: a second passphrase, which opens a decoy and quietly warns the officers.

Everything is asked for and nothing stands on the command line, where a shell's history would keep it. Each profile has the room
for it from its creation, so neither file nor screen says whether it was ever set.
"""

import unicodedata
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from clients.core import decoy, records, unlocks
from clients.core.errors import NotAllowed
from clients.shell import Verb, ask, ask_passphrase, interactive, passphrase, profile, read_text, show, tell
from clients.unlocking import clear, furnish
from clients.vault import Vault, VaultFull
from keys.errors import Malformed

LEAST: Final = 2
"""Places in which the two passphrases differ, at least: one slip is no warning."""
SOURCE_LIMIT: Final = 64 * 1024


@click.command(cls=Verb)
def set_duress() -> None:
    """Set the duress passphrase. It opens a decoy, and the officers are warned with the next link; nothing shows here. Choose one
    of about the length of your own, and tell nobody but who may have to believe you.

    Example: outrider duress set
    """
    _need_terminal()
    own = passphrase()
    with Vault.open(profile(), own) as vault:
        _need_person(vault)
        given = ask_passphrase("Duress passphrase", new=True)
        check_apart(own, given)
        source = _source(str(click.prompt("File with decoy messages (empty: a plain set)", default="", err=True)))
        try:
            rooms = decoy.read_rooms(source)
        except Malformed as error:
            raise click.UsageError(f"no decoy messages: {error}") from None
        found = decoy.real(vault, rooms)
        if found:
            raise click.UsageError(f"{', '.join(found)}: really on this device. A decoy names nobody and nothing real")
        try:
            furnish(vault, rooms)
        except VaultFull:
            raise click.UsageError("more decoy messages than there is room for") from None
        vault.set_duress(given)
        alone = not unlocks.heard_by(vault.side)
    _done("set")
    if alone:
        tell(
            "Nobody would be warned: this device knows no officer's device yet. It will, once it is in a channel with one."
        )


@click.command(cls=Verb)
def off() -> None:
    """Let no duress passphrase open this profile any more.

    Example: outrider duress off
    """
    _need_terminal()
    with Vault.open(profile(), passphrase()) as vault:
        _need_person(vault)
        if not click.confirm("Take the duress passphrase away?", err=True):
            tell("not done, as you said")
            return
        vault.set_duress(None)
        clear(vault)
    _done("off")


def _done(state: str) -> None:
    show({"duress": state}, f"duress passphrase {state}")


def _need_terminal() -> None:
    if not interactive():
        ask("", "a terminal")


def _need_person(vault: Vault) -> None:
    me = records.IDENTITY.get(vault)
    if me is None or me.registrar:
        raise NotAllowed("a duress passphrase is for the enrolled device of a person")


def _source(file: str) -> str:
    if file.strip():
        return read_text(Path(file.strip()).expanduser(), SOURCE_LIMIT)
    return files("clients.agent").joinpath("decoy.toml").read_text()


def check_apart(own: str, given: str) -> None:
    """Raises UsageError for a duress passphrase that a slip would turn into the person's own, or the other way round."""
    a, b = (unicodedata.normalize("NFC", text).casefold() for text in (own, given))
    if not b:
        raise click.UsageError("an empty passphrase is none")
    if b == a[::-1]:
        raise click.UsageError("your own passphrase reversed is the first that somebody tries")
    if _apart(a, b) < LEAST:
        raise click.UsageError(
            f"it differs from your own in fewer than {LEAST} places: a slip would warn your officers"
        )


def _apart(a: str, b: str) -> int:
    """In how many places two texts differ: typed wrong, left out, put in, or two exchanged."""
    before, last = list[int](), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]
