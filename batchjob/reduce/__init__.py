"""Loading a run into the index: bulk requests, checkpoint, verification, summary."""
