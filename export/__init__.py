"""Run folder to bundle: the generator and the Q encoder as ONNX, proved to compute what torch does.

``fold_layers`` rewrites the layers, ``graphs`` gives them the contract's inputs and outputs,
``onnx_graph`` makes the files, ``parity`` compares them with torch, ``labels`` names the categories, and
``bundle`` does all of it in order.
"""
