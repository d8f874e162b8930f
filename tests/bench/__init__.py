"""Benchmarks: ratios against a baseline that runs interleaved with ours, on the same machine, in the same minutes."""
