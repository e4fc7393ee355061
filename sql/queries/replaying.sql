-- Which dead letters were replayed. All as ni_operator.

-- name: try_turn
-- One replay at a time: two would each find the same letters not replayed yet. Held by the session.
SELECT pg_try_advisory_lock(%(key)s) AS mine;

-- name: marks
SELECT topic_id, partition_no, offset_no
FROM replayed_letter
WHERE cluster_id = %(cluster_id)s AND topic_id = ANY(%(topic_ids)s);

-- name: mark
INSERT INTO replayed_letter (cluster_id, topic_id, partition_no, offset_no, topic)
SELECT %(cluster_id)s, topic_id, partition_no, offset_no, topic
FROM unnest(
    %(topic_ids)s::text[], %(partition_nos)s::int[], %(offsets)s::bigint[], %(topics)s::text[]
) AS letter (topic_id, partition_no, offset_no, topic)
ON CONFLICT (cluster_id, topic_id, partition_no, offset_no) DO UPDATE SET
    times = replayed_letter.times + 1, last_replayed_at = now();
