"""`outrider mission charter`: read a charter, propose its successor, sign it, accept it.

A proposal is a file of bare TOML, which `sign` turns into a note; each authority adds its line on its own machine, in any order,
and the operator installs the note once it carries the quorum of the version in force and its own. Devices get it through the
gateway; a partner's registrars, who have no charter yet, take their first with `accept`.
"""

from pathlib import Path

import click

from clients.authority.ceremony import (
    changes,
    propose,
    read_proposal,
    signed_by,
    text_of,
    with_log,
    with_witnesses,
    without_partner,
)
from clients.authority.describe import as_lines, as_object, charter_words
from clients.authority.keychain import open_file
from clients.authority.keyfile import Purpose
from clients.authority.mission import check_words
from clients.authority.seat import Seat, charter_in_force, held_charter, put_charter, seat_of
from clients.core.ledger import Draft
from clients.core.text import visible, visible_lines
from clients.moments import Moment
from clients.shell import (
    Verb,
    agree,
    passphrase,
    profile,
    read_bytes,
    read_text,
    replace_file,
    same_words,
    show,
    tell,
    write_new,
)
from clients.vault import Vault
from keys.charter import NOTE_LIMIT, Charter, reopen, sign, succeed, succession
from keys.errors import CharterRefused, NotTrusted
from keys.policy import Policy, parse, render
from keys.request import read_request
from keys.tlog.note import Ed25519Signer
from keys.tlog.policy import MAX_POLICY

_PATH = click.Path(path_type=Path)


@click.command("show", cls=Verb)
@click.argument("file", type=_PATH, required=False)
def show_charter(file: Path | None) -> None:
    """Show the charter that this profile holds, or the one in FILE (a note or a proposal), and who has signed it.

    Example: outrider mission charter show charter.note --json
    """
    data = _own().note if file is None else read_bytes(file, NOTE_LIMIT)
    policy, _ = read_proposal(data)
    signers = signed_by(data, policy)
    show(as_object(policy, text_of(data), signers), *as_lines(policy, text_of(data), signers))


def _own() -> Charter:
    with Vault.open(profile(), passphrase()) as vault:
        return charter_in_force(vault)


def base_charter(base: Path | None) -> tuple[Policy, int]:
    """The policy that a proposal changes, and the version it gets.

    A note that its quorum has signed, or the profile's charter, is followed by the next version; an unsigned proposal is
    changed further, as the version it already is.
    """
    if base is None:
        policy = _own().policy
        return policy, policy.version + 1
    policy, note = read_proposal(read_bytes(base, NOTE_LIMIT))
    if note is None:
        return policy, policy.version
    held = reopen(note).policy
    return held, held.version + 1


@click.command("propose", cls=Verb)
@click.option("--from", "base", type=_PATH, metavar="FILE", help="The charter to follow, or the proposal to change.")
@click.option("--not-after", type=Moment(), metavar="DATE", help="When the new version ends.")
@click.option("--remove-partner", multiple=True, metavar="NAME", help="A partner to drop; may be repeated.")
@click.option("--witnesses", type=_PATH, metavar="FILE", help="A C2SP tlog-policy: who cosigns, and how many of them.")
@click.option("--gateway", type=_PATH, metavar="FILE", help="The gateway.request of a log in a lost one's place.")
@click.option("--words", help="That request's words, as the operator reads them out.")
@click.option("--text", type=_PATH, metavar="FILE", help="A text edited by hand, to be checked and put in form.")
@click.option("--out", type=_PATH, required=True, metavar="FILE", help="Where the proposal is written.")
def propose_charter(
    base: Path | None,
    not_after: int | None,
    remove_partner: tuple[str, ...],
    witnesses: Path | None,
    gateway: Path | None,
    words: str | None,
    text: Path | None,
    out: Path,
) -> None:
    """Write the text of the next version of the charter. It is a proposal until a quorum has signed it.

    Example: outrider mission charter propose --not-after 2027-12-31 --out charter-2.toml
    """
    policy, version = base_charter(base)
    changed = policy if text is None else parse(read_bytes(text, NOTE_LIMIT))
    for name in remove_partner:
        changed = without_partner(changed, name)
    if witnesses is not None:
        changed = with_witnesses(changed, read_bytes(witnesses, MAX_POLICY))
    if gateway is not None:
        changed = _succeeding(changed, gateway, words)
    write_proposal(policy, propose(changed, version=version, not_after=not_after), out)


def _succeeding(policy: Policy, file: Path, words: str | None) -> Policy:
    """A new log in the place of one that could not go on: what is lost is said before anybody signs."""
    request = read_request(read_text(file))
    if words is not None:
        check_words(words, request.words, "this gateway.request")
    else:
        tell(f"words    {request.words}")
        same_words("Does the operator read the same words?", "--words")
    changed = with_log(policy, request)
    before = changed.predecessor
    assert before is not None  # `with_log` sets it
    tell(
        f"log {visible(before.origin)} ends with {before.size} entries signed for; "
        f"{before.kept} are kept and {len(before.missing)} are lost"
    )
    return changed


def write_proposal(before: Policy, after: Policy, out: Path) -> None:
    """Write a proposal and show what it changes."""
    different = changes(before, after)
    if not different:
        raise click.UsageError(
            "that changes nothing: say what with --not-after, --remove-partner, --witnesses, --gateway or --text"
        )
    text = render(after)
    write_new(out, text)
    show(
        {"file": str(out), "version": after.version, "words": charter_words(text), "changes": different},
        *visible_lines("\n".join(different), limit=120),
        f"written  {out}: version {after.version}, words {charter_words(text)}",
    )
    tell(f"Next, each authority: outrider mission charter sign {out} --key authority-1.key --out {out.stem}.note")


@click.command("sign", cls=Verb)
@click.argument("file", type=_PATH)
@click.option("--key", type=_PATH, required=True, metavar="FILE", help="The authority's key file.")
@click.option("--key-passphrase-file", type=_PATH, metavar="FILE", help="Its passphrase, instead of a prompt.")
@click.option(
    "--out",
    type=_PATH,
    metavar="FILE",
    help="Where the note is written; without it FILE gets the line, if it is a note.",
)
@click.option("--against", type=_PATH, metavar="FILE", help="The charter in force: shows what changes.")
@click.option("--yes", is_flag=True, help="Sign without being asked: you have read it.")
def sign_charter(
    file: Path, key: Path, key_passphrase_file: Path | None, out: Path | None, against: Path | None, yes: bool
) -> None:
    """Put an authority's signature under the charter in FILE: a proposal, or a note that others have signed.

    Example: outrider mission charter sign charter-2.toml --key authority-1.key --out charter-2.note
    """
    data = read_bytes(file, NOTE_LIMIT)
    policy, note = read_proposal(data)
    if out is None and note is None:
        raise click.UsageError(f"{file} is a proposal without signatures: name the note to write with --out")
    before = reopen(read_bytes(against, NOTE_LIMIT)).policy if against else None
    _show_before_signing(policy, text_of(data), before)
    if not yes:
        agree("Sign this?", "--yes")
    opened, kept = open_file(key, Purpose.AUTHORITY, key_passphrase_file)
    signer = Ed25519Signer.from_seed(opened.name, kept.seed)
    _check_named(signer, policy, before)
    signed = sign(text_of(data), [signer], note)
    if out is None:
        replace_file(file, signed)
    else:
        write_new(out, signed)
    _tell_signatures(out or file, signed, policy, before)


def _show_before_signing(policy: Policy, text: bytes, before: Policy | None) -> None:
    lines = (
        as_lines(policy, text, ()) if before is None else visible_lines("\n".join(changes(before, policy)), limit=120)
    )
    for line in lines:
        tell(line)
    tell(f"words    {charter_words(text)}")


def _check_named(signer: Ed25519Signer, policy: Policy, before: Policy | None) -> None:
    """A signature that counts for neither version is a mistake, so it isn't made."""
    keys = (*policy.authority_keys, *(before.authority_keys if before else ()))
    if before is None and policy.version > 1:
        return  # it may be an authority of the version before, which is not here to be asked
    if signer.verifier_key.encode() not in keys:
        raise CharterRefused(f"{signer.name} is no authority of this charter")


def _tell_signatures(file: Path, note: bytes, policy: Policy, before: Policy | None) -> None:
    own = signed_by(note, policy)
    result: dict[str, object] = {"file": str(file), "version": policy.version, "signed_by": list(own)}
    lines = [f"signed   {file}: {len(own)} of the {policy.quorum} that version {policy.version} asks for"]
    complete = len(own) >= policy.quorum
    if before is not None:
        theirs = signed_by(note, before)
        complete = complete and len(theirs) >= before.quorum
        lines.append(f"         {len(theirs)} of the {before.quorum} that version {before.version} asks for")
    show(result | {"quorum": policy.quorum, "complete": complete}, *lines)
    if complete:
        tell(
            f"Next, at the gateway: outrider-gateway charter {file} (or, while it runs: charter.note in its folder, and SIGHUP)"
        )
    else:
        tell("Pass it on to the next authority.")


@click.command("accept", cls=Verb)
@click.argument("files", type=_PATH, nargs=-1, required=True)
@click.option("--words", help="The words of the newest, as an authority of the mission reads them out.")
def accept(files: tuple[Path, ...], words: str | None) -> None:
    """Take charters into a registrar's profile: successors of the one it holds; or, where it holds none yet, all versions
    from the first on.

    Example: outrider mission charter accept charter.note charter-2.note
    """
    notes = [read_bytes(file, NOTE_LIMIT) for file in files]
    with Vault.open(profile(), passphrase()) as vault:
        seat = seat_of(vault)
        held = held_charter(vault)
        accepted = _first(seat, notes, words) if held is None else _next(held, notes)
        draft = Draft(vault)
        for taken in accepted:
            put_charter(draft, taken)
        vault.apply(draft.changes())
    newest = accepted[-1]
    show(
        {"mission": newest.policy.mission, "version": newest.policy.version, "words": charter_words(newest.text)},
        f"accepted {visible(newest.policy.mission)}, charter version {newest.policy.version}",
    )


def _next(held: Charter, notes: list[bytes]) -> list[Charter]:
    charters = [held]
    for note in notes:
        charters.append(succeed(charters[-1], note))
    return charters


def _first(seat: Seat, notes: list[bytes], words: str | None) -> list[Charter]:
    """A first charter rests on the words, and on naming this very registrar."""
    charters = succession(notes)
    newest = charters[-1]
    own = newest.policy.organisation(seat.organisation).issuers
    if seat.device not in {own.verify_registrar(der).device for der in own.registrars}:
        raise NotTrusted(f"this charter names another registrar of {seat.organisation} than this profile's")
    expected = charter_words(newest.text)
    if words is not None:
        check_words(words, expected, "this charter")
    else:
        tell(f"words    {expected}")
        same_words(f"Does an authority of {visible(newest.policy.mission)} read the same words?", "--words")
    return charters
