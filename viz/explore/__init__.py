"""The `explore` command: what a labeled data set contains, as one page and one JSON document."""
