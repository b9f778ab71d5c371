"""The framework of the recipes: task, inputs, optimiser, loop, resumable state and progress log."""
