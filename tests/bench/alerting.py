"""An alert by two officers as the gateway gets it: its announcement, one ALERT for each channel, and the answers to it.

Everything that the gateway checks is real (draft, audience, both signatures, headers); the content is of a real one's length.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gateway import wire
from keys.alert import (
    NO_LADDER,
    AlertFields,
    AlertType,
    Audience,
    Draft,
    Opening,
    Signing,
    cap_commitment,
    ladder_commitment,
    sign_approval,
    sign_writer,
)
from keys.body import Approval, LadderOpening
from keys.canonical import encode
from keys.envelope import Kind, Marking, Precedence, authenticated_data
from keys.identity import receipt_stream
from keys.ladder import Ladder
from tests.bench.author import Author, Channel
from tests.bench.mission import Device, now

OPTIONS = [17, 44, 203]
LASTS = 3_600_000  # ms


@dataclass(frozen=True)
class Alert:
    """An alert that nobody has sent yet."""

    draft: Draft
    openings: tuple[Opening, ...]
    audience: Audience
    writer: Signing
    approval: Signing
    ladder: LadderOpening | None

    @property
    def root(self) -> bytes:
        return self.draft.root

    def announcement(self, approver: Author) -> wire.Sealed:
        """The APPROVAL, by the approver's place in the control channel."""
        padding = self.audience.padding(self.openings)
        body = Approval(self.draft, self.writer, self.approval, list(self.openings), padding, self.ladder)
        return approver.statement(Kind.APPROVAL, encode(body))

    def sealed(self, approver: Author, channel: Channel) -> wire.Sealed:
        """The ALERT for one of its channels, by the approver's place there."""
        opening = next(o for o in self.openings if o.channel == channel.id)
        fields = AlertFields(self.draft, self.audience.leaf(opening), self.writer, self.approval)
        plain = approver.context(Kind.ALERT, 1, channel.heard, Precedence.FLASH, Marking.GREEN, opening.tag)
        context = type(plain)(*(fields if f == "alert" else getattr(plain, f) for f in plain.__struct_fields__))
        return approver.seal(context, channel.template.body(authenticated_data(encode(context)), b""))


def alert(
    writer: Device, approver: Device, channels: Sequence[Channel], ladder: Ladder | None = None, lasts: int = LASTS
) -> Alert:
    """An alert for these channels, written by one and approved by the other."""
    openings = tuple(sorted((Opening(c.id, os.urandom(16), os.urandom(32)) for c in channels), key=lambda o: o.channel))
    audience = Audience.of(openings, os.urandom)
    opened = LadderOpening(os.urandom(16), encode(ladder)) if ladder else None
    began = now()
    draft = Draft(
        alert=os.urandom(16),
        type=AlertType.ALERT,
        exercise=False,
        references=[],
        cap=cap_commitment(os.urandom(16), b"<alert/>"),
        ladder=ladder_commitment(opened.salt, opened.ladder) if opened else NO_LADDER,
        options=OPTIONS,
        not_after=began + lasts,
        deadline=began + 60_000,
        audience=audience.root,
    )
    writing = sign_writer(draft.root, writer.hash, writer.key, began)
    approval = sign_approval(draft.root, writing, approver.hash, approver.key, began)
    return Alert(draft, openings, audience, writing, approval, opened)


def answer(device: Device, channel: Channel, root: bytes, option: int = OPTIONS[0]) -> wire.Sealed:
    """A person's first answer in a channel."""
    return Author(device, receipt_stream(channel.id)).answer(root, option)
