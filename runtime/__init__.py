"""Inference with numpy, Pillow and onnxruntime: image to code, code to image. Never imports torch.

>>> from infogan_tool.runtime import load_bundle
>>> bundle = load_bundle()  # the bundle that ships
>>> images = bundle.generate(bundle.sample(16, seed=0))  # (16, 1, 28, 28) float32
>>> posterior = bundle.encode(images)
>>> posterior.categories[:, 0]  # recovered category of each picture
"""
