"""A campaign: networks in chunks, each timed by several processes, written as it is done, resumed where it stopped."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from data_builders.lock import lock
from data_builders.measure import payload, raw
from data_builders.measure.jobs import Crashed, Slots, perform
from data_builders.measure.protocol import Protocol
from data_builders.measure.worker import SMALL, Setting
from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, InvalidRequest, MeasurementDisturbed, Unmeasurable
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hwnasbench.networks.layers import Network

    Say = Callable[[str], object]

#: A chunk whose reference never came within this share of the campaign's fastest ran on another clock.
DRIFT = 0.15
_FILE = "campaign.json"
#: How often a disturbed chunk is measured again before the campaign gives it up.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Campaign:
    """Networks to be timed on one processor at one setting.

    Attributes
    ----------
    folder : Path
        Where finished chunks are kept.
    networks : sequence of Network
    setting : Setting
    protocol : Protocol
    passes : int
        Processes that time each network, one after the other; 3 tell how well they agree.
    size : int
        Networks of a chunk, which lie in memory together.
    """

    folder: Path
    networks: Sequence[Network]
    setting: Setting
    protocol: Protocol = field(default_factory=Protocol)
    passes: int = 3
    size: int = 64

    def __post_init__(self) -> None:
        for name, value in (("passes", self.passes), ("size", self.size), ("networks", len(self.networks))):
            if value < 1:
                raise InvalidRequest(f"a campaign of {name} {value}; expected 1 or more")

    @cached_property
    def chunks(self) -> list[Sequence[Network]]:
        """The networks in chunks."""
        return [self.networks[first : first + self.size] for first in range(0, len(self.networks), self.size)]

    def path(self, chunk: int, number: int) -> Path:
        """Return the file of a chunk in a pass."""
        return self.folder / "chunks" / f"{chunk:05d}-p{number}.h5"

    def waiting(self) -> list[tuple[int, int]]:
        """Return the (chunk, pass) pairs that are still to be measured, pass by pass.

        Raises
        ------
        CorruptFile
            When a finished chunk is damaged, or of other networks.
        """
        out = []
        for number in range(self.passes):
            for chunk, networks in enumerate(self.chunks):
                path = self.path(chunk, number)
                if not path.exists():
                    out.append((chunk, number))
                elif raw.read(path).about["networks"] != payload.digest(networks):
                    raise CorruptFile(f"{path} holds other networks than this campaign's; use another folder")
        return out

    def run(self, executor: Executor | None = None, workers: int = 1, say: Say = lambda text: None) -> None:
        """Measure what is not measured yet.

        Parameters
        ----------
        executor : concurrent.futures.Executor, optional
            Of a cluster whose workers are all of the same machine and versions, each on a device of its own; by
            default chunks are measured here.
        workers : int
            Processes that measure at once here, each on its own cores.
        say : callable
            Told of the progress.

        Raises
        ------
        InvalidRequest
            When the folder holds a campaign on another machine, of other versions or settings.
        BuildLocked
            When another process measures into the folder.
        MeasurementDisturbed
            When chunks could not be measured quietly; what is finished stays.
        CorruptFile, StorageError, Unmeasurable
        """
        with lock(self.folder, "measuring", "use another folder"):
            self._check_identity(self._ask(executor))
            if executor is not None:
                self._until_steady(_Run(self, executor, perform, say))
                return
            slots = Slots(workers)
            with ThreadPoolExecutor(workers) as pool:
                self._until_steady(_Run(self, pool, slots.perform, say))

    def _until_steady(self, run: _Run) -> None:
        """Measure what is missing, and again what ran on a slower clock than the rest."""
        for _ in range(_ATTEMPTS):
            run.until_done(self.waiting())
            slow = self.drifted()
            if not slow:
                return
            run.say(f"the clock drifted in {len(slow)} chunks; they are measured again")
            for where in slow:
                self.path(*where).unlink()
        raise MeasurementDisturbed(
            f"the clock drifted in {len(slow)} of {len(self.chunks) * self.passes} chunks, {_ATTEMPTS} times: their "
            f"reference never came within {DRIFT:.0%} of its fastest. The others are kept; run the same command again "
            "when the machine is quiet"
        )

    def drifted(self) -> list[tuple[int, int]]:
        """Return the (chunk, pass) pairs of a finished campaign whose reference was slow by more than `DRIFT`."""
        fastest = {
            (chunk, number): raw.read(self.path(chunk, number)).fastest
            for number in range(self.passes)
            for chunk in range(len(self.chunks))
        }
        limit = min(fastest.values()) * (1 + DRIFT)
        return [where for where, seconds in fastest.items() if seconds > limit]

    def memory(self, say: Say = lambda text: None) -> dict[str, list[float]]:
        """Return how much memory each network needs, in bytes; NaN where the engine or the system does not tell.

        Returns
        -------
        dict
            ``peak_bytes``: the peak resident set of a process that loads and runs the network, less that of one which
            does so with a network of a single small convolution. Writing the model is part of both: it is an upper
            bound. ``arena_bytes``: what an inference uses of the engine's arena, at most.
        """
        least, _ = self._memory(spaces.get("nasbench201").network(SMALL, "cifar10").live())
        out: dict[str, list[float]] = {"peak_bytes": [], "arena_bytes": []}
        for number, network in enumerate(self.networks, 1):
            peak, arena = self._memory(network)
            out["peak_bytes"].append(peak - least)
            out["arena_bytes"].append(arena)
            if number % self.size == 0:
                say(f"memory of {number}/{len(self.networks)} networks")
        return out

    def _memory(self, network: Network) -> tuple[float, float]:
        try:
            peak, arena = json.loads(perform(self._job("memory"), payload.pack([network])))
        except (Unmeasurable, Crashed):
            return float("nan"), float("nan")
        return float(peak), float(arena)

    def _ask(self, executor: Executor | None) -> dict[str, Any]:
        job = self._job("identity")
        none = payload.pack([])
        answer = perform(job, none) if executor is None else executor.submit(perform, job, none).result()
        found: dict[str, Any] = json.loads(answer)
        return found

    def _job(self, what: str, **more: Any) -> dict[str, Any]:
        return {"what": what, "setting": asdict(self.setting), "protocol": asdict(self.protocol), **more}

    def _check_identity(self, found: dict[str, Any]) -> None:
        """Refuse to go on elsewhere; write down who we are at the first start."""
        path = self.folder / _FILE
        mine = {
            **found,
            "setting": asdict(self.setting),
            "protocol": asdict(self.protocol),
            "size": self.size,
            "networks": payload.digest(self.networks),
        }
        if not path.exists():
            text = json.dumps(mine, indent=1, sort_keys=True)
            atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))
            return
        try:
            known = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise CorruptFile(f"{path} is no campaign ({error})") from error
        self._compare(known, mine)

    def _compare(self, known: dict[str, Any], mine: dict[str, Any]) -> None:
        for key, value in mine.items():
            if known.get(key) != value:
                raise InvalidRequest(
                    f"the campaign in {self.folder} was begun with {key} {known.get(key)}; here it is {value}: samples "
                    "of both cannot be compared. Use another folder, or go on where it was begun"
                )

    def identity(self) -> dict[str, Any]:
        """Return the machine and the versions that the campaign runs on.

        Raises
        ------
        InvalidRequest
            When it was never begun.
        """
        path = self.folder / _FILE
        if not path.exists():
            raise InvalidRequest(f"no campaign was begun in {self.folder}")
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found


class _Run:
    """Hands chunks out, takes their samples in, and writes them."""

    def __init__(self, campaign: Campaign, pool: Executor, function: Callable[..., bytes], say: Say) -> None:
        self.campaign, self.pool, self.function, self.say = campaign, pool, function, say
        self.begun: dict[Future[bytes], tuple[int, int]] = {}
        self.failed: Counter[tuple[int, int]] = Counter()
        self.refused: dict[int, dict[str, str]] = {}
        self.started = time.monotonic()

    def until_done(self, waiting: list[tuple[int, int]]) -> None:
        """Measure chunks until each has its file, or has been disturbed too often."""
        total, done = len(waiting), 0
        for where in waiting:
            self._submit(where)
        disturbed: dict[tuple[int, int], str] = {}
        try:
            while self.begun:
                for future in wait(self.begun, return_when=FIRST_COMPLETED).done:
                    where = self.begun.pop(future)
                    try:
                        self._keep(where, future.result())
                        done += 1
                        self.say(self._progress(done, total))
                    except MeasurementDisturbed as error:
                        self.failed[where] += 1
                        if self.failed[where] < _ATTEMPTS:
                            self.say(f"chunk {where[0]}, pass {where[1]} was disturbed; it is measured again")
                            self._submit(where)
                        else:
                            disturbed[where] = str(error)
                    except Crashed as error:
                        self._look_for_culprits(where, error)
        finally:
            for future in self.begun:
                future.cancel()
        if disturbed:
            where, why = next(iter(disturbed.items()))
            raise MeasurementDisturbed(
                f"{len(disturbed)} of {total} chunks were disturbed {_ATTEMPTS} times, first chunk {where[0]} in pass "
                f"{where[1]}: {why} The {done} others are kept; run the same command again when the machine is quiet"
            )

    def _submit(self, where: tuple[int, int]) -> None:
        chunk, number = where
        job = self.campaign._job("measure", number=number, slot=0, refused=self.refused.get(chunk, {}))
        data = payload.pack(self.campaign.chunks[chunk])
        self.begun[self.pool.submit(self.function, job, data)] = where

    def _keep(self, where: tuple[int, int], data: bytes) -> None:
        path = self.campaign.path(*where)
        atomically(path, lambda temporary: temporary.write_bytes(data))
        about = raw.read(path).about
        known = self.campaign.identity()
        for key in ("machine", "versions"):
            if about[key] != known[key]:
                path.unlink()
                raise InvalidRequest(
                    f"a worker has {key} {about[key]}, the campaign has {known[key]}: expected workers that are alike"
                )

    def _look_for_culprits(self, where: tuple[int, int], error: Crashed) -> None:
        """Load each network of a chunk in a process of its own; measure the chunk again without those that crash."""
        chunk = where[0]
        crashed = self.refused.setdefault(chunk, {})
        before = len(crashed)
        for position, network in enumerate(self.campaign.chunks[chunk]):
            if str(position) in crashed:
                continue
            try:
                self.pool.submit(self.function, self.campaign._job("load", slot=0), payload.pack([network])).result()
            except Crashed as own:
                crashed[str(position)] = f"compile_failed: the engine crashed: {own}"
            except Unmeasurable:
                continue
        if len(crashed) == before:
            raise Unmeasurable(f"the engine crashed on chunk {chunk}, though on no network of it alone: {error}")
        self._submit(where)

    def _progress(self, done: int, total: int) -> str:
        left = (time.monotonic() - self.started) / done * (total - done)
        return f"{done}/{total} chunks, {int(left // 3600)}:{int(left // 60 % 60):02d}:{int(left % 60):02d} left"
