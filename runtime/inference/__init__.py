"""Inference with onnxruntime."""
