"""Partition of a graph of neighbours into groups of maximal mutual information.

The objective is the mutual information between the groups of two neighbours,

    I(k(x); k(y)),   y a neighbour of x.

It is large if neighbours share a group and groups are of similar size, as the uniform prior of a categorical
code requires. It is that of the information bottleneck (Slonim and Tishby, *Agglomerative information
bottleneck*, NIPS 1999), and is maximised from coarse to fine: small clusters of the graph's spectral
embedding (Ng, Jordan, Weiss, NIPS 2001) are merged, then moved between groups one by one, then single images
join the group of most of their neighbours. This moves a rare shape as a block; gradient descent would leave
it in the group where the initial weights put it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh
from sklearn.cluster import MiniBatchKMeans

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_VOTES: Final = 5
_MIN_CLUSTER: Final = 20
"""Least mean number of images of a small cluster, where there are enough images."""
_CLUSTERS_PER_GROUP: Final = 3
"""Where there are few: a group that is one small cluster from the start repeats every error of k-means."""
_IMAGES_PER_DIRECTION: Final = 8
"""Least number of images for each direction of the spectral embedding; the last ones would be noise."""
_GAIN: Final = 1e-12
"""Least gain of information, in nats, for which a cluster is moved."""


class GraphPartitioner:
    """Partitions of one graph, from different initial clusters.

    Args:
        neighbours: ``(N, count)``, indices of the neighbours of each image.
        num_groups: Groups of a partition.
        eigenvectors: Width of the spectral embedding; less where there are few images.
        clusters: Initial clusters; fewer where there are few images.
    """

    def __init__(self, neighbours: Ints, num_groups: int, *, eigenvectors: int, clusters: int) -> None:
        self._graph = neighbour_graph(neighbours)
        self._num_groups = num_groups
        count = len(neighbours)
        least = max(num_groups, min(_CLUSTERS_PER_GROUP * num_groups, count // 2))
        self._clusters = max(least, min(clusters, count // _MIN_CLUSTER))
        width = min(eigenvectors, max(2, count // _IMAGES_PER_DIRECTION), count - 2)
        self._embedding = _spectral_embedding(self._graph, width)

    def partition(self, seed: int) -> tuple[Ints, float]:
        """Return the group of each image ``(N,)`` and the information in nats; ``seed`` decides both."""
        kmeans = MiniBatchKMeans(self._clusters, n_init=3, random_state=seed, batch_size=4096)
        cluster = kmeans.fit_predict(self._embedding)
        links = _links(self._graph, cluster, self._clusters)
        groups = move_clusters(links, merge_clusters(links, self._num_groups), self._num_groups)
        groups = groups[cluster]
        for _ in range(_VOTES):
            groups = self._vote(groups)
        return groups, group_information(_links(self._graph, groups, self._num_groups))

    def _vote(self, groups: Ints) -> Ints:
        """Return for each image the group that most of its links lead to; a tie keeps its own."""
        member = np.eye(self._num_groups)[groups]
        return np.asarray((self._graph @ member + 0.5 * member).argmax(axis=1), np.int64)


def neighbour_graph(neighbours: Ints) -> sp.csr_matrix:
    """Return the symmetric graph ``(N, N)``: 2 for mutual neighbours, 1 for neighbours one way, else 0."""
    count, degree = neighbours.shape
    rows = np.repeat(np.arange(count), degree)
    graph = sp.csr_matrix((np.ones(count * degree), (rows, neighbours.ravel())), shape=(count, count))
    return (graph + graph.T).tocsr()


def group_information(links: Floats) -> float:
    """Return I in nats of a symmetric table of links between groups ``(k, k)``."""
    joint = links / links.sum()
    return float(_xlogx(joint).sum() - 2 * _xlogx(joint.sum(axis=0)).sum())


def merge_clusters(links: Floats, num_groups: int) -> Ints:
    """Repeatedly merge the two clusters whose merging loses the least information.

    Args:
        links: ``(m, m)``, symmetric: links between the images of each two clusters.
        num_groups: Groups that remain.

    Returns:
        The group of each cluster ``(m,)``.
    """
    joint = links / links.sum()
    overlap = np.stack([_overlap(row, joint) for row in joint])
    members = [[cluster] for cluster in range(len(links))]
    while len(joint) > num_groups:
        cost = _merging_costs(joint, overlap)
        one, other = sorted(int(i) for i in np.unravel_index(cost.argmin(), cost.shape))
        overlap -= _column_overlap(joint[:, one]) + _column_overlap(joint[:, other])
        joint[one] += joint[other]
        joint[:, one] += joint[:, other]
        overlap += _column_overlap(joint[:, one])
        joint, overlap = (
            np.delete(np.delete(table, other, axis=0), other, axis=1) for table in (joint, overlap)
        )
        overlap[one] = overlap[:, one] = _overlap(joint[one], joint)
        moved = members.pop(other)
        members[one] += moved
    groups = np.empty(len(links), np.int64)
    for group, clusters in enumerate(members):
        groups[clusters] = group
    return groups


def _merging_costs(joint: Floats, overlap: Floats) -> Floats:
    """Return the information lost by merging each two rows (and columns); infinite on the diagonal.

    ``overlap`` holds for each two rows i and j the sum over columns m of xlogx(P_im + P_jm). A merge changes
    two columns only, so the caller updates it: recomputing it would be most of the work.
    """
    terms, margin, own = _xlogx(joint), joint.sum(axis=0), np.diag(joint)
    row = terms.sum(axis=1)
    # Rows and columns of both before: every term counts twice, those between the two of them once.
    before = 2 * (row[:, None] + row[None]) - np.diag(terms)[:, None] - np.diag(terms)[None] - 2 * terms
    to_one = _xlogx(own[:, None] + joint)
    within = _xlogx(own[:, None] + own[None] + 2 * joint)
    after = 2 * (overlap - to_one - to_one.T) + within
    margins = 2 * (_xlogx(margin[:, None] + margin[None]) - _xlogx(margin)[:, None] - _xlogx(margin)[None])
    cost: Floats = before - after + margins
    np.fill_diagonal(cost, np.inf)
    return cost


def _overlap(row: Floats, joint: Floats) -> Floats:
    """Return the overlap of one row with each row."""
    total: Floats = _xlogx(row + joint).sum(axis=1)
    return total


def _column_overlap(column: Floats) -> Floats:
    """Return one column's term of the overlap of each two rows."""
    return _xlogx(column[:, None] + column[None])


def move_clusters(links: Floats, groups: Ints, num_groups: int) -> Ints:
    """Move single clusters between groups as long as it gains information; return the groups ``(m,)``."""
    groups, total = groups.copy(), links.sum()
    table = links / total
    to_group = table @ np.eye(num_groups)[groups]
    joint = np.eye(num_groups)[groups].T @ to_group
    every, moved = np.arange(num_groups), True
    while moved:
        moved = False
        for cluster in range(len(groups)):
            here, own = groups[cluster], table[cluster, cluster]
            outward = to_group[cluster].copy()
            outward[here] -= own
            without = joint.copy()
            without[here] -= outward
            without[:, here] -= outward
            without[here, here] -= own
            options = np.repeat(without[None], num_groups, axis=0)
            options[every, every, :] += outward
            options[every, :, every] += outward
            options[every, every, every] += own
            options = options.clip(0)  # rounding may leave values slightly below 0
            scores = _xlogx(options).sum(axis=(1, 2)) - 2 * _xlogx(options.sum(axis=2)).sum(axis=1)
            best = int(scores.argmax())
            if scores[best] > scores[here] + _GAIN:
                joint, moved = options[best], True
                to_group[:, here] -= table[:, cluster]
                to_group[:, best] += table[:, cluster]
                groups[cluster] = best
    return groups


def _spectral_embedding(graph: sp.csr_matrix, eigenvectors: int) -> Floats:
    """Return unit vectors ``(N, eigenvectors)`` along the slowest modes of a random walk on the graph."""
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = sp.diags(degree**-0.5)
    start = np.random.default_rng(0).standard_normal(len(degree))
    _, vectors = eigsh(scale @ graph @ scale, k=eigenvectors, which="LA", tol=1e-4, v0=start)
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return unit


def _links(graph: sp.csr_matrix, groups: Ints, num_groups: int) -> Floats:
    count = len(groups)
    member = sp.csr_matrix((np.ones(count), (np.arange(count), groups)), shape=(count, num_groups))
    return np.asarray((member.T @ graph @ member).todense())


def _xlogx(values: Floats) -> Floats:
    return np.asarray(values * np.log(values.clip(1e-300)))
