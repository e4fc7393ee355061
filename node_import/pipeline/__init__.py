"""The five steps of the graph as plain functions; each composes the rooms below and no more.

`resolve_file → stream_parse → load_batch[…] → close_job → publish_status`. What one step hands
to the next is a small frozen value: references to rows, never rows.
"""
