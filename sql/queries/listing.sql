-- What operators see of jobs. All as ni_operator.

-- name: list_jobs
-- Newest first. Every column, since the documents of the command line are the rows.
SELECT j.*
FROM nodes_import_job AS j
WHERE (%(status)s::text IS NULL OR j.status = %(status)s)
  AND (%(domain_id)s::uuid IS NULL OR j.domain_id = %(domain_id)s)
  AND (%(since)s::timestamptz IS NULL OR j.created_at >= %(since)s)
ORDER BY j.sequence_no DESC
LIMIT %(limit)s;

-- name: show_job
SELECT * FROM nodes_import_job WHERE id = %(job_id)s;

-- name: jobs_closed_by
-- All but the message's bytes, which may have a megabyte a job.
SELECT
    id, domain_id, group_id, kind, node_type, status, attempt, message_topic, message_partition,
    message_offset, total_nodes, processed_nodes, inserted_nodes, updated_nodes, unchanged_nodes,
    duplicate_nodes, rejected_nodes, failed_nodes, rejects_by_code, failure_code, failure_reason,
    source_url, object_version, plan_fingerprint, rejects_url, result_url, started_at, finished_at
FROM nodes_import_job
WHERE partition_key = %(partition_key)s AND dagster_run_id = %(run_id)s
  AND status IN ('COMPLETED', 'FAILED')
ORDER BY sequence_no;

-- name: ended_partitions
-- Those of the partitions whose jobs have all ended before a time, and of the others that have ended
-- the first few. Not one without jobs: a backfill adds its key before it commits.
WITH asked AS (
    SELECT
        partition_key,
        bool_and(job.status IN ('COMPLETED', 'FAILED')) AS ended,
        max(job.finished_at) AS ended_at
    FROM unnest(%(partition_keys)s::text[]) AS partition_key
    JOIN nodes_import_job AS job USING (partition_key)
    GROUP BY partition_key
)
SELECT partition_key
FROM (
    SELECT *, row_number() OVER (ORDER BY ended_at) AS place
    FROM asked
    WHERE ended
) AS over_with
WHERE ended_at < %(before)s OR place <= %(surplus)s
ORDER BY place;
