"""Effects to rows: one function an effect, in a table. They run inside the transaction of the decision that asked for them."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any, Final

import apsw

from gateway.core import effects as e
from gateway.store import broadcasts, bulk, disclosures, retention

Change = Callable[[apsw.Connection, Any], None]


def _append(db: apsw.Connection, effect: e.Append) -> None:
    bulk.append(db, [effect], partial(bulk.row_of, db))


def _put_stream(db: apsw.Connection, effect: e.PutStream) -> None:
    bulk.put_streams(db, [effect.stream])


def _remember_refusal(db: apsw.Connection, effect: e.RememberRefusal) -> None:
    said = (int(effect.refusal), effect.header_hash, effect.statement)
    db.executemany(
        "INSERT INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET attempt = excluded.attempt,"
        " refusal = excluded.refusal, header_hash = excluded.header_hash, statement = excluded.statement",
        [(effect.channel, effect.device, number, attempt, *said) for number, attempt in effect.attempts],
    )


def _put_group(db: apsw.Connection, effect: e.PutGroup) -> None:
    for part, value in effect.parts.items():
        if value:
            db.execute(
                "INSERT INTO groups VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (effect.channel, part, value),
            )
        else:
            db.execute("DELETE FROM groups WHERE stream = ? AND part = ?", (effect.channel, part))


def _put_tree(db: apsw.Connection, effect: e.PutTree) -> None:
    db.execute(
        "INSERT INTO trees VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (effect.channel, effect.seq, effect.hash, len(effect.data)),
    )
    db.execute(
        "INSERT INTO blobs VALUES (?, ?, ?, ?, 0, 0) ON CONFLICT DO NOTHING",
        (effect.hash, effect.channel, len(effect.data), len(effect.data)),
    )
    db.execute("INSERT INTO pieces VALUES (?, 0, ?) ON CONFLICT DO NOTHING", (effect.hash, effect.data))
    _give_blob(db, e.GiveBlob(effect.hash, effect.channel, effect.seq))


def _put_member(db: apsw.Connection, effect: e.PutMember) -> None:
    m = effect.member
    db.execute(
        "INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (m.channel, m.device, m.since, m.leaf, m.certificate, m.epoch, m.left, m.welcome, m.welcome_length, m.rolling),
    )


def _end_member(db: apsw.Connection, effect: e.EndMember) -> None:
    db.execute(
        "UPDATE members SET left_at = ? WHERE stream = ? AND device = ? AND left_at = 0",
        (effect.left, effect.channel, effect.device),
    )


def _change_leaf(db: apsw.Connection, effect: e.ChangeLeaf) -> None:
    db.execute(
        "UPDATE members SET leaf = ?, certificate = ? WHERE stream = ? AND device = ? AND left_at = 0",
        (effect.leaf, effect.certificate, effect.channel, effect.device),
    )


def _put_resync(db: apsw.Connection, effect: e.PutResync) -> None:
    db.execute(
        "INSERT INTO resyncs VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
        (effect.channel, effect.device, effect.epoch),
    )


def _put_certificate(db: apsw.Connection, effect: e.PutCertificate) -> None:
    r = effect.row
    db.execute(
        "INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            r.hash,
            r.der,
            r.device,
            r.person,
            r.organisation,
            ",".join(sorted(r.roles)),
            r.public_key,
            f"{r.serial:x}",
            r.not_before,
            r.not_after,
            int(r.revoked),
            r.index,
            r.seq,
        ),
    )


def _put_revocations(db: apsw.Connection, effect: e.PutRevocations) -> None:
    listed = effect.revocations
    db.execute(
        "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            listed.organisation,
            listed.der,
            listed.number,
            listed.this_update,
            listed.next_update,
            b"".join(serial.to_bytes(16) for serial in sorted(listed.serials)),
            f"{listed.signer:x}",
            effect.seq,
        ),
    )
    db.executemany(
        "UPDATE certificates SET revoked = 1 WHERE organisation = ? AND serial = ?",
        [(listed.organisation, f"{serial:x}") for serial in sorted(listed.serials)],
    )
    db.execute(
        "UPDATE streams SET blocked = (SELECT count(*) FROM members m JOIN certificates c ON c.hash = m.certificate"
        " WHERE m.stream = streams.id AND m.left_at = 0 AND c.revoked = 1) WHERE kind = 2"
    )


def _put_charter(db: apsw.Connection, effect: e.PutCharter) -> None:
    db.execute("INSERT INTO charters VALUES (?, ?)", (effect.version, effect.note))


def _put_invitation(db: apsw.Connection, effect: e.PutInvitation) -> None:
    i = effect.invitation
    db.execute(
        "INSERT OR REPLACE INTO invitations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (i.id, i.organisation, i.role, i.expires, i.request, i.certificate, i.answer, i.seq),
    )


def _drop_invitation(db: apsw.Connection, effect: e.DropInvitation) -> None:
    db.execute("DELETE FROM invitations WHERE id = ?", (effect.invite,))


def _put_package(db: apsw.Connection, effect: e.PutPackage) -> None:
    if effect.last_resort:
        db.execute(
            "DELETE FROM packages WHERE device = ? AND suite = ? AND last_resort = 1", (effect.device, effect.suite)
        )
    db.execute(
        "INSERT INTO packages (device, suite, hash, data, last_resort, not_after, taken) VALUES (?, ?, ?, ?, ?, ?, 0)"
        " ON CONFLICT DO NOTHING",
        (
            effect.device,
            effect.suite,
            sha256(effect.data).digest(),
            effect.data,
            int(effect.last_resort),
            effect.not_after,
        ),
    )


def _drop_packages(db: apsw.Connection, effect: e.DropPackages) -> None:
    db.execute("DELETE FROM packages WHERE device = ? AND taken = 0", (effect.device,))


def _drop_ended_packages(db: apsw.Connection, effect: e.DropEndedPackages) -> None:
    db.execute("DELETE FROM packages WHERE device = ? AND not_after < ?", (effect.device, effect.now))


def _take_package(db: apsw.Connection, effect: e.TakePackage) -> None:
    db.execute("UPDATE packages SET taken = 1, data = x'' WHERE n = ? AND last_resort = 0", (effect.row,))
    db.execute("DELETE FROM claims WHERE claimer = ? AND time <= ?", (effect.claimer, effect.since))
    db.execute(
        "INSERT INTO claims (claimer, device, time) VALUES (?, ?, ?)", (effect.claimer, effect.device, effect.time)
    )


def _put_piece(db: apsw.Connection, effect: e.PutPiece) -> None:
    db.execute(
        "INSERT INTO blobs VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET held = excluded.held, time = excluded.time",
        (effect.hash, effect.device, effect.length, effect.offset + len(effect.data), effect.time),
    )
    db.execute("INSERT INTO pieces VALUES (?, ?, ?)", (effect.hash, effect.offset, effect.data))


def _drop_upload(db: apsw.Connection, effect: e.DropUpload) -> None:
    db.execute("DELETE FROM pieces WHERE hash = ?", (effect.hash,))
    db.execute("DELETE FROM blobs WHERE hash = ?", (effect.hash,))


def _give_blob(db: apsw.Connection, effect: e.GiveBlob) -> None:
    db.execute(
        "INSERT INTO readers VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (effect.hash, effect.channel, effect.seq, effect.device),
    )
    db.execute("UPDATE blobs SET open = 0 WHERE hash = ?", (effect.hash,))


def _put_answer(db: apsw.Connection, effect: e.PutAnswer) -> None:
    bulk.put_answers(db, [effect])


CHANGES: Final[dict[type, Change]] = {
    e.Append: _append,
    e.PutStream: _put_stream,
    e.RememberRefusal: _remember_refusal,
    e.PutGroup: _put_group,
    e.PutTree: _put_tree,
    e.PutMember: _put_member,
    e.EndMember: _end_member,
    e.ChangeLeaf: _change_leaf,
    e.PutResync: _put_resync,
    e.PutCertificate: _put_certificate,
    e.PutRevocations: _put_revocations,
    e.PutCharter: _put_charter,
    e.PutInvitation: _put_invitation,
    e.DropInvitation: _drop_invitation,
    e.PutPackage: _put_package,
    e.DropPackages: _drop_packages,
    e.DropEndedPackages: _drop_ended_packages,
    e.TakePackage: _take_package,
    e.PutPiece: _put_piece,
    e.DropUpload: _drop_upload,
    e.GiveBlob: _give_blob,
    e.PutAlert: broadcasts.put_alert,
    e.PutPlan: broadcasts.put_plan,
    e.PlaceAlert: broadcasts.place_alert,
    e.PutAnswer: _put_answer,
    e.PutPosition: broadcasts.put_position,
    e.EndAlert: broadcasts.end_alert,
    e.WithdrawNotices: broadcasts.withdraw_notices,
    e.PutFiring: broadcasts.put_firing,
    e.SettleNotice: broadcasts.settle_notice,
    e.PutRoads: broadcasts.put_roads,
    e.SetReview: broadcasts.set_review,
    e.PutDisclosure: disclosures.put_disclosure,
    e.PutVote: disclosures.put_vote,
    e.PutDisclosed: disclosures.put_disclosed,
    e.PutExpiry: retention.put_expiry,
    e.PutSwept: retention.put_swept,
    e.PutDestruction: retention.put_destruction,
    e.Destroy: retention.destroy,
}


def apply(db: apsw.Connection, effect: e.Effect) -> None:
    """Do what one effect asks."""
    CHANGES[type(effect)](db, effect)
