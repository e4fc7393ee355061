-- Jobs that somebody wants to run again. All as ni_operator.

-- name: failed_jobs
-- FAILED jobs, in order of arrival; each with the newest COMPLETED file import of its group if that
-- arrived later, which an old file must not overwrite.
SELECT job.id, job.domain_id, job.status, job.partition_key, newer.id AS superseded_by
FROM nodes_import_job AS job
LEFT JOIN LATERAL (:superseding) AS newer ON true
WHERE job.status = 'FAILED'
  AND (%(domain_id)s::uuid IS NULL OR job.domain_id = %(domain_id)s)
  AND (%(since)s::timestamptz IS NULL OR job.finished_at >= %(since)s)
  AND (%(codes)s::text[] IS NULL OR job.failure_code = ANY(%(codes)s))
ORDER BY job.sequence_no;

-- name: find_jobs
SELECT job.id, job.domain_id, job.status, job.partition_key, newer.id AS superseded_by
FROM nodes_import_job AS job
LEFT JOIN LATERAL (:superseding) AS newer ON true
WHERE job.id = ANY(%(job_ids)s)
ORDER BY job.sequence_no;

-- name: superseding
-- Of `job`; a reference list is superseded by nothing.
SELECT later.id
FROM nodes_import_job AS later
WHERE job.kind = 'file'
  AND later.domain_id = job.domain_id AND later.group_id = job.group_id
  AND later.kind = 'file' AND later.status = 'COMPLETED' AND later.sequence_no > job.sequence_no
ORDER BY later.sequence_no DESC
LIMIT 1

-- name: superseding_messages
-- Of messages that name a file and never became a job, those after which another file import of
-- their group came and is COMPLETED. In one partition offsets tell which came later, elsewhere only
-- the producers' clocks.
SELECT asked.place, newer.id
FROM unnest(
    %(places)s::int[], %(domain_ids)s::uuid[], %(group_ids)s::uuid[], %(group_names)s::text[],
    %(clusters)s::text[], %(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[],
    %(timestamps)s::bigint[]
) AS asked (
    place, domain_id, group_id, group_name, cluster, topic, partition_no, offset_no, timestamp_ms
)
JOIN matching_group AS called
  ON called.domain_id = asked.domain_id
 AND (called.id = asked.group_id OR (asked.group_id IS NULL AND called.name = asked.group_name))
CROSS JOIN LATERAL (
    SELECT job.id
    FROM nodes_import_job AS job
    WHERE job.domain_id = called.domain_id AND job.group_id = called.id
      AND job.kind = 'file' AND job.status = 'COMPLETED'
      AND CASE
          WHEN (job.message_cluster, job.message_topic, job.message_partition)
             = (asked.cluster, asked.topic, asked.partition_no)
          THEN job.message_offset > asked.offset_no
          ELSE job.message_timestamp > asked.timestamp_ms
      END
    ORDER BY job.sequence_no DESC
    LIMIT 1
) AS newer;

-- name: give_partition
-- A job that was closed before it ever went to Dagster.
UPDATE nodes_import_job SET partition_key = %(partition_key)s
WHERE id = %(job_id)s AND partition_key IS NULL;

-- name: lock_jobs
-- In id order, so that two who lock several jobs never wait for each other.
SELECT FROM nodes_import_job WHERE id = ANY(%(job_ids)s) ORDER BY id FOR NO KEY UPDATE;
