"""Measurements that back the numbers in the documentation, a folder a subject; `python -m benchmarks` runs them."""
