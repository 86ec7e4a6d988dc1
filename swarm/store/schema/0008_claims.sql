-- Slices that are worked by whoever claims them, and what is under way in them (swarm/store/claims.py).
CREATE TABLE epochs (
    last INTEGER NOT NULL          -- of all leases that there ever were in this store
) STRICT;
INSERT INTO epochs VALUES (0);

CREATE TABLE claims (
    run     INTEGER NOT NULL,
    ref     TEXT NOT NULL,
    state   TEXT NOT NULL,         -- offered, claimed, handed
    epoch   INTEGER UNIQUE,        -- of the lease; NULL: nobody has one
    holder  TEXT NOT NULL DEFAULT '',  -- who claimed it last
    until   REAL NOT NULL DEFAULT 0.0, -- seconds since the epoch of time: the lease lasts to there
    since   REAL NOT NULL,         -- in its state
    body    BLOB NOT NULL,
    outcome BLOB,                  -- once it is handed in
    PRIMARY KEY (run, ref)
) STRICT;
CREATE INDEX handed_in ON claims (run, epoch) WHERE state = 'handed';

-- Under which lease a call was begun the last time; NULL: by whoever holds the run.
ALTER TABLE calls ADD COLUMN lease INTEGER;
CREATE INDEX calls_by_lease ON calls (lease) WHERE lease IS NOT NULL;

CREATE TABLE blobs (
    name TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
