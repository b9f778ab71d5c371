"""timm's models: where weights are, building, heads, foreign checkpoints, saving, features and logits."""
