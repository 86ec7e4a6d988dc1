-- Runs get numbers; a call is begun by each run that sends it, and what became of each try is appended and never
-- changed; worst cases are kept with them.
CREATE TABLE runs (
    num INTEGER PRIMARY KEY,
    id  TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO runs (id) SELECT run FROM records GROUP BY run ORDER BY min(seq);
INSERT OR IGNORE INTO runs (id) SELECT DISTINCT run FROM calls;

ALTER TABLE records RENAME TO old_records;
ALTER TABLE calls RENAME TO old_calls;
DROP INDEX calls_by_run;

CREATE TABLE records (
    seq  INTEGER PRIMARY KEY,
    run  INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key  TEXT NOT NULL,
    at   REAL NOT NULL,           -- seconds since the epoch, for people; nothing is decided by it
    body TEXT NOT NULL,           -- JSON
    UNIQUE (run, kind, key)
) STRICT;
INSERT INTO records (seq, run, kind, key, at, body)
    SELECT seq, runs.num, kind, CASE kind WHEN 'answer' THEN '0:' || key ELSE key END, at, body
    FROM old_records JOIN runs ON runs.id = old_records.run ORDER BY seq;

CREATE TABLE calls (
    seq      INTEGER PRIMARY KEY,
    key      BLOB NOT NULL,        -- hash of the model, the prompt and the attempt
    run      INTEGER NOT NULL,     -- the run that sends it
    tries    INTEGER NOT NULL,     -- how often it was about to be sent; what follows is of the last time
    model    TEXT NOT NULL,
    kind     TEXT NOT NULL,        -- of prompt
    tokens   INTEGER NOT NULL,     -- the most that the call can come to
    cost_usd REAL NOT NULL,
    begun    REAL NOT NULL,
    UNIQUE (key, run)
) STRICT;
INSERT INTO calls (key, run, tries, model, kind, tokens, cost_usd, begun)
    SELECT unhex(key), runs.num, 1, about ->> 'model', about ->> 'kind', about ->> 'tokens', 0.0, begun
    FROM old_calls JOIN runs ON runs.id = old_calls.run ORDER BY begun;

CREATE TABLE outcomes (
    seq           INTEGER PRIMARY KEY,
    call          INTEGER NOT NULL,
    try           INTEGER NOT NULL, -- of the call: one without an outcome is under way, or lost
    run           INTEGER NOT NULL, -- the run that paid
    reply         TEXT,             -- as it came; NULL where the call failed
    refusal       TEXT,             -- what the model said instead
    failure       TEXT,             -- why there is no reply
    calls         INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_usd      REAL NOT NULL,
    at            REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX replies ON outcomes (call) WHERE reply IS NOT NULL;
CREATE INDEX failures ON outcomes (call, try) WHERE reply IS NULL;
CREATE INDEX spent ON outcomes (run, seq, calls, input_tokens, output_tokens, cached_tokens, cost_usd);
INSERT INTO outcomes (call, try, run, reply, refusal, calls, input_tokens, output_tokens, cached_tokens, cost_usd, at)
    SELECT calls.seq, 1, calls.run, reply, refusal, usage ->> 'calls', usage ->> 'input_tokens',
        usage ->> 'output_tokens', usage ->> 'cached_tokens', usage ->> 'cost_usd', finished
    FROM old_calls JOIN calls ON calls.key = unhex(old_calls.key) WHERE reply IS NOT NULL;

DROP TABLE old_records;
DROP TABLE old_calls;
