-- Shared graphs: what the records of runs come to. Everything here can be made again from the journal. The nodes of
-- a graph have the numbers from num << 32 on, so that whatever belongs to one graph is one range.
CREATE TABLE graphs (
    num      INTEGER PRIMARY KEY,
    run      TEXT NOT NULL UNIQUE,
    next     INTEGER NOT NULL,    -- number of the next node, counted from the first
    facts    BLOB NOT NULL,       -- sum of the hashes of all facts: the fingerprint
    findings INTEGER NOT NULL,    -- live ones
    folded   INTEGER NOT NULL,    -- those of them that another stands for
    rejected INTEGER NOT NULL     -- quotes that were not found where they were said to stand
) STRICT;

CREATE TABLE nodes (
    num       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    state     TEXT NOT NULL,      -- live; stub: named by others, not seen yet; gone: rested on removed sources alone
    text      TEXT NOT NULL,
    relevance REAL NOT NULL,      -- of a finding: the highest of its evidence
    more      TEXT,               -- JSON: what the kind has beside a text
    place     BLOB                -- of a finding: where it stands in the tree
) STRICT;
CREATE UNIQUE INDEX nodes_by_id ON nodes (id, num);
CREATE INDEX nodes_by_kind ON nodes (kind, num) WHERE kind <> 'finding';
CREATE INDEX removed_sources ON nodes (num) WHERE kind = 'source' AND state = 'gone';
CREATE INDEX findings_by_relevance ON nodes (num >> 32, relevance) WHERE kind = 'finding' AND state = 'live';

CREATE TABLE evidence (            -- characters start to end of a source, on which a finding rests
    finding   INTEGER NOT NULL,
    source    INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    end       INTEGER NOT NULL,
    relevance REAL NOT NULL,
    PRIMARY KEY (finding, source, start, end)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_by_place ON evidence (source, start, finding);

CREATE TABLE edges (
    source INTEGER NOT NULL,
    kind   INTEGER NOT NULL,       -- see swarm/graph/rows.py
    target INTEGER NOT NULL,
    PRIMARY KEY (source, kind, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX edges_back ON edges (target, kind, source);
CREATE INDEX verdicts ON edges (source) WHERE kind IN (5, 6, 11, 12);

CREATE TABLE alike (               -- findings that may say the same: equal keys in one of a few bands
    band INTEGER NOT NULL,
    rank INTEGER NOT NULL,         -- a hash of the id: who stands for others does not depend on arrival
    num  INTEGER NOT NULL,
    PRIMARY KEY (band, rank, num)
) STRICT, WITHOUT ROWID;

CREATE TABLE slots (               -- findings on one property of one subject, by the time at which they hold
    slot  INTEGER NOT NULL,
    start TEXT NOT NULL,           -- the first day on which it holds; empty where that is not said
    rank  INTEGER NOT NULL,
    num   INTEGER NOT NULL,
    PRIMARY KEY (slot, start, rank, num)
) STRICT, WITHOUT ROWID;
CREATE TABLE disputed (            -- slots with more than one finding: their values may differ; by what they are
    graph INTEGER NOT NULL,
    prose INTEGER NOT NULL,        -- 1: a model has to judge
    slot  INTEGER NOT NULL,
    PRIMARY KEY (graph, prose, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE tree (                -- level 0: the findings in reading order; above: where groups of a level end
    graph INTEGER NOT NULL,
    level INTEGER NOT NULL,
    place BLOB NOT NULL,
    num   INTEGER NOT NULL,
    PRIMARY KEY (graph, level, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE branches (            -- groups that changed or have a summary
    graph   INTEGER NOT NULL,
    level   INTEGER NOT NULL,
    place   BLOB NOT NULL,         -- where the group ends; x'ff' for the last
    fresh   INTEGER NOT NULL,      -- tokens below it that came after its summary
    summary INTEGER,               -- its node
    PRIMARY KEY (graph, level, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX branches_by_summary ON branches (summary) WHERE summary IS NOT NULL;

CREATE VIRTUAL TABLE node_index USING fts5(
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'porter unicode61 remove_diacritics 2'
);
