-- What people ask of a run that is at work, or will be. It is recorded when the run takes it, and deleted then.
CREATE TABLE requests (
    id    text COLLATE "C" PRIMARY KEY,  -- sorts by the time of asking
    run   integer NOT NULL,
    body  bytea NOT NULL,          -- JSON
    aside boolean NOT NULL DEFAULT false  -- it is no request
);
CREATE INDEX requests_by_run ON requests (run);
