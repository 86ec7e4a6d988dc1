-- The runs that the process which has this file open for writing is at; of one that died nothing here counts.
CREATE TABLE at_work (
    run TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
