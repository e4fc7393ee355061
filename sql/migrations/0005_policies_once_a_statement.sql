-- Whose rows a statement may touch is looked up once a statement, not once a row.
--
-- As a sub-select that names no column, the setting is read before the first row. Called as it
-- was, it was read and cast to uuid again for each row that was written, six times a node.

ALTER POLICY tenant ON nodes USING (domain_id = (SELECT current_domain()));
ALTER POLICY tenant ON node_metadata USING (domain_id = (SELECT current_domain()));
