-- Dispatch: the job table as the queue of Dagster's runs. All as ni_operator.

-- name: begin_dispatch
-- Ticks overlap; while one dispatches, another leaves it alone. Compiling a query here takes longer
-- than running it.
SELECT
    pg_try_advisory_xact_lock(hashtext('node_import dispatch')) AS mine,
    set_config('jit', 'off', true) AS jit;

-- name: handed_over
-- Jobs that a run was asked for and that no live run is known to look after.
SELECT
    partition_key, partition_key || ':' || max(dispatch_no) AS run_key,
    max(dispatched_at) AS dispatched_at
FROM nodes_import_job
WHERE status = 'PENDING' AND dispatched_at IS NOT NULL
  AND partition_key <> ALL(%(live)s)
GROUP BY partition_key;

-- name: may_be_an_outage
-- A file waits, and the last one that ended did so because the object store was away.
SELECT last.failure_code = 'OBJECT_STORE_UNAVAILABLE' AS suspected
FROM (
    SELECT failure_code
    FROM nodes_import_job
    WHERE kind = 'file' AND status IN ('COMPLETED', 'FAILED')
    ORDER BY finished_at DESC
    LIMIT 1
) AS last
WHERE EXISTS (
    SELECT FROM nodes_import_job
    WHERE kind = 'file' AND status = 'PENDING' AND not_before <= now()
);

-- name: lock_handed_over
SELECT
    :job_columns,
    dispatched_at < now() - make_interval(secs => %(grace)s) AS overdue
FROM nodes_import_job
WHERE status = 'PENDING' AND dispatched_at IS NOT NULL
  AND partition_key <> ALL(%(live)s)
ORDER BY id
FOR NO KEY UPDATE;

-- name: forget_dispatch
UPDATE nodes_import_job SET dispatched_at = NULL, updated_at = now()
WHERE id = ANY(%(job_ids)s);

-- name: put_back
-- The run of this job ended without it: it is due again after a while.
UPDATE nodes_import_job SET
    status = 'PENDING', dispatched_at = NULL, died_runs = %(died_runs)s, updated_at = now(),
    not_before = now() + make_interval(secs => %(backoff)s)
WHERE id = %(job_id)s AND status IN ('PENDING', 'RUNNING');

-- name: running_partitions
SELECT DISTINCT partition_key
FROM nodes_import_job
WHERE status = 'RUNNING' AND partition_key IS NOT NULL;

-- name: turns
SELECT
    domain.id AS domain_id,
    extract(epoch FROM domain.served_at)::float8 AS served,
    count(DISTINCT job.partition_key) AS runs
FROM domain
LEFT JOIN nodes_import_job AS job
    ON job.domain_id = domain.id AND job.partition_key = ANY(%(busy)s)
WHERE domain.id = ANY(%(domain_ids)s)
GROUP BY domain.id;

-- name: due_files
-- The first waiting file of each group, if it is due and none of the group is in flight; a FAILED
-- one whose partition is live is being executed again.
WITH busy_group AS (
    SELECT DISTINCT domain_id, group_id
    FROM nodes_import_job
    WHERE partition_key = ANY(%(busy)s) AND kind = 'file' AND status <> 'COMPLETED'
)
SELECT
    job.id, job.domain_id, job.group_id, job.kind, job.sequence_no, job.reference_count,
    job.partition_key
FROM matching_group
CROSS JOIN LATERAL (
    SELECT *
    FROM nodes_import_job
    WHERE domain_id = matching_group.domain_id AND group_id = matching_group.id
      AND status = 'PENDING' AND kind = 'file'
    ORDER BY sequence_no
    LIMIT 1
) AS job
WHERE job.not_before <= now()
  AND (job.partition_key IS NULL OR job.partition_key <> ALL(%(busy)s))
  AND (job.domain_id, job.group_id) NOT IN (SELECT domain_id, group_id FROM busy_group);

-- name: due_references
-- The first waiting lists of each tenant, no more than could go now.
SELECT job.*
FROM domain
CROSS JOIN LATERAL (
    SELECT id, domain_id, group_id, kind, sequence_no, reference_count, partition_key
    FROM nodes_import_job
    WHERE domain_id = domain.id AND kind = 'references' AND status = 'PENDING'
      AND not_before <= now()
      AND (partition_key IS NULL OR partition_key <> ALL(%(busy)s))
    ORDER BY sequence_no
    LIMIT %(most)s
) AS job;

-- name: dispatch_partition
-- Whatever of the partition is PENDING goes, under a number that no run of it has had. In id
-- order, as claims lock.
WITH locked AS (
    SELECT id
    FROM nodes_import_job
    WHERE status = 'PENDING' AND (id = ANY(%(job_ids)s) OR partition_key = %(partition_key)s)
    ORDER BY id
    FOR NO KEY UPDATE
), last_dispatch AS (
    SELECT coalesce(max(dispatch_no), 0) AS number
    FROM nodes_import_job
    WHERE partition_key = %(partition_key)s
), dispatched AS (
    UPDATE nodes_import_job AS job SET
        partition_key = %(partition_key)s, dispatch_no = last_dispatch.number + 1,
        dispatched_at = clock_timestamp(), updated_at = now()
    FROM locked, last_dispatch
    WHERE job.id = locked.id
    RETURNING job.*
)
SELECT
    dispatched.id AS job_id, dispatched.dispatch_no, dispatched.kind, dispatched.message_topic,
    domain.name AS domain_name, matching_group.name AS group_name
FROM dispatched
JOIN domain ON domain.id = dispatched.domain_id
JOIN matching_group ON matching_group.id = dispatched.group_id
ORDER BY dispatched.sequence_no;

-- name: serve
UPDATE domain SET served_at = clock_timestamp() WHERE id = %(domain_id)s;
