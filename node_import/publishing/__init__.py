"""Kafka out: status messages and dead letters, each delivery confirmed."""
