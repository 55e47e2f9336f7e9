"""The contrastive loss against its formula."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from infogan_tool.train.clustering.contrastive import contrastive_loss


def test_contrastive_loss_equals_the_formula() -> None:
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(8, 5, generator=rng)
    expected = []
    for i in range(8):
        j = (i + 4) % 8
        similarity = [F.cosine_similarity(z[i], z[k], dim=0) / 0.3 for k in range(8)]
        others = torch.stack([similarity[k] for k in range(8) if k != i])
        expected.append(torch.logsumexp(others, 0) - similarity[j])
    torch.testing.assert_close(contrastive_loss(z, 0.3), torch.stack(expected).mean())
