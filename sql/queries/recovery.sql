-- Recovery of jobs whose run is gone. All as ni_operator.

-- name: holders
-- The runs that RUNNING jobs belong to, and for how long each has been silent. A claim beats, so
-- a run without a heartbeat is one whose heartbeat was deleted.
SELECT DISTINCT
    job.dagster_run_id AS run_id,
    coalesce(heart.beaten_at, '-infinity') < now() - make_interval(secs => %(expiry)s) AS expired,
    coalesce(heart.beaten_at, '-infinity') < now() - make_interval(secs => %(unknown_after)s)
        AS unknown_expired
FROM nodes_import_job AS job
LEFT JOIN run_heartbeat AS heart USING (dagster_run_id)
WHERE job.status = 'RUNNING';

-- name: silent_runs
SELECT run_id
FROM unnest(%(run_ids)s::text[]) AS run_id
WHERE NOT EXISTS (
    SELECT FROM run_heartbeat
    WHERE dagster_run_id = run_id
      AND beaten_at >= now() - make_interval(secs => %(expiry)s)
);

-- name: jobs_of_run
SELECT id FROM nodes_import_job WHERE dagster_run_id = %(run_id)s AND status = 'RUNNING'
ORDER BY id;

-- name: lock_job_of_run
-- Not if somebody holds it: a run that stands still between the end of a slice and its commit would
-- keep recovery from all other jobs. The next look takes it.
SELECT :job_columns FROM nodes_import_job
WHERE id = %(job_id)s AND status = 'RUNNING' AND dagster_run_id = %(run_id)s
FOR NO KEY UPDATE SKIP LOCKED;

-- name: end_sessions
-- Not as ni_operator: a role may end its own sessions. What they held is free when this returns,
-- unless PostgreSQL's process itself hangs.
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 1000)) AS ended
FROM pg_stat_activity
WHERE usename = current_user AND datname = current_database()
  AND application_name = ANY (%(session_names)s);

-- name: forget_heartbeats
DELETE FROM run_heartbeat
WHERE beaten_at < now() - interval '1 day'
  AND NOT EXISTS (
      SELECT FROM nodes_import_job AS job
      WHERE job.dagster_run_id = run_heartbeat.dagster_run_id AND job.status = 'RUNNING'
  );
