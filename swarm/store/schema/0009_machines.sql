-- Which machines work for this store: each tells every few seconds that it lives. Nothing of a run hangs on it.
CREATE TABLE machines (
    id    TEXT PRIMARY KEY,
    host  TEXT NOT NULL,
    first REAL NOT NULL,           -- seconds since the epoch, by the store's clock
    seen  REAL NOT NULL,           -- when it last said something, likewise
    asked INTEGER NOT NULL,        -- 1: somebody asked it to drain
    body  TEXT NOT NULL            -- JSON
) STRICT, WITHOUT ROWID;
