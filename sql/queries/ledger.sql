-- The ledger: sums over the slices that are loaded.

-- name: ledger_totals
SELECT
    coalesce(sum(inserted_nodes), 0)::bigint AS inserted,
    coalesce(sum(updated_nodes), 0)::bigint AS updated,
    coalesce(sum(unchanged_nodes), 0)::bigint AS unchanged,
    coalesce(sum(duplicate_nodes), 0)::bigint AS duplicate,
    coalesce(array_agg(slice_no), '{}') AS slices
FROM import_ledger
WHERE job_id = %(job_id)s
  AND object_version = %(object_version)s AND plan_fingerprint = %(plan_fingerprint)s;

-- name: last_ledger_totals
WITH latest AS (
    SELECT object_version, plan_fingerprint FROM import_ledger
    WHERE job_id = %(job_id)s
    ORDER BY loaded_at DESC
    LIMIT 1
)
SELECT
    coalesce(sum(inserted_nodes), 0)::bigint AS inserted,
    coalesce(sum(updated_nodes), 0)::bigint AS updated,
    coalesce(sum(unchanged_nodes), 0)::bigint AS unchanged,
    coalesce(sum(duplicate_nodes), 0)::bigint AS duplicate,
    coalesce(array_agg(slice_no), '{}') AS slices
FROM import_ledger
JOIN latest USING (object_version, plan_fingerprint)
WHERE job_id = %(job_id)s;
