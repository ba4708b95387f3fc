"""Reading, writing and cutting manifests, and the places they come from."""
