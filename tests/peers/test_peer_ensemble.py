"""The ensemble of attacks beside AutoAttack "standard" (its authors' code), image by image."""

from __future__ import annotations

import peer
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from raylab.core.balls import Ball, L2Ball, LinfBall
from raylab.core.networks import Network, build
from raylab.core.robust import standard, worst_case

# 5,000 queries of Square on each image that stands, here and there: minutes.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1800), pytest.mark.slow]

ROWS = 24
DIGITS = load_digits()
X = torch.from_numpy(DIGITS.images / 16).float()[:, None]
Y = torch.from_numpy(DIGITS.target).long()


def trained(name: str) -> Network:
    net = build(name, (1, 8, 8), 10, [0.3], [0.35], seed=0)
    net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # the peer calls `view`
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in range(120):
        rows = torch.arange(64 * step, 64 * step + 64) % 1400
        optimizer.zero_grad()
        nn.functional.cross_entropy(net.train()(X[rows]), Y[rows]).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "ball"), [("linear", L2Ball(0.4)), ("mlp", LinfBall(0.08)), ("vgg_small", L2Ball(0.5))]
)
def test_the_same_images_stand(name: str, ball: Ball) -> None:
    pyautoattack = peer.need("pyautoattack")
    network = trained(name)
    x, y = X[-ROWS:], Y[-ROWS:]
    ids = torch.arange(ROWS).numpy()
    margin = worst_case(network, x, y, ids, standard(ball, 10, seed=0)).margin
    norm = "L2" if isinstance(ball, L2Ball) else "Linf"
    attack = pyautoattack.AutoAttack(network, norm=norm, eps=ball.eps, version="standard", seed=0)
    found, _ = attack.run_standard_evaluation(x, y, batch_size=ROWS)
    with torch.no_grad():
        stands = (network(x).argmax(1) == y) & (network(found).argmax(1) == y)
    assert 0.15 < float(stands.float().mean()) < 0.85  # so that both answers were open
    # At the boundary itself either search may be the one that gets across; logits here differ by 5 and more.
    decided = margin.abs() > 0.05
    assert decided.sum() >= ROWS - 1
    assert torch.equal((margin > 0)[decided], stands[decided])
