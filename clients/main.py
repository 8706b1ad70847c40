"""`outrider`, the command for people: agents, officers, registrars and authorities, auditors.

The verbs are named here and live in the shells, which do not import each other; each is loaded when it is called. Whatever a
verb raises ends here, in one table (`clients.exits`).
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click

VERSION: Final = "0.1.0"

VERBS: Final = {
    "mission": ("clients.authority.mission:mission", "Found a mission; its charter, partners and registrars."),
    "invite": ("clients.authority.invite:invite", "Invite people; list and cancel invites."),
    "enrol": ("clients.enrol:enrol", "Join with an invite; approve who asks to join."),
    "devices": ("clients.authority.devices:devices", "List devices, renew and revoke them."),
    "channel": ("clients.officer.channel:channel", "Create, show and list channels, and change who is in them."),
    "send": ("clients.agent.send:send", "Send a message."),
    "read": ("clients.agent.read:read", "Read messages."),
    "status": ("clients.agent.status:status", "Link, outbox, clock, unread, and how old what this device trusts is."),
    "ack": ("clients.agent.ack:ack", "Answer an alert, or a message that asked for it."),
    "alert": ("clients.officer.alert:alert", "Check, send, list and show alerts."),
    "audit": ("clients.auditor.commands:audit", "Verify a log, offline."),
    "demo": ("clients.demo.command:demo", "A guided demo: a real gateway, real clients, an auditor."),
}
"""Every verb: where it is, and its line in `outrider --help`."""


def program() -> "click.Group":
    """The whole of `outrider` as a click group."""
    import click

    from clients.shell import Lazy, Verbs

    text = """Secure messages and alerts for protective details.

    Example: outrider status --json
    """
    group = Verbs("outrider", lazy={verb: Lazy(*found) for verb, found in VERBS.items()}, help=text)
    return click.version_option(VERSION, message="%(prog)s %(version)s")(group)


def run(arguments: Sequence[str]) -> int:
    """Run one verb and give its exit code."""
    if list(arguments) == ["--version"]:  # before anything is loaded
        print(f"outrider {VERSION}")
        return 0
    from clients.shell import Asked

    asked = Asked()
    try:
        result = program().main(list(arguments), prog_name="outrider", standalone_mode=False, obj=asked)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None
        return 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        from clients import exits

        return exits.ended(error, asked)
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))
