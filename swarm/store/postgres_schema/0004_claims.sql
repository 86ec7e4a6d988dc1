-- Slices that are worked by whoever claims them, and what is under way in them (swarm/store/claims.py).
CREATE SEQUENCE epochs;            -- one for the whole store: no lease ever has that of another

CREATE TABLE claims (
    -- in a unique index: whoever writes under a lease locks the row FOR KEY SHARE, and to change the epoch waits for
    -- that, while to make the lease last longer does not
    epoch   bigint UNIQUE,         -- of the lease; NULL: nobody has one
    mark    bigint,                -- names the asking for it, so that who asks again for want of an answer has it
    until   timestamptz,           -- by the server's clock: the lease lasts to there
    since   timestamptz NOT NULL,  -- in its state
    run     integer NOT NULL,
    state   text NOT NULL,         -- offered, claimed, handed
    holder  text NOT NULL DEFAULT '',  -- who claimed it last
    ref     text COLLATE "C" NOT NULL,
    body    bytea NOT NULL,
    outcome bytea,                 -- once it is handed in
    PRIMARY KEY (run, ref)
) WITH (fillfactor = 50);          -- leases are renewed all the time
CREATE INDEX handed_in ON claims (run, epoch) WHERE state = 'handed';

-- Under which lease a call was begun the last time; NULL: by whoever holds the run.
ALTER TABLE calls ADD COLUMN lease bigint;
CREATE INDEX calls_by_lease ON calls (lease) WHERE lease IS NOT NULL;

CREATE TABLE blobs (
    name text COLLATE "C" PRIMARY KEY,
    body bytea NOT NULL
);
