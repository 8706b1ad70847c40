"""`outrider audit`: what an auditor does. `verify` needs no gateway, no member's key and no profile.

Exit 0 sound, 1 a claim failed, 7 nothing failed and something could not be checked.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from clients.auditor import report
from clients.auditor.question import Log, charter_of, keys_of, of_a_log, source_of
from clients.auditor.verify import Verdict, read_state
from clients.auditor.verify.state import LIMIT
from clients.shell import Lazy, Verb, Verbs, asked, read_bytes, tell

__all__ = ["audit", "charter_of", "keys_of", "source_of"]

EXITS: Final = {Verdict.WHOLE: 0, Verdict.CONSISTENT: 0, Verdict.FAIL: 1, Verdict.UNCHECKED: 7}

_FILE: Final = click.Path(path_type=Path)

LOOKING: Final = {
    "show": Lazy("clients.auditor.looking:show", "Show one entry, and that it is in the log."),
    "list": Lazy("clients.auditor.looking:list_acts", "List the alerts of a log, without what they say."),
    "check": Lazy("clients.auditor.checks:check", "Answer one question: two-person, receipts or access."),
    "gaps": Lazy("clients.auditor.gaps:gaps", "Say what is missing: chains, places, receipts."),
    "reconcile": Lazy("clients.auditor.reconcile:reconcile", "Hold every envelope against the receipts for it."),
    "members": Lazy("clients.auditor.members:members", "Say who could read a channel in an epoch."),
    "evidence": Lazy("clients.auditor.evidence:evidence", "Judge a file of evidence by itself."),
    "excerpt": Lazy("clients.auditor.evidence:excerpt", "Write evidence out of a log that does not hold."),
    "prove": Lazy("clients.auditor.proving:prove", "Write a proof that an entry is in the log."),
    "proof": Lazy("clients.auditor.proving:proof", "Check such a proof, without the log."),
    "policy": Lazy("clients.auditor.proving:trust_policy", "Print the charter's witnesses as a tlog-policy."),
    "export": Lazy("clients.auditor.writing:export", "Write a log, or a part of it, as one file."),
    "report": Lazy("clients.auditor.writing:report", "Write the findings as a signed page and as JSON."),
    "signed": Lazy("clients.auditor.writing:signed_report", "Check the signature on a report."),
    "stamp": Lazy("clients.auditor.writing:stamp", "Have a checkpoint time-stamped (RFC 3161), or check that it was."),
}


WITNESS: Final = Lazy("clients.witness.command:witness", "Run a witness: cosign other organisations' logs.")


DESK: Final = {
    "request": Lazy("clients.auditor.desk:request", "Ask to see one message."),
    "requests": Lazy("clients.auditor.desk:requests", "List your requests and how each stands."),
    "open": Lazy("clients.auditor.desk:open_package", "Open one disclosed message and check it against the log."),
}


@click.group(cls=Verbs, lazy={**LOOKING, "witness": WITNESS, **DESK})
def audit() -> None:
    """Check a log, from its own bytes and what was kept outside.

    Example: outrider audit verify /media/export/log --key log.vkey --head head
    """


@audit.command("verify", cls=Verb, short_help="Check a log: PASS, FAIL or UNCHECKED of each claim.")
@of_a_log
@click.option("--since", type=_FILE, metavar="FILE", help="Go on from what an earlier verification saved.")
@click.option("--save", type=_FILE, metavar="FILE", help="If all is sound, save what the next one may go on from.")
@click.option("--before", type=_FILE, metavar="DIR", help="The log that could not go on, whose place this one takes.")
@click.option("--log-only", is_flag=True, help="Check the tree alone, not what the entries say.")
@click.option("--every-signature", is_flag=True, help="Check each signature, also where the chain vouches for it.")
def verify(
    log: Log, since: Path | None, save: Path | None, before: Path | None, log_only: bool, every_signature: bool
) -> None:
    """Check the log in SOURCE, a folder, an archive or a URL, and say PASS, FAIL or UNCHECKED of each claim.

    Example: outrider audit verify gateway/log --key log.vkey --head head
    """
    if log_only and save is not None:
        raise click.UsageError("--save keeps what entries say, and --log-only does not read it")
    state = None if since is None else read_state(read_bytes(since, LIMIT))
    old = None if before is None else source_of(str(before), None, None, None).fetch
    question = replace(log.asked, since=state, before=old, log_only=log_only, every_signature=every_signature)
    verified = log.verified(question)
    for line in report.json_lines(verified) if asked().json else report.page(verified, log.name):
        click.echo(line)
    if save is not None:
        _save(save, verified.state)
    click.get_current_context().exit(EXITS[verified.verdict])


def _save(file: Path, state: bytes | None) -> None:
    """Put the state in place, over an older one, whole or not at all."""
    if state is None:
        tell(f"nothing was saved in {file}: only a log that is sound throughout can be gone on from")
        return
    passing = file.with_name(f".new-{file.name}")
    with passing.open("wb") as opened:
        opened.write(state)
        opened.flush()
        os.fsync(opened.fileno())
    passing.replace(file)


if __name__ == "__main__":
    audit()
