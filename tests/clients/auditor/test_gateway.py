"""What the gateway itself logs is what the auditor calls sound: both were written from the design, by nobody's copy of the other."""

from pathlib import Path

from clients.auditor.source import FolderSource
from clients.auditor.verify import Asked, Outcome, Topic, Verdict, Verified, log_keys, verify_log
from gateway import wire
from gateway.audit.batch import next_batch, next_receipts
from gateway.audit.tiles import LogFolder
from gateway.core import acts
from keys import body
from keys.canonical import encode
from keys.envelope import Kind, Marking
from keys.franking import franking_tag
from keys.identity import receipt_stream
from keys.mls import Remove
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from tests.gateway.core.world import Party, World
from tests.keys.alerts import made


def write(world: World, folder: Path) -> None:
    """The log's folder, as the sequencer writes it."""
    log, edge = LogFolder.create(folder), Edge()
    while (batch := next_batch(world.view, edge.size))[0]:
        receipts = next_receipts(world.view, edge.size, edge.size + len(batch[0]))
        grown = log.write(edge, *batch, receipts)
        log.read_back(edge, grown, batch[1], receipts)
        edge = grown
    log.publish(sign_checkpoint(TreeHead(world.mission.log.name, edge.size, edge.root), [world.mission.log]).encode())


def audit(world: World, folder: Path, **asked: bool) -> Verified:
    write(world, folder)
    source = FolderSource(folder)
    keys = log_keys(world.mission.log.verifier_key.encode())
    return verify_log(source.fetch, source.paths(), Asked(keys, world.now, charter=world.charter, **asked))


def life() -> World:
    """Two channels, a guest, a run, receipts, acks, proposals, an alert, a revocation and the removal after it."""
    world = World()
    chen, bea, ayo = world.enrolled("officer"), world.enrolled("leader"), world.enrolled("agent")
    emil = world.enrolled("guest", house=world.mission.partner)
    detail = bea.create_channel()
    done = [bea.add(detail, ayo, chen, emil)]
    for party in (ayo, chen, emil):
        party.groups[detail] = bea.groups[detail]  # speaks with the group's epoch; content is nobody's concern here
    done.append(bea.send(detail, marking=Marking.AMBER))
    done.append(bea.hand_in([bea.message(detail)], detail))
    done.append(chen.say(Kind.ACK, detail, encode(body.Ack(bytes(32), 0, None, bytes(16))), epoch=1))
    received = body.Receipt(detail, [], [], [], None)
    done.append(chen.say(Kind.RECEIPT, receipt_stream(detail), encode(received)))
    alerts = chen.create_channel("alert")
    salt, text = bytes(16), b"shelter"
    alert = made(world.mission, chen.device, None, [(alerts, franking_tag(salt, text))], now=world.now)
    done.append(chen.say(Kind.APPROVAL, world.charter.control_channel, encode(alert.announced())))
    done.append(chen.send(alerts, text, salt=salt, kind=Kind.ALERT, alert=alert.fields(alerts)))
    refused = ayo.say(Kind.APPROVAL, world.charter.control_channel, encode(alert.announced()))
    assert isinstance(refused, wire.Refused)  # and the log tells of the attempt
    done.append(ayo.say(Kind.WITHHELD, world.charter.control_channel, encode(body.Withheld(Kind.ALERT, 9)), attempt=1))
    dara = world.enrolled("officer")
    done.append(dara.say(Kind.REVIEW, world.charter.control_channel, encode(body.Review(alert.root, bytes(32)))))
    world.now += 1_000
    done.append(world.publish_list("Hostpol", [serial(emil)], 2))
    done.append(bea.commit(detail, [Remove(leaf_of(bea, detail, emil))]))
    done.append(bea.send(detail))
    world.run(lambda: acts.filler(world.view, world.gateway, world.now, world.random))
    world.run(lambda: acts.act(world.view, world.gateway, body.Act.STOP, "", world.now, world.random))
    assert all(isinstance(answer, wire.Accepted) for answer in done), done
    return world


def serial(party: Party) -> int:
    return party.world.charter.verify_certificate(party.der).serial


def leaf_of(by: Party, channel: bytes, whom: Party) -> int:
    members = by.groups[channel].public.members
    return next(m.leaf_index for m in members if m.credential.certificates[0] == whom.der)


def test_what_an_honest_gateway_logs_is_sound(tmp_path: Path) -> None:
    world = life()
    verified = audit(world, tmp_path / "log")
    assert verified.verdict is Verdict.CONSISTENT, [c for c in verified.claims if c.outcome is not Outcome.PASS]
    (told,) = [c.rule for c in verified.claims if c.claim is Topic.ALERTS]
    assert (
        "1 alerts, 1 of them by one person alone, 1 of these reviewed; 1 attempts refused by their author's own device"
        in told
    )
    assert audit(world, tmp_path / "again", every_signature=True).verdict is Verdict.CONSISTENT


def test_the_folder_has_every_published_body(tmp_path: Path) -> None:
    world = life()
    write(world, tmp_path / "log")
    held = {stored.body_hash.hex() for stored in world.committed if world.view.published(stored.body_hash)}
    assert {file.name for file in (tmp_path / "log" / "body").iterdir()} == held


def test_a_body_that_came_in_chunks_lies_there_too(tmp_path: Path) -> None:
    world = World()
    answer = world.publish_list("Meridian", range(1, 3_000), 2)
    assert isinstance(answer, wire.Accepted)
    assert world.committed[-1].body_length > wire.CHUNK
    assert audit(world, tmp_path / "log").verdict is Verdict.CONSISTENT


def test_without_bodies_what_they_would_tell_is_unchecked(tmp_path: Path) -> None:
    world = life()
    write(world, tmp_path / "log")
    for file in (tmp_path / "log" / "body").iterdir():
        file.unlink()
    source = FolderSource(tmp_path / "log")
    keys = log_keys(world.mission.log.verifier_key.encode())
    verified = verify_log(source.fetch, source.paths(), Asked(keys, world.now))
    assert verified.verdict is Verdict.UNCHECKED
    passed = {c.claim for c in verified.claims if c.outcome is Outcome.PASS}
    of_the_log = {Topic.CHECKPOINT, Topic.TREE, Topic.ENTRIES, Topic.ORDER, Topic.TIMES, Topic.CHAINS, Topic.HEARD}
    assert passed == of_the_log | {Topic.EPOCHS, Topic.DISCLOSURES, Topic.TOMBSTONES}
