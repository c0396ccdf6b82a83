"""Torch modules do what the layer tables say."""

from __future__ import annotations

import numpy as np
import pytest

from hwnasbench import spaces
from hwnasbench.errors import InvalidRequest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

CASES = [(name, dataset) for name in spaces.names() for dataset in spaces.get(name).datasets]
nb201 = spaces.get("nasbench201")


def images(network, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((batch, *network.input_shape), generator=generator)


def record_shapes(module):
    """Return the list that a forward pass fills with each layer's output shape."""
    shapes: list[tuple[int, ...]] = []

    def hook(_module, _inputs, output):
        shapes.append(tuple(output.shape))

    for layer in module.layers:
        layer.register_forward_hook(hook)
    return shapes


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_module_agrees_with_the_table(name, dataset, live):
    space = spaces.get(name)
    for seed in range(2):
        arch = space.sample(np.random.default_rng(seed))
        network = space.network(arch, dataset)
        if live:
            network = network.live()
        module = network.to_torch()
        per_layer = [sum(p.numel() for p in layer.parameters()) for layer in module.layers]
        assert per_layer == network.layers["params"].tolist()
        assert sum(p.numel() for p in module.parameters()) == network.params
        shapes = record_shapes(module)
        logits = module(images(network))
        assert logits.shape == (2, network.classes)
        expected = network.layers[["out_channels", "out_height", "out_width"]].tolist()
        assert shapes == [(2, *shape) for shape in expected]
        logits.sum().backward()
        if live:
            assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("vector", [[3, 0, 2, 1, 4, 3], [1, 3, 0, 0, 0, 2], [1, 1, 0, 0, 1, 2]])
def test_live_network_computes_the_same(vector):
    """Cells without dead convolutions, so that weights pair up in order."""
    network = nb201.network(vector)
    live = network.live()
    assert len(live) < len(network)
    whole, part = network.to_torch().eval(), live.to_torch().eval()
    weights = zip(part.state_dict(), whole.state_dict().values(), strict=True)
    part.load_state_dict(dict(weights))
    x = images(network)
    torch.testing.assert_close(whole(x), part(x))


def test_pooling_leaves_padding_out():
    network = nb201.network([0, 0, 0, 4, 0, 0]).live()
    module = network.to_torch()
    pool = next(layer for layer in module.layers if isinstance(layer, torch.nn.AvgPool2d))
    assert torch.equal(pool(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))


def test_zero_cell_gives_the_same_logits_for_all_images():
    module = nb201.network([0] * 6).to_torch().eval()
    logits = module(images(nb201.network(0), batch=3))
    assert torch.equal(logits[0], logits[1])


def test_a_network_without_layers_is_refused():
    with pytest.raises(InvalidRequest, match="no layers"):
        nb201.network([0] * 6).live().to_torch()


def test_training_step_lowers_the_loss():
    torch.manual_seed(0)
    module = spaces.get("fbnet").network([0, *[8] * 21], "cifar100").to_torch()
    x, y = images(module.network, batch=8), torch.arange(8)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
