"""PyTorch models, all scriptable to TorchScript: encoders, fusions, heads and policies."""
