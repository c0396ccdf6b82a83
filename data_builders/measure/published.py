"""Measurements by the project itself: raw samples in files named by what they are of, and the rows that ship."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.build import file_digest
from data_builders.measure import additive, backends, cells, raw, summary, workloads
from data_builders.measure.campaign import Campaign
from data_builders.measure.machine import Machine
from data_builders.measure.protocol import Protocol
from data_builders.measure.worker import Setting
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, HwnasbenchError, InvalidRequest, SourceMissing, UnknownName
from hwnasbench.spaces.chain import LayerwiseSpace
from hwnasbench.tables.write import concat

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from data_builders.measure.protocol import Clock
    from hwnasbench.networks.layers import Network

#: The source of what this project measured.
SOURCE = "hwnasbench-measurements"
RECORD = {
    "title": "Latencies measured by this project",
    "repository": "",
    "commit": "",
    "licence": "Apache-2.0",
    "priority": 60,
    "citation": """@software{hwnasbench_measurements,
  title   = {hwnasbench: latencies measured by its developers},
  author  = {{The hwnasbench developers}},
  license = {Apache-2.0},
  year    = {2026}
}
""",
}
#: Networks that are timed whole beside their blocks, and the seed that draws them.
WHOLE, SEED = 300, 0
#: Spaces whose blocks are timed, at this data set.
CHAINS = ("fbnet", "mobilenetv2")
DATASET = "imagenet"
#: Fewer rounds than for a hundred networks: there are thousands of them.
PROTOCOL = Protocol(rounds=5, extra=40)
#: The space whose graphs are timed, each one.
CELLS = "nasbench201"


@dataclass(frozen=True, eq=False)
class Samples:
    """One file of raw samples.

    Attributes
    ----------
    path : Path
        ``DEVICE/SPACE-WHAT-BACKEND-PRECISION.h5``; WHAT is a key of `campaigns`.
    space, what : str
    about : dict
        Of the first chunk: machine, versions, setting, protocol.
    frame : pandas.DataFrame
    spread : Spread
    clock : Clock
        By which the times were corrected.
    passes : int
        Processes that timed each network.
    cores : int
        On how many different cores, or sets of them, chunks were timed.
    cached : bool
        Whether the engine kept what it had compiled, for any chunk.
    """

    path: Path
    space: str
    what: str
    about: dict[str, Any]
    frame: pd.DataFrame
    spread: summary.Spread
    clock: Clock
    passes: int
    cores: int
    cached: bool

    @property
    def keys(self) -> dict[str, str | int]:
        """The keys of a column of these samples."""
        setting = self.about["setting"]
        return {
            "device": Machine(**self.about["machine"]).device,
            "engine": backends.engine(setting["backend"]),
            "threads": setting["threads"],
            "batch": setting["batch"],
            "precision": setting["precision"],
        }


def read(folder: Path) -> list[Samples]:
    """Read every file of a folder of measurements.

    Files of one device and setting were timed beside the same reference network: they share a clock.

    Raises
    ------
    SourceMissing
        When there is none.
    CorruptFile
        When one is damaged, or lies in the folder of another device.
    """
    chunks = {path: summary.of_file(path) for path in sorted(folder.glob("*/*.h5"))}
    if not chunks:
        raise SourceMissing(f"no raw samples are under {folder}; expected DEVICE/SPACE-WHAT-BACKEND-PRECISION.h5")
    settings = {path: (path.parent.name, json.dumps(c[0][0].about["setting"])) for path, c in chunks.items()}
    clocks = {
        one: summary.clock(chunks[path] for path in chunks if settings[path] == one) for one in set(settings.values())
    }
    return [_made(path, found, clocks[settings[path]]) for path, found in chunks.items()]


def _made(path: Path, chunks: list[list[raw.Chunk]], clock: Clock) -> Samples:
    space, what, *_ = path.stem.split("-")
    spaces.get(space)
    frame, spread = summary.frame(chunks, clock), summary.spread(chunks, clock)
    told = [chunk.about for processes in chunks for chunk in processes]
    cores = len({tuple(about["cores"]) for about in told})
    cached = any(about.get("cached") for about in told)
    made = Samples(path, space, what, told[0], frame, spread, clock, len(chunks[0]), cores, cached)
    if made.keys["device"] != path.parent.name:
        raise CorruptFile(f"{path} is of {made.keys['device']}; expected the device of its folder, {path.parent.name}")
    return made


def campaigns(name: str) -> dict[str, list[Network]]:
    """Return the networks of each campaign on a space: `cells.campaigns`, or a chain's ``blocks`` and ``networks``."""
    if name == CELLS:
        return cells.campaigns()
    space = chain(name)
    trailing = tuple(getattr(space, "trailing", ()))
    archs = workloads.chains(space, WHOLE, SEED, trailing)
    return {
        "blocks": workloads.blocks(space, DATASET, trailing),
        "networks": workloads.networks(space, archs, DATASET),
    }


def chain(name: str) -> LayerwiseSpace:
    """Return a space of chains.

    Raises
    ------
    InvalidRequest
        When the space is none.
    """
    space = spaces.get(name)
    if not isinstance(space, LayerwiseSpace):
        raise InvalidRequest(f"{name} is no space of chains of blocks; expected one of {', '.join(CHAINS)}")
    return space


def pairs(found: list[Samples]) -> list[tuple[Samples, Samples]]:
    """Return the files of blocks, each with that of the whole networks of the same setting.

    Raises
    ------
    SourceMissing
        When one has no partner.
    """
    whole = {(s.space, *s.keys.values()): s for s in found if s.what == "networks"}
    out = []
    for samples in found:
        if samples.what == "blocks":
            partner = whole.get((samples.space, *samples.keys.values()))
            if partner is None:
                raise SourceMissing(f"{samples.path} has no file of whole networks beside it")
            out.append((samples, partner))
    return out


def corrected(blocks: Samples, networks: Samples) -> additive.Correction:
    """Return the correction of the sums of one file's blocks, fitted to the whole networks of another."""
    space, timed = chain(blocks.space), networks.frame[networks.frame["status"] == "ok"]
    archs = [space.parse(name) for name in timed["name"]]
    sums, counts = additive.totals(space, archs, DATASET, costs(blocks))
    return additive.correct(sums, counts, timed["value"].to_numpy(np.float64))


def costs(blocks: Samples) -> dict[str, float]:
    """Return ms of each block, by its name."""
    return dict(zip(blocks.frame["name"], blocks.frame["value"].astype(float), strict=True))


def lookups(found: list[Samples]) -> tuple[pa.Table, dict[str, Any]]:
    """Return the look-up tables of all spaces, and what they were made from: digests of files, corrections."""
    import pyarrow as pa

    tables, made = [], {}
    for blocks, networks in pairs(found):
        correction, space = corrected(blocks, networks), chain(blocks.space)
        record = {
            "space": space.name,
            "dataset": DATASET,
            **blocks.keys,
            "metric": "latency",
            "kind": "estimated",
            "source": SOURCE,
        }
        trailing = tuple(getattr(space, "trailing", ()))
        tables.append(additive.lookup(space, DATASET, costs(blocks), correction, record, trailing))
        made[f"{blocks.path.parent.name}/{blocks.path.stem}"] = {
            "correction": {name: round(value, 6) for name, value in asdict(correction).items()},
            "inputs": {s.path.name: file_digest(s.path) for s in (blocks, networks)},
        }
    return pa.concat_tables(tables), made


def cell_table(found: list[Samples]) -> tuple[pa.Table | None, dict[str, Any]]:
    """Return the table of NAS-Bench-201, None without samples of it, and the digests of the files behind it."""
    columns, made = [], {}
    for samples in found:
        if samples.space == CELLS and samples.what in cells.DATASETS:
            dataset = cells.DATASETS[samples.what]
            columns += cells.columns(samples.frame, samples.keys, dataset, SOURCE, samples.passes)
            made[f"{samples.path.parent.name}/{samples.path.stem}"] = {
                "inputs": {samples.path.name: file_digest(samples.path)}
            }
    return (concat(column.to_table() for column in columns) if columns else None), made


def campaign(folder: Path, name: str, passes: int = 3, cache: Path | None = None) -> Campaign:
    """Return a campaign as the published ones were made.

    Parameters
    ----------
    folder : Path
        The campaign's own lies in it.
    name : str
        ``SPACE-WHAT-BACKEND-PRECISION``; WHAT is a key of `campaigns`.
    passes : int
    cache : Path, optional
        See `Campaign`.

    Raises
    ------
    InvalidRequest, UnknownName
    """
    words = name.split("-")
    if len(words) != 4:
        raise InvalidRequest(f"no campaign {name!r}; expected SPACE-WHAT-BACKEND-PRECISION, {CELLS}-16px-openvino-int8")
    space, what, backend, precision = words
    known = campaigns(space)
    if what not in known:
        raise UnknownName(f"campaign on {space}", what, known)
    return Campaign(folder / name, known[what], Setting(backend, precision), PROTOCOL, passes, 128, cache)


def collect(campaign_folders: Path, target: Path) -> list[Path]:
    """Join the chunks of finished campaigns into the files that are kept, one a folder.

    Parameters
    ----------
    campaign_folders : Path
        Each a campaign's, named as for `campaign`.
    target : Path
        A folder for the device is made in it.

    Raises
    ------
    InvalidRequest
        When a campaign is not finished.
    CorruptFile
    """
    made = []
    for path in sorted(campaign_folders.glob("*/campaign.json")):
        one = campaign(campaign_folders, path.parent.name)
        left = one.waiting()
        if left:
            raise InvalidRequest(f"{len(left)} chunks of {path.parent} are not measured yet; expected a finished one")
        chunks = [one.path(chunk, number) for chunk in range(len(one.chunks)) for number in range(one.passes)]
        device = Machine(**one.identity()["machine"]).device
        raw.join(chunks, target / device / f"{path.parent.name}.h5")
        made.append(target / device / f"{path.parent.name}.h5")
    return made


def main() -> int:
    """Measure, or join what was measured."""
    parser = argparse.ArgumentParser(
        prog="python -m data_builders.measure.published",
        description="Measure what this project publishes: run campaigns, each from where it stopped; collect them.",
    )
    parser.add_argument("folder", type=Path, help="where campaigns lie")
    parser.add_argument("names", nargs="*", help="SPACE-WHAT-BACKEND-PRECISION, such as nasbench201-16px-openvino-int8")
    parser.add_argument("--collect", type=Path, metavar="DIR", help="join finished campaigns into DIR/DEVICE")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where the engine keeps networks it has compiled")
    parser.add_argument("--workers", type=int, default=1, help="processes at once, each on its own cores")
    given = parser.parse_args()
    try:
        for name in given.names:
            campaign(given.folder, name, cache=given.cache).run(workers=given.workers, say=print)
        for path in collect(given.folder, given.collect) if given.collect else ():
            sys.stdout.write(f"{path}\n")
    except HwnasbenchError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
