"""How fast and how small attnviz is, each figure beside its limit: `python -m tests.benchmarks`."""
