-- When each try of a call was sent: the call itself tells that of its last one alone.
ALTER TABLE outcomes ADD COLUMN begun REAL;                       -- seconds since the epoch; NULL: not noted
