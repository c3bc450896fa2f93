"""Exact checks: statements decided by calculation in float64 on a CPU, in seconds, without training.

Nothing is imported here: a claim's file can be checked without waiting for torch.
"""

# Name of a check -> the file of this folder that holds the function of that name.
CHECKS = {
    "heads_without_projections": "heads",
    "unsplit_shared_heads": "heads",
    "any_model_width": "heads",
    "any_feed_forward_width": "widths",
    "any_value_width": "widths",
    "logits_without_projections": "logits",
    "symmetry": "symmetry",
    "word_in_two_contexts": "contexts",
    "count_parameters": "counts",
    "one_matrix_or_many": "storage",
    "block_diagonal_and_dense": "blocks",
    "shared_with_diagonals": "diagonals",
    "values_from_keys": "cache",
}
