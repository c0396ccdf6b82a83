"""Zero-cost proxies: each runs, follows from its seed, and equals its definition computed the long way."""

from __future__ import annotations

import copy
import itertools
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hwnasbench import proxies, spaces  # noqa: E402
from hwnasbench.errors import InvalidRequest, ProxyFailed, UnknownName  # noqa: E402
from hwnasbench.proxies.base import Batch, Proxy, ProxyNetwork, build, gaussian_batch  # noqa: E402
from hwnasbench.proxies.evaluate import evaluate, shared  # noqa: E402

NB201 = spaces.get("nasbench201")
#: Two convolutions, two poolings and a skip.
CELL = NB201.parse("|nor_conv_3x3~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|avg_pool_3x3~2|")
FBNET = spaces.get("fbnet").sample(np.random.default_rng(0))
COUNTED = {"params", "macs"}


@pytest.fixture(scope="module", params=["nasbench201", "fbnet"])
def scores(request: pytest.FixtureRequest) -> list[dict[str, float]]:
    """All scores of seeds 0, 0 and 1."""
    arch, dataset = (CELL, "ImageNet16-120") if request.param == "nasbench201" else (FBNET, "cifar100")
    return [evaluate(spaces.get(request.param), arch, dataset, seed=seed) for seed in (0, 0, 1)]


@pytest.mark.parametrize("name", proxies.names())
def test_contract(name: str, scores: list[dict[str, float]]) -> None:
    proxy = proxies.get(name)
    assert proxy.name == name
    assert proxy.paper.strip()
    assert proxy.definition.strip()
    first, again, other = (one[name] for one in scores)
    assert type(first) is float
    assert math.isfinite(first)
    assert first == again
    assert (first == other) == (name in COUNTED)


def test_scores_do_not_depend_on_their_company() -> None:
    together = evaluate(NB201, CELL, "ImageNet16-120", proxies.names()[::-1])
    assert {name: evaluate(NB201, CELL, "ImageNet16-120", [name])[name] for name in together} == together


def test_data_sets_of_one_size_share_weights_and_images() -> None:
    """What reads no head is the same; a class more or less changes the others."""
    ten, hundred = (evaluate(NB201, CELL, name, ["naswot", "zen", "snip"]) for name in ("cifar10", "cifar100"))
    assert (ten["naswot"], ten["zen"]) == (hundred["naswot"], hundred["zen"])
    assert ten["snip"] != hundred["snip"]


# -- definitions, the long way ------------------------------------------------------------------


@pytest.fixture(scope="module")
def case() -> tuple[ProxyNetwork, Batch]:
    """A network and a batch of 8 images."""
    network = NB201.network(CELL, "ImageNet16-120")
    rng = np.random.default_rng(3)
    return build(network, rng), gaussian_batch(network.input_shape, network.classes, rng, 8)


def score(name: str, case: tuple[ProxyNetwork, Batch]) -> float:
    return proxies.get(name)(*case, np.random.default_rng(0))


def weighted(network: torch.nn.Module) -> list[torch.nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]


def backward(case: tuple[ProxyNetwork, Batch]) -> list[torch.nn.Module]:
    """Return the weighted layers of a copy after one ordinary backward pass."""
    network = copy.deepcopy(case[0])
    torch.nn.functional.cross_entropy(network(case[1].images), case[1].labels).backward()
    return weighted(network)


SUMS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "grad_norm": lambda _, g: (g**2).sum() ** 0.5,
    "snip": lambda w, g: (w * g).abs().sum(),
    "plain": lambda w, g: (w * g).sum(),
    "l2_norm": lambda w, _: (w**2).sum() ** 0.5,
}


@pytest.mark.parametrize("name", sorted(SUMS))
def test_sums_over_weights(name: str, case: tuple[ProxyNetwork, Batch]) -> None:
    layers = backward(case)
    expected = sum(float(SUMS[name](w.weight.detach().double(), w.weight.grad.double())) for w in layers)
    assert score(name, case) == pytest.approx(expected, rel=1e-4)


def test_counts_are_those_of_the_layer_table(case: tuple[ProxyNetwork, Batch]) -> None:
    live = NB201.network(CELL, "ImageNet16-120").live()
    assert score("params", case) == live.params
    assert score("macs", case) == live.macs


def test_synflow_adds_up_what_each_layer_carries(case: tuple[ProxyNetwork, Batch]) -> None:
    """R is linear in each layer's weights, so that sum of w dR/dw is R less R without the layer: no gradient."""
    network = copy.deepcopy(case[0]).double()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(parent, name, torch.nn.Identity())
    ones = torch.ones(1, *network.trunk.network.input_shape, dtype=torch.float64)
    with torch.no_grad():
        for values in network.parameters():
            values.abs_()
        total, expected = float(network(ones).sum()), 0.0
        for layer in weighted(network):
            kept = layer.weight.clone()
            layer.weight.zero_()
            expected += total - float(network(ones).sum())
            layer.weight.copy_(kept)
    assert score("synflow", case) == pytest.approx(expected, rel=1e-9)


def test_fisher_by_hooks(case: tuple[ProxyNetwork, Batch]) -> None:
    network, kept = copy.deepcopy(case[0]), {}

    def keep(layer: torch.nn.Module, _inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        kept[layer] = output

    for layer in weighted(network):
        layer.register_forward_hook(keep)
    torch.nn.functional.cross_entropy(network(case[1].images), case[1].labels).backward()
    expected = 0.0
    for layer, output in kept.items():
        product = (output * output.grad).detach().double()
        per_channel = product.reshape(*product.shape[:2], -1).sum(-1)
        expected += float((per_channel**2).mean(0).sum() / 2) * layer.weight[0].numel()
    assert score("fisher", case) == pytest.approx(expected, rel=1e-4)


def test_grasp_by_differences_of_gradients(case: tuple[ProxyNetwork, Batch]) -> None:
    """The Hessian times the gradient is how the gradient changes along itself."""
    network, batch = copy.deepcopy(case[0]).double(), Batch(case[1].images.double(), case[1].labels)
    weights = [layer.weight for layer in weighted(network)]

    def gradient() -> list[torch.Tensor]:
        loss = torch.nn.functional.cross_entropy(network(batch.images), batch.labels)
        return list(torch.autograd.grad(loss, weights))

    along, start = gradient(), [w.detach().clone() for w in weights]
    step = 1e-9  # longer ones cross kinks of the activations, where the gradient jumps
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            for w, origin, g in zip(weights, start, along, strict=True):
                w.copy_(origin + sign * step * g)
        ends.append(gradient())
    moved = [(plus - minus) / (2 * step) for plus, minus in zip(*ends, strict=True)]
    expected = -sum(float((w * h).sum()) for w, h in zip(start, moved, strict=True))
    assert score("grasp", (copy.deepcopy(case[0]).double(), batch)) == pytest.approx(expected, rel=1e-4)


def test_naswot_by_counting_units(case: tuple[ProxyNetwork, Batch]) -> None:
    network, signs = copy.deepcopy(case[0]), []
    for layer in network.modules():
        if isinstance(layer, torch.nn.ReLU):
            layer.register_forward_hook(lambda _m, inputs, _o: signs.append((inputs[0] > 0).flatten(1).numpy()))
    with torch.no_grad():
        network(case[1].images)
    codes = np.concatenate(signs, axis=1)
    kernel = np.array([[(a == b).sum() for b in codes] for a in codes], float)
    assert score("naswot", case) == pytest.approx(np.log(np.linalg.det(kernel / 1e4)) + 8 * np.log(1e4), rel=1e-9)


def test_scores_of_jacobians(case: tuple[ProxyNetwork, Batch]) -> None:
    network, images = copy.deepcopy(case[0]), case[1].images.clone().requires_grad_(True)
    network(images).sum().backward()
    rows = images.grad.flatten(1).double().numpy()
    centred = rows - rows.mean(1, keepdims=True)
    scale = np.sqrt((centred**2).sum(1))
    correlation = centred @ centred.T / np.outer(scale, scale)
    values = np.linalg.eigvals(correlation).real
    expected = -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values)
    assert score("jacob_cov", case) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("classes", "labels"), [(3, [0, 0, 1, 1, 1, 2, 2, 0]), (101, [5, 5, 9, 9, 9, 7, 70, 70])])
def test_epe_nas_by_classes(case: tuple[ProxyNetwork, Batch], classes: int, labels: list[int]) -> None:
    network = case[0].with_head(torch.nn.Linear(case[0].head.in_features, classes))
    batch = Batch(case[1].images, torch.tensor(labels))
    images = batch.images.clone().requires_grad_(True)
    copy.deepcopy(network)(images).sum().backward()
    rows = images.grad.flatten(1).double().numpy()
    per_class = []
    for one in sorted(set(labels)):
        own = rows[[label == one for label in labels]]
        if len(own) == 1:  # the lone image of class 7, among more than 100 classes
            continue
        total = sum(math.log(abs(np.corrcoef(a, b)[0, 1]) + 1e-5) for a, b in itertools.product(own, own))
        per_class.append(total if classes <= 100 else total / len(own))
    if classes <= 100:
        expected = sum(map(abs, per_class))
    else:
        expected = sum(abs(a - b) for a, b in itertools.product(per_class, per_class)) / len(per_class)
    found = score("epe_nas", (network, batch))
    case[0].memory.clear()
    assert found == pytest.approx(expected, rel=1e-3)


def test_zen_by_hand(case: tuple[ProxyNetwork, Batch]) -> None:
    """Gaussian weights, two Gaussian images a hundredth apart; what normalisation divided by is multiplied back."""
    given = torch.Generator().manual_seed(int(np.random.default_rng(0).integers(2**63)))
    trunk = copy.deepcopy(case[0].trunk)
    for layer in weighted(trunk):
        layer.weight.data = torch.randn(layer.weight.shape, generator=given)
    images = [torch.randn(case[1].images.shape, generator=given) for _ in range(2)]
    seen: dict[torch.nn.Module, list[torch.Tensor]] = {}
    for layer in trunk.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.AdaptiveAvgPool2d):
            layer.register_forward_hook(lambda m, inputs, _o: seen.setdefault(m, []).append(inputs[0].double()))
    with torch.no_grad():
        trunk(images[0])
        trunk(images[0] + 0.01 * images[1])
    expected = 0.0
    for layer, (first, second) in seen.items():
        if isinstance(layer, torch.nn.BatchNorm2d):
            expected += 0.5 * math.log(np.var(first.numpy(), axis=(0, 2, 3), ddof=1).mean())
        else:
            expected += math.log(float((first - second).abs().sum()) / len(first))
    assert score("zen", case) == pytest.approx(expected, rel=1e-5)


# -- bad input ----------------------------------------------------------------------------------


def test_unknown_proxy_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown proxy 'synflw'; did you mean 'synflow'"):
        proxies.get("synflw")


def test_disconnected_network_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not lead from its input to a linear layer"):
        evaluate(NB201, [0] * 6, "cifar10")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda *_: 1 / 0, "proxy 'mine' raised ZeroDivisionError on .*nor_conv_3x3~0.*: division by zero"),
        (lambda *_: float("nan"), "proxy 'mine' returned nan on .*nor_conv_3x3~0"),
        (lambda *_: -math.inf, "proxy 'mine' returned -inf on .*nor_conv_3x3~0"),
        (lambda *_: None, "proxy 'mine' returned a NoneType on .*nor_conv_3x3~0.*; expected a float"),
        (lambda network, batch, _: network(batch.images).sum(), "returned a Tensor on"),
        (lambda *_: True, "returned a bool on"),
    ],
)
def test_failing_proxy_names_the_architecture(function: Callable[..., float], told: str) -> None:
    network = NB201.network(CELL, "ImageNet16-120")
    with pytest.raises(ProxyFailed, match=told):
        shared([network], [Proxy("mine", function, "", "")], 0)


@pytest.mark.parametrize(
    ("shape", "labels", "told"),
    [
        ((2, 3, 32, 32), [0, 1], r"a batch of \(3, 32, 32\) images: expected \(3, 16, 16\)"),
        ((2, 3, 16, 16), [0, 120], r"labels \[0, 120\]: expected some from 0 to 119"),
        ((2, 3, 16, 16), [0, -1], r"labels \[0, -1\]"),
        ((0, 3, 16, 16), [], r"labels \[\]"),
    ],
)
def test_batch_of_another_network_is_refused(shape: tuple[int, ...], labels: list[int], told: str) -> None:
    batch = Batch(torch.zeros(shape), torch.tensor(labels, dtype=torch.int64))
    with pytest.raises(InvalidRequest, match=told):
        evaluate(NB201, CELL, "ImageNet16-120", batch=batch)


def test_labels_are_as_many_as_images() -> None:
    with pytest.raises(InvalidRequest, match="and 3 labels"):
        Batch(torch.zeros(2, 3, 16, 16), torch.zeros(3, dtype=torch.int64))


def test_missing_torch_names_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from hwnasbench import proxies\n"
        "from hwnasbench.errors import MissingExtra\n"
        "assert 'naswot' in proxies.names()\n"
        "for read in (lambda: proxies.get('naswot'), lambda: proxies.compare):\n"
        "    try:\n"
        "        read()\n"
        "    except MissingExtra as error:\n"
        "        print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.splitlines() == ["proxies need PyTorch: pip install 'hwnasbench[torch]'"] * 2
