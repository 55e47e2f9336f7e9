"""Bundles of reduced precision: fp16 and int8.

``reduce``           a bundle in fp32 to one in reduced precision, refused if it loses accuracy
``graphs``           the conversion of one graph, with onnxruntime's tools
``bias_correction``  removal of the mean quantization error of each layer
``drift``            the difference between both bundles on real and generated images
"""
