"""The words of the page of surrogates; its numbers come from the scorecards."""

from __future__ import annotations

#: Spaces as the page names them, in its order.
TITLES = {
    "nasbench201": "NAS-Bench-201",
    "fbnet": "FBNet",
    "mnasnet": "MnasNet (Accel-NASBench)",
    "nasbench_macro": "NAS-Bench-Macro",
    "ofa_mobilenetv3": "OFA-MobileNetV3",
}
TEXT = """\
# Surrogates

This page is written by `python -m surrogates.report` from `hwnasbench/data/scorecards.json`;
`hwnasbench train --from DIR` remakes the scorecards, the tables, the models and the column store, where DIR
holds the published files (`DIR/<source>/<path in its repository>`). `hwnasbench train TEXT ... --from DIR` trains
the columns whose name contains one of the texts. Everything follows from one seed: the same files and the same
versions of the libraries (`hwnasbench/data/manifest.json` names them) give the same bytes.

Accuracies that no table holds have pages of their own: [ImageNet](imagenet-accuracy.md) and
[low precision](precision.md). So have [new devices](onboarding.md) and [cost models](fidelity.md).

## How the shipped numbers are made

Published rows do not ship. What ships is fitted to them, and has the kind `predicted`; `of` says
whether it was fitted to measured or to estimated values.

- **What is trained on what** is one list, `surrogates/catalog.py`: for each column its features, the scale on which
  it is learned and the families that are candidates. Features come from the architecture alone (and from
  counts and cost models of its network), never from another published column of the same network.
- **Folds.** There are {folds} folds. NAS-Bench-201 cells that compute the same function (4,930
  classes) are always in the same fold; networks of other spaces are dealt out one by one, those that their source
  trained once for several spellings together. The folds are the same for every column of a space and follow
  from a fixed seed; their hash is in each scorecard.
- **Selection.** Where a column has several candidates, each fold's model is chosen, or the candidates are weighted,
  by an inner split of what that fold's model may learn from. What was held out decides nothing there. The lists of
  candidates themselves were put together with held-out numbers of some columns in sight.
- **Enumerable spaces** (NAS-Bench-201, NAS-Bench-Macro) ship out-of-fold predictions: the value of a network is
  the prediction of the model that saw none of its class, for networks without a published value too. Costs of
  NAS-Bench-201 are learned from connected cells. Predicted accuracies are averaged over each class. Rows that a
  source copied from another network are never learned from and never judged by. A disconnected cell has
  no cost (status `disconnected`). Its accuracy is the median of the disconnected cells' published
  accuracies, which its scorecard gives apart under `disconnected`: it is not held out. Training
  time is learned and predicted for all cells. Where a compiler refused cells (oneproxy's edgetpu;
  `compile_failed` in the scorecard counts them), the model learns from the others and predicts every
  connected cell: what it would take if it compiled.
- **Other spaces** ship one small model a column, fitted to all rows and evaluated with NumPy; its scorecard is of
  held-out networks. dynast's networks come from five searches, so that close relatives of a held-out one were learned
  from: its numbers are of such networks, not of random ones.
- **Exact closed forms** (NAS-Bench-201 on eyeriss and fpga). The published estimates are a sum
  over the operators of all six edges, dead ones included; the coefficients are in
  `hwnasbench/data/closed_forms.json`.
- **Exact look-up tables** (FBNet on pixel3, raspi4, eyeriss and fpga; flops). The published values
  are a sum of one cost a (position, operator), so that the recovered table is exact for all 9^22
  networks. The published sums cannot tell an intercept from a shift of all costs of a position: of
  all tables with the same sums, the one of least squares ships. Its costs are not those of single
  blocks; their differences within a position are.
- **Additive models** (FBNet elsewhere). The same form fitted by ridge regression, to the value or
  to its logarithm, whichever ranks held-out networks better.
- **Counts.** `params` and `macs` are counted from the library's own layer tables
  (kind `simulated`, source `hwnasbench-counts`); they are no surrogates and have no scorecard.

**Tried, without gain.** More features: activations, depth, estimates of cost models that were fitted to nothing, and
zero-cost proxies. On all rows they change no correlation that matters. From 100 rows they help with latency (Spearman
on pixel3 .931 to .957, on gold_6226 .959 to .978, on titan_xp .940 to .957); `onboard` is the better way from so few.
naswot moves the Kendall correlation among the best tenth of CIFAR-100 from .499 to .510 in trees and from .503 to .510
in the Gaussian process, and that of ImageNet16-120 not at all. A cost model that was fitted to a column must not be a
feature of it. These figures are of an experiment whose code does not ship; no command remakes them.

## What the numbers mean

All are held out: each published value against the prediction of a model that did not see its class.
R2, MAE (in the metric's unit), MAPE and the shares within 5 % and 10 % are on the metric's own scale;
a relative error is not given where a published value is not positive. Accuracy is judged on
connected cells. `Kendall best 10 %` is among the tenth of the published values that a search would want: the most
accurate, or the fastest. `ceiling` is about the best that any prediction can reach, because the published values
it is judged by have noise: it comes from the agreement of node-swap pairs, two measurements of the same
graph, where both were measured. Where values are whole milliseconds, or where a proxy does not depend on the
sum of its blocks, the numbers are low, and they are shown as they are.

`trust` sums a row up: `exact`; `as the noise allows`, a Spearman correlation within 0.005 of the ceiling; else by the
correlation: `close` from 0.98, `good` from 0.95, `fair` from 0.85, `rough` below. A rough column still ranks far
apart networks; do not compare neighbours by it.

The `std` of a shipped value is the root mean square of the held-out residuals among predictions of similar size
(of the whole column for additive models; relative to the prediction where the logarithm was learned). It is 0 for
exact forms. `value.interval(0.9)` reads the quantiles of the same residuals over their std. The tables of intervals
say how often an interval holds the published value, where 80 % and 95 % are meant to: over all rows; in the tenth of
the predictions where it is furthest off; among the best tenth of the published values, which noise has made look
better than they are, so that the share is below where noise is large; and for a new class: there the quantiles
are of other classes, and each class counts once.

Learning curves give the Kendall correlation by how many rows were learned from, on all rows of other classes.

"""
