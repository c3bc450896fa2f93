"""How queries, keys and values are made from the input: the one thing this project varies.

Nothing is imported here: a configuration can be read without waiting for torch.
"""
