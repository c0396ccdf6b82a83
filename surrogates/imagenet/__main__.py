"""``python -m surrogates.imagenet --from DIR``: fit, judge, and write the model, its scorecard and its page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hwnasbench.paths import PACKAGE_DATA
from surrogates.imagenet import page, shipping


def main() -> None:
    """Write the three files, or only the page."""
    parser = argparse.ArgumentParser(prog="python -m surrogates.imagenet", description=__doc__)
    parser.add_argument("--from", dest="sources", type=Path, help="folder of published files")
    parser.add_argument("--out", type=Path, default=PACKAGE_DATA, help="where the package's data lies")
    parser.add_argument("--page", type=Path, default=page.DEFAULT, help="the page to write from the scorecard")
    arguments = parser.parse_args()
    if arguments.sources is not None:
        shipping.write(arguments.sources, arguments.out)
    text = page.text(arguments.out)
    arguments.page.write_text(text, "utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
