-- Which machines work for this store: each tells every few seconds that it lives. Nothing of a run hangs on it.
CREATE TABLE machines (
    id    text COLLATE "C" PRIMARY KEY,
    host  text COLLATE "C" NOT NULL,
    first timestamptz NOT NULL,    -- by the server's clock
    seen  timestamptz NOT NULL,    -- when it last said something, likewise
    asked boolean NOT NULL,        -- somebody asked it to drain
    body  bytea NOT NULL           -- JSON
) WITH (fillfactor = 50);          -- each row is written anew every few seconds, in its own page
