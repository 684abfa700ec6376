"""Mutation testing: change the code in one place at a time, and see whether the tests notice.

mutmut makes the changes and runs the tests. It wants a package in one folder, so `staging` copies the top-level folders
into one first; `__main__` draws the sample, runs it and reports. `equivalent.toml` lists changes that no test can
notice, each with the reason.
"""
