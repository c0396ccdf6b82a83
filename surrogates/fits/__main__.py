"""``python -m surrogates.fits``: fit the cost models' parameters to published measurements."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

import hwnasbench.devices
from surrogates.fits import MODULES, write


def main() -> None:
    """Fit and write every device, or those named."""
    parser = argparse.ArgumentParser(prog="python -m surrogates.fits", description=__doc__)
    parser.add_argument("devices", nargs="*", help="only these devices")
    parser.add_argument("--from", dest="sources", type=Path, required=True, help="folder of published files")
    parser.add_argument("--out", type=Path, default=Path(hwnasbench.devices.__file__).parent / "fits")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in MODULES:
        module = importlib.import_module(f"surrogates.fits.{name}")
        for fit in module.fits(arguments.sources):
            if not arguments.devices or fit.device in arguments.devices:
                write(fit, arguments.out)
                sys.stdout.write(f"{fit.device}: {fit.scorecards}\n")


if __name__ == "__main__":
    main()
