"""Finding the category posterior Q(k1|x) on real images before the adversarial game, without labels.

Four stages in this order:

`pretext`
    Two strongly changed views of an image find each other among all views of a batch (contrastive learning:
    NT-Xent, SimCLR, arXiv:2002.05709). Afterwards similar things have similar features.
`neighbours`
    The images near to each in those features, and of them the ones that explain it best when their parts
    may move a little (`matching`: the image distortion model).
`grouping`
    The graph of neighbours is cut into as many groups as the code has categories, so that the groups of two
    neighbours say as much as they can of each other (`partition`: the information bottleneck).
`refinement`
    Q's first branch learns the groups, while the mutual information between its categories of two weakly
    changed views is raised (IIC, arXiv:1807.06653), and the weights are averaged over the steps.

docs/explanation/default-preset.md has the equations, why each stage is there, and what was measured.
"""
