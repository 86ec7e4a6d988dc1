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

-- Library: the text of sources, kept once by the hash of their content. A source is written in one go or in
-- batches; until it is complete nothing reads it, and the next intake clears it away.
CREATE TABLE sources (
    num      INTEGER PRIMARY KEY,  -- short name, in the store alone
    id       TEXT NOT NULL,        -- hash of the bytes, the media and the reader's version
    media    TEXT NOT NULL,
    places   TEXT NOT NULL,        -- how a span leads back to the original: lines, line marks, page marks, none
    chars    INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    first    INTEGER NOT NULL,     -- its passages have the ids first to last, in the order of the text
    last     INTEGER NOT NULL,
    lengths  BLOB NOT NULL,        -- the tokens of each passage, as 32-bit numbers
    complete INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sources_by_id ON sources (id) WHERE complete = 1;

CREATE TABLE blocks (              -- the text, cut between passages
    id     INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    start  INTEGER NOT NULL,       -- in characters
    line   INTEGER NOT NULL,       -- the 1-based line of its first character, where lines are counted
    text   TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX blocks_by_place ON blocks (source, start);

CREATE TABLE marks (               -- from this character on, the original is at this line or page
    source INTEGER NOT NULL,
    start  INTEGER NOT NULL,
    place  INTEGER NOT NULL,
    PRIMARY KEY (source, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE passages (
    id      INTEGER PRIMARY KEY,
    source  INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    end     INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    cut     INTEGER NOT NULL,
    context TEXT NOT NULL,         -- headings or the header of a table; the title is the path's
    records BLOB                   -- where further records begin inside it, as 32-bit offsets from its start
) STRICT;
CREATE INDEX passages_by_place ON passages (source, start);

CREATE VIRTUAL TABLE passage_index USING fts5(
    text, context, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE passage_terms USING fts5vocab('passage_index', 'instance');

CREATE TABLE files (               -- what was found at a path, so that an unchanged file is not opened again
    path     TEXT PRIMARY KEY,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    reader   INTEGER NOT NULL,
    content  BLOB NOT NULL,        -- hash of the bytes
    source   TEXT,                 -- what they come to; NULL where the file was skipped
    skip     TEXT                  -- and why
) STRICT, WITHOUT ROWID;

-- How a corpus was cut into slices for a budget; made again when it is not here.
CREATE TABLE cuts (
    key    TEXT PRIMARY KEY,
    slices TEXT NOT NULL          -- JSON: spans by the place of their source in the corpus, and tokens
) STRICT, WITHOUT ROWID;
