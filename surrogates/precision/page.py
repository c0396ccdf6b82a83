"""Write ``docs/precision.md`` from the scorecard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_builders import markdown
from surrogates.intervals import CHECKED
from surrogates.precision.imagenet import ASKED

if TYPE_CHECKING:
    from collections.abc import Iterable

_INTRODUCTION = """\
# Accuracy at low precision

This page is written by `python -m surrogates.precision --from DIR` from `hwnasbench/data/precision.json`, where DIR
holds the published files; the wheel of analog-nasbench is fetched with pip where DIR has none. The models are in
`hwnasbench/data/models/precision.npz` and are evaluated in NumPy by `hwnasbench.predictors.precision`.

A prediction is a *loss*: points of top-1 below the same network in float32. The accuracy at a precision is the
accuracy in float32 less the loss; what is wrong with the float32 value comes on top. All errors on this page are in
points, and are of rows that the model did not see. The kind is `predicted`, the source `hwnasbench-precision`.

`ptq` quantises after training, `qat` trains further with quantisation. A prediction is flagged `extrapolated` where
nothing like it was fitted; each section says where.
"""
_CELLS = """
## NAS-Bench-201 at int8 and on analog hardware

From analog-nasbench (CIFAR-10), against its own float32 accuracy: `ptq`, `qat`, and analog in-memory hardware right
after programming (0) and 60 s, 1 h, 1 d and 30 d later, for networks trained for it (`hwat`) and not (`noisy`).
Gradient-boosted trees on the live graph learn the loss; each cell's shipped value is that of a model which saw no
cell of its class (the 5 folds of the [surrogates](surrogates.md)). Cells without a path lose nothing. Repeatability
is what two measurements of the same graph (node-swap pairs) differ by, per measurement and on the root mean square:
an rmse below it would be noise. A few trainings that failed rule both; the median error is the typical one.

"""
_ANALOG = """
Between those times the loss is interpolated in log(1 + seconds); after 30 days the last slope goes on, flagged. The
loss never falls with time. **Crossbar size and converter bits are extrapolated, whatever they are**: the source
states neither (its wheel was read). Its hardware is taken to have {crossbar} rows and {adc}-bit converters (AIHWKIT's
defaults, recalled), at which the published losses are given unflagged. At others, each crossbar that a sum is cut
into adds a conversion error, the mean number of crossbars a convolution has follows from the layer table, and the
error costs what the cell's own `ptq` loss at int8 says, times the factor {ratio} a bit that was fitted below. No data
checks it.
"""
_LOWERED = """
## NAS-Bench-201 below 8 bits

From mpnas201 (CIFAR-10; weights of 2, 4 or 8 bits by edge and stage; activations, stem, reductions and classifier at
8 bits; networks trained further, so `qat`). Its levels compare with nothing, so that only differences are learned: a
training against the median of the same live graph at 8 bits in the same file. Trees read how many convolutions have
fewer bits and what share of a cell's output passed one of them, stage by stage; they can only rise as bits fall. The
prediction for 150 epochs ships, and is added to the loss at int8. Folds are by class as above. The same live graph
with the same live bits, trained twice, differs by {rms} points (150 epochs; root mean square, {median} at the
median), because some trainings fail; the trees learn the inverse hyperbolic sine of the loss and so predict what is
typical, below the mean.

"""
_BEYOND = """
Flagged: `ptq` below 8 bits (none was published; it is given the loss of `qat`), 3 bits (taken as 2), 5 to 7 (taken as
4), activations or anything outside of the cells below 8 bits (activations are taken to cost what weights of as few
bits cost), cells of one stage with different bits (the mean of five networks), data sets other than CIFAR-10.

Where the tables were built (`hwnasbench build`), a plain `query(arch, precision="int8")` finds the accuracy of
analog-nasbench (recipe `ptq`), and a plain `w4a8` or `w2a8` that of mpnas201 (recipe `mpnas201`, 150 epochs; the few
hundred cells it has): they are not of the same training, and the difference between the two is no loss. For a loss
take both from one source, as this page does: `recipe="qat"` or `recipe="ptq"` at w4a8 is the float32 accuracy less
the loss. Where no table of mpnas201 was built, a plain `w4a8` is that too (`ptq`).
"""
_LAYERS = """
## ImageNet, layer by layer

Five parameters over the layer table, fitted together to MQBench's table (5 networks; the best of its methods at each
precision) and HAWQ's (ResNet-18 and -50, trained further, 9 mixed schemes each):

    loss = {ceiling:g} (1 - exp(-x / {ceiling:g})),  x = A (P / 10 million) ^ -{exponent:.3f} (
        {weights:.3f} sum_layers (share of parameters) {ratio:.3f} ^ (4 - weight bits)
      + {others:.3f} sum_layers (share of MACs) {ratio:.3f} ^ (4 - activation bits))

with A = {ptq:.2f} points for `ptq` and {qat:.2f} for `qat`, P the parameters between the first and the last layer,
and shares of what is between them. The ceiling is chosen, not fitted. One bit less is {ratio:.2f} times the harm
(theory says 4: noise of a quarter the power a bit). HAWQ's `qat` is integer-only with rounding of every step, and
loses more at w4a4 than the best `ptq`: the two tables are two recipes. Its mixed schemes are known by size and bit
operations alone, from which follow the shares at 4 bits; the nine of a network weigh as much as one row, because they
are variants of one training. That was decided after a first fit in which each weighed as one row: there the worst
`qat` network left out at W4A4 is wrong by {apart} points, and not as below.

haq's table has latencies, not accuracies, and is not used. What few rows cannot tell is left out: depthwise layers
have no sensitivity of their own (MobileNetV2 alone has them), though they are known to be the worst at few bits
(recalled): below 4 bits MobileNetV2 and MNASNet lose more than is predicted.

At a named precision the first and the last layer keep 8 bits, as in both tables (HAWQ's bit_config.py, read;
MQBench's academic setting, recalled); bits by layer are taken as they are.
Flagged: a first or last layer below 8 bits, fewer than 2 bits, less than half the parameters of the smallest or more
than twice those of the largest fitted network, any data set but ImageNet, and any activation but ReLU and ReLU6: no
network with swish, or with the gates of squeeze-and-excitation, was fitted.

### Networks left out

Predicted less published loss. Each row is predicted by a fit that saw no row of its network, in either table; of the
mixed schemes (shares at 4 bits, the others at 8) the absolute errors together.

"""
_VERDICT = """
Asked for of each network left out: an error of at most
{asked} (of the lower of the two bits). Errors here are absolute.

{goals}
The order W8A8, W6A6, W4A4, W2A4 is predicted, and is that of what is published, on {right} of {networks} networks.
Neither table has W6A6: its place is predicted, and its value is compared with the one publication below alone.
"""
_ELSEWHERE = """
### Elsewhere

Errors on what two READMEs publish (of PTMQ for ResNet-18 and of PD-Quant for the others; read). No fit saw these rows.
The shipped model predicts them; it saw ResNet-18 at other precisions, and nothing of the others.

"""
_INTERVALS = """
## Intervals

`value.interval(0.9)` of an accuracy adds two errors as if they were independent: that of the accuracy in float32 and
that of the loss; below 8 bits NAS-Bench-201 has a third, of what the lower bits add. Each has quantiles of its
residuals over their std, taken where they were left out: classes of cells by fold, networks of ImageNet, with their
opposites, because five networks tell little of a bias. The quantiles are convolved: the widest interval is that of
0.98, and of 0.95 where the float32 value is [that of ImageNet](imagenet-accuracy.md), whose own ends there.

The table counts how often published values lie in intervals of 80 % and 95 %. Of losses, the spread and the quantiles
are those of other rows: of the other folds, or of the other networks, each of which was then predicted by a fit that
saw neither it nor the one that is judged. Two networks alone have `qat` rows: where one of them is judged, such a fit
knows nothing of `qat`, and the rows of the other do not count. Of accuracies at int8, the float32 value and the loss
are both predicted, for every tenth cell, and the quantiles are those that ship: it judges whether the errors may be
added; errors that cancel in part make the intervals too wide. Nothing judges that below 8 bits or on ImageNet, where
no table has both.

A band is where the share lies with a probability of 99 % if the intervals are right and no row tells of another. But
they do: the members of a class, and above all the nine mixed schemes of one network, err together, so that the bands
are too narrow.

"""


def page(card: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    from hwnasbench.predictors.precision import ADC_BITS, CROSSBAR

    layers = card["imagenet"]
    fitted = layers["parameters"]
    return "".join(
        [
            _INTRODUCTION,
            _CELLS,
            _table(card["cells"]),
            _ANALOG.format(crossbar=CROSSBAR, adc=ADC_BITS, ratio=f"{fitted['ratio']:.2f}"),
            _LOWERED.format(**card["repeatability"]["150"]),
            _table(card["lowered"]),
            _BEYOND,
            _LAYERS.format(**fitted, others=1 - fitted["weights"], apart=layers["qat_w4a4_apart"]),
            _table(map(_left_out, layers["left_out"])),
            _verdict(layers),
            _ELSEWHERE,
            _table(layers["elsewhere"]),
            _INTERVALS,
            _table(map(_held, card["intervals"])),
            _outside(card["intervals"]),
        ]
    )


def _held(row: dict[str, Any]) -> dict[str, Any]:
    """Return one line of coverage; shares are in %."""
    levels = {f"{level:.0%}": (row[f"held_{level:.0%}"], row[f"band_{level:.0%}"]) for level in CHECKED}
    shares: dict[str, str] = {}
    for level, (held, (low, high)) in levels.items():
        shares |= {f"{level}: held": f"{held} %", f"{level}: band": f"{low} to {high} %"}
    return {"interval of": row["of"], "quantiles of": row["quantiles_of"], "rows": row["rows"], **shares}


def _outside(rows: list[dict[str, Any]]) -> str:
    """Name the intervals that hold less than they should by more than chance explains, and those that hold more."""
    names: dict[str, list[str]] = {"Below": [], "Above": []}
    for row in rows:
        for level in (f"{level:.0%}" for level in CHECKED):
            held, (low, high) = row[f"held_{level}"], row[f"band_{level}"]
            if not low <= held <= high:
                names["Below" if held < low else "Above"].append(f"{row['of']} ({level})")
    lines = [f"{word} the band: {'; '.join(found) or 'none'}." for word, found in names.items()]
    return "\n" + "\n".join(lines) + "\n"


def _left_out(row: dict[str, Any]) -> dict[str, Any]:
    """Return one line of errors; what a table lacks stays empty."""
    mixed = row["mixed"] or {"mean": None, "worst": None}
    return {
        "network": row["network"],
        "method": row["method"],
        **{label: row["errors"].get(label) for label in ("W8A8", "W4A8", "W4A4", "W3A3", "W2A4")},
        "mixed, mean": mixed["mean"],
        "mixed, worst": mixed["worst"],
        "W6A6 predicted": row["w6a6_predicted"],
        "in order": row["in_order"],
    }


def _verdict(layers: dict[str, Any]) -> str:
    """Say what was asked for and what was reached."""
    right = [row["in_order"] for row in layers["left_out"] if row["in_order"] is not None]
    asked = ", ".join(f"{points:g} points at {bits} bits" for bits, points in ASKED.items())
    return _VERDICT.format(asked=asked, goals=_table(layers["goals"]), right=sum(right), networks=len(right))


def _table(rows: Iterable[dict[str, Any]]) -> str:
    rows = list(rows)
    names = list(rows[0])
    lines = [markdown.row(name.replace("_", " ") for name in names), markdown.row("---" for _ in names)]
    return "\n".join([*lines, *(markdown.row(_cell(row[name]) for name in names) for row in rows)]) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return str(value)
