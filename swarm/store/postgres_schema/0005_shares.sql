-- What machines share the limits of a run and the rates of a model by (swarm/store/shares.py).
CREATE TABLE shares (
    name  text COLLATE "C" PRIMARY KEY,
    state bytea NOT NULL DEFAULT '{}'  -- JSON
) WITH (fillfactor = 50);

-- What each run has paid for: the sums of its outcomes, kept up by whoever writes those. In several rows a run, so
-- that writers on different connections need not wait for one another.
CREATE TABLE spent (
    calls         bigint NOT NULL,
    input_tokens  bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL,
    units         bigint NOT NULL,     -- millionths of a millionth of a dollar
    run           integer NOT NULL REFERENCES runs (num) ON DELETE CASCADE,
    part          integer NOT NULL,
    PRIMARY KEY (run, part)
) WITH (fillfactor = 50);

INSERT INTO spent
    SELECT sum(calls), sum(input_tokens), sum(output_tokens), sum(cached_tokens),
           sum(round(cost_usd * 1e12)::bigint), run, 0
    FROM outcomes WHERE run IN (SELECT num FROM runs) GROUP BY run;

CREATE FUNCTION count_spent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO swarm.spent AS sums
        SELECT sum(calls), sum(input_tokens), sum(output_tokens), sum(cached_tokens),
               sum(round(cost_usd * 1e12)::bigint), run, pg_backend_pid() % 64
        FROM added GROUP BY run ORDER BY run
    ON CONFLICT (run, part) DO UPDATE SET
        calls = sums.calls + excluded.calls,
        input_tokens = sums.input_tokens + excluded.input_tokens,
        output_tokens = sums.output_tokens + excluded.output_tokens,
        cached_tokens = sums.cached_tokens + excluded.cached_tokens,
        units = sums.units + excluded.units;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_spent AFTER INSERT ON outcomes
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_spent();
