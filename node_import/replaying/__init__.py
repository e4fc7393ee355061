"""What failed, again: dead letters back onto their topics, jobs back into Dagster."""
