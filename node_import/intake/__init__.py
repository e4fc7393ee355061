"""Kafka in: which topics, from which positions, and what becomes of each message."""
