-- Makes nodes and node_metadata partitioned by domain_id, before anything is imported into them.
--
--     psql "$NODE_IMPORT_POSTGRES_ADMIN_DSN" -1 -v ON_ERROR_STOP=1 \
--         -f sql/partitioning/partition_by_domain.sql
--
-- 16 partitions by hash; another number with PGOPTIONS="-c node_import.partitions=64"; or, with
-- PGOPTIONS="-c node_import.partition_by=list", one for each domain that there is and one for all
-- others. No part of `migrate`: docs/scaling.md says when to.
--
-- Columns, policies, privileges and triggers are taken over from the tables that are there. What
-- changes is the keys: a unique key of a partitioned table must contain domain_id. The loader's
-- statements fit both forms.

SET LOCAL ROLE ni_owner;

-- What a table has beside its columns, as the commands that make it again.
CREATE FUNCTION pg_temp.surroundings_of(wanted regclass) RETURNS SETOF text
    LANGUAGE sql
BEGIN ATOMIC
    SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', wanted)
    UNION ALL
    SELECT format(
        'CREATE POLICY %I ON %I AS %s FOR %s TO %s USING (%s)%s',
        policyname, tablename, permissive, cmd, array_to_string(roles, ', '), qual,
        ' WITH CHECK (' || with_check || ')'
    )
    FROM pg_policies WHERE schemaname = current_schema AND tablename = wanted::text
    UNION ALL
    SELECT format('GRANT %s ON %s TO %s', privilege_type, wanted, grantee::regrole)
    FROM pg_class, aclexplode(relacl) WHERE oid = wanted AND grantee <> relowner
    UNION ALL
    SELECT format('GRANT %s (%I) ON %s TO %s', privilege_type, attname, wanted, grantee::regrole)
    FROM pg_attribute, aclexplode(attacl) WHERE attrelid = wanted
    UNION ALL
    SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = wanted AND NOT tgisinternal;
END;

CREATE PROCEDURE pg_temp.partition(wanted name, kind text, number int, VARIADIC keys text[])
    LANGUAGE plpgsql
AS $$
DECLARE
    surroundings text[] := ARRAY(SELECT pg_temp.surroundings_of(wanted::text::regclass));
    command text;
    has_rows boolean;
    tenant record;
BEGIN
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', wanted);
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', wanted) INTO has_rows;
    IF has_rows THEN
        RAISE EXCEPTION '% has rows: partition it before the first import', wanted;
    END IF;
    EXECUTE format('ALTER TABLE %I RENAME TO plain', wanted);
    EXECUTE format(
        'CREATE TABLE %I (LIKE plain INCLUDING ALL EXCLUDING INDEXES) PARTITION BY %s (domain_id)',
        wanted, kind
    );
    DROP TABLE plain;
    FOREACH command IN ARRAY keys LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %s', wanted, command);
    END LOOP;
    FOREACH command IN ARRAY surroundings LOOP
        EXECUTE command;
    END LOOP;
    IF kind = 'hash' THEN
        FOR part IN 0 .. number - 1 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                format('%s_%s', wanted, part), wanted, number, part
            );
        END LOOP;
        RETURN;
    END IF;
    FOR tenant IN SELECT id FROM domain LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)',
            format('%s_%s', wanted, left(tenant.id::text, 8)), wanted, tenant.id
        );
    END LOOP;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', wanted || '_others', wanted);
END
$$;

DO $$
DECLARE
    kind text := coalesce(nullif(current_setting('node_import.partition_by', true), ''), 'hash');
    number int := coalesce(nullif(current_setting('node_import.partitions', true), ''), '16');
BEGIN
    IF kind NOT IN ('hash', 'list') THEN
        RAISE EXCEPTION 'node_import.partition_by is %: it can be hash or list', kind;
    END IF;
    CALL pg_temp.partition(
        'nodes', kind, number,
        'nodes_pkey PRIMARY KEY (id, domain_id)',
        'nodes_group_id_domain_id_reference_id_key UNIQUE (group_id, domain_id, reference_id)'
    );
    CALL pg_temp.partition(
        'node_metadata', kind, number,
        'node_metadata_pkey PRIMARY KEY (node_id, metadata_key, domain_id)'
    );
END
$$;

-- As in the migrations, and with the domain, so that they look into one partition and not into all.
CREATE OR REPLACE FUNCTION delete_metadata_of_deleted_nodes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    DELETE FROM public.node_metadata AS m USING deleted_nodes AS n
    WHERE m.node_id = n.id AND m.domain_id = n.domain_id;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION forget_content_hash() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE public.nodes SET content_hash = NULL
        WHERE id = OLD.node_id AND domain_id = OLD.domain_id AND content_hash IS NOT NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE public.nodes SET content_hash = NULL
        WHERE id = NEW.node_id AND domain_id = NEW.domain_id AND content_hash IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$;
