"""One shard: from a frozen manifest to bulk parts, outcomes and a receipt."""
