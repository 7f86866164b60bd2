"""Trained students as ONNX files that explain themselves; ``dualdistill_runtime`` runs them without this package."""
