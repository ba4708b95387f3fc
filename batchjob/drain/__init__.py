"""From events to frozen runs: the queue, the inbox, the ledger, cutting, freezing, submission and healing."""
