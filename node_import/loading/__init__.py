"""Staged slices into `nodes` and `node_metadata`: one transaction a slice, all or nothing."""

from node_import.loading.loader import Loader, load_slices
from node_import.loading.results import BatchResult, SliceResult, SliceRetry

__all__ = ["BatchResult", "Loader", "SliceResult", "SliceRetry", "load_slices"]
