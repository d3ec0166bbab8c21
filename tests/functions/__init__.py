"""Functions below HTTP: queue, partitions, ids, tokens, audits."""
