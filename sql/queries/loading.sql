-- One slice of a job into nodes and node_metadata: one transaction, as ni_importer, bound to the
-- job's domain by app.domain_id. See node_import/loading/slice_transaction.py for the order.
--
-- Temporary tables have no statistics, so no plan here may depend on them: LATERAL with OFFSET 0
-- (or with a lock) is always a nested loop with an index lookup a row. A hash join would read
-- the whole of nodes for each slice.
--
-- nodes and node_metadata may be partitioned by domain_id (docs/scaling.md): every look into them
-- names the domain, and a conflict its constraint, whose columns differ between the two forms.

-- name: prepare_connection
-- synchronous_commit: closing the job makes earlier commits durable. jit: compiling 200 columns
-- takes longer than running over one slice. temp_buffers: a slice's temporary tables.
SET synchronous_commit = off;
SET jit = off;
SET temp_buffers = '32MB';
CREATE TEMPORARY TABLE staged_nodes (
    ord           int NOT NULL,
    node_id       uuid NOT NULL,
    reference_id  varchar(255) COLLATE "C" NOT NULL,
    type          varchar(50) NOT NULL,
    content_hash  bigint NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE stored_nodes (
    ord      int NOT NULL,
    node_id  uuid NOT NULL,
    differs  boolean NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE locked_nodes (
    ord      int NOT NULL,
    node_id  uuid NOT NULL,
    type     varchar(50) NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE written_nodes (
    node_id  uuid NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE changed_nodes (
    node_id       uuid NOT NULL,
    reference_id  varchar(255) COLLATE "C" NOT NULL,
    type          varchar(50) NOT NULL,
    content_hash  bigint NOT NULL
) ON COMMIT DELETE ROWS;

-- name: drop_values_table
DROP TABLE IF EXISTS pg_temp.{table};

-- name: make_values_table
-- What makes a row of nodes is given for nodes that are inserted without a look alone.
CREATE TEMPORARY TABLE {table} (
    node_id       uuid NOT NULL,
    is_new        boolean NOT NULL,
    reference_id  varchar(255) COLLATE "C",
    type          varchar(50),
    content_hash  bigint,
    {columns}
) ON COMMIT DELETE ROWS;

-- name: limit_time
-- For this transaction, by the size of its slice; see node_import/loading/time_limits.py. The name
-- tells whose transaction it is, should its run stand still or die: node_import/jobs/run_sessions.py.
SELECT
    set_config('statement_timeout', %(statement_timeout)s, true),
    set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('application_name', %(session_name)s, true);

-- name: enter_slice
-- First of all: whoever else loads this slice waits here, and then finds it loaded.
INSERT INTO import_ledger (
    job_id, domain_id, object_version, plan_fingerprint, slice_no, dagster_run_id, attempt
) VALUES (
    %(job_id)s, %(domain_id)s, %(object_version)s, %(plan_fingerprint)s, %(slice_no)s,
    %(dagster_run_id)s, %(attempt)s
)
ON CONFLICT DO NOTHING;

-- name: entered_slice
SELECT inserted_nodes, updated_nodes, unchanged_nodes, duplicate_nodes
FROM import_ledger
WHERE job_id = %(job_id)s AND object_version = %(object_version)s
  AND plan_fingerprint = %(plan_fingerprint)s AND slice_no = %(slice_no)s;

-- name: copy_nodes
COPY staged_nodes (ord, node_id, reference_id, type, content_hash)
FROM STDIN (FORMAT csv, ENCODING 'UTF8');

-- name: read_by_index
-- However many nodes of the group stand between two references, a statement below reads a few of
-- them: never the whole table. Holds to the end of the transaction.
SELECT set_config('enable_seqscan', 'off', true);

-- name: count_between
SELECT count(*) AS stored
FROM (
    SELECT FROM nodes
    WHERE group_id = %(group_id)s AND domain_id = %(domain_id)s
      AND reference_id >= %(first)s::text AND reference_id <= %(last)s::text
    LIMIT %(most)s
) AS n;

-- name: read_between
-- As one text of CSV: a row of the protocol for each node costs the client more than the server.
SELECT
    count(*) AS stored,
    string_agg(
        concat(content_hash, ',', type, ',"', replace(reference_id, '"', '""'), '"'), E'\n'
    ) AS nodes
FROM (
    SELECT reference_id, type, content_hash FROM nodes
    WHERE group_id = %(group_id)s AND domain_id = %(domain_id)s
      AND reference_id >= %(first)s::text AND reference_id <= %(last)s::text
    LIMIT %(most)s
) AS n;

-- name: find_stored_nodes
-- `differs` is a suspicion: without a hash, or with another one, values are compared later. A
-- file without metadata says nothing of metadata, whatever the hash.
WITH stored AS (
    INSERT INTO stored_nodes (ord, node_id, differs)
    SELECT
        s.ord,
        n.id,
        n.type <> s.type
        OR (%(has_metadata)s AND n.content_hash IS DISTINCT FROM s.content_hash)
    FROM staged_nodes AS s
    CROSS JOIN LATERAL (
        SELECT id, type, content_hash
        FROM nodes
        WHERE group_id = %(group_id)s AND domain_id = %(domain_id)s
          AND reference_id = s.reference_id
        OFFSET 0
    ) AS n
    RETURNING differs
)
SELECT count(*) AS stored, count(*) FILTER (WHERE differs) AS differing FROM stored;

-- name: list_stored_nodes
SELECT ord, CASE WHEN differs THEN node_id::text END FROM stored_nodes;

-- name: lock_differing_nodes
-- In the order of references, as everybody who imports does: no deadlock. What is compared and
-- written afterwards cannot change, nor can the node be deleted.
INSERT INTO locked_nodes (ord, node_id, type)
SELECT d.ord, n.id, n.type
FROM (SELECT ord, node_id FROM stored_nodes WHERE differs ORDER BY ord) AS d
CROSS JOIN LATERAL (
    SELECT id, type FROM nodes
    WHERE id = d.node_id AND domain_id = %(domain_id)s FOR NO KEY UPDATE
) AS n;

-- name: truncate_values_table
-- It is empty, but COPY into a table that was truncated in the same transaction goes from page to
-- page. Otherwise rows stand where there was room: then ids do not ascend, their index splits pages
-- in the middle, and loading takes a sixth more of the CPU of the server.
TRUNCATE pg_temp.{table};

-- name: copy_whole_nodes
COPY {table} (node_id, is_new, reference_id, type, content_hash, {columns})
FROM STDIN (FORMAT csv, ENCODING 'UTF8');

-- name: insert_whole_nodes
-- Without a look. Rows come in the order of references, as they were copied.
INSERT INTO nodes (
    id, reference_id, group_id, type, domain_id, processed, created_at, content_hash
)
SELECT
    node_id, reference_id, %(group_id)s, type, %(domain_id)s, false, now(), content_hash
FROM {table};

-- name: copy_values
COPY {table} (node_id, is_new, {columns}) FROM STDIN (FORMAT csv, ENCODING 'UTF8');

-- name: write_differing_metadata
WITH written AS (
    INSERT INTO node_metadata (node_id, domain_id, metadata_key, metadata_value)
    SELECT v.node_id, %(domain_id)s, pair.key, pair.value
    FROM {table} AS v
    CROSS JOIN LATERAL (VALUES {pairs}) AS pair (key, value)
    LEFT JOIN LATERAL (
        SELECT metadata_value
        FROM node_metadata
        WHERE node_id = v.node_id AND metadata_key = pair.key AND domain_id = %(domain_id)s
        OFFSET 0
    ) AS stored ON true
    WHERE NOT v.is_new AND pair.value IS NOT NULL
      AND stored.metadata_value IS DISTINCT FROM pair.value
    ON CONFLICT ON CONSTRAINT node_metadata_pkey
    DO UPDATE SET metadata_value = EXCLUDED.metadata_value
    RETURNING node_id
)
INSERT INTO written_nodes (node_id) SELECT DISTINCT node_id FROM written;

-- name: insert_new_nodes
-- A node that somebody else inserted since find_stored_nodes is a unique violation, not a row
-- to pass over: the slice begins again and finds it.
INSERT INTO nodes (
    id, reference_id, group_id, type, domain_id, processed, created_at, content_hash
)
SELECT
    s.node_id, s.reference_id, %(group_id)s, s.type, %(domain_id)s, false, now(), s.content_hash
FROM staged_nodes AS s
WHERE NOT EXISTS (SELECT FROM stored_nodes WHERE stored_nodes.ord = s.ord)
ORDER BY s.ord;

-- name: insert_new_metadata
-- Not LATERAL VALUES, whose expressions are made anew for each row of it.
INSERT INTO node_metadata (node_id, domain_id, metadata_key, metadata_value)
SELECT pair.node_id, %(domain_id)s, pair.key, pair.value
FROM (
    SELECT v.node_id, unnest(ARRAY[{keys}]) AS key, unnest(ARRAY[{columns}]) AS value
    FROM {table} AS v
    WHERE v.is_new
) AS pair
WHERE pair.value IS NOT NULL;

-- name: gather_changed_nodes
INSERT INTO changed_nodes (node_id, reference_id, type, content_hash)
SELECT l.node_id, s.reference_id, s.type, s.content_hash
FROM locked_nodes AS l
JOIN staged_nodes AS s ON s.ord = l.ord
WHERE l.type <> s.type OR l.node_id IN (SELECT node_id FROM written_nodes);

-- name: update_changed_nodes
-- Every row meets its node, which is locked. An UPDATE would be a join, and where the statistics of
-- nodes do not know the tenant yet it was planned as if the tenant had one node: all nodes were
-- read, and compared with each changed one. ON CONFLICT always goes by the index.
INSERT INTO nodes (
    id, reference_id, group_id, type, domain_id, processed, created_at, content_hash
)
SELECT
    node_id, reference_id, %(group_id)s, type, %(domain_id)s, false, now(), content_hash
FROM changed_nodes
ON CONFLICT ON CONSTRAINT nodes_pkey
DO UPDATE SET
    type = EXCLUDED.type, content_hash = EXCLUDED.content_hash,
    updated_at = now(), processed = false;

-- name: count_slice
UPDATE import_ledger SET
    inserted_nodes = %(inserted)s, updated_nodes = %(updated)s,
    unchanged_nodes = %(unchanged)s, duplicate_nodes = %(duplicate)s
WHERE job_id = %(job_id)s AND object_version = %(object_version)s
  AND plan_fingerprint = %(plan_fingerprint)s AND slice_no = %(slice_no)s;
