"""Bytes of a source in, staged rows and rejects out; the same engine for an import and `check`."""
