"""BibTeX of everything behind a result."""

from __future__ import annotations

from hwnasbench.errors import InvalidRequest, UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.benchmark import Benchmark

#: The spaces' own papers (bibliographic data recalled, not looked up).
_SPACES = {
    "nasbench201": """@inproceedings{dong2020nasbench201,
  title = {{NAS-Bench-201}: Extending the Scope of Reproducible Neural Architecture Search},
  author = {Dong, Xuanyi and Yang, Yi},
  booktitle = {International Conference on Learning Representations},
  year = {2020}
}""",
    "fbnet": """@inproceedings{wu2019fbnet,
  title = {{FBNet}: Hardware-Aware Efficient {ConvNet} Design via Differentiable Neural Architecture Search},
  author = {Wu, Bichen and others},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2019}
}""",
}
_SOFTWARE = """@software{{hwnasbench,
  title = {{hwnasbench}},
  author = {{{{The hwnasbench developers}}}},
  version = {{{version}}},
  note = {{data release {release}, fingerprint {fingerprint}}}
}}"""


def cite(bench: Benchmark, result: Any = None) -> str:
    """Return BibTeX for the library, the space and every source behind `result`.

    Parameters
    ----------
    bench : Benchmark
    result : Result, DataFrame of `query_many` or `pareto`, iterable of source ids, or None
        None cites every source of the benchmark.
    """
    from hwnasbench import __version__

    entries = [
        _SOFTWARE.format(version=__version__, release=bench.release, fingerprint=bench.fingerprint),
        _SPACES[bench.space.name],
    ]
    for name in _sources(bench, result):
        if name not in bench.sources:
            raise UnknownName("source", name, bench.sources)
        entries.append(bench.sources[name]["citation"].strip())
    by_key: dict[str, str] = {}
    for entry in ("@" + part.strip() for text in entries for part in ("\n" + text).split("\n@")[1:]):
        # Sources that republish one paper's numbers share its key; a key may stand but once.
        by_key.setdefault(entry.partition("{")[2].partition(",")[0], entry)
    return "\n\n".join(by_key.values()) + "\n"


def _sources(bench: Benchmark, result: Any) -> list[str]:
    from hwnasbench.results import Result

    if result is None:
        return sorted({column.source for column in bench.all_columns()})
    if isinstance(result, Result):
        return sorted({source for name in result.keys() if (source := result[name].source)})  # noqa: SIM118
    if hasattr(result, "attrs"):
        if "sources" not in result.attrs:
            raise InvalidRequest("this table does not say its sources; expected one of query_many() or pareto()")
        return list(result.attrs["sources"])
    return [result] if isinstance(result, str) else list(result)
