-- Intake: who may read, how far each partition was read, whose requests they are. As ni_operator.

-- name: try_lock
-- Held by the session, so that it is gone with the connection that is to move the positions.
SELECT pg_try_advisory_lock(%(key)s) AS locked;

-- name: unlock
-- A connection that is closed gives its locks back too, but only some time later.
SELECT pg_advisory_unlock(%(key)s);

-- name: read_positions
SELECT topic_id, partition_no, next_offset
FROM intake_position
WHERE cluster_id = %(cluster_id)s AND topic_id = ANY(%(topic_ids)s);

-- name: start_positions
-- Of partitions that had no position when this tick began.
INSERT INTO intake_position (cluster_id, topic_id, partition_no, topic, next_offset)
SELECT %(cluster_id)s, topic_id, partition_no, topic, next_offset
FROM unnest(
    %(topic_ids)s::text[], %(partition_nos)s::int[], %(topics)s::text[], %(next_offsets)s::bigint[]
) AS start (topic_id, partition_no, topic, next_offset)
ON CONFLICT DO NOTHING
RETURNING partition_no;

-- name: advance_positions
-- Compare and set: a position that somebody else moved since is left alone, and not returned.
UPDATE intake_position AS position
SET next_offset = move.next_offset, updated_at = now()
FROM unnest(
    %(topic_ids)s::text[], %(partition_nos)s::int[], %(expected)s::bigint[],
    %(next_offsets)s::bigint[]
) AS move (topic_id, partition_no, expected, next_offset)
WHERE position.cluster_id = %(cluster_id)s
  AND position.topic_id = move.topic_id
  AND position.partition_no = move.partition_no
  AND position.next_offset = move.expected
RETURNING position.partition_no;

-- name: find_domains
SELECT id, name FROM domain WHERE active AND name = ANY(%(names)s);

-- name: find_groups
-- What requests call a group: an id, or a name. Only of the domains that the topics belong to.
SELECT domain_id, id, name
FROM matching_group
WHERE active
  AND domain_id = ANY(%(domain_ids)s)
  AND (id = ANY(%(ids)s) OR name = ANY(%(names)s));

-- name: find_failed_jobs
SELECT id, domain_id FROM nodes_import_job WHERE id = ANY(%(ids)s) AND status = 'FAILED';

-- name: read_breakers
SELECT
    topic, refused_in_a_row, looks,
    greatest(extract(epoch FROM look_after - now()), 0)::float8 AS rests
FROM intake_breaker;

-- name: write_breakers
INSERT INTO intake_breaker (topic, refused_in_a_row, looks, look_after)
SELECT topic, refused, looks, now() + make_interval(secs => rests)
FROM unnest(
    %(topics)s::text[], %(refused)s::int[], %(looks)s::int[], %(rests)s::float8[]
) AS breaker (topic, refused, looks, rests)
ON CONFLICT (topic) DO UPDATE SET
    refused_in_a_row = EXCLUDED.refused_in_a_row, looks = EXCLUDED.looks,
    look_after = EXCLUDED.look_after;

-- name: forget_breakers
DELETE FROM intake_breaker WHERE topic = ANY(%(topics)s);
