"""A gateway with the right keys and its own store lies, one lie a test: who notices, after how long, and what anybody can check.

`pytest -s tests/attacks/test_rogue.py` prints the table. Time is the world's own. Evidence is written to a file and judged by the auditor's verb with
nothing else at hand: no profile, no log, no charter from outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from clients import views
from clients.agent.status import status_lines
from clients.auditor.excerpts import excerpt_around, excerpts
from clients.auditor.question import Log
from clients.auditor.source import FolderSource
from clients.auditor.verify import Asked, Cause, Outcome, Topic, Verified, log_keys
from clients.core import conversation, proof, records
from clients.core.receipts import covers
from clients.core.records import AlarmKind
from clients.main import run as outrider
from gateway.audit.batch import next_batch, next_receipts
from gateway.audit.tiles import LogFolder
from keys import evidence as files
from keys.body import read_ack
from keys.canonical import encode
from keys.envelope import Kind, Precedence
from keys.identity import receipt_stream
from keys.tlog.checkpoint import TreeHead, sign_checkpoint
from keys.tlog.edge import Edge
from tests.attacks.rogue import Findings, Rogue
from tests.attacks.scan import finds, scan
from tests.clients.alarms import alone, by_two, desk, document
from tests.clients.relay import Party, World
from tests.clients.talk import say, see, texts
from tests.restored import restored

SECOND, MINUTE = 1_000, 60_000
FOUND = Findings()


class Scene:
    """Chen, an officer, Ana and Ben in a channel and in the alert channel beside it."""

    def __init__(self) -> None:
        self.world = World(1, Rogue)
        self.chen, self.dara = self.world.party("Chen", "officer"), self.world.party("Dara", "officer")
        self.ana, self.ben = self.world.party("Ana", "agent"), self.world.party("Ben", "agent")
        self.channel = self.world.channel(self.chen, self.ana, self.ben)
        desk(self.world, self.chen, self.dara)
        self.alerts = self.world.channel(self.chen, self.dara, self.ana, self.ben, kind="alert")
        say(self.chen, self.channel, "first")
        self.settle()
        see(self.ben)
        self.begun = self.world.now

    @property
    def rogue(self) -> Rogue:
        assert isinstance(self.world.relay, Rogue)
        return self.world.relay

    def settle(self, milliseconds: int = 2 * SECOND) -> None:
        self.world.run()
        self.world.later(milliseconds)
        self.world.run()

    def lies(self) -> None:
        """From here on the clock of the table runs."""
        self.begun = self.world.now

    def until(self, lie: str, *watched: tuple[Party, AlarmKind], most: int = 5 * MINUTE) -> dict[str, int]:
        """Let time pass until each of these has raised its alarm; when, and into the table with it."""
        waiting, found = list(watched), dict[str, int]()
        while waiting:
            self.world.run()
            for one in list(waiting):
                party, kind = one
                if any(a.kind is kind for a in party.alarms()):
                    found[party.name] = self.world.now - self.begun
                    FOUND.note(lie, party.name, kind.name, found[party.name])
                    waiting.remove(one)
            assert not waiting or self.world.now - self.begun < most, (
                lie,
                waiting,
                [p.kinds() for p in self.world.parties],
            )
            self.world.later(SECOND)
        return found

    # --- what stays ---

    def log(self, tmp_path: Path) -> Log:
        """What the gateway keeps, as its sequencer would have written it, and the question an auditor asks."""
        view, mission = self.rogue.view, self.world.mission
        folder, edge = LogFolder.create(tmp_path / "log"), Edge()
        while (batch := next_batch(view, edge.size))[0]:
            edge = folder.write(edge, *batch, next_receipts(view, edge.size, edge.size + len(batch[0])))
        head = TreeHead(mission.policy.log_origin, edge.size, edge.root)
        folder.publish(sign_checkpoint(head, [mission.log]).encode())
        keys = log_keys(mission.log.verifier_key.encode())
        source = FolderSource(tmp_path / "log")
        return Log("log", source, Asked(keys, self.world.now, charter=mission.charter))

    def audited(self, tmp_path: Path, lie: str, topic: Topic, cause: Cause) -> Verified:
        """The auditor finds it too, and his file of evidence proves it by itself."""
        log = self.log(tmp_path)
        verified, made = excerpts(log, self.world.mission.charter)
        failed = {(c.claim, c.cause) for c in verified.claims if c.outcome is Outcome.FAIL}
        assert (topic, cause) in failed, failed
        FOUND.note(lie, "auditor", cause.name, self.world.now - self.begun)
        files_of = [found for claim, found, _ in made if claim.claim is topic]
        assert files_of, [claim.rule for claim, _, _ in made]
        judged(files_of[0], tmp_path)
        return verified


opened = restored(Scene)


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    yield
    print(f"\n{FOUND.table()}")


def kept(party: Party) -> list[files.Evidence]:
    return [files.read(note.data) for _, note in records.EVIDENCE.scan(party.ledger)]


def judged(found: files.Evidence, tmp_path: Path, outcome: str = "PASS") -> dict[str, Any]:
    """What the verb says of the file, in an empty profile."""
    (tmp_path / "nothing").mkdir(exist_ok=True)
    (tmp_path / "one.evidence").write_bytes(files.write(found))
    out = StringIO()
    with redirect_stdout(out):
        code = outrider(
            ["audit", "evidence", str(tmp_path / "one.evidence"), "--json", "--profile", str(tmp_path / "nothing")]
        )
    said: dict[str, Any] = json.loads(out.getvalue())
    assert (said["outcome"], code) == (outcome, 0 if outcome == "PASS" else 1), said
    return said


# ------------------------------------------------------------------ another log for one


def test_attack_14_a_second_history_for_one_client(tmp_path: Path) -> None:
    """Ben is served from another store. All witnesses are down; he and Ana talk."""
    s = opened()
    s.rogue.fork(s.ben.id)
    s.lies()
    item = say(s.chen, s.channel, "Ben must not see this")
    sealed = _header(s.chen, item)
    s.rogue.pass_over(sealed)
    s.world.run()
    say(s.ana, s.channel, "all quiet")
    s.until("fork for one client", (s.ben, AlarmKind.SUSPICION))
    (alarm,) = [a for a in s.ben.alarms() if a.kind is AlarmKind.SUSPICION]
    assert alarm.device in (s.ana.id, s.chen.id), "by her first word, and by name"
    s.until("fork for one client", (s.ben, AlarmKind.FORKED), (s.ana, AlarmKind.FORKED), most=10 * MINUTE)
    for party in (s.ana, s.ben):
        (proof,) = kept(party)[:1]
        assert judged(proof, tmp_path)["kind"] == "fork"
        with pytest.raises(conversation.NotNow, match="halted"):
            say(party, s.channel, "more")
    s.until("fork for one client", (s.chen, AlarmKind.FORKED), most=10 * MINUTE)
    root = by_two(s.chen, s.dara, s.alerts)  # the desk goes on, since alerts by two are agreed there
    s.settle()
    assert records.ALERTS.get(s.ana.ledger, root) is not None


def _header(party: Party, item: bytes) -> bytes:
    """The header of an item that was sealed, and is still on its way."""
    sealed = records.OUTBOX.get(party.ledger, item)
    assert sealed is not None
    assert sealed.header
    return sealed.header


# ------------------------------------------------------------------ what one device has said


def test_one_envelope_is_accepted_and_dropped(tmp_path: Path) -> None:
    """Ana's message is accepted and forgotten. The next entry takes its index, and her next message its place."""
    s = opened()
    s.rogue.swallow = lambda c: c.kind is Kind.APPLICATION and c.device == s.ana.id
    s.lies()
    say(s.ana, s.channel, "do not open the door")
    s.world.run()
    say(s.ana, s.channel, "did you hear me?")
    s.until("one envelope dropped", (s.ana, AlarmKind.NOT_LOGGED), (s.ben, AlarmKind.CHAIN), (s.chen, AlarmKind.CHAIN))
    assert "do not open the door" not in texts(s.ben, s.channel)
    s.audited(tmp_path, "one envelope dropped", Topic.CHAINS, Cause.MISSING)


def test_one_envelope_is_accepted_and_nothing_follows() -> None:
    """Without a promise and without a proof: after a minute its author complains."""
    s = opened()
    s.rogue.swallow = lambda c: c.kind is Kind.APPLICATION and c.device == s.ana.id
    s.rogue.mute = True
    s.lies()
    item = say(s.ana, s.channel, "do not open the door")
    s.world.run()
    sent = records.SENT.get(s.ana.ledger, item)
    assert sent is not None
    assert sent.seq, "it was accepted"
    found = s.until("accepted without a proof", (s.ana, AlarmKind.LATE))
    assert MINUTE < found["Ana"] <= 2 * MINUTE


def test_a_promise_is_broken(tmp_path: Path) -> None:
    """A commit is promised its entry, and then forgotten: the gateway's own signature convicts it."""
    s = opened()
    s.rogue.swallow = lambda c: c.kind is Kind.COMMIT and c.device == s.chen.id
    s.lies()
    intent = records.Intent(s.channel, [], [], renew=False, rekey=True, automatic=False)
    s.chen.act(lambda work: records.INTENTS.put(work.turn.draft, work.turn.next_id(), intent))
    s.world.run()
    s.rogue.grow(3)
    s.until("promise broken", (s.chen, AlarmKind.NOT_LOGGED))
    s.settle(20 * SECOND)
    s.settle(20 * SECOND)
    (proof,) = [found for found in kept(s.chen) if found.kind is files.Kind.PROMISE]
    assert "promised another entry" in judged(proof, tmp_path)["says"][0]["rule"]


def test_two_envelopes_in_the_other_order(tmp_path: Path) -> None:
    """Ben is given Chen's and Ana's messages swapped; his receipt and his next word say so, by his own signature."""
    s = opened()
    s.rogue.swapped = {s.ben.id: []}
    s.lies()
    say(s.chen, s.channel, "wait")
    s.world.run()
    say(s.ana, s.channel, "the bridge is out")
    s.world.run()
    say(s.ben, s.channel, "understood")
    s.until("two reordered", (s.ben, AlarmKind.NOT_LOGGED), (s.ana, AlarmKind.SUSPICION), (s.chen, AlarmKind.SUSPICION))
    (alarm,) = [a for a in s.ana.alarms() if a.kind is AlarmKind.SUSPICION]
    assert (alarm.device, alarm.halts) == (s.ben.id, False), "his history is another: that is a suspicion, by name"
    say(s.ana, s.channel, "traffic goes on")
    s.settle()
    assert texts(s.chen, s.channel)[-1] == texts(s.ben, s.channel)[-1] == "traffic goes on"
    s.audited(tmp_path, "two reordered", Topic.HEARD, Cause.FORKED)


def test_one_envelope_is_dated_back(tmp_path: Path) -> None:
    s = opened()
    s.rogue.backdate = Kind.APPLICATION, 2 * 3_600_000
    s.lies()
    say(s.ana, s.channel, "we left before the curfew")
    s.until("one backdated", (s.ben, AlarmKind.CLOCK), (s.chen, AlarmKind.CLOCK))
    s.audited(tmp_path, "one backdated", Topic.TIMES, Cause.REORDERED)


# ------------------------------------------------------------------ who may be there


def test_attack_08_a_ghost_device(tmp_path: Path) -> None:
    """A device of Ben's person that he never had; its approval is in a registrar's name, and the registrar never signed it."""
    s = opened()
    s.lies()
    ghost = s.rogue.ghost(s.ben.enrolled.certified)
    s.until("a ghost device", (s.chen, AlarmKind.UNKNOWN_DEVICE), (s.dara, AlarmKind.UNKNOWN_DEVICE))
    intent = records.Intent(s.channel, [ghost], [], renew=False, rekey=False, automatic=False)
    epoch = s.chen.channel(s.channel).epoch
    s.world.intend(s.chen, intent)
    assert s.chen.channel(s.channel).epoch == epoch, "nobody adds it"
    s.audited(tmp_path, "a ghost device", Topic.CERTIFICATES, Cause.BAD_SIGNATURE)


# ------------------------------------------------------------------ what the log itself tells


def test_attack_65_nobody_and_nothing_said_stands_in_the_log(tmp_path: Path) -> None:
    """Talk, an alert and its answers: the entries are numbers, ids, hashes and signatures, and have no room for more."""
    s = opened()
    root = alone(s.chen, s.alerts)
    s.settle()
    for party in (s.ana, s.ben):
        party.act(lambda work: conversation.acknowledge(work, root, "SAFE", "at the east gate"))
    s.settle()
    s.log(tmp_path)
    words = [b"Ana", b"Ben", b"Chen", b"Meridian", b"first", b"gunfire", b"Shelter", b"SAFE", b"east gate"]
    count, found = scan(tmp_path / "log", words)
    assert count == len(s.rogue.leaves) > 30
    assert found == []


def test_attack_65_an_answer_is_not_guessed_from_its_entry() -> None:
    """Its hash stands in the log, its root is known and its options are few: a salt keeps it. Two that say the same are not the same."""
    s = opened()
    root = alone(s.chen, s.alerts)
    s.settle()
    for party in (s.ana, s.ben):
        party.act(lambda work: conversation.acknowledge(work, root, "SAFE", ""))
    s.settle()
    bodies = [e.body for e in s.rogue.view.envelopes(receipt_stream(s.alerts), 0, 99) if e.kind is Kind.ACK]  # type: ignore[arg-type]
    said = [read_ack(body or b"") for body in bodies]
    assert [ack.root for ack in said] == [root] * 2
    assert len({ack.option for ack in said}) == 1
    assert len({ack.salt for ack in said} | {bytes(16)}) == 3


@pytest.mark.parametrize(
    ("part", "found"),
    [
        pytest.param("a name", "str", id="a text"),
        pytest.param(b"at the east gate, now", "21 bytes", id="bytes of no id's length"),
        pytest.param([b"x" * 16, {"a": 1}], "dict", id="a map, further in"),
    ],
)
def test_what_would_be_found_in_an_entry(part: Any, found: str) -> None:
    context, header = encode([1, part]), encode([encode([1]), 0, bytes(32)])
    for entry in ([1, part, header, b""], [1, 0, encode([context, 0, bytes(32)]), b""]):
        placed = [*entry[:2], bytes(16), bytes(16), 1, *entry[2:]]
        (said,) = finds(encode(placed))
        assert found in said


# ------------------------------------------------------------------ what is urgent


def test_attack_06_an_alert_is_withheld_from_one(tmp_path: Path) -> None:
    """Ben is not given the second alert. Its sender misses his receipt, and sends another: then he knows that one is kept from him."""
    s = opened()
    first = alone(s.chen, s.alerts)
    s.settle()
    s.lies()
    root = alone(s.chen, s.alerts, cap=document("MM-2"))
    s.rogue.kept_from = s.ben.id, lambda c: c.alert is not None and c.alert.root == root
    s.settle()
    assert records.ALERTS.get(s.ana.ledger, root) is not None
    assert records.ALERTS.get(s.ben.ledger, root) is None
    silent = [d for d in (s.ana.id, s.ben.id, s.dara.id) if d not in _delivered(s.chen, s.alerts)]
    assert silent == [s.ben.id], "the sender sees whose receipt is missing, and escalates"
    FOUND.note("alert withheld from one", "Chen", "no receipt", s.world.now - s.begun)
    s.ben.act(lambda work: conversation.acknowledge(work, first, 0, ""))
    s.world.later(30 * SECOND)
    alone(s.chen, s.alerts, cap=document("MM-3"))
    s.until("alert withheld from one", (s.ben, AlarmKind.GAP))
    s.world.later(65 * SECOND)
    s.ben.act(lambda work: conversation.acknowledge(work, first, 0, ""))
    s.settle()
    log = s.log(tmp_path)
    out = StringIO()
    (tmp_path / "charter").write_bytes(s.world.mission.charter.note)
    with redirect_stdout(out):
        words = [
            "audit",
            "reconcile",
            str(tmp_path / "log"),
            "--json",
            "--charter",
            str(tmp_path / "charter"),
            "--profile",
            str(tmp_path),
        ]
        assert outrider(words) == 1
    (channel,) = [c for c in json.loads(out.getvalue())["channels"] if c["channel"] == s.alerts.hex()]
    assert list(channel["never"]) == [s.ben.id.hex()]
    FOUND.note("alert withheld from one", "auditor", "reconcile", s.world.now - s.begun)
    judged(_withheld(s, log, root), tmp_path)


def _delivered(party: Party, channel: bytes) -> set[bytes]:
    head = party.channel(channel).seq
    found = set()
    for key, got in records.RECEIVED.scan(party.ledger, channel):
        if covers(got.delivered, head):
            found.add(key[16:])
    return found


def _withheld(s: Scene, log: Log, root: bytes) -> files.Evidence:
    """The alert's entry, and what Ben said after."""
    place = records.ALERTS.get(s.chen.ledger, root)
    assert place is not None
    entry = s.rogue.view.envelope(s.alerts, place.places[0][1])  # type: ignore[arg-type]
    assert entry is not None
    made = excerpt_around(log, s.world.mission.charter, entry.index)
    assert made is not None
    found, said = made
    assert any("had not been given ALERT" in one.rule and s.ben.id.hex()[:8] in one.rule for one in said), said
    return found


# ------------------------------------------------------------------ last night's backup


def test_attack_34_everything_is_kept_from_one() -> None:
    """There is a link, and nothing comes: no message, no proof. What Ben himself says is late, and the log that he knows grows old."""
    s = opened()
    s.rogue.kept_from = s.ben.id, lambda c: True
    s.rogue.mute = True
    s.lies()
    say(s.chen, s.channel, "everybody out")
    s.world.run()
    say(s.ben, s.channel, "anybody there?")
    s.until("everything withheld", (s.ben, AlarmKind.LATE))
    s.world.later(10 * MINUTE)
    s.world.run()
    told = s.ben.act(lambda work: views.status(work, online=True, clock_off=0))
    assert any("keeping all from you" in line for line in status_lines(told, "GOOD"))
    assert not any("keeping all" in line for line in status_lines(told, "DOWN")), (
        "without a link it says nothing of the gateway"
    )


def test_attack_15_and_16_last_nights_backup(tmp_path: Path) -> None:
    """The gateway comes up with last night's store. At first it is only shorter; once it grows past what was seen it convicts itself."""
    s = opened()
    night = s.rogue.backup()
    say(s.ana, s.channel, "the last word of the day")
    s.settle()
    s.rogue.restore(night)
    s.lies()
    for party in s.world.parties:
        party.disconnect()
        party.connect()
    s.until("rolled back", (s.ana, AlarmKind.SHRUNK), (s.ben, AlarmKind.SHRUNK))
    assert "the last word of the day" in texts(s.ben, s.channel), "nothing that was seen is lost"
    s.rogue.grow(40)
    for party in s.world.parties:
        party.disconnect()
        party.connect()
    s.until(
        "rolled back, and gone on", (s.ana, AlarmKind.FORKED), (s.ben, AlarmKind.FORKED), (s.chen, AlarmKind.FORKED)
    )
    (proof,) = kept(s.ana)
    assert judged(proof, tmp_path)["kind"] == "fork"
    alone(s.chen, s.alerts)  # who is in danger has no other road
    s.settle()
    assert all(a.kind is not AlarmKind.GATEWAY for a in s.chen.alarms())


def test_attack_15_at_a_size_whose_root_no_consistency_proof_names(tmp_path: Path) -> None:
    """A gateway may choose the moment: of a power of two a consistency proof does not name the older root."""
    s = opened()
    night = s.rogue.backup()
    s.rogue.grow(128 - len(s.rogue.leaves))
    s.ana.disconnect()
    s.ana.connect()
    s.world.run()
    held = proof.held(s.ana.ledger, s.ana.device.charter)
    assert held is not None
    assert held.size == 128
    s.rogue.restore(night)
    s.lies()
    s.rogue.grow(200)
    s.ana.disconnect()
    s.ana.connect()
    s.until("rolled back at 2^7 entries", (s.ana, AlarmKind.FORKED))
    s.settle(11 * SECOND)
    (found,) = kept(s.ana)
    assert found.leaf
    assert [a.halts for a in s.ana.alarms() if a.kind is AlarmKind.FORKED] == [False, True], "doubted, then proved"
    assert judged(found, tmp_path)["kind"] == "fork"
    with pytest.raises(conversation.NotNow, match="halted"):
        say(s.ana, s.channel, "more")


def test_an_honest_gateway_is_accused_of_nothing(tmp_path: Path) -> None:
    s = opened()
    for n in range(3):
        say(s.ana, s.channel, f"{n}", Precedence.FLASH if n == 1 else Precedence.ROUTINE)
        s.settle(30 * SECOND)
    assert not [a for p in s.world.parties for a in p.alarms()]
    assert not [found for p in s.world.parties for found in kept(p)]
    verified, made = excerpts(s.log(tmp_path), s.world.mission.charter)
    assert [c for c in verified.claims if c.outcome is not Outcome.PASS] == []
    assert not made
