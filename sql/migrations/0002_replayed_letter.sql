-- Which dead letters were replayed. Runs as ni_owner.

-- A letter is known by where it stands in its topic, which is no tenant's: many stand for messages
-- that never became anybody's. As with intake_position, a topic that was deleted and made again has
-- another topic_id. Written when Kafka has confirmed the replay.
CREATE TABLE replayed_letter (
    cluster_id         text NOT NULL,
    topic_id           text NOT NULL,
    partition_no       int NOT NULL,
    offset_no          bigint NOT NULL,
    topic              text NOT NULL,
    times              int NOT NULL DEFAULT 1,
    first_replayed_at  timestamptz NOT NULL DEFAULT now(),
    last_replayed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, topic_id, partition_no, offset_no)
);
COMMENT ON COLUMN replayed_letter.times IS 'more than one only where a replay was forced';

GRANT SELECT, INSERT, UPDATE, DELETE ON replayed_letter TO ni_operator;
