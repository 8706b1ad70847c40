-- What the gateway must never forget. One row an envelope, whatever the audience: delivery is a cursor into this stream.

CREATE TABLE streams (
    n           INTEGER PRIMARY KEY,      -- short name inside this database
    id          BLOB NOT NULL UNIQUE,
    kind        INTEGER NOT NULL,         -- core.view.StreamKind
    seq         INTEGER NOT NULL,         -- of the newest envelope
    rolling     BLOB NOT NULL,
    parent      BLOB NOT NULL,
    epoch       INTEGER NOT NULL,
    class       TEXT NOT NULL,
    ceiling     INTEGER NOT NULL,
    suite       INTEGER NOT NULL,
    grace_until INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    blocked     INTEGER NOT NULL
);

-- The log and the streams in one: idx is the log index, (stream, seq) the place in the stream. Both are gap-free.
CREATE TABLE envelopes (
    idx         INTEGER PRIMARY KEY,
    stream      INTEGER NOT NULL REFERENCES streams,
    seq         INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    nonce       BLOB NOT NULL,
    header      BLOB NOT NULL,
    signature   BLOB NOT NULL,
    kind        INTEGER NOT NULL,
    device      BLOB NOT NULL,
    number      INTEGER NOT NULL,
    precedence  INTEGER NOT NULL,
    body_hash   BLOB NOT NULL,
    body_length INTEGER NOT NULL,
    body        BLOB                      -- NULL: kept as a blob, or destroyed by rule
);
CREATE UNIQUE INDEX envelopes_place ON envelopes (stream, seq);
CREATE UNIQUE INDEX envelopes_number ON envelopes (stream, device, number);
CREATE INDEX envelopes_landmarks ON envelopes (stream, seq) WHERE kind IN (3, 4, 8) OR precedence = 0;
CREATE INDEX envelopes_published ON envelopes (body_hash) WHERE kind IN (1, 3, 4, 17, 18, 22, 23, 26);

-- Devices on narrow links fetch these by their hash.
CREATE INDEX envelopes_fetched ON envelopes (body_hash) WHERE body_length > 1024 AND body IS NOT NULL;

CREATE TABLE chains (
    stream  BLOB NOT NULL,
    device  BLOB NOT NULL,
    number  INTEGER NOT NULL,
    link    BLOB NOT NULL,
    PRIMARY KEY (stream, device)
) WITHOUT ROWID;

-- Numbers that a signed refusal lets a device seal again: the last attempt refused, and what was said of it.
CREATE TABLE refusals (
    stream      BLOB NOT NULL,
    device      BLOB NOT NULL,
    number      INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    refusal     INTEGER NOT NULL,
    header_hash BLOB NOT NULL,            -- of the header that closed the run
    statement   BLOB NOT NULL,
    PRIMARY KEY (stream, device, number)
) WITHOUT ROWID;

-- The PublicGroup of each channel, in parts.
CREATE TABLE groups (
    stream BLOB NOT NULL,
    part   TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (stream, part)
);

CREATE TABLE trees (
    stream BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;

CREATE TABLE members (
    stream         BLOB NOT NULL,
    device         BLOB NOT NULL,
    since          INTEGER NOT NULL,      -- seq of the commit that added it
    leaf           INTEGER NOT NULL,
    certificate    BLOB NOT NULL,
    epoch          INTEGER NOT NULL,
    left_at        INTEGER NOT NULL,      -- seq of the commit that removed it; 0: it is in
    welcome        BLOB NOT NULL,
    welcome_length INTEGER NOT NULL,
    rolling        BLOB NOT NULL,
    PRIMARY KEY (stream, device, since)
) WITHOUT ROWID;
CREATE INDEX members_device ON members (device, stream);

CREATE TABLE certificates (
    hash         BLOB PRIMARY KEY,
    der          BLOB NOT NULL,
    device       BLOB NOT NULL,
    person       BLOB NOT NULL,
    organisation TEXT NOT NULL,
    roles        TEXT NOT NULL,
    public_key   BLOB NOT NULL,
    serial       TEXT NOT NULL,
    not_before   INTEGER NOT NULL,
    not_after    INTEGER NOT NULL,
    revoked      INTEGER NOT NULL,
    idx          INTEGER NOT NULL,
    seq          INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX certificates_device ON certificates (device, idx);
CREATE INDEX certificates_serial ON certificates (organisation, serial);

CREATE TABLE revocations (
    organisation TEXT PRIMARY KEY,
    der          BLOB NOT NULL,
    number       INTEGER NOT NULL,
    this_update  INTEGER NOT NULL,
    next_update  INTEGER NOT NULL,
    serials      BLOB NOT NULL,           -- 16 bytes each
    signer       TEXT NOT NULL,
    seq          INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE charters (
    version INTEGER PRIMARY KEY,
    note    BLOB NOT NULL
);

CREATE TABLE invitations (
    id           BLOB PRIMARY KEY,
    organisation TEXT NOT NULL,
    role         TEXT NOT NULL,
    expires      INTEGER NOT NULL,
    request      BLOB NOT NULL,
    certificate  BLOB NOT NULL,
    answer       BLOB NOT NULL,
    seq          INTEGER NOT NULL
) WITHOUT ROWID;

-- One handed out stays as its hash until it has ended, so that a repeated request can't offer it a second time.
CREATE TABLE packages (
    n           INTEGER PRIMARY KEY,
    device      BLOB NOT NULL,
    suite       INTEGER NOT NULL,
    hash        BLOB NOT NULL UNIQUE,
    data        BLOB NOT NULL,
    last_resort INTEGER NOT NULL,
    not_after   INTEGER NOT NULL,         -- s
    taken       INTEGER NOT NULL
);
CREATE INDEX packages_device ON packages (device, suite, last_resort, n) WHERE taken = 0;
CREATE INDEX packages_ended ON packages (device, not_after);

CREATE TABLE claims (
    n       INTEGER PRIMARY KEY,
    claimer BLOB NOT NULL,
    device  BLOB NOT NULL,
    time    INTEGER NOT NULL
);
CREATE INDEX claims_time ON claims (claimer, time);

-- Bodies, Welcomes, GroupInfos and trees longer than a chunk; whole only when held = length, and open until they are given
-- to readers: what nobody was given is dropped after a while.
CREATE TABLE blobs (
    hash   BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    length INTEGER NOT NULL,
    held   INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    open   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX blobs_open ON blobs (device, time) WHERE open = 1;

CREATE TABLE pieces (
    hash  BLOB NOT NULL,
    start INTEGER NOT NULL,
    data  BLOB NOT NULL,
    PRIMARY KEY (hash, start)
);

CREATE TABLE readers (
    hash   BLOB NOT NULL,
    stream BLOB NOT NULL,                 -- b'' where the reader is one device
    seq    INTEGER NOT NULL,              -- where it stands in the stream: those may read it who are or were members then
    device BLOB NOT NULL,
    PRIMARY KEY (hash, stream, seq, device)
) WITHOUT ROWID;

-- The newest signed checkpoint: moved by compare-and-swap only.
CREATE TABLE checkpoint (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    note BLOB NOT NULL
);
