-- The journal. Keys, bodies and replies are UTF-8 in BYTEA: TEXT takes no NUL, and no half of a surrogate pair.
CREATE TABLE version (
    taken integer NOT NULL         -- steps of the schema
);
INSERT INTO version VALUES (0);

CREATE TABLE runs (
    num   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id    text COLLATE "C" NOT NULL UNIQUE,
    epoch bigint NOT NULL DEFAULT 0  -- how often it was taken: who held it before sees that another did since
);

CREATE TABLE records (
    seq  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at   double precision NOT NULL,  -- seconds since the epoch, for people; nothing is decided by it
    run  integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key  bytea NOT NULL,
    body bytea NOT NULL,           -- JSON
    UNIQUE (run, kind, key)
);

CREATE TABLE calls (
    seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tokens   bigint NOT NULL,      -- the most that the call can come to
    cost_usd double precision NOT NULL,
    begun    double precision NOT NULL,
    run      integer NOT NULL,     -- the run that sends it
    tries    integer NOT NULL,     -- how often it was about to be sent; model, tokens and cost are of the last time
    key      bytea NOT NULL,       -- hash of the model, the prompt and the attempt
    model    text NOT NULL,
    kind     text NOT NULL,        -- of prompt
    UNIQUE (key, run)
);
CREATE INDEX calls_by_run ON calls (run);

CREATE TABLE outcomes (
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    call          bigint NOT NULL,
    mark          bigint,          -- names a failure, so that one that is written again is not counted again
    calls         bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    cost_usd      double precision NOT NULL,
    at            double precision NOT NULL,
    run           integer NOT NULL,  -- the run that paid
    try           integer NOT NULL,  -- of the call: one without an outcome is under way, or lost
    reply         bytea,           -- as it came; NULL where the call failed
    refusal       bytea,           -- what the model said instead
    failure       bytea            -- why there is no reply
);
CREATE UNIQUE INDEX replies ON outcomes (call) WHERE reply IS NOT NULL;
CREATE UNIQUE INDEX failures ON outcomes (call, mark) WHERE reply IS NULL;
CREATE INDEX outcomes_by_run ON outcomes (run);
