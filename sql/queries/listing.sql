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

-- name: loaded_nodes
-- How far jobs that are being loaded have come: good rows of the slices of this attempt's version.
SELECT
    l.job_id,
    sum(l.inserted_nodes + l.updated_nodes + l.unchanged_nodes + l.duplicate_nodes)::bigint
        AS loaded_nodes
FROM import_ledger AS l
JOIN nodes_import_job AS j
  ON j.id = l.job_id
 AND l.object_version = coalesce(j.object_version, l.object_version)
 AND l.plan_fingerprint = coalesce(j.plan_fingerprint, l.plan_fingerprint)
WHERE l.job_id = ANY(%(job_ids)s)
GROUP BY l.job_id;
