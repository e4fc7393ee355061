"""The fault suite: real services and processes, really killed, compared with what must be there.

    python -m node_import_tests.faults                    the listed faults, then 20 random runs
    python -m node_import_tests.faults --runs 200         the same with 200 of them
    python -m node_import_tests.faults --seed 7 --runs 1  one random run, again
    python -m node_import_tests.faults --quick            what fits into three minutes

How it is built: a *lane* is a set of services (Kafka, MinIO, PostgreSQL) of which each is reached
through a proxy that can cut. In a lane a *world* is one case: databases, topics, tenants, requests
of its own. Its *nursery* forks the processes that are killed: sensor ticks and run workers, each
with its own connections. The *conductor* plays Dagster's daemon: it ticks, launches, and watches
runs until all is quiet. A *model* that shares no code with the importer says what must be there.
"""
