"""Measurements that back the numbers in the documentation; each is run by hand."""
