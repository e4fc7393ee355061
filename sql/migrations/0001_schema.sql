-- Tables, policies and triggers of the importer. Runs as ni_owner, which then owns everything.

-- Tenants ------------------------------------------------------------------------------------

CREATE TABLE domain (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 249),
    active      boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    served_at   timestamptz
);
COMMENT ON COLUMN domain.served_at IS
    'when a run of this tenant was last handed to Dagster: whose turn it is';

CREATE TABLE matching_group (
    id          uuid PRIMARY KEY,
    domain_id   uuid NOT NULL REFERENCES domain (id),
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    industry    text,
    active      boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (domain_id, name),
    UNIQUE (domain_id, id)
);

-- What is imported ---------------------------------------------------------------------------

-- reference_id is COLLATE "C": equality and order by bytes, and an index that staging tables of
-- the same collation can use.
CREATE TABLE nodes (
    id            uuid PRIMARY KEY,
    reference_id  varchar(255) COLLATE "C" NOT NULL,
    group_id      uuid NOT NULL,
    type          varchar(50) NOT NULL CHECK (type IN ('USER', 'PRODUCT', 'RESOURCE')),
    domain_id     uuid NOT NULL,
    processed     boolean DEFAULT false,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz,
    content_hash  bigint,
    UNIQUE (group_id, domain_id, reference_id)
);
COMMENT ON COLUMN nodes.content_hash IS
    'XXH64 of type and metadata as last imported; null when somebody else wrote metadata since';

-- The natural key makes an import repeatable. No foreign key to nodes: its trigger fires once a
-- row and halves the throughput; the importer writes or locks the node first, and a deleted
-- node takes its metadata with it (below).
CREATE TABLE node_metadata (
    id              bigint GENERATED ALWAYS AS IDENTITY (CACHE 1000),
    node_id         uuid NOT NULL,
    domain_id       uuid NOT NULL,
    metadata_key    varchar(255) COLLATE "C" NOT NULL,
    metadata_value  text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_id, metadata_key)
);

-- Jobs: the inbox, the queue and the record of every import ------------------------------------

CREATE TABLE nodes_import_job (
    id                 uuid PRIMARY KEY,
    group_id           uuid NOT NULL,
    domain_id          uuid NOT NULL REFERENCES domain (id),
    status             varchar(20) NOT NULL DEFAULT 'PENDING'
                       CHECK (status IN ('PENDING', 'RUNNING', 'COMPLETED', 'FAILED')),
    total_nodes        int DEFAULT 0,
    processed_nodes    int DEFAULT 0,
    failure_reason     text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),

    failure_code       text,
    attempt            int NOT NULL DEFAULT 0,
    inserted_nodes     int NOT NULL DEFAULT 0,
    updated_nodes      int NOT NULL DEFAULT 0,
    unchanged_nodes    int NOT NULL DEFAULT 0,
    duplicate_nodes    int NOT NULL DEFAULT 0,
    rejected_nodes     int NOT NULL DEFAULT 0,
    failed_nodes       int NOT NULL DEFAULT 0,
    rejects_by_code    jsonb NOT NULL DEFAULT '{}',
    started_at         timestamptz,
    finished_at        timestamptz,

    -- What was asked for.
    kind               text NOT NULL CHECK (kind IN ('file', 'references')),
    node_type          varchar(50) NOT NULL,
    reference_count    int NOT NULL DEFAULT 0,
    request            jsonb NOT NULL,
    traceparent        text,

    -- The message it came with: its identity, and its bytes for a dead letter.
    message_cluster    text NOT NULL,
    message_topic      text NOT NULL,
    message_partition  int NOT NULL,
    message_offset     bigint NOT NULL,
    message_timestamp  bigint NOT NULL,
    message_key        bytea,
    message_value      bytea,
    message_headers    bytea,

    -- Where it stands in the queue. sequence_no is the order of arrival: offset order within a
    -- Kafka partition. dispatched_at is set while a run is to claim the job and has not yet;
    -- died_runs counts runs that ended without closing it, since it was made or reopened.
    sequence_no        bigint GENERATED ALWAYS AS IDENTITY,
    partition_key      text,
    dispatch_no        int NOT NULL DEFAULT 0,
    dispatched_at      timestamptz,
    died_runs          int NOT NULL DEFAULT 0,
    not_before         timestamptz NOT NULL DEFAULT now(),
    dagster_run_id     text,

    -- What was read, and where results lie.
    source_url         text,
    object_version     text,
    plan_fingerprint   text,
    rejects_url        text,
    result_url         text,

    UNIQUE (message_cluster, message_topic, message_partition, message_offset, message_timestamp),
    FOREIGN KEY (domain_id, group_id) REFERENCES matching_group (domain_id, id),
    CHECK (
        status IN ('PENDING', 'RUNNING')
        OR total_nodes = inserted_nodes + updated_nodes + unchanged_nodes + duplicate_nodes
                       + rejected_nodes + failed_nodes
    )
);
-- The queue of each tenant, in order.
CREATE INDEX nodes_import_job_waiting ON nodes_import_job (domain_id, kind, sequence_no)
    WHERE status = 'PENDING';
CREATE INDEX nodes_import_job_waiting_files ON nodes_import_job (domain_id, group_id, sequence_no)
    WHERE status = 'PENDING' AND kind = 'file';
CREATE INDEX nodes_import_job_handed_over ON nodes_import_job (dispatched_at)
    WHERE status = 'PENDING' AND dispatched_at IS NOT NULL;
CREATE INDEX nodes_import_job_running ON nodes_import_job (dagster_run_id)
    WHERE status = 'RUNNING';
-- File imports of one group run one at a time, whoever starts them.
CREATE UNIQUE INDEX nodes_import_job_one_file ON nodes_import_job (domain_id, group_id)
    WHERE status = 'RUNNING' AND kind = 'file';
-- The newest COMPLETED file import of a group: an older one must not overwrite it.
CREATE INDEX nodes_import_job_imported_files ON nodes_import_job (domain_id, group_id, sequence_no)
    WHERE status = 'COMPLETED' AND kind = 'file';
CREATE INDEX nodes_import_job_partition ON nodes_import_job (partition_key);
CREATE UNIQUE INDEX nodes_import_job_newest ON nodes_import_job (sequence_no);
CREATE INDEX nodes_import_job_tenant ON nodes_import_job (domain_id, sequence_no);

-- The ledger: a slice is loaded if and only if its row is here, since both commit together.
CREATE TABLE import_ledger (
    job_id            uuid NOT NULL REFERENCES nodes_import_job (id) ON DELETE CASCADE,
    domain_id         uuid NOT NULL,
    object_version    text NOT NULL,
    plan_fingerprint  text NOT NULL,
    slice_no          int NOT NULL,
    inserted_nodes    int NOT NULL DEFAULT 0,
    updated_nodes     int NOT NULL DEFAULT 0,
    unchanged_nodes   int NOT NULL DEFAULT 0,
    duplicate_nodes   int NOT NULL DEFAULT 0,
    dagster_run_id    text NOT NULL,
    attempt           int NOT NULL,
    loaded_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, object_version, plan_fingerprint, slice_no)
);

-- A running import says here that it is alive; not in the job row, which slices read-lock.
CREATE TABLE run_heartbeat (
    dagster_run_id  text PRIMARY KEY,
    beaten_at       timestamptz NOT NULL DEFAULT now()
);

-- The outbox: written with the job's last state, sent afterwards, stamped on confirmed delivery.
CREATE TABLE job_status_event (
    id            uuid PRIMARY KEY,
    sequence_no   bigint GENERATED ALWAYS AS IDENTITY,
    job_id        uuid NOT NULL REFERENCES nodes_import_job (id) ON DELETE CASCADE,
    domain_id     uuid NOT NULL,
    attempt       int NOT NULL,
    status        varchar(20) NOT NULL CHECK (status IN ('COMPLETED', 'FAILED')),
    processed     int NOT NULL,
    total         int NOT NULL,
    success_list  jsonb NOT NULL DEFAULT '[]',
    failed_list   jsonb NOT NULL DEFAULT '[]',
    details       jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz,
    UNIQUE (job_id, attempt, status)
);
CREATE INDEX job_status_event_unpublished ON job_status_event (sequence_no)
    WHERE published_at IS NULL;

CREATE TABLE job_dead_letter (
    id               uuid PRIMARY KEY,
    sequence_no      bigint GENERATED ALWAYS AS IDENTITY,
    job_id           uuid NOT NULL REFERENCES nodes_import_job (id) ON DELETE CASCADE,
    domain_id        uuid NOT NULL,
    attempt          int NOT NULL,
    error_code       text NOT NULL,
    error_message    text NOT NULL,
    first_failed_at  timestamptz NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    published_at     timestamptz,
    UNIQUE (job_id, attempt)
);
CREATE INDEX job_dead_letter_unpublished ON job_dead_letter (sequence_no)
    WHERE published_at IS NULL;

-- How far each partition of each request topic has been read. A topic that was deleted and made
-- again has another topic_id, a rebuilt cluster another cluster_id.
CREATE TABLE intake_position (
    cluster_id    text NOT NULL,
    topic_id      text NOT NULL,
    partition_no  int NOT NULL,
    topic         text NOT NULL,
    next_offset   bigint NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, topic_id, partition_no)
);

-- Row-level security -----------------------------------------------------------------------------

-- After a reset the setting is '' and not null.
CREATE FUNCTION current_domain() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.domain_id', true), '')::uuid;

ALTER TABLE domain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE matching_group ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE nodes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE node_metadata ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE nodes_import_job ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE import_ledger ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE job_status_event ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE job_dead_letter ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant ON domain TO ni_importer, ni_matcher USING (id = current_domain());
CREATE POLICY tenant ON matching_group TO ni_importer, ni_matcher
    USING (domain_id = current_domain());
CREATE POLICY tenant ON nodes TO ni_importer, ni_matcher USING (domain_id = current_domain());
CREATE POLICY tenant ON node_metadata TO ni_importer, ni_matcher
    USING (domain_id = current_domain());
CREATE POLICY tenant ON nodes_import_job TO ni_importer USING (domain_id = current_domain());
CREATE POLICY tenant ON import_ledger TO ni_importer USING (domain_id = current_domain());
CREATE POLICY tenant ON job_status_event TO ni_importer USING (domain_id = current_domain());
CREATE POLICY tenant ON job_dead_letter TO ni_importer USING (domain_id = current_domain());

CREATE POLICY every_tenant ON domain TO ni_operator USING (true);
CREATE POLICY every_tenant ON matching_group TO ni_operator USING (true);
CREATE POLICY every_tenant ON nodes_import_job TO ni_operator USING (true);
CREATE POLICY every_tenant ON import_ledger TO ni_operator USING (true);
CREATE POLICY every_tenant ON job_status_event TO ni_operator USING (true);
CREATE POLICY every_tenant ON job_dead_letter TO ni_operator USING (true);

-- Foreign keys, ON DELETE CASCADE and the two triggers below act as the owner, who is bound by
-- the policies as well (FORCE). Nobody can log in as it.
CREATE POLICY owner_of_tables ON domain TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON matching_group TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON nodes TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON node_metadata TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON nodes_import_job TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON import_ledger TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON job_status_event TO ni_owner USING (true);
CREATE POLICY owner_of_tables ON job_dead_letter TO ni_owner USING (true);

-- Privileges -------------------------------------------------------------------------------------

GRANT SELECT ON domain, matching_group TO ni_importer;
GRANT SELECT, INSERT, UPDATE ON nodes, node_metadata TO ni_importer;
GRANT SELECT, INSERT,
    UPDATE (inserted_nodes, updated_nodes, unchanged_nodes, duplicate_nodes)
    ON import_ledger TO ni_importer;
-- A slice ends with a look at its claim, FOR SHARE, which asks for UPDATE of one column.
GRANT SELECT, UPDATE (updated_at) ON nodes_import_job TO ni_importer;

GRANT SELECT, INSERT, UPDATE ON domain, matching_group TO ni_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    nodes_import_job, import_ledger, job_status_event, job_dead_letter, run_heartbeat,
    intake_position TO ni_operator;

GRANT SELECT ON nodes, node_metadata TO ni_matcher;
GRANT UPDATE (processed) ON nodes TO ni_matcher;

-- Triggers ---------------------------------------------------------------------------------------

-- A deleted node takes its metadata with it, in one statement for all nodes deleted.
CREATE FUNCTION delete_metadata_of_deleted_nodes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM public.node_metadata WHERE node_id IN (SELECT id FROM deleted_nodes);
    RETURN NULL;
END
$$;

CREATE TRIGGER delete_metadata AFTER DELETE ON nodes
    REFERENCING OLD TABLE AS deleted_nodes
    FOR EACH STATEMENT EXECUTE FUNCTION delete_metadata_of_deleted_nodes();

-- content_hash speaks of what was last imported; when somebody else writes metadata it says
-- nothing any more. The WHEN clause keeps the importer out: 1 M rows took it 2.5 s with and
-- without the trigger.
CREATE FUNCTION forget_content_hash() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE public.nodes SET content_hash = NULL
    WHERE content_hash IS NOT NULL
      AND id IN (
          CASE WHEN TG_OP <> 'DELETE' THEN NEW.node_id END,
          CASE WHEN TG_OP <> 'INSERT' THEN OLD.node_id END
      );
    RETURN NULL;
END
$$;

CREATE TRIGGER forget_content_hash AFTER INSERT OR UPDATE ON node_metadata
    FOR EACH ROW WHEN (current_user <> 'ni_importer') EXECUTE FUNCTION forget_content_hash();

-- Metadata that goes with its node needs no look at the node.
CREATE TRIGGER forget_content_hash_of_deleted AFTER DELETE ON node_metadata
    FOR EACH ROW WHEN (current_user <> 'ni_importer' AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION forget_content_hash();
