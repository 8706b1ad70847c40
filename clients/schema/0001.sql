-- What a device keeps. The vault knows names and bytes; what stands on a shelf, clients/core/ledger.py says.

-- Keys by name: the device's own, and the authority's (roots, registrars).
CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Everything else. Keys sort as bytes, so a channel's envelopes lie side by side in their order.
CREATE TABLE item (
    shelf TEXT NOT NULL,
    key   BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (shelf, key)
) STRICT, WITHOUT ROWID;
