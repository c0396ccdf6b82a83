"""``python -m surrogates.transfer [--from DIR | --tables DIR] [--data DIR] [--out FILE]``.

With --from or --tables every published column is predicted from the other chips and the scorecard is
written; the page is written from the scorecard, its pictures from the shipped data.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from hwnasbench import spaces
from hwnasbench.onboarding.similarity import device_similarity, plot_similarity
from hwnasbench.paths import PACKAGE_DATA
from surrogates.columns import read_columns
from surrogates.shipping import read_json, write_json
from surrogates.transfer import CARD, SOURCES, SPACES
from surrogates.transfer.lodo import Outcome, evaluate
from surrogates.transfer.report import page
from surrogates.transfer.scorecard import scorecard

_PAGE = Path(__file__).parents[2] / "docs" / "onboarding.md"


def main(arguments: list[str]) -> None:
    """Write the scorecard and the page; see the module."""
    parser = argparse.ArgumentParser(prog="python -m surrogates.transfer", description=__doc__)
    parser.add_argument("--from", dest="sources", type=Path, help="folder of published files, one folder a source")
    parser.add_argument("--tables", type=Path, help="folder of built tables, instead of building them")
    parser.add_argument("--data", type=Path, default=PACKAGE_DATA, help="folder of the scorecard")
    parser.add_argument("--out", type=Path, default=_PAGE, help="the page")
    given = parser.parse_args(arguments)
    if given.sources is not None or given.tables is not None:
        with tempfile.TemporaryDirectory(prefix="hwnasbench-transfer-") as temporary:
            if given.tables is None:
                from data_builders.build import build

                build(SOURCES, home=Path(temporary), sources=given.sources, store=False)
            found = _evaluate(given.tables or Path(temporary) / "tables")
        write_json(given.data / CARD, scorecard(found))
    given.out.write_text(page(read_json(given.data / CARD)), "utf-8")
    _draw(given.out.parent / "images")


def _draw(folder: Path) -> None:
    """Draw the rank correlations between devices that the page shows."""
    folder.mkdir(parents=True, exist_ok=True)
    for space in SPACES:
        figure = plot_similarity(device_similarity(space))
        figure.savefig(folder / f"device_similarity_{space}.png", dpi=80, metadata={"Software": None})


def _evaluate(tables: Path) -> dict[str, Outcome]:
    out: dict[str, Outcome] = {}
    for space in SPACES:
        paths = [tables / source / f"{space}.parquet" for source in SOURCES]
        columns = [column for path in paths if path.is_file() for column in read_columns(path)]
        out |= evaluate(spaces.get(space), columns, tick=lambda name: print(name, file=sys.stderr, flush=True))
    return out


if __name__ == "__main__":
    main(sys.argv[1:])
