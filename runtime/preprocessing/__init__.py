"""Preprocessing of photographs, scans and drawings of one object.

spec
    ``Preprocessing``: the parameters that a bundle declares.
matches
    ``matches_preprocessing``: which images are already preprocessed.
centred_foreground
    ``apply_preprocessing``: segment the object, scale it to a box and centre it. Calls those below.
background
    Estimate the background, and the ink that differs from it.
foreground
    Segment the object: its main connected component and the parts that belong to it.
hairlines
    Add the object's hairlines, which are too faint for the threshold.
components
    Label the connected components of a mask.
"""
