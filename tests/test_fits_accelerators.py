"""Accelerator cost models against published latencies, and the blocks of Ultra96-V2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import spearmanr

from data_builders.operators import ofa_fpga
from hwnasbench import spaces
from hwnasbench.costs.simulate import Simulator
from hwnasbench.devices import catalog
from hwnasbench.errors import CorruptFile
from surrogates.fidelity import eyeriss, fpga, imc
from surrogates.fits import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_blocks_have_the_work_that_the_runtime_counts(sources: Path) -> None:
    rows = list(ofa_fpga.rows(sources / "ofa_fpga"))
    assert len(rows) == 124
    ratio = np.array([row.workload / (2e-9 * row.network.macs) for row in rows])
    # The runtime rounds to 1e6 operations; one convolution of 1 x 1 images is counted 13 % higher.
    assert (np.abs(ratio - 1) > 0.06).sum() == 1
    assert {int(bits) for row in rows for bits in row.network.layers["weight_bits"]} == {8}


def test_a_block_of_another_form_is_refused(tmp_path: Path) -> None:
    for file in ofa_fpga.FILES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        text = "Kernel Name,Average Time (ms),Workload(GOP)\nDense-in_3_out-4,1,1\n"
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(CorruptFile, match="Dense-in_3"):
        list(ofa_fpga.rows(tmp_path))


@pytest.mark.parametrize("device", ["eyeriss", "fpga"])
def test_ranks_published_latencies(sources: Path, device: str) -> None:
    """The published target on all connected cells that the fit did not look at, dead edges or not."""
    found = samples.columns(sources)[device, "nasbench201", "latency", 1]
    space = spaces.get("nasbench201")
    vectors = space.vectors(found.column.archs)
    answer = Simulator(catalog()[device]).many(space, vectors, "cifar10")["latency"]
    judged = answer.status == 0
    judged[samples.rows_of(found)] = False
    assert judged.sum() > 13_000
    true = np.asarray(found.column.values, np.float64)
    assert spearmanr(true[judged], answer.values[judged]).statistic >= 0.97


def test_sections_without_published_files() -> None:
    assert "absent" in eyeriss.section(None)
    assert "absent" in fpga.section(None)
    assert "compared with nothing" in imc.section(None)
