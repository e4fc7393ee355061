-- How the last file import ended tells whether the object store may be away. Runs as ni_owner.

CREATE INDEX nodes_import_job_ended_files ON nodes_import_job (finished_at)
    WHERE kind = 'file' AND status IN ('COMPLETED', 'FAILED');
