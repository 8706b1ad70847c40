-- What came with the emergency broadcast: alerts, whom they are for, ladders, notices by roads off the platform; and resync.

-- Members that an officer lets come in again, each by an external commit that ends this epoch.
CREATE TABLE resyncs (
    stream BLOB NOT NULL,
    device BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    PRIMARY KEY (stream, device)
) WITHOUT ROWID;

ALTER TABLE streams ADD COLUMN beside BLOB NOT NULL DEFAULT x'';

-- Bodies that the log publishes: approvals, stand-downs, refused attempts, escalations and jumps too; what is said of disclosures.
DROP INDEX envelopes_published;
CREATE INDEX envelopes_published ON envelopes (body_hash) WHERE kind IN (1, 3, 4, 9, 10, 15, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28, 30, 31, 32, 34, 35);

CREATE TABLE alerts (
    root       BLOB PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    draft      BLOB NOT NULL,
    ladder     BLOB NOT NULL,             -- keys.ladder.Ladder, x'' for none
    writer     BLOB NOT NULL,
    approver   BLOB,                      -- NULL: one officer alone
    seq        INTEGER NOT NULL,          -- of the APPROVAL in the control channel
    not_after  INTEGER NOT NULL,
    review_due INTEGER NOT NULL,
    emergency  BLOB NOT NULL              -- keys.emergency.Case of an SOS or a check-in plan, x'' for an alert
) WITHOUT ROWID;

-- The newest check-in plan of a device in a channel; whether it is open stands in its escalation.
CREATE TABLE plans (
    stream BLOB NOT NULL,
    device BLOB NOT NULL,
    root   BLOB NOT NULL,
    PRIMARY KEY (stream, device)
) WITHOUT ROWID;

CREATE TABLE alert_references (
    root      BLOB NOT NULL,
    reference BLOB NOT NULL,
    PRIMARY KEY (root, reference)
) WITHOUT ROWID;
CREATE INDEX alert_references_back ON alert_references (reference);

-- How an alert stands: apart from what never changes, since every answer writes it.
CREATE TABLE escalations (
    root     BLOB PRIMARY KEY,
    begun    INTEGER NOT NULL,            -- ms of its first place; 0: not yet
    ended    INTEGER NOT NULL,            -- core.broadcast.Ending
    asked    INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    rung     INTEGER NOT NULL,
    waiting  INTEGER NOT NULL,            -- core.broadcast.Waiting
    due      INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    fallback INTEGER NOT NULL,            -- core.broadcast.Fallback
    stopped  INTEGER NOT NULL,
    firings  INTEGER NOT NULL,
    wake     INTEGER NOT NULL             -- when the timer looks at it; 0: at once
) WITHOUT ROWID;
CREATE INDEX escalations_wake ON escalations (wake) WHERE waiting != 0;

CREATE TABLE alert_places (
    root   BLOB NOT NULL,
    stream BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (root, stream)
) WITHOUT ROWID;

CREATE TABLE alert_people (
    root     BLOB NOT NULL,
    person   BLOB NOT NULL,
    target   INTEGER NOT NULL,            -- 0: only the ladder names that one
    answered INTEGER NOT NULL,            -- ms; 0: silent
    PRIMARY KEY (root, person)
) WITHOUT ROWID;

CREATE TABLE firings (
    root      BLOB NOT NULL,
    number    INTEGER NOT NULL,
    rung      INTEGER NOT NULL,
    road      TEXT NOT NULL,
    why       INTEGER NOT NULL,
    time      INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    woken     INTEGER NOT NULL,
    unreached INTEGER NOT NULL,
    PRIMARY KEY (root, number)            -- a rung can't be fired twice by one decision made twice
) WITHOUT ROWID;

CREATE TABLE notices (
    n        INTEGER PRIMARY KEY,
    id       BLOB NOT NULL UNIQUE,        -- H(root, firing, person, road)
    root     BLOB NOT NULL,
    firing   INTEGER NOT NULL,
    rung     INTEGER NOT NULL,
    person   BLOB NOT NULL,
    road     TEXT NOT NULL,
    state    INTEGER NOT NULL,            -- core.broadcast.NoticeState
    due      INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    detail   TEXT NOT NULL
);
CREATE INDEX notices_root ON notices (root, n);
CREATE INDEX notices_queued ON notices (road, due) WHERE state = 1;
CREATE INDEX notices_person ON notices (person, root);

-- The roads of gateway.toml and who has an address there; the addresses themselves stay in the operator's file.
CREATE TABLE roads (
    name TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE contacts (
    person BLOB NOT NULL,
    road   TEXT NOT NULL,
    PRIMARY KEY (road, person)
) WITHOUT ROWID;

-- An auditor's request to see one message, by the request's header hash; who has voted, and which participant has answered.
CREATE TABLE disclosures (
    request   BLOB PRIMARY KEY,
    stream    BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    requester BLOB NOT NULL,
    author    BLOB NOT NULL,
    time      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX disclosures_requester ON disclosures (requester, time);

CREATE TABLE disclosure_votes (
    request BLOB NOT NULL,
    person  BLOB NOT NULL,
    agrees  INTEGER NOT NULL,
    PRIMARY KEY (request, person)         -- each person votes once
) WITHOUT ROWID;

CREATE TABLE disclosure_answers (
    request BLOB NOT NULL,
    device  BLOB NOT NULL,
    PRIMARY KEY (request, device)
) WITHOUT ROWID;

-- How far the content of each channel was destroyed by its class's rule.
CREATE TABLE sweeps (
    stream BLOB PRIMARY KEY,
    seq    INTEGER NOT NULL
) WITHOUT ROWID;

-- Bodies that end by themselves before that.
CREATE TABLE expiries (
    at     INTEGER NOT NULL,              -- ms
    stream BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (at, stream, seq)
) WITHOUT ROWID;

-- What one person has ordered to be destroyed, until a second one has confirmed it; by the order's header hash.
CREATE TABLE destructions (
    request BLOB PRIMARY KEY,
    person  BLOB NOT NULL,
    body    BLOB NOT NULL,
    done    INTEGER NOT NULL
) WITHOUT ROWID;

-- Renewals are not in it: who may not ask after one finds nothing here, by the same steps as where there is none.
CREATE UNIQUE INDEX invites ON invitations (id) WHERE role != 'renewal';

-- Where a stream stands, and a device in it, is said by their newest envelopes and nowhere else: one message changes no other row.
ALTER TABLE envelopes ADD COLUMN rolling BLOB NOT NULL DEFAULT x''; -- of the stream, after the last of a run; x'' before it
UPDATE envelopes SET rolling = (SELECT s.rolling FROM streams s WHERE s.n = envelopes.stream)
    WHERE (stream, seq) IN (SELECT n, seq FROM streams);
ALTER TABLE streams DROP COLUMN seq;
ALTER TABLE streams DROP COLUMN rolling;
DROP TABLE chains;
