"""ZigZag as an oracle: energy and cycles of one layer on accelerators, at the best loop order that it finds.

ZigZag searches orders of the temporal loops and places their data in the memories; energy is counts of accesses times
the cost of one, read from the tool's own hardware files. What it answers depends on the search (`lpf_limit`: how many
factors the loops are cut into) and on the objective (`opt`), so that both are fixed here and recorded.
"""

from __future__ import annotations

import logging
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnasbench.errors import MissingExtra, UnknownName
from hwnasbench.networks.layers import Op

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

#: Target: the hardware file and the mapping file, both of the installed package. It has no mapping for its Eyeriss-like
#: hardware: `default` (output channels x input channels) is cut to the array, which is no row-stationary dataflow.
_FILES = {
    "eyeriss-like": ("eyeriss_like", "default"),
    "tpu-like": ("tpu_like", "tpu_like"),
    "edge-tpu-like": ("edge_tpu_like", "edge_tpu_like"),
    "aimc": ("aimc", "default_imc"),
    "dimc": ("dimc", "default_imc"),
}
_IMC = ("aimc", "dimc")
_OPT = "energy"
#: At 4 a layer takes a second or so; a dimension is always one factor at least, so that a 3 x 3 convolution has 6.
_LPF_LIMIT = 4
#: How many spatial mappings are tried where the mapping file leaves a dimension of the array open (the tool's default).
_SPATIAL_MAPPINGS = 3
_BITS = {"W": 8, "I": 8, "O": 16, "O_final": 8}
_OPERANDS = {"I": "input", "W": "weight", "O": "output"}
_KINDS = ("register", "sram", "dram")


class ZigZag:
    """Runs ZigZag's stages on one layer.

    Attributes
    ----------
    name : str
        ``zigzag``.
    targets : tuple of str
        Accelerators; `settings` names their files.
    """

    name = "zigzag"
    targets = tuple(_FILES)

    def version(self) -> str:
        """Return the version of the installed ZigZag.

        Raises
        ------
        MissingExtra
            When ZigZag is not installed.
        """
        try:
            return metadata.version("zigzag-dse")
        except metadata.PackageNotFoundError as error:
            raise _missing() from error

    def settings(self) -> dict[str, str]:
        """Return what the numbers depend on beside the layer, one text for each target."""
        return {
            target: (
                f"hardware={hardware}.yaml mapping={mapping}.yaml engine=loma opt={_OPT} lpf_limit={_LPF_LIMIT} "
                f"temporal_mapping=uneven spatial_mappings={_SPATIAL_MAPPINGS} mixed={target in _IMC} "
                "inter_layer_locality=False bits=W8,I8,O16,O_final8 batch=1"
            )
            for target, (hardware, mapping) in _FILES.items()
        }

    def evaluate(self, layer: np.void, target: str) -> dict[str, object]:
        """Return energy and cycles of one layer on one accelerator.

        Parameters
        ----------
        layer : np.void
            A row of `hwnasbench.networks.LAYER`; its bit widths are not read, since the hardware is for 8 bits.
        target : str
            One of `targets`.

        Returns
        -------
        dict
            ``status``; where it is ``ok`` also ``cycles`` and its parts, ``latency_ms`` (in-memory computing alone:
            the other hardware files name no clock), energies in pJ, utilisations (0 to 1) and the
            ``spatial_mapping``. ``unsupported_layer``: neither a convolution nor a linear layer. ``compile_failed``:
            ZigZag found no mapping.

        Raises
        ------
        MissingExtra
            When ZigZag is not installed.
        UnknownName
            When the target is none of `targets`.
        """
        if target not in _FILES:
            raise UnknownName("target of zigzag", target, self.targets)
        if int(layer["op"]) not in (Op.CONV, Op.LINEAR):
            return {"status": "unsupported_layer"}
        try:
            from zigzag.opt.loma.engine import NoValidLoopOrderingFoundException
        except ImportError as error:
            raise _missing() from error
        try:
            result = _run(workload(layer), target)
        except (AssertionError, NoValidLoopOrderingFoundException):
            return {"status": "compile_failed"}
        return {"status": "ok", **_cycles(result), **_energies(result)}

    def evaluate_many(self, layers: NDArray[np.void], target: str) -> list[dict[str, object]]:
        """Return `evaluate` of each layer."""
        return [self.evaluate(layer, target) for layer in layers]


def workload(layer: np.void) -> list[dict[str, Any]]:
    """Return a convolution or a linear layer in ZigZag's workload format, as its ONNX parser writes them.

    Only the weights are constant; the input comes from outside, so that both are read from DRAM.
    """
    common = {"id": 0, "name": "layer", "operand_source": {"W": 0}, "operand_precision": _BITS}
    if int(layer["op"]) == Op.LINEAR:
        return [
            common
            | {
                "operator_type": "Gemm",
                "equation": "O[d][k]+=I[d][c]*W[c][k]",
                "dimension_relations": [],
                "loop_dims": ["C", "D", "K"],
                "loop_sizes": [int(layer["in_channels"]), 1, int(layer["out_channels"])],
            }
        ]
    groups, kernel, padding = int(layer["groups"]), int(layer["kernel"]), int(layer["padding"])
    stride, dilation = int(layer["stride"]), int(layer["dilation"])
    width, height = int(layer["out_width"]), int(layer["out_height"])
    channels, filters = int(layer["in_channels"]) // groups, int(layer["out_channels"]) // groups
    return [
        common
        | {
            "operator_type": "Conv",
            "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
            "dimension_relations": [f"ix={stride}*ox+{dilation}*fx", f"iy={stride}*oy+{dilation}*fy"],
            "loop_dims": ["B", "K", "G", "OX", "OY", "C", "FX", "FY"],
            "loop_sizes": [1, filters, groups, width, height, channels, kernel, kernel],
            "pr_loop_dims": ["IX", "IY"],
            "pr_loop_sizes": [int(layer["in_width"]), int(layer["in_height"])],
            "padding": [[padding, padding], [padding, padding]],
        }
    ]


def _run(layers: list[dict[str, Any]], target: str) -> Any:
    """Return ZigZag's best evaluation of one layer.

    The stages are those of `zigzag.api.get_hardware_performance_zigzag` without the ones that write files, and without
    the one that, for in-memory computing, leaves data on the chip between layers: a layer alone reads and writes DRAM
    on every target.
    """
    import zigzag
    from zigzag.mapping.temporal_mapping import TemporalMappingType
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage
    from zigzag.stages.main import MainStage
    from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage
    from zigzag.stages.mapping.temporal_mapping_generator_stage import TemporalMappingGeneratorStage
    from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage
    from zigzag.stages.parser.workload_parser import WorkloadParserStage
    from zigzag.stages.results.reduce_stages import MinimalEnergyStage
    from zigzag.stages.workload_iterator import WorkloadStage

    # It warns of each unrolling that it limits, for each layer.
    logging.getLogger("zigzag").setLevel(logging.CRITICAL)
    inputs = Path(zigzag.__file__).parent / "inputs"
    hardware, mapping = _FILES[target]
    stages = [WorkloadParserStage, AcceleratorParserStage, WorkloadStage, MinimalEnergyStage]
    stages += [SpatialMappingGeneratorStage, MinimalEnergyStage, TemporalMappingGeneratorStage, CostModelStage]
    answers = MainStage(
        stages,
        accelerator=str(inputs / "hardware" / f"{hardware}.yaml"),
        workload=layers,
        mapping=str(inputs / "mapping" / f"{mapping}.yaml"),
        loma_lpf_limit=_LPF_LIMIT,
        loma_show_progress_bar=False,
        nb_mappings_generated=_SPATIAL_MAPPINGS,
        enable_mix_spatial_mapping_generation=target in _IMC,
        access_same_data_considered_as_no_access=True,
        temporal_mapping_type=TemporalMappingType("uneven"),
    ).run()
    return answers[0][0]


def _cycles(result: Any) -> dict[str, object]:
    """Return cycles and their parts, utilisations, the spatial mapping, and the time where there is a clock."""
    cycles = float(result.latency_total2)
    clock_ns = getattr(result, "tclk", None)
    return {
        "cycles": cycles,
        "compute_cycles": float(result.ideal_temporal_cycle),
        "stall_cycles": float(result.stall_slack_comb),
        "load_cycles": float(result.data_onloading_cycle),
        "unload_cycles": float(result.data_offloading_cycle),
        "drain_cycles": float(result.systolic_drain_cycle),
        "latency_ms": None if clock_ns is None else cycles * clock_ns * 1e-6,
        "utilisation": float(result.mac_utilization2),
        "spatial_utilisation": float(result.mac_spatial_utilization),
        "spatial_mapping": "; ".join(_unrolled(result)),
    }


def _unrolled(result: Any) -> Iterator[str]:
    for dimension, loops in result.layer.spatial_mapping.items():
        if loops:
            yield f"{dimension.name}: " + " ".join(f"{loop.name} {size:g}" for loop, size in loops.items())


def _energies(result: Any) -> dict[str, float]:
    """Return the energy in pJ: of the multipliers (or the array), and of each operand at each kind of memory."""
    memories = {f"energy_{operand}_{kind}_pj": 0.0 for operand in _OPERANDS.values() for kind in _KINDS}
    for operand, levels in result.mem_energy_breakdown.items():
        names = result.accelerator.memory_hierarchy.get_memory_levels(
            result.memory_operand_links.layer_to_mem_op(operand)
        )
        for level, energy in zip(names, levels, strict=True):
            memories[f"energy_{_OPERANDS[operand.name]}_{_kind(level.name)}_pj"] += float(energy)
    return {"energy_pj": float(result.energy_total), "energy_mac_pj": float(result.mac_energy), **memories}


def _kind(memory: str) -> str:
    """Return what a memory of the hardware files is: their names begin with rf_, sram_, dram or cells."""
    prefix = memory.partition("_")[0]
    return {"rf": "register", "cells": "register", "sram": "sram", "dram": "dram"}[prefix]


def _missing() -> MissingExtra:
    return MissingExtra("the oracle zigzag needs ZigZag (and six): pip install 'hwnasbench[oracles]'")
