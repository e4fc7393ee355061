"""Real services for tests: Apache Kafka, MinIO, PostgreSQL 15 and 18; and the tests of what only
they can show.

    python -m node_import_tests.services                         everything, as `make test-services`
    python -m node_import_tests.services --suite newest          one of `suites`
    python -m node_import_tests.services --postgres 18 PATH -k …  one server, pytest's own arguments

The services listen on loopback, their data lies in a temporary folder, and they end with the
command. What has to be built (Kafka's jars, MinIO's program) is kept between runs; see `artefacts`.
"""
