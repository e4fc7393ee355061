-- The outbox: what is to be published, by whom just now, and what was. As ni_operator.

-- name: lock_jobs
-- Jobs with something to publish, longest waiting first or in any order; `locked` is false where another publisher
-- is at work. The lock ends with the transaction. Materialised, so that no lock is tried for jobs
-- past the limit. What is to be published is read by a later statement: a job's state before the
-- lock may be old.
WITH waiting AS MATERIALIZED (
    SELECT job_id, min(created_at) AS since
    FROM (
        SELECT job_id, created_at FROM job_status_event WHERE published_at IS NULL
        UNION ALL
        SELECT job_id, created_at FROM job_dead_letter WHERE published_at IS NULL
    ) AS unpublished
    WHERE (%(job_ids)s::uuid[] IS NULL OR job_id = ANY(%(job_ids)s::uuid[]))
      AND job_id <> ALL(%(excluded)s::uuid[])
    GROUP BY job_id
    ORDER BY CASE WHEN %(in_turn)s THEN extract(epoch FROM min(created_at)) ELSE random() END, job_id
    LIMIT %(max_jobs)s
)
SELECT
    job_id,
    pg_try_advisory_xact_lock(hashtextextended(job_id::text, 7140211508)) AS locked
FROM waiting;

-- name: unpublished_events
SELECT
    event.id, event.job_id, event.domain_id, event.status, event.created_at, event.details,
    event.success_list, event.failed_list, job.traceparent
FROM job_status_event AS event
JOIN nodes_import_job AS job ON job.id = event.job_id
WHERE event.published_at IS NULL AND event.job_id = ANY(%(job_ids)s)
ORDER BY event.sequence_no;

-- name: unpublished_letters
SELECT
    letter.id, letter.job_id, letter.attempt, letter.error_code, letter.error_message,
    letter.first_failed_at, job.message_cluster, job.message_topic, job.message_partition,
    job.message_offset, job.message_timestamp, job.message_key, job.message_value,
    job.message_headers
FROM job_dead_letter AS letter
JOIN nodes_import_job AS job ON job.id = letter.job_id
WHERE letter.published_at IS NULL AND letter.job_id = ANY(%(job_ids)s)
ORDER BY letter.sequence_no;

-- name: stamp_events
UPDATE job_status_event SET published_at = clock_timestamp() WHERE id = ANY(%(ids)s);

-- name: stamp_letters
UPDATE job_dead_letter SET published_at = clock_timestamp() WHERE id = ANY(%(ids)s);
