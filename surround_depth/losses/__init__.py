"""Training objectives: pure functions of tensors and masks, each returning a raw value and a count."""
