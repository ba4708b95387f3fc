"""The first station: from the queue of events, or from manifests, to frozen and submitted runs."""
