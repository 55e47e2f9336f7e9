"""The out-of-distribution (OOD) score of a bundle: a distance that is fitted at export, without labels.

``synthetic_outliers``   images unlike the training images, made from them
``drawings``             random strokes, outliers of images of one object
``batch_preprocessing``  the preprocessing for batches in torch, for the varied images
``axes``                 axes that images are placed on
``fitting``              Gaussians of the encoder's features, a classifier of real against synthetic
                         feature maps, and the threshold
``head``                 the part of the encoder's graph that computes the distance

docs/explanation/ood.md has the reasons and the results.
"""
