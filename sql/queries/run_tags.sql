-- name: names_in_partition
-- What people would look for a run of this partition by.
SELECT job.id AS job_id, job.kind, job.message_topic, domain.name AS domain_name,
    matching_group.name AS group_name
FROM nodes_import_job AS job
JOIN domain ON domain.id = job.domain_id
JOIN matching_group ON matching_group.id = job.group_id
WHERE job.partition_key = %(partition_key)s
ORDER BY job.sequence_no;
