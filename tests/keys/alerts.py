"""Alerts for tests: an honest one by two people, and the same with any part replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from keys.alert import (
    NO_LADDER,
    AlertFields,
    AlertType,
    Audience,
    Draft,
    Opening,
    Signing,
    cap_commitment,
    sign_approval,
    sign_writer,
)
from keys.body import Approval, LadderOpening
from tests.keys.mission import NOW, Device, Mission

MINUTE = 60_000
CAP, CAP_SALT = b"<alert/>", b"c" * 16


@dataclass(frozen=True)
class Made:
    """An alert with all that its maker knows of it."""

    draft: Draft
    openings: tuple[Opening, ...]
    audience: Audience
    writer: Signing
    approval: Signing | None
    ladder: LadderOpening | None = None

    @property
    def root(self) -> bytes:
        return self.draft.root

    def fields(self, channel: bytes, **changes: Any) -> AlertFields:
        opening = next(o for o in self.openings if o.channel == channel)
        return replace(AlertFields(self.draft, self.audience.leaf(opening), self.writer, self.approval), **changes)

    def announced(self, **changes: Any) -> Approval:
        padding = self.audience.padding(self.openings)
        approval = Approval(self.draft, self.writer, self.approval, list(self.openings), padding, self.ladder)
        return replace(approval, **changes)


def draft_of(audience: Audience, mission: Mission, now: int = NOW, **changes: Any) -> Draft:
    draft = Draft(
        alert=mission.random(16),
        type=AlertType.ALERT,
        exercise=False,
        references=[],
        cap=cap_commitment(CAP_SALT, CAP),
        ladder=NO_LADDER,
        options=[17, 44, 203],
        not_after=now + 60 * MINUTE,
        deadline=now + 5 * MINUTE,
        audience=audience.root,
    )
    return replace(draft, **changes)


def made(
    mission: Mission,
    writer: Device,
    approver: Device | None,
    targets: Sequence[tuple[bytes, bytes]],
    *,
    now: int = NOW,
    ladder: LadderOpening | None = None,
    **changes: Any,
) -> Made:
    """An alert for these (channel, franking tag), written by one and approved by the other; None: alone."""
    openings = tuple(Opening(channel, mission.random(16), tag) for channel, tag in sorted(targets))
    audience = Audience.of(openings, mission.random)
    return signed(draft_of(audience, mission, now, **changes), openings, audience, writer, approver, now, ladder)


def signed(
    draft: Draft,
    openings: tuple[Opening, ...],
    audience: Audience,
    writer: Device,
    approver: Device | None,
    now: int = NOW,
    ladder: LadderOpening | None = None,
) -> Made:
    writing = sign_writer(draft.root, writer.certified.hash, writer.key, now)
    approval = None
    if approver is not None:
        approval = sign_approval(draft.root, writing, approver.certified.hash, approver.key, now + MINUTE)
    return Made(draft, openings, audience, writing, approval, ladder)
