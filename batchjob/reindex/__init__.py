"""Re-indexing without a gap: a state machine in the bucket, advanced by short jobs."""
