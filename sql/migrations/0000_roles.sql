-- The roles of the contract, made where they are missing. Run before the numbered migrations and
-- at every `migrate`, by a role that may create roles; an existing role is left as it is.

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('ni_owner', 'NOLOGIN NOINHERIT NOBYPASSRLS'),
            ('ni_operator', 'NOLOGIN NOINHERIT NOBYPASSRLS'),
            ('ni_importer', 'LOGIN NOINHERIT NOBYPASSRLS'),
            ('ni_matcher', 'NOLOGIN NOINHERIT NOBYPASSRLS'),
            ('ni_exporter', 'NOLOGIN NOINHERIT NOBYPASSRLS')
        ) AS role (name, options)
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role.name)
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.options);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- roles belong to the whole server: a migration of another database was quicker
        END;
    END LOOP;
END
$$;
