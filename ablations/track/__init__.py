"""Where the numbers of a run are shown while it runs: a JSONL file always, a dashboard beside it if asked."""
