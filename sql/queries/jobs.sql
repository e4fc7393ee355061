-- The job table: what comes in, what is claimed, what is read. All but `fence_slice` as ni_operator.
--
-- Rows are locked FOR NO KEY UPDATE, never FOR UPDATE: a slice's ledger row holds FOR KEY SHARE on
-- its job (a foreign key) until the slice commits, and nothing here may wait for that.

-- name: add_jobs
-- Arrival order becomes sequence_no: PostgreSQL numbers the rows after ORDER BY.
INSERT INTO nodes_import_job (
    id, domain_id, group_id, kind, node_type, reference_count, request, traceparent,
    message_cluster, message_topic, message_partition, message_offset, message_timestamp,
    message_key, message_value, message_headers
)
SELECT
    id, domain_id, group_id, kind, node_type, reference_count, request, traceparent,
    cluster, topic, partition_no, offset_no, timestamp_ms,
    key_bytes, value_bytes, header_bytes
FROM unnest(
    %(ids)s::uuid[], %(domain_ids)s::uuid[], %(group_ids)s::uuid[], %(kinds)s::text[],
    %(node_types)s::text[], %(reference_counts)s::int[], %(requests)s::jsonb[],
    %(traceparents)s::text[], %(clusters)s::text[], %(topics)s::text[], %(partitions)s::int[],
    %(offsets)s::bigint[], %(timestamps)s::bigint[], %(keys)s::bytea[], %(values)s::bytea[],
    %(headers)s::bytea[]
) WITH ORDINALITY AS new_job (
    id, domain_id, group_id, kind, node_type, reference_count, request, traceparent,
    cluster, topic, partition_no, offset_no, timestamp_ms, key_bytes, value_bytes, header_bytes,
    place
)
ORDER BY place
ON CONFLICT DO NOTHING
RETURNING id;

-- name: reopen_job
UPDATE nodes_import_job SET
    status = 'PENDING', not_before = now(), dispatched_at = NULL, died_runs = 0,
    failure_code = NULL, failure_reason = NULL, finished_at = NULL, updated_at = now()
WHERE id = %(job_id)s AND domain_id = %(domain_id)s AND status = 'FAILED'
RETURNING id;
