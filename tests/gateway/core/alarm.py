"""A scene for alerts: two officers, an agent and a guest in alert channels, and every part of an alert at hand to be made wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keys.body import Approval
from keys.canonical import encode
from keys.envelope import Kind, Marking, Precedence, seal
from keys.franking import application_data, franking_tag
from tests.gateway.core.checks import accepted
from tests.gateway.core.world import Party, World
from tests.keys.alerts import Made, made
from tests.restored import restored

TEXT = b"shelter in place"
SALT = b"s" * 16
TAG = franking_tag(SALT, TEXT)


@dataclass
class Alarm:
    """`channel` holds all four; `other` the officers and the agent."""

    world: World
    chen: Party
    dara: Party
    agent: Party
    guest: Party
    channel: bytes
    other: bytes

    def draft(
        self,
        *channels: bytes,
        writer: Party | None = None,
        approver: Party | None = None,
        alone: bool = False,
        **changes: Any,
    ) -> Made:
        """An alert for these channels (`channel`, if none are named) by Chen, approved by Dara."""
        targets = [(channel, TAG) for channel in (channels or (self.channel,))]
        second = None if alone else (approver or self.dara).device
        return made(self.world.mission, (writer or self.chen).device, second, targets, now=self.world.now, **changes)

    def announce(self, alert: Made, by: Party | None = None, body: Approval | None = None, **changes: Any) -> Any:
        data = encode(body or alert.announced())
        control = self.world.charter.control_channel
        return (by or self.sender(alert)).say(Kind.APPROVAL, control, data, **changes)

    def sender(self, alert: Made) -> Party:
        signing = alert.approval or alert.writer
        return next(p for p in (self.chen, self.dara) if p.identity.certificate == signing.certificate)

    def send(
        self, alert: Made, by: Party | None = None, channel: bytes | None = None, fields: Any = None, **changes: Any
    ) -> Any:
        """One ALERT of it, sealed by who sends it."""
        party, channel = by or self.sender(alert), channel or self.channel
        group = party.groups[channel]
        defaults = {
            "epoch": group.epoch,
            "franking": TAG,
            "alert": fields or alert.fields(channel),
            "marking": Marking.AMBER,
            "precedence": Precedence.FLASH,
        }
        context = party.context(Kind.ALERT, channel, **{**defaults, **changes})
        party.groups[channel], data = group.protect(
            application_data(SALT, TEXT),
            authenticated_data=context.authenticated_data(),
            padding=128,
            random=self.world.random,
        )
        return party.hand_in([(seal(context, data, party.device.key), data)], channel)

    def out(self, *channels: bytes, **changes: Any) -> Made:
        """An alert that is announced and sent to all its channels."""
        alert = self.draft(*channels, **changes)
        accepted(self.announce(alert))
        for channel in channels or (self.channel,):
            accepted(self.send(alert, channel=channel))
        return alert


@restored
def alarm(seed: int = 1) -> Alarm:
    world = World(seed)
    chen, dara, agent = (world.enrolled(role) for role in ("officer", "officer", "agent"))
    guest = world.enrolled("guest", house=world.mission.partner)
    channel, other = chen.create_channel("alert"), chen.create_channel("alert", Marking.AMBER_STRICT)
    for where, members in ((channel, (dara, agent, guest)), (other, (dara, agent))):
        accepted(chen.add(where, *members))
        for member in members:
            member.join(chen, where)
    return Alarm(world, chen, dara, agent, guest, channel, other)
