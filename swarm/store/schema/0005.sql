-- Indexes in this file (swarm/index/sqlite.py): entries of spaces, each with words and, where texts are embedded,
-- a vector. The entries of a space have the numbers from num << 32 on, so that whatever belongs to one is one range.
-- The counts and the words follow from the entries.
CREATE TABLE index_spaces (
    num       INTEGER PRIMARY KEY,
    name      BLOB NOT NULL UNIQUE, -- UTF-8; as BLOB it may hold half of a surrogate pair
    next      INTEGER NOT NULL,     -- number of the next entry, counted from the first
    entries   INTEGER NOT NULL,
    chars     INTEGER NOT NULL,     -- of all texts
    embedding TEXT                  -- what made its vectors: they compare to no others
) STRICT;

CREATE TABLE index_entries (
    num     INTEGER PRIMARY KEY,
    id      BLOB NOT NULL,          -- UTF-8, as the name of a space
    text    TEXT NOT NULL,          -- as it was indexed: blanks around each Chinese character
    context TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX index_entries_by_id ON index_entries (id, num);

CREATE TABLE index_vectors (
    num    INTEGER PRIMARY KEY,     -- of the entry
    vector BLOB NOT NULL            -- 32-bit floats
) STRICT;

CREATE VIRTUAL TABLE index_words USING fts5(
    text, context, content = 'index_entries', content_rowid = 'num', detail = none,
    tokenize = 'porter unicode61 remove_diacritics 2'
);
INSERT INTO index_words (index_words, rank) VALUES ('secure-delete', 1); -- what is removed leaves no words behind

CREATE TRIGGER index_entry_added AFTER INSERT ON index_entries BEGIN
    INSERT INTO index_words (rowid, text, context) VALUES (new.num, new.text, new.context);
    UPDATE index_spaces SET entries = entries + 1, chars = chars + length(new.text) WHERE num = new.num >> 32;
END;
CREATE TRIGGER index_entry_removed AFTER DELETE ON index_entries BEGIN
    INSERT INTO index_words (index_words, rowid, text, context)
        VALUES ('delete', old.num, old.text, old.context);
    DELETE FROM index_vectors WHERE num = old.num;
    UPDATE index_spaces SET entries = entries - 1, chars = chars - length(old.text) WHERE num = old.num >> 32;
END;

-- Which sources of the library an index holds, so that a run adds only what is new (swarm/coordinator/indexed.py).
CREATE TABLE indexed (
    held   TEXT NOT NULL,           -- the index and the space
    source TEXT NOT NULL,
    PRIMARY KEY (held, source)
) STRICT, WITHOUT ROWID;

-- Vectors of texts (swarm/index/embeddings.py), so that no text is paid for twice.
CREATE TABLE embeddings (
    key    BLOB PRIMARY KEY,        -- hash of what makes the vector and of the text
    vector BLOB NOT NULL            -- 32-bit floats
) STRICT;

-- A source that is forgotten is taken out of the spaces that runs made of it.
CREATE TRIGGER source_forgotten AFTER DELETE ON sources WHEN old.complete = 0 BEGIN
    DELETE FROM index_entries
        WHERE id >= CAST(old.id || ':' AS BLOB) AND id < CAST(old.id || ';' AS BLOB);
    DELETE FROM indexed WHERE source = old.id;
END;
