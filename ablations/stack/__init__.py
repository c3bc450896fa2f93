"""Seeds or learning rates of one model, trained side by side as one batched model."""
