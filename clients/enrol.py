"""`outrider enrol`: two shells have a part in it, so the group stands here and names their verbs."""

from clients.shell import Lazy, Verbs

enrol = Verbs(
    "enrol",
    lazy={
        "join": Lazy("clients.agent.enrol:join", "Join with an invite (what `enrol INVITE` does)."),
        "approve": Lazy("clients.authority.approve:approve", "Approve who asks to join."),
    },
    default="join",
    help="""Join a mission with INVITE, a link or a file; or approve who asks to join.

    Example: outrider enrol invite.txt
    """,
)
