"""infogan-tool: train an InfoGAN, export it to ONNX, and read images through it without torch.

``infogan_tool.runtime``
    Inference with numpy, Pillow and onnxruntime: image to code, code to image.
``infogan_tool.train``
    The PyTorch training backend (extra ``train``).
``infogan_tool.export``
    Run folder to ONNX bundle, with parity proved (extra ``train``).
``infogan_tool.cli``
    The ``infogan-tool`` command.
"""

__version__ = "0.2.0"
