"""From a checkpoint to an engine directory: ONNX, plans, manifests, parity, benchmarks."""
