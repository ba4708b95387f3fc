"""The sample documents: what stands on each paper, how it is printed, scanned, photographed or broken."""
