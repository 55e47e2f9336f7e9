"""Running ONNX graphs with onnxruntime.

session
    ``GraphSession``: the one module that imports onnxruntime; execution providers and the CPU fallback.
graph_scan
    Refuse untrusted graphs before onnxruntime opens them.
shards
    Split a batch into shards, and the thread pool that runs them.
device
    Devices, CPU cores and GPUs of the machine, without onnxruntime.
environment
    Installed onnxruntime packages, and how to fix a broken installation.
"""
