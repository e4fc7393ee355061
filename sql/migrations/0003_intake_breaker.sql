-- When reading a topic stops because nearly all of it is refused. Runs as ni_owner.

-- Only of topics whose last messages were refused for something that an operator may mend: an
-- unknown domain or group. A topic belongs to no tenant until its domain is known.
CREATE TABLE intake_breaker (
    topic             text PRIMARY KEY,
    refused_in_a_row  int NOT NULL,
    looks             int NOT NULL DEFAULT 0,
    look_after        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN intake_breaker.looks IS 'at a few messages each, since reading has stopped';

GRANT SELECT, INSERT, UPDATE, DELETE ON intake_breaker TO ni_operator;
