-- Domains and their matching groups, as operators keep them. All but `node_counts` as ni_operator.

-- name: domains
-- Every domain with its active groups, or the one of that name or id; in order of names.
SELECT
    d.id, d.name, d.active,
    coalesce(
        (
            SELECT jsonb_agg(jsonb_build_object('id', g.id, 'name', g.name) ORDER BY g.name)
            FROM matching_group AS g
            WHERE g.domain_id = d.id AND g.active
        ),
        '[]'
    ) AS groups
FROM domain AS d
WHERE %(wanted)s::text IS NULL OR d.name = %(wanted)s OR d.id = %(wanted_id)s::uuid
ORDER BY d.name;

-- name: add_domain
INSERT INTO domain (id, name) VALUES (%(id)s, %(name)s)
ON CONFLICT DO NOTHING
RETURNING id, name, active;

-- name: add_group
INSERT INTO matching_group (id, domain_id, name) VALUES (%(id)s, %(domain_id)s, %(name)s)
ON CONFLICT DO NOTHING
RETURNING id, name;

-- name: node_counts
-- As ni_importer, bound to the tenant.
SELECT
    count(*) AS nodes,
    coalesce(
        sum((SELECT count(*) FROM node_metadata AS m WHERE m.node_id = n.id)), 0
    )::bigint AS metadata
FROM nodes AS n
WHERE n.group_id = %(group_id)s;
