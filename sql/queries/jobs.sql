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
    %(node_types)s::text[], %(reference_counts)s::int[], %(requests)b::jsonb[],
    %(traceparents)s::text[], %(clusters)s::text[], %(topics)s::text[], %(partitions)s::int[],
    %(offsets)s::bigint[], %(timestamps)s::bigint[], %(keys)b::bytea[], %(values)b::bytea[],
    %(headers)b::bytea[]
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
    status = 'PENDING', not_before = now(), died_runs = 0,
    dispatched_at = CASE WHEN %(handed_over)s AND partition_key IS NOT NULL THEN now() END,
    dispatch_no = dispatch_no + %(handed_over)s::bool::int,
    failure_code = NULL, failure_reason = NULL, finished_at = NULL, updated_at = now()
WHERE id = %(job_id)s AND domain_id = %(domain_id)s AND status = 'FAILED'
RETURNING id;

-- name: jobs_of_partition
SELECT :job_columns FROM nodes_import_job WHERE partition_key = %(partition_key)s
ORDER BY sequence_no;

-- name: running_jobs
SELECT id FROM nodes_import_job WHERE status = 'RUNNING';

-- name: earlier_file
-- The first file import of the job's group that waits and arrived before it.
SELECT earlier.id
FROM nodes_import_job AS earlier
JOIN nodes_import_job AS job USING (domain_id, group_id)
WHERE job.id = %(job_id)s
  AND earlier.kind = 'file' AND earlier.status = 'PENDING'
  AND earlier.sequence_no < job.sequence_no
ORDER BY earlier.sequence_no
LIMIT 1;

-- name: later_file_at_work
-- A file import of the job's group that arrived after it and is being loaded.
SELECT later.id
FROM nodes_import_job AS later
JOIN nodes_import_job AS job USING (domain_id, group_id)
WHERE job.id = %(job_id)s
  AND later.kind = 'file' AND later.status = 'RUNNING'
  AND later.sequence_no > job.sequence_no;

-- name: lock_partition
-- In id order, so that two who lock several jobs never wait for each other.
SELECT :job_columns FROM nodes_import_job WHERE partition_key = %(partition_key)s
ORDER BY id
FOR NO KEY UPDATE;

-- name: lock_job
SELECT :job_columns FROM nodes_import_job WHERE id = %(job_id)s FOR NO KEY UPDATE;

-- name: claim_jobs
-- The rows are locked, and it was decided that the run may have them. A FAILED one is executed
-- again from the UI: as a reopened one it may lose as many runs as a new one.
UPDATE nodes_import_job SET
    died_runs = CASE WHEN status = 'FAILED' THEN 0 ELSE died_runs END,
    status = 'RUNNING', attempt = attempt + 1, dagster_run_id = %(run_id)s,
    started_at = now(), finished_at = NULL, updated_at = now(),
    failure_code = NULL, failure_reason = NULL, rejects_url = NULL, result_url = NULL,
    source_url = NULL, object_version = NULL, plan_fingerprint = NULL,
    total_nodes = 0, processed_nodes = 0, rejects_by_code = '{}',
    inserted_nodes = 0, updated_nodes = 0, unchanged_nodes = 0, duplicate_nodes = 0,
    rejected_nodes = 0, failed_nodes = 0
WHERE id = ANY(%(job_ids)s)
RETURNING :job_columns;

-- name: hand_back
-- A run that may not have the job yet is no run that died: let dispatch look at it again.
UPDATE nodes_import_job SET dispatched_at = NULL, updated_at = now()
WHERE id = %(job_id)s AND status = 'PENDING';

-- name: release_jobs
-- The run gives back what it holds, because its worker is told to stop. Its jobs are due at once, and
-- it is no run that died. In id order, as claims lock.
WITH held AS (
    SELECT id FROM nodes_import_job
    WHERE dagster_run_id = %(run_id)s AND status = 'RUNNING'
    ORDER BY id
    FOR NO KEY UPDATE
)
UPDATE nodes_import_job AS job SET
    status = 'PENDING', dispatched_at = NULL, not_before = now(), updated_at = now()
FROM held
WHERE job.id = held.id
RETURNING job.id;

-- name: fence_slice
-- As ni_importer, in the tenant's transaction, and last: held longer it would block claim and close.
SELECT FROM nodes_import_job
WHERE id = %(job_id)s AND status = 'RUNNING'
  AND dagster_run_id = %(run_id)s AND attempt = %(attempt)s
FOR SHARE;

-- name: beat
INSERT INTO run_heartbeat (dagster_run_id, beaten_at) VALUES (%(run_id)s, clock_timestamp())
ON CONFLICT (dagster_run_id) DO UPDATE SET beaten_at = EXCLUDED.beaten_at;

-- name: begin_attempt
-- Of a job that is closed at once, in this transaction. Not by way of RUNNING: another file of the
-- group may be running, and the index lets one.
UPDATE nodes_import_job SET attempt = attempt + 1, started_at = now()
WHERE id = %(job_id)s AND status = 'PENDING'
RETURNING :job_columns;

-- name: close_job
-- The row is locked, and it was seen that the claim holds.
UPDATE nodes_import_job SET
    status = %(status)s, failure_code = %(failure_code)s, failure_reason = %(failure_reason)s,
    total_nodes = %(total)s, processed_nodes = %(processed)s,
    inserted_nodes = %(inserted)s, updated_nodes = %(updated)s, unchanged_nodes = %(unchanged)s,
    duplicate_nodes = %(duplicate)s, rejected_nodes = %(rejected)s, failed_nodes = %(failed)s,
    rejects_by_code = %(rejects_by_code)s,
    source_url = %(source_url)s, object_version = %(object_version)s,
    plan_fingerprint = %(plan_fingerprint)s, rejects_url = %(rejects_url)s,
    result_url = %(result_url)s, finished_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE id = %(job_id)s AND status IN ('PENDING', 'RUNNING')
RETURNING :job_columns;

-- name: add_status_event
INSERT INTO job_status_event (
    id, job_id, domain_id, attempt, status, processed, total, success_list, failed_list, details
)
SELECT
    %(id)s, id, domain_id, attempt, status, processed_nodes, total_nodes,
    %(success_list)s, %(failed_list)s, %(details)s
FROM nodes_import_job WHERE id = %(job_id)s;

-- name: add_dead_letter
-- A letter that comes back keeps the time of its first failure.
INSERT INTO job_dead_letter (
    id, job_id, domain_id, attempt, error_code, error_message, first_failed_at
)
SELECT
    %(id)s, id, domain_id, attempt, failure_code, failure_reason,
    coalesce(
        (SELECT min(first_failed_at) FROM job_dead_letter WHERE job_id = %(job_id)s), finished_at
    )
FROM nodes_import_job WHERE id = %(job_id)s;
