-- Journal: what happened, in order. Rows are added and never changed, but for a call's reply, which is
-- filled in once.
CREATE TABLE records (
    seq   INTEGER PRIMARY KEY,
    run   TEXT NOT NULL,
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    at    REAL NOT NULL,          -- seconds since the epoch, for people; nothing is decided by it
    body  TEXT NOT NULL,          -- JSON
    UNIQUE (run, kind, key)
) STRICT;

CREATE TABLE calls (
    key      TEXT PRIMARY KEY,    -- hash of the model, the prompt and the attempt
    run      TEXT NOT NULL,       -- the run that paid for it
    about    TEXT NOT NULL,       -- JSON: model, kind of prompt, counted tokens
    begun    REAL NOT NULL,
    reply    TEXT,                -- as it came; NULL while in flight, or when the process died in mid-call
    refusal  TEXT,                -- what the model said instead
    usage    TEXT,                -- JSON
    finished REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_run ON calls (run);
