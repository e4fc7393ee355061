"""The room that knows Dagster: resources, partitions, ops, the job, sensors."""
