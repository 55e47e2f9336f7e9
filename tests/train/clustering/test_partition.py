"""Partition of a graph: the objective, each phase, and graphs whose best partition is known."""

from __future__ import annotations

import math
from operator import itemgetter

import numpy as np
import pytest

from infogan_tool.train.clustering.partition import (
    GraphPartitioner,
    group_information,
    merge_clusters,
    move_clusters,
    neighbour_graph,
)


def blocks(sizes: list[int], crossing: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours (N, 5), a share ``crossing`` of them random, else of the same block; and the blocks."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(len(sizes)), sizes)
    mine = [np.flatnonzero(block == b) for b in range(len(sizes))]
    near = np.stack([rng.choice(mine[b], 5) for b in block])
    anywhere = rng.random(near.shape) < crossing
    return np.where(anywhere, rng.integers(0, len(block), near.shape), near), block


def joined(links: np.ndarray, groups: np.ndarray, count: int) -> float:
    member = np.eye(count)[groups]
    return group_information(member.T @ links @ member)


def test_information_of_perfect_independent_and_degenerate_groups() -> None:
    assert group_information(np.eye(5) * 7) == pytest.approx(math.log(5))
    assert group_information(np.ones((5, 5))) == pytest.approx(0, abs=1e-12)
    assert group_information(np.diag([9.0, 0, 0])) == pytest.approx(0, abs=1e-12)
    assert group_information(np.diag([4.0, 1])) < group_information(np.diag([1.0, 1]))


def test_graph_is_symmetric_and_counts_both_ways() -> None:
    graph = neighbour_graph(np.array([[1], [0], [1]])).toarray()
    assert graph.tolist() == [[0, 2, 0], [2, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("seed", range(12))
def test_each_merge_is_the_cheapest_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = rng.random((6, 6)) ** 3 * (rng.random((6, 6)) < rng.uniform(0.4, 1))
    links += links.T + np.diag(rng.uniform(0, 3, 6))

    def of_pair(a: int, b: int) -> float:
        groups = np.arange(6)
        groups[b] = a
        return joined(links, np.unique(groups, return_inverse=True)[1], 5)

    best = max(of_pair(a, b) for a in range(6) for b in range(a + 1, 6))
    assert joined(links, merge_clusters(links, 5), 5) == pytest.approx(best)


def test_merging_continues_down_to_the_number_of_groups() -> None:
    # Four pairs that are linked; two of the pairs to each other, and less so the other two.
    links = np.kron(np.eye(4), np.array([[4.0, 4], [4, 4]]))
    links[:2, 2:4] = links[2:4, :2] = 1
    links[4:6, 6:] = links[6:, 4:6] = 0.5
    assert merge_clusters(links, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert merge_clusters(links, 3).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert merge_clusters(links, 2).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert merge_clusters(links, 1).tolist() == [0] * 8
    for more in (8, 9):
        assert merge_clusters(links, more).tolist() == list(range(8))


def test_moving_ends_where_no_single_move_gains() -> None:
    rng = np.random.default_rng(1)
    links = rng.random((12, 12)) ** 4
    links += links.T
    start = rng.integers(0, 3, 12)
    groups = move_clusters(links, start, 3)
    reached = joined(links, groups, 3)
    assert reached >= joined(links, start, 3)
    for cluster in range(12):
        for group in range(3):
            other = groups.copy()
            other[cluster] = group
            assert joined(links, other, 3) <= reached + 1e-9


def test_noisy_blocks_are_recovered_with_every_seed() -> None:
    near, block = blocks([300, 250, 200, 250], crossing=0.25)
    partitioner = GraphPartitioner(near, 4, eigenvectors=8, clusters=40)
    for seed in (0, 1, 2):
        groups, information = partitioner.partition(seed)
        assert information > 0.3
        table = np.zeros((4, 4), int)
        np.add.at(table, (groups, block), 1)
        assert table.max(axis=1).sum() >= 990
        again, _ = partitioner.partition(seed)
        assert (again == groups).all()


def test_rare_shape_joins_as_a_block_the_group_of_its_links() -> None:
    near, block = blocks([400, 400, 400, 40], crossing=0.05)
    rng = np.random.default_rng(5)
    rare = np.flatnonzero(block == 3)
    outward = rng.random((40, 5)) < 0.2
    near[rare] = np.where(outward, rng.choice(np.flatnonzero(block == 1), (40, 5)), near[rare])
    groups, _ = GraphPartitioner(near, 3, eigenvectors=10, clusters=30).partition(0)
    of_one = np.bincount(groups[block == 1]).argmax()
    assert (groups[rare] == of_one).mean() > 0.9


def test_images_with_many_links_do_not_form_groups() -> None:
    # Half of all links lead to a few images of each block, as neighbours in many dimensions do.
    near, block = blocks([300, 200, 250, 250], crossing=0.15)
    rng = np.random.default_rng(2)
    popular = np.stack([np.flatnonzero(block == b)[:8] for b in range(4)])
    to_them = rng.random(near.shape) < 0.5
    near = np.where(to_them, popular[block[near], rng.integers(0, 8, near.shape)], near)
    groups, _ = GraphPartitioner(near, 4, eigenvectors=8, clusters=40).partition(0)
    table = np.zeros((4, 4), int)
    np.add.at(table, (groups, block), 1)
    assert table.max(axis=1).sum() >= 960


def test_embedding_separates_blocks_whatever_their_degrees() -> None:
    near, block = blocks([60, 60, 60], crossing=0.03)
    # Four of five links of a block lead to two images.
    to_two = np.random.default_rng(1).random((60, 5)) < 0.8
    near[:60] = np.where(to_two, np.arange(5) % 2, near[:60])
    embedding = GraphPartitioner(near, 3, eigenvectors=3, clusters=9)._embedding
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1)
    alike, same = embedding @ embedding.T, block[:, None] == block
    assert np.quantile(alike[same], 0.01) > 0.9
    assert np.quantile(np.abs(alike[~same]), 0.99) < 0.4


def test_an_image_joins_most_of_its_neighbours_and_stays_at_a_tie() -> None:
    # A ring: each is the neighbour of the next two; links lead two ahead and two back.
    ring = np.arange(20)
    partitioner = GraphPartitioner(
        np.stack([(ring + 1) % 20, (ring + 2) % 20], axis=1), 2, eigenvectors=4, clusters=4
    )
    halves = np.repeat([0, 1], 10)
    assert partitioner._vote(halves).tolist() == halves.tolist()
    for groups in (halves, 1 - halves):
        stray = groups.copy()
        stray[4] = 1 - stray[4]
        assert partitioner._vote(stray).tolist() == groups.tolist()
    in_turn = ring % 2  # half of each image's links lead to either group
    assert partitioner._vote(in_turn).tolist() == in_turn.tolist()


def test_images_end_in_the_group_of_most_of_their_links() -> None:
    near, _ = blocks([120, 80, 100], crossing=0.4, seed=4)
    groups, information = GraphPartitioner(near, 3, eigenvectors=6, clusters=15).partition(1)
    graph = neighbour_graph(near).toarray()
    to_group = graph @ np.eye(3)[groups]
    follows = to_group[np.arange(300), groups] >= to_group.max(axis=1)
    assert follows.mean() > 0.98
    member = np.eye(3)[groups]
    assert information == pytest.approx(group_information(member.T @ graph @ member))


def test_few_images_and_many_groups_still_give_a_partition() -> None:
    near, _ = blocks([6, 6], crossing=0.1)
    groups, _ = GraphPartitioner(near, 4, eigenvectors=40, clusters=250).partition(0)
    assert groups.shape == (12,)
    assert set(groups) <= set(range(4))


@pytest.mark.parametrize(("count", "kinds"), [(30, 3), (50, 5), (128, 10), (300, 20)])
def test_few_images_of_clear_kinds_are_grouped_by_kind(count: int, kinds: int) -> None:
    for seed in range(3):
        rng, kind = np.random.default_rng(seed), np.arange(count) % kinds
        points = rng.standard_normal((kinds, 16))[kind] + 0.3 * rng.standard_normal((count, 16))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        likeness = points @ points.T - 9 * np.eye(count)
        partitioner = GraphPartitioner(likeness.argsort()[:, -5:], kinds, eigenvectors=40, clusters=250)
        groups, _ = max((partitioner.partition(restart) for restart in range(3)), key=itemgetter(1))
        table = np.zeros((kinds, kinds), int)
        np.add.at(table, (groups, kind), 1)
        assert table.max(axis=0).sum() == table.max(axis=1).sum() == count
