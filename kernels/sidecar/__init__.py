"""The compute sidecar: the only holder of tensors. Start it with `python -m sidecar --help` (cwd: kernels/)."""
