-- Who asked for a call, and what it had to fit: what a run costs can be told by slice, and how full windows were.
ALTER TABLE calls ADD COLUMN asker bytea NOT NULL DEFAULT '';          -- the id of a slice, or a part of the coordinator
ALTER TABLE calls ADD COLUMN room bigint NOT NULL DEFAULT 0;           -- the window of the model, in tokens; 0: not noted

-- When each try of a call was sent: the call itself tells that of its last one alone.
ALTER TABLE outcomes ADD COLUMN begun double precision;               -- seconds since the epoch; NULL: not noted
