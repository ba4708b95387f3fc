"""`make bench`: measures the real commands beside simple baselines and writes docs/benchmarks.md."""
