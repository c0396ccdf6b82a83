"""A campaign: networks in chunks, each timed by several processes, written as it is done, resumed where it stopped."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from statistics import median
from typing import TYPE_CHECKING, Any

from data_builders.lock import lock
from data_builders.measure import payload, raw
from data_builders.measure.jobs import Crashed, perform
from data_builders.measure.protocol import Protocol
from data_builders.measure.worker import SMALL, Setting
from hwnasbench import spaces
from hwnasbench.errors import CoresTaken, CorruptFile, InvalidRequest, MeasurementDisturbed, Unmeasurable
from hwnasbench.executors import cores
from hwnasbench.tables.write import atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hwnasbench.networks.layers import Network

    Say = Callable[[str], object]

#: A chunk whose reference is off the median of all chunks by more than this share ran on another clock.
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
    cache : Path, optional
        Folder on the measuring machine where the engine may keep what it made of a network, so that later passes load
        it sooner. It stays; OpenVINO's takes about a megabyte a network.
    """

    folder: Path
    networks: Sequence[Network]
    setting: Setting
    protocol: Protocol = field(default_factory=Protocol)
    passes: int = 3
    size: int = 64
    cache: Path | None = None

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
            When the folder holds a campaign on another machine, of other versions or settings, or the workers are none,
            or need more cores than there are.
        BuildLocked
            When another process measures into the folder.
        CoresTaken
            When other measuring processes have a core that it needs before a first chunk is measured; later it waits.
        MeasurementDisturbed
            When chunks could not be measured quietly; what is finished stays.
        CorruptFile, StorageError, Unmeasurable
        """
        if workers < 1:
            raise InvalidRequest(f"{workers} workers; expected 1 or more")
        if executor is None and workers * self.setting.threads > (known := cores()):
            raise InvalidRequest(
                f"{workers} workers of {self.setting.threads} threads need as many cores; this machine has {known}"
            )
        with lock(self.folder, "measuring", "use another folder"):
            self._check_identity(self._ask(executor))
            if executor is not None:
                self._until_steady(_Run(self, executor, perform, say))
                return
            with ThreadPoolExecutor(workers) as pool:
                self._until_steady(_Run(self, pool, perform, say))

    def _until_steady(self, run: _Run) -> None:
        """Measure what is missing, and again what ran on another clock than the rest."""
        for attempt in range(_ATTEMPTS + 1):
            run.until_done(self.waiting())
            off = self.drifted()
            if not off:
                return
            if attempt < _ATTEMPTS:
                run.say(f"the clock drifted in {len(off)} chunks; they are measured again")
                for where in off:
                    self.path(*where).unlink()
        raise MeasurementDisturbed(
            f"the clock drifted in {len(off)} of {len(self.chunks) * self.passes} chunks, measured "
            f"{_ATTEMPTS + 1} times: their reference is more than {DRIFT:.0%} off its median. All are kept; run "
            "the same command again when the machine is quiet, and those are measured again"
        )

    def drifted(self) -> list[tuple[int, int]]:
        """Return the (chunk, pass) pairs of a finished campaign whose reference is off the median by over `DRIFT`."""
        fastest = {
            (chunk, number): raw.read(self.path(chunk, number)).fastest
            for number in range(self.passes)
            for chunk in range(len(self.chunks))
        }
        middle = median(fastest.values())
        return [where for where, seconds in fastest.items() if abs(seconds / middle - 1) > DRIFT]

    def memory(self, workers: int = 1, say: Say = lambda text: None) -> dict[str, list[float]]:
        """Return how much memory each network needs, in bytes; NaN where the engine or the system does not tell.

        What was found stays in the folder; a killed run resumes.

        Parameters
        ----------
        workers : int
            Processes at once.
        say : callable
            Told of the progress.

        Returns
        -------
        dict
            ``peak_bytes``: the peak resident set of a process that loads and runs the network, less that of one which
            does so with a network of a single small convolution. Writing the model is part of both: it is an upper
            bound. ``arena_bytes``: what an inference uses of the engine's arena, at most.
        """
        path = self.folder / "memory.json"
        known: dict[str, list[float]] = _json(path) if path.exists() else {}
        small = spaces.get("nasbench201").network(SMALL, "cifar10").live()
        wanted = {payload.digest([network]): network for network in (small, *self.networks)}
        left = [digest for digest in wanted if digest not in known]
        started = time.monotonic()
        with lock(self.folder, "measuring", "use another folder"), ThreadPoolExecutor(workers) as pool:
            for first in range(0, len(left), self.size):
                part = left[first : first + self.size]
                known |= zip(part, pool.map(self._memory, (wanted[digest] for digest in part)), strict=True)
                _write_json(path, known)
                say(_progress("memory of {} networks", first + len(part), len(left), started))
        least = known[payload.digest([small])][0]
        found = [known[payload.digest([network])] for network in self.networks]
        return {"peak_bytes": [peak - least for peak, _ in found], "arena_bytes": [arena for _, arena in found]}

    def _memory(self, network: Network) -> list[float]:
        try:
            found: list[float] = json.loads(perform(self._job("memory"), payload.pack([network])))
        except (Unmeasurable, InvalidRequest, Crashed):
            return [float("nan")] * 2
        return found

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
            _write_json(path, mine)
            return
        self._compare(_json(path), mine)

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
        #: What is to be done with the result of each job.
        self.begun: dict[Future[bytes], Callable[[Future[bytes]], None]] = {}
        self.failed: Counter[tuple[int, int]] = Counter()
        self.disturbed: dict[tuple[int, int], str] = {}
        #: Of each chunk: status of networks, by their position, that the engine crashes on.
        self.refused: dict[int, dict[str, str]] = {}
        #: Of each chunk that crashed: how many of its networks are still tried alone.
        self.tried: Counter[tuple[int, int]] = Counter()
        self.total = self.done = 0
        #: Whether any chunk was measured, by this run or an earlier one.
        self.has_begun = False
        self.started = time.monotonic()

    def until_done(self, waiting: list[tuple[int, int]]) -> None:
        """Measure chunks until each has its file, or has been disturbed too often."""
        self.total, self.done, self.started = len(waiting), 0, time.monotonic()
        self.has_begun |= len(waiting) < len(self.campaign.chunks) * self.campaign.passes
        self.failed.clear()
        self.disturbed.clear()
        try:
            for where in waiting:
                self._submit(where)
            while self.begun:
                for future in wait(self.begun, return_when=FIRST_COMPLETED).done:
                    self.begun.pop(future)(future)
        finally:
            for future in self.begun:
                future.cancel()
            self.begun.clear()
        if self.disturbed:
            where, why = next(iter(self.disturbed.items()))
            raise MeasurementDisturbed(
                f"{len(self.disturbed)} of {self.total} chunks were disturbed {_ATTEMPTS} times, first chunk "
                f"{where[0]} in pass {where[1]}: {why} The {self.done} others are kept; run the same command again "
                "when the machine is quiet"
            )

    def _submit(self, where: tuple[int, int]) -> None:
        chunk, number = where
        cache = None if self.campaign.cache is None else str(self.campaign.cache.absolute())
        job = self.campaign._job("measure", number=number, refused=self.refused.get(chunk, {}), cache=cache)
        data = payload.pack(self.campaign.chunks[chunk])
        self.begun[self.pool.submit(self.function, job, data)] = partial(self._measured, where)

    def _measured(self, where: tuple[int, int], future: Future[bytes]) -> None:
        try:
            self._keep(where, future.result())
        except MeasurementDisturbed as error:
            self.failed[where] += 1
            if self.failed[where] < _ATTEMPTS:
                self.say(f"chunk {where[0]}, pass {where[1]} was disturbed; it is measured again")
                self._submit(where)
            else:
                self.disturbed[where] = str(error)
        except CoresTaken:
            if not self.has_begun:
                raise
            self.say("other measuring processes have the cores; this one waits")
            self._submit(where)
        except Crashed as error:
            self._look_for_culprits(where, error)
        else:
            self.done += 1
            self.has_begun = True
            self.say(_progress("{} chunks", self.done, self.total, self.started))

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
        """Load each network of a chunk in a process of its own; when all are, measure the chunk without the guilty."""
        self.say(f"the engine crashed on chunk {where[0]}, pass {where[1]}; its networks are tried one by one")
        known = self.refused.setdefault(where[0], {})
        suspects = [n for n in range(len(self.campaign.chunks[where[0]])) if str(n) not in known]
        self.tried[where] = len(suspects)
        for position in suspects:
            data = payload.pack([self.campaign.chunks[where[0]][position]])
            future = self.pool.submit(self.function, self.campaign._job("load"), data)
            self.begun[future] = partial(self._loaded, where, position, len(known), error)

    def _loaded(
        self, where: tuple[int, int], position: int, before: int, error: Crashed, future: Future[bytes]
    ) -> None:
        try:
            future.result()
        except Crashed as own:
            self.refused[where[0]][str(position)] = f"compile_failed: the engine crashed: {own}"
        except (Unmeasurable, InvalidRequest):
            pass  # the chunk's own process finds out, and goes on
        self.tried[where] -= 1
        if self.tried[where]:
            return
        if len(self.refused[where[0]]) == before:
            raise Unmeasurable(f"the engine crashed on chunk {where[0]}, though on no network of it alone: {error}")
        self._submit(where)


def _progress(what: str, done: int, total: int, started: float) -> str:
    """Return how many of what are done, and the time that is left."""
    left = (time.monotonic() - started) / done * (total - done)
    clock = f"{int(left // 3600)}:{int(left // 60 % 60):02d}:{int(left % 60):02d}"
    return f"{what.format(f'{done}/{total}')}, {clock} left"


def _write_json(path: Path, what: Any) -> None:
    text = json.dumps(what, indent=1, sort_keys=True)
    atomically(path, lambda temporary: temporary.write_text(text, "utf-8"))


def _json(path: Path) -> Any:
    """Return what a file of the campaign holds.

    Raises
    ------
    CorruptFile
        When it is no JSON.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CorruptFile(f"{path} is damaged ({error}); remove it and run the same command again") from error
