"""The planted bugs: each a line of the product that is not what it should be, and the faults that bring it to light.

`tests.simulation.mutants` looks for them; that each still applies, and to one place alone, is checked with every change
(`test_mutants.py`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file`. `faults` are on in its runs, OFTEN times as often as else; `pace` ms lie between two things that people do."""

    name: str
    file: str
    old: str
    new: str
    faults: str
    minutes: float = 10
    pace: int = 2_000


MUTANTS = (
    Mutant(
        "acknowledged before it is synced",
        "gateway/store/database.py",
        '        with whole():\n            db.execute("PRAGMA synchronous = EXTRA")',
        '        with whole():\n            db.execute("PRAGMA synchronous = OFF")',
        "power",
    ),
    Mutant(
        "a failed batch is told all the same",
        "gateway/store/sqlite.py",
        "        batch.stored.clear()\n",
        "",
        "full eio",
    ),
    Mutant(
        "the writer's memory outlives a rollback",
        "gateway/store/sqlite.py",
        "        view.forget()\n        batch.stored.clear()",
        "        batch.stored.clear()",
        "full eio",
    ),
    Mutant(
        "a failed transaction is answered as if it were done",
        "gateway/store/sqlite.py",
        "        for job in batch.jobs:\n            job.error = error\n",
        "",
        "full eio",
    ),
    Mutant(
        "a stream's state is not written before the commit",
        "gateway/store/writer.py",
        '        """The transaction is about to be committed."""\n        self.flush()\n',
        '        """The transaction is about to be committed."""\n',
        "kill",
    ),
    Mutant(
        "a log that was rolled back is taken for whole",
        "gateway/audit/sequencer.py",
        "    if older.size > size:\n        raise LogRefused(",
        "    if older.size > size:\n        return LogRefused(",
        "backup kill",
    ),
    Mutant(
        "a commit does not end its epoch",
        "gateway/core/roster.py",
        "        stream,\n        epoch=staged.next.epoch,",
        "        stream,\n        epoch=stream.epoch,",
        "",
    ),
    Mutant(
        "a message of an epoch long over is taken",
        "gateway/core/kinds.py",
        "        if epoch != current and not (epoch == current - 1 and run.now <= run.stream.grace_until):",
        "        if False:",
        "partition insider",
    ),
    Mutant(
        "no check of the chain",
        "gateway/core/submit.py",
        "    if first.previous != chain.link:",
        "    if False:",
        "insider",
    ),
    Mutant(
        "a gap in a device's numbers is taken",
        "gateway/core/submit.py",
        "    if first.number != chain.number + 1:",
        "    if False:",
        "insider",
    ),
    Mutant(
        "a used number hears the acceptance of another content",
        "gateway/core/submit.py",
        "        if before is None or (before.header, before.signature) != (now.envelope.header, now.envelope.signature):",
        "        if before is None:",
        "restored",
    ),
    Mutant(
        "what ends by itself is destroyed before its time",
        "gateway/core/retention.py",
        "    expired = view.expired(now, most)",
        "    expired = view.expired(now + 20_000, most)",
        "endings",
    ),
    Mutant(
        "what was destroyed stands in no tombstone",
        "gateway/core/retention.py",
        "due.rule, due.days, spans, NO_ORDER",
        "due.rule, due.days, spans[:1], NO_ORDER",
        "endings",
    ),
    Mutant(
        "what has ended is kept by devices",
        "clients/core/opening.py",
        "                retention.will_end(self.turn, case.channel, place.seq, context.expires)\n",
        "                pass\n",
        "endings",
        minutes=30,
        pace=6_000,
    ),
    Mutant(
        "a word that had ended on the road blocks its stream",
        "gateway/core/submit.py",
        "        Kind.APPLICATION,\n",
        "",
        "endings narrow slow partition death",
        minutes=20,
    ),
    Mutant(
        "a signed refusal is not remembered",
        "gateway/core/submit.py",
        "        attempts=tuple((v.context.number, v.context.attempt) for v in run.verified),",
        "        attempts=(),",
        "slow partition",
    ),
    Mutant(
        "the place in the chain is not moved on",
        "gateway/store/writer.py",
        "        self._chains[place] = Chain(last.number, Envelope(last.header, last.signature).link, before.refused)",
        "        self._chains[place] = Chain(last.number, Envelope(effect.run[0].header, effect.run[0].signature).link, 0)",
        "partition",
    ),
    Mutant(
        "the log's time runs with a clock that was set back",
        "gateway/core/append.py",
        "    now = max(now, end.time)\n",
        "",
        "clock",
    ),
    Mutant(
        "the cursor is off by one",
        "gateway/core/following.py",
        "    start = max(positions.get(member.channel, 0), member.since)",
        "    start = max(positions.get(member.channel, 0), member.since) + 1",
        "cut",
    ),
    Mutant(
        "who was added while away is not told",
        "gateway/core/following.py",
        "        if start < member.since and member.welcome:",
        "        if False:",
        "partition cut",
    ),
    Mutant(
        "who was removed is sent what comes after",
        "gateway/core/following.py",
        "    feed.follow(stream.id, start, stream.seq, dense=True, until=member.left)\n    if member.left:\n        return\n",
        "    feed.follow(stream.id, start, stream.seq, dense=True, until=0)\n    if member.left:\n        return\n",
        "cut",
    ),
    Mutant(
        "what came while a page was full is passed over",
        "gateway/core/lane.py",
        "            self.loaded = page.seqs[-1] if page else self.head\n",
        "            self.loaded, page = self.head, page.part(0, 1)\n",
        "cut partition",
    ),
    Mutant(
        "an alert's ladder is not begun",
        "gateway/core/ladder.py",
        "        at = replace(_rest(row, row.at), stopped=True) if met else replace(row.at, waiting=Waiting.ARM, stopped=False)",
        "        at = replace(_rest(row, row.at), stopped=True)",
        "partition",
        minutes=4,
    ),
    Mutant(
        "a ladder waits anew from each look",
        "gateway/core/ladder.py",
        "        return Outcome(True, (PutPosition(row.root, _wait(row, ladder, at, now)),))",
        "        return Outcome(False)",
        "kill",
    ),
    Mutant(
        "a rung is fired and its position not moved",
        "gateway/core/ladder.py",
        "        PutFiring(row.root, fired, notices),\n        PutPosition(row.root, at),",
        "        PutFiring(row.root, fired, notices),",
        "kill",
    ),
    Mutant(
        "a device forgets its place in its own chain",
        "clients/core/outbox.py",
        "        _remember(turn, key, after)\n    records.OWN.put(turn.draft, stream, own)\n",
        "        _remember(turn, key, after)\n",
        "",
    ),
    Mutant(
        "a refused number is sealed again as the same attempt",
        "clients/core/settling.py",
        "Counter(item.attempt + 1))",
        "Counter(item.attempt))",
        "slow partition",
    ),
    Mutant(
        "what was accepted stays in the outbox",
        "clients/core/settling.py",
        "    records.OUTBOX.delete(turn.draft, key)\n    for blob in [*item.uploads, sha256(item.body).digest()]:",
        "    for blob in [*item.uploads, sha256(item.body).digest()]:",
        "",
    ),
    Mutant(
        "an acceptance settles whatever is sealed",
        "clients/core/settling.py",
        "    return run if run and run[0][1].run == errand.number else []",
        "    return run",
        "mix double narrow",
    ),
    Mutant(
        "a new ratchet is not written down",
        "clients/core/groups.py",
        "                if before.get(name) != data:",
        "                if name not in before:",
        "death",
    ),
    Mutant(
        "what was shown waits to be shown",
        "clients/core/conversation.py",
        "    records.UNSHOWN.delete(work.turn.draft, key)\n    receipts.shown",
        "    receipts.shown",
        "",
    ),
    Mutant(
        "questions of a session that broke are never asked again",
        "clients/core/session.py",
        "        self.errands = Errands(self.watch)\n",
        "",
        "cut loss",
    ),
    Mutant(
        "half a run is taken",
        "clients/core/timeline.py",
        "            if placed is None:\n                return None\n",
        "            if placed is None:\n                return run or None\n",
        "mix narrow cut",
    ),
    Mutant(
        "the signed end of a run is opened twice",
        "clients/core/receive.py",
        "            if not ahead and records.AHEAD.get(self.turn.draft, at(channel, item.placed.place.seq)) is not None:",
        "            if False:",
        "mix partition",
    ),
    Mutant(
        "a receipt is trusted unsigned",
        "clients/core/receipts.py",
        '            raise BadSignature("no key of a device of that channel signed it")\n        check_body(verified, body)\n',
        "            pass\n",
        "liar",
    ),
    Mutant(
        "a commit that has lost goes again",
        "clients/core/settling.py",
        "    records.OUTBOX.delete(turn.draft, key)\n    records.SENT.delete(turn.draft, key)\n    for blob in item.uploads:",
        "    records.SENT.delete(turn.draft, key)\n    for blob in item.uploads:",
        "slow",
        minutes=2,
    ),
    Mutant(
        "who loses the race for an epoch is not told so",
        "gateway/core/roster.py",
        '    if verified.context.epoch != run.stream.epoch:\n        raise Refused(Refusal.EPOCH_CONFLICT, f"the channel is at epoch {run.stream.epoch}: process it, then',
        '    if False:\n        raise Refused(Refusal.EPOCH_CONFLICT, f"the channel is at epoch {run.stream.epoch}: process it, then',
        "slow",
        minutes=2,
    ),
    Mutant(
        "a member's history begins one place too early",
        "gateway/core/roster.py",
        "                    since=seq,",
        "                    since=seq - 1,",
        "",
        minutes=4,
    ),
    Mutant(
        "who was removed stays in",
        "gateway/core/roster.py",
        "    effects += [EndMember(stream.id, row.device, seq) for row in change.removed]\n",
        "",
        "",
        minutes=4,
    ),
)
NAMES = {mutant.name: mutant for mutant in MUTANTS}


def applied(mutant: Mutant, text: str) -> str:
    """The file with the bug in it; raises ValueError unless its place is there exactly once."""
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: its place stands {text.count(mutant.old)} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)
