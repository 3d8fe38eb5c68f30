"""The training engine: data in the order of a seed, the loop, validation, checkpoints with their origin."""
