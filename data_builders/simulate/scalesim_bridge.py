"""Runs SCALE-Sim on topologies: JSON on standard input, JSON on standard output.

It is started by `data_builders.simulate.scalesim` with the interpreter of SCALE-Sim's own environment, and imports
nothing of this package. Input: ``{"config": text, "layers": [[height, width, kernel, kernel, channels, filters,
stride], ...]}``. Output: one item a layer: ``[total cycles, stall cycles]``, or null where SCALE-Sim refuses it.
"""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import tempfile
import warnings
from pathlib import Path


def simulate(config: str, layer: list[int]) -> list[int] | None:
    """Return total and stall cycles of SCALE-Sim's compute report for one layer."""
    from scalesim.scale_sim import scalesim

    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, name) for name in ("config.cfg", "topology.csv", "layout.csv")}
        paths["config.cfg"].write_text(config)
        # Both readers drop the last field of a line, so that each line ends with a comma.
        paths["topology.csv"].write_text(f"name,\nlayer,{','.join(map(str, layer))},\n")
        paths["layout.csv"].write_text("name,\n")
        files = {name.partition(".")[0]: str(path) for name, path in paths.items()}
        try:
            tool = scalesim(save_disk_space=True, verbose=False, **files)
            tool.run_scale(top_path=folder)
        except AssertionError:
            return None
        with Path(folder, "run", "COMPUTE_REPORT.csv").open(newline="") as lines:
            row = next(csv.DictReader(lines, skipinitialspace=True))
        return [int(row["Total Cycles"]), int(row["Stall Cycles"])]


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        answers = [simulate(request["config"], layer) for layer in request["layers"]]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
