"""`outrider`, the command for people: agents, officers, registrars and authorities, auditors.

All verbs are named in one tree here and live in the shells, which do not import each other; each is loaded when it is called, so a
verb starts with what it needs and nothing else. Whatever a verb raises ends here, in one table (`clients.exits`).
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import click

VERSION: Final = "0.1.0"


class Leaf(NamedTuple):
    """A verb: where it is, as module:attribute, and its line in its group's `--help`."""

    target: str
    help: str


class Branch(NamedTuple):
    """A group of verbs: its line in `--help`, an example, its verbs, and the verb of what is no verb's name."""

    help: str
    example: str
    verbs: "Mapping[str, Leaf | Branch]"
    default: str = ""


AUTHORITY: Final = "clients.authority"
OFFICER: Final = "clients.officer"

CHARTER: Final = Branch(
    "Show, propose, sign and accept charters.",
    "outrider mission charter show charter.note",
    {
        "show": Leaf(f"{AUTHORITY}.charter:show_charter", "Show the charter in force, or one in a file."),
        "propose": Leaf(f"{AUTHORITY}.charter:propose_charter", "Write the text of the next version."),
        "sign": Leaf(f"{AUTHORITY}.charter:sign_charter", "Put an authority's signature under a charter."),
        "accept": Leaf(f"{AUTHORITY}.charter:accept", "Take charters into a registrar's profile."),
    },
)
PARTNER: Final = Branch(
    "Partner organisations: make, add and list them.",
    "outrider mission partner list",
    {
        "init": Leaf(f"{AUTHORITY}.partner:init", "Make an organisation's root and registrars, on its own machine."),
        "add": Leaf(f"{AUTHORITY}.partner:add", "Propose the charter that names a partner."),
        "list": Leaf(f"{AUTHORITY}.partner:list_partners", "List the organisations of the charter."),
    },
)
MISSION: Final = Branch(
    "Found a mission; its charter and its partners.",
    "outrider mission charter show",
    {
        "init": Leaf(f"{AUTHORITY}.mission:init", "Found a mission: keys, registrars, and its first charter."),
        "charter": CHARTER,
        "partner": PARTNER,
    },
)
INVITE: Final = Branch(
    "Invite people; list and cancel invites.",
    "outrider invite list",
    {
        "new": Leaf(f"{AUTHORITY}.invite:new", "Make an invite for a person."),
        "list": Leaf(f"{AUTHORITY}.invite:list_invites", "List the invites made here."),
        "cancel": Leaf(f"{AUTHORITY}.invite:cancel", "Take an invite back."),
    },
)
ENROL: Final = Branch(
    "Join a mission with INVITE, a link or a file; or approve who asks to join.",
    "outrider enrol invite.txt",
    {
        "join": Leaf(f"{AUTHORITY}.enrol:join", "Join with an invite (what `enrol INVITE` does)."),
        "approve": Leaf(
            f"{AUTHORITY}.approve:approve", "Approve who asks to join: first the registrar, then a second officer."
        ),
    },
    default="join",
)
DEVICES: Final = Branch(
    "List devices, renew and revoke them.",
    "outrider devices list",
    {
        "list": Leaf(f"{AUTHORITY}.devices:list_devices", "List the devices that this profile may know of."),
        "renew": Leaf(f"{AUTHORITY}.devices:renew", "Renew certificates: ask, grant or approve, as the profile may."),
        "revoke": Leaf(f"{AUTHORITY}.devices:revoke", "Revoke a device, or all devices of a person."),
        "crl": Leaf(f"{AUTHORITY}.devices:crl", "Publish the organisation's revocation list anew."),
    },
)
CHANNEL: Final = Branch(
    "Create, show and list channels, and change who is in them.",
    "outrider channel list",
    {
        "list": Leaf(f"{OFFICER}.channel:list_channels", "List this device's channels."),
        "show": Leaf(f"{OFFICER}.channel:show_channel", "Show a channel and who is in it."),
        "create": Leaf(f"{OFFICER}.channel:create", "Create a channel."),
        "add": Leaf(f"{OFFICER}.channel:add", "Add people to a channel."),
        "remove": Leaf(f"{OFFICER}.channel:remove", "Remove people from a channel."),
        "rekey": Leaf(f"{OFFICER}.channel:rekey", "Give a channel fresh keys."),
        "resync": Leaf(f"{OFFICER}.channel:resync", "Let a device that can't follow a channel come in again."),
    },
)
TEMPLATE: Final = Branch(
    "The mission's alert templates: list, show, check and add them.",
    "outrider alert template list",
    {
        "list": Leaf(f"{OFFICER}.template:list_templates", "List the templates."),
        "show": Leaf(f"{OFFICER}.template:show_template", "Show a template's slots and its file."),
        "check": Leaf(f"{OFFICER}.template:check_template", "Check a template's file; needs no profile."),
        "add": Leaf(f"{OFFICER}.template:add_template", "Add a template, or a new version of one."),
    },
)
DRAFT: Final = Branch(
    "Drafts of alerts, as `alert new` keeps them.",
    "outrider alert draft list",
    {
        "list": Leaf(f"{OFFICER}.drafts:list_drafts", "List the drafts kept here."),
        "show": Leaf(f"{OFFICER}.drafts:show_draft", "Show a draft, and whom it would reach now."),
        "drop": Leaf(f"{OFFICER}.drafts:drop_draft", "Throw a draft away."),
    },
)
ALERT: Final = Branch(
    "Compose, check, send, list and show alerts.",
    "outrider alert new --template shelter --set place=Chancery --to residence-alerts",
    {
        "check": Leaf(f"{OFFICER}.check:check_command", "Check a CAP file; needs no profile."),
        "new": Leaf(f"{OFFICER}.compose:new", "Compose an alert and keep it as a draft."),
        "draft": DRAFT,
        "template": TEMPLATE,
        "export": Leaf(f"{OFFICER}.export:export", "Write an alert's CAP document, in its original bytes."),
        "submit": Leaf(f"{OFFICER}.issue:submit", "Freeze a draft and put it before a second officer."),
        "approve": Leaf(f"{OFFICER}.issue:approve", "Approve a frozen draft, and send it."),
        "withdraw": Leaf(f"{OFFICER}.issue:withdraw", "Take back a draft that waits for approval."),
        "send": Leaf(f"{OFFICER}.issue:send", "Send an alert, as one officer alone."),
        "review": Leaf(f"{OFFICER}.issue:review", "Review an alert that one officer sent alone."),
        "update": Leaf(f"{OFFICER}.issue:update", "Replace an alert by what holds now."),
        "cancel": Leaf(f"{OFFICER}.issue:cancel", "Withdraw an alert that was issued in error."),
        "allclear": Leaf(f"{OFFICER}.issue:allclear", "The danger is over: clear an alert and its whole chain."),
        "watch": Leaf(f"{OFFICER}.watch:watch", "The live board: who answered what, and who is silent."),
        "roads": Leaf(
            f"{OFFICER}.roads:roads", "Whom an alert's ladder has woken by which road, and whom it did not reach."
        ),
        "remind": Leaf(f"{OFFICER}.watch:remind", "Wake the silent of an alert again, at once."),
        "list": Leaf(f"{OFFICER}.alert:list_alerts", "List drafts that wait, and alerts sent or received."),
        "show": Leaf(f"{OFFICER}.alert:show_alert", "Show a draft with its words, or an alert and who answered it."),
    },
)
SOS: Final = Branch(
    "Call for help (TEXT is what for); and end it, which takes two people.",
    'outrider sos --position 40.4168,-3.7038 "shots at the gate"',
    {
        "call": Leaf("clients.agent.sos:call", "Call for help (what `sos` alone does)."),
        "end": Leaf("clients.agent.sos:end", "Ask for its end, or confirm that of PERSON."),
        "words": Leaf("clients.agent.sos:words", "Set the mission's no-duress word (officers)."),
    },
    default="call",
)
MOVE: Final = Branch(
    "Check-ins on the road, with a dead-man timer at the gateway.",
    "outrider move start --every 15m --legs 5 --route RED-ROUTE",
    {
        "start": Leaf("clients.agent.move:start", "Start a plan of check-ins."),
        "ok": Leaf("clients.agent.move:ok", "Check in."),
        "end": Leaf("clients.agent.move:end", "Check in for the last time."),
        "list": Leaf("clients.agent.move:list_moves", "Who is on the road, and what is due."),
    },
)
DURESS: Final = Branch(
    "A second passphrase that opens a decoy and quietly warns the officers.",
    "outrider duress set",
    {
        "set": Leaf("clients.agent.duress:set_duress", "Set the duress passphrase, and what it shows."),
        "off": Leaf("clients.agent.duress:off", "Let no duress passphrase open this profile."),
    },
)
DISCLOSE: Final = Branch(
    "Requests to see one message: agree, open it or refuse; prove one of yours.",
    "outrider disclose list",
    {
        "list": Leaf("clients.agent.disclose:list_requests", "List the requests that concern you."),
        "approve": Leaf("clients.agent.disclose:approve", "Agree to a request."),
        "reject": Leaf("clients.agent.disclose:reject", "Vote against a request."),
        "give": Leaf("clients.agent.disclose:give", "Open the message for the auditor who asked."),
        "refuse": Leaf("clients.agent.disclose:refuse", "Say that you will not open it."),
        "prove": Leaf("clients.agent.disclose:prove", "Write a package that shows one message."),
    },
)
RETENTION: Final = Branch(
    "How long content is kept; destroying some of it, by order of two people.",
    "outrider retention list",
    {
        "show": Leaf(f"{OFFICER}.retention:show_classes", "Show how long each class of channel keeps its content."),
        "list": Leaf(f"{OFFICER}.retention:list_orders", "List orders to destroy messages."),
        "destroy": Leaf(f"{OFFICER}.retention:destroy", "Ask that messages be destroyed."),
        "confirm": Leaf(f"{OFFICER}.retention:confirm", "Confirm another person's order."),
    },
)
OUTRIDER: Final = Branch(
    "Secure messages and alerts for protective details.",
    "outrider status --json",
    {
        "mission": MISSION,
        "invite": INVITE,
        "enrol": ENROL,
        "devices": DEVICES,
        "channel": CHANNEL,
        "send": Leaf("clients.agent.send:send", "Send a message."),
        "read": Leaf("clients.agent.read:read", "Read messages."),
        "status": Leaf("clients.agent.status:status", "Link, outbox, clock, unread, and how old what it trusts is."),
        "ack": Leaf("clients.agent.ack:ack", "Answer an alert, or a message that asked for it."),
        "sos": SOS,
        "move": MOVE,
        "ok": Leaf("clients.agent.move:ok", "Check in (as `move ok`)."),
        "alert": ALERT,
        "duress": DURESS,
        "disclose": DISCLOSE,
        "retention": RETENTION,
        "reach": Leaf(f"{OFFICER}.reach:reach_command", "Who could not be reached now, and why."),
        "audit": Leaf("clients.auditor.commands:audit", "Verify a log, offline."),
        "demo": Leaf("clients.demo.command:demo", "A guided demo: a real gateway, real clients, an auditor."),
    },
)


def group(name: str, branch: Branch) -> "click.Group":
    """A branch as a click group; what is under it is made when it is called."""
    from clients.shell import Lazy, Verbs

    def lazy(name: str, below: Leaf | Branch) -> Lazy:
        return Lazy(below.target if isinstance(below, Leaf) else lambda: group(name, below), below.help)

    verbs = {verb: lazy(verb, below) for verb, below in branch.verbs.items()}
    text = f"{branch.help}\n\nExample: {branch.example}"
    return Verbs(name, lazy=verbs, default=branch.default, help=text)


def program() -> "click.Group":
    """The whole of `outrider` as a click group."""
    import click

    return click.version_option(VERSION, message="%(prog)s %(version)s")(group("outrider", OUTRIDER))


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


if __name__ == "__main__":
    main()
