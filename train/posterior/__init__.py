"""Finding the category posterior Q(k1|x) on real pictures before the adversarial game, without labels.

Four stages in this order, and a choice. Each works on the encoder of a separate Q's first branch:

`pretext`
    Two strongly changed views of a picture find each other among all views of a batch (contrastive learning:
    NT-Xent, SimCLR, arXiv:2002.05709). Afterwards similar things have similar features.
`neighbours`
    The pictures nearest to each in those features.
`consistency`
    A picture and one of its neighbours fall into one category, and the categories share the pictures
    (SCAN, arXiv:2005.12320). Several heads learn side by side; the one with the lowest loss stays.
`refinement`
    The mutual information between the categories of two weakly changed views is raised (IIC,
    arXiv:1807.06653), and the weights are averaged over the steps.
`selection`
    All of that is done several times from other weights, and the result is kept whose categories agree most
    over the neighbours of all rounds.

docs/recipe.md has the equations, why each stage is there, and what was measured.
"""
