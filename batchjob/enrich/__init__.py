"""What a document gets beside its text: the thumbnail."""
