"""Clustering: a category encoder Q(k1|x) is pre-trained on real images without labels, before G and D.

Four stages, in this order:

`contrastive`
    Contrastive learning (NT-Xent, SimCLR, arXiv:2002.05709): two strong views of an image get similar
    features, and so do images that show similar things.
`neighbours`
    The nearest images of each: candidates by features, the best of them by the deformation cost of
    `deformation` (the image distortion model).
`grouping`
    Cluster assignments: the graph of neighbours is partitioned into as many groups as the code has
    categories, so that the groups of neighbours have maximal mutual information (`partition`: the
    information bottleneck).
`refinement`
    Q's category encoder learns the groups, while the mutual information between its categories of two weak
    views is maximised (IIC, arXiv:1807.06653); its result is the EMA of its weights.

`stages` holds their base classes. docs/explanation/default-preset.md has the equations, the reason for each
stage, and what was measured.
"""
