"""Where input from outside comes in, an entry a file; `targets.py` says what they have in common."""
