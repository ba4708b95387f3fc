"""What operators ask: search, the state of a run."""
