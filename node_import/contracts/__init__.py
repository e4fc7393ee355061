"""What crosses the border: messages, headers, error codes, JSON Schemas. Pure; no I/O."""
