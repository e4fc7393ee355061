"""The job table: inbox, queue and record of every import. What happens to a job happens here."""
