"""Exact rewrites of networks for faster inference; results agree to the rounding of float32.

``layer_folding``           BatchNorm into convolutions, full-map convolutions into matrix products (torch)
``subpixel_deconvolution``  two transposed convolutions as plain convolutions of sub-pixels (torch)
``polyphase_convolution``   an encoder's first two convolutions phase by phase, and back (ONNX)
"""
