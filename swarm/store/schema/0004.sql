-- Memories of conversations: what the records of a memory come to. Everything here can be made again from the
-- journal. Whatever belongs to one memory has the numbers from num << 32 on; the text of its messages is in the
-- library, where its sources and passages have those numbers above 1 << 56.
CREATE TABLE memories (
    num       INTEGER PRIMARY KEY,
    run       TEXT NOT NULL UNIQUE,  -- what it is called in the journal
    messages  INTEGER NOT NULL,      -- the place of the last message
    stretches INTEGER NOT NULL,      -- the number of the last stretch
    facts     INTEGER NOT NULL,      -- the number of the last fact
    episodes  INTEGER NOT NULL,      -- the number of the last episode
    tokens    INTEGER NOT NULL,      -- of all messages
    read      INTEGER NOT NULL,      -- of those that a language model has read
    frontier  INTEGER NOT NULL,      -- messages up to this place were read
    told      INTEGER NOT NULL,      -- messages up to this place are told by episodes, or are too few for one
    records   INTEGER NOT NULL,      -- how many records of the journal are in these tables, and how often some were
                                     -- erased, times 1 << 40
    indexed   INTEGER NOT NULL,      -- stretches up to this one are in an index of somebody else's
    latest    TEXT NOT NULL,         -- the latest time at which something was said, as it sorts
    handed    BLOB NOT NULL          -- hash of the last list that held something new: the same is known at once
) STRICT;

CREATE TABLE messages (
    num    INTEGER PRIMARY KEY,      -- the place, from 1
    id     TEXT NOT NULL,
    digest BLOB NOT NULL,            -- of role, name, time and text
    role   TEXT NOT NULL,
    name   TEXT NOT NULL,
    at     TEXT NOT NULL,            -- as it was said
    moment TEXT NOT NULL,            -- as it sorts
    chars  INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    first  INTEGER NOT NULL,         -- its stretches, both included
    last   INTEGER NOT NULL,
    state  TEXT NOT NULL             -- live, or forgotten: then nothing but the id, the digest and the role is left
) STRICT;
CREATE INDEX messages_by_id ON messages (id, num);
CREATE INDEX messages_by_digest ON messages (digest, num);

CREATE VIRTUAL TABLE memory_index USING fts5(
    text, who, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);                                   -- of stretches, which are the passages of the library

CREATE TABLE facts (
    num       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL,
    slot      INTEGER,               -- hash of the memory, the subject and the attribute, and of the value
                                     -- where there may be several; NULL: a sentence alone
    now       INTEGER NOT NULL,      -- 1: holds; 0: a later one of its slot does, or it was retired, or is a double
    state     TEXT NOT NULL,         -- live, retired, same: said by another one as well
    subject   TEXT NOT NULL,
    attribute TEXT NOT NULL,
    value     TEXT NOT NULL,
    text      TEXT NOT NULL,
    at        TEXT NOT NULL,         -- when it holds from, as it is shown
    moment    TEXT NOT NULL,         -- as it sorts
    message   INTEGER NOT NULL,      -- the place of the message that it rests on; 0: said by hand
    start     INTEGER NOT NULL,      -- characters in it
    end       INTEGER NOT NULL,
    origin    TEXT NOT NULL,         -- who found it: words, reader, hand
    reason    TEXT NOT NULL          -- why it was retired
) STRICT;
CREATE INDEX facts_by_id ON facts (id, num);
CREATE INDEX facts_by_slot ON facts (slot, moment, message, num) WHERE slot IS NOT NULL;
CREATE INDEX facts_by_message ON facts (message, num);
CREATE INDEX facts_listed ON facts (num) WHERE now = 1;
CREATE INDEX facts_now ON facts (slot, num) WHERE now = 1;

CREATE VIRTUAL TABLE fact_index USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);                                   -- of facts that hold now

CREATE TABLE memory_blocks (
    memory      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    text        TEXT NOT NULL,
    limit_tokens INTEGER NOT NULL,
    pinned      INTEGER NOT NULL,
    description TEXT NOT NULL,
    version     INTEGER NOT NULL,    -- how often it was written
    at          REAL NOT NULL,       -- when, in seconds since the epoch
    PRIMARY KEY (memory, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE readings (              -- stretches of a conversation that a reader has read, by any memory
    key    TEXT NOT NULL,            -- of the reader and the first message that was read
    memory INTEGER NOT NULL,
    first  INTEGER NOT NULL,         -- places, both included
    last   INTEGER NOT NULL,
    chain  TEXT NOT NULL,            -- hash of the ids of all messages that were read
    run    TEXT NOT NULL,
    PRIMARY KEY (memory, first)
) STRICT, WITHOUT ROWID;
CREATE INDEX readings_by_key ON readings (key);

CREATE TABLE episodes (              -- what stands for a stretch of old messages
    num    INTEGER PRIMARY KEY,
    id     TEXT NOT NULL,
    first  INTEGER NOT NULL,         -- places of messages, both included
    last   INTEGER NOT NULL,
    text   TEXT NOT NULL,
    more   TEXT NOT NULL             -- JSON: its sentences, each with the ids of the messages that it rests on
) STRICT;
CREATE INDEX episodes_by_place ON episodes (first);
CREATE VIRTUAL TABLE episode_index USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'porter unicode61 remove_diacritics 2'
);

CREATE INDEX half_written ON sources (num) WHERE complete = 0;
