"""timm models: locations of weights, building, heads, foreign checkpoints, files, features and logits."""
