"""The framework of the recipes: loop, batches, resumable state, lines of progress."""
