"""BibTeX of everything behind a result."""

from __future__ import annotations

from hwnasbench.errors import InvalidRequest, UnknownName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hwnasbench.benchmark import Benchmark

#: The spaces' own papers (bibliographic data recalled, not looked up).
_SPACES = {
    "nasbench101": """@inproceedings{ying2019nasbench101,
  title = {{NAS-Bench-101}: Towards Reproducible Neural Architecture Search},
  author = {Ying, Chris and Klein, Aaron and Christiansen, Eric and Real, Esteban and Murphy, Kevin and Hutter, Frank},
  booktitle = {International Conference on Machine Learning},
  year = {2019}
}""",
    "darts": """@inproceedings{liu2019darts,
  title = {{DARTS}: Differentiable Architecture Search},
  author = {Liu, Hanxiao and Simonyan, Karen and Yang, Yiming},
  booktitle = {International Conference on Learning Representations},
  year = {2019}
}""",
    "shufflenetv2": """@inproceedings{guo2020spos,
  title = {Single Path One-Shot Neural Architecture Search with Uniform Sampling},
  author = {Guo, Zichao and others},
  booktitle = {European Conference on Computer Vision},
  year = {2020}
}""",
    "resnet": """@article{yuan2021nas4rram,
  title = {{NAS4RRAM}: Neural Network Architecture Search for Inference on {RRAM}-based Accelerators},
  author = {Yuan, Zhihang and others},
  journal = {Science China Information Sciences},
  year = {2021}
}""",
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
    "mobilenetv2": """@inproceedings{sandler2018mobilenetv2,
  title = {{MobileNetV2}: Inverted Residuals and Linear Bottlenecks},
  author = {Sandler, Mark and Howard, Andrew and Zhu, Menglong and Zhmoginov, Andrey and Chen, Liang-Chieh},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2018}
}""",
    "proxylessnas": """@inproceedings{cai2019proxylessnas,
  title = {{ProxylessNAS}: Direct Neural Architecture Search on Target Task and Hardware},
  author = {Cai, Han and Zhu, Ligeng and Han, Song},
  booktitle = {International Conference on Learning Representations},
  year = {2019}
}""",
    "ofa_mobilenetv3": """@inproceedings{cai2020once,
  title = {Once-for-All: Train One Network and Specialize it for Efficient Deployment},
  author = {Cai, Han and Gan, Chuang and Wang, Tianzhe and Zhang, Zhekai and Han, Song},
  booktitle = {International Conference on Learning Representations},
  year = {2020}
}""",
    "mnasnet": """@inproceedings{ahmad2024accelnasbench,
  title = {{Accel-NASBench}: Sustainable Benchmarking for Accelerator-Aware {NAS}},
  author = {Ahmad, Afzal and others},
  booktitle = {ACM/IEEE Design Automation Conference},
  year = {2024}
}

@inproceedings{tan2019mnasnet,
  title = {{MnasNet}: Platform-Aware Neural Architecture Search for Mobile},
  author = {Tan, Mingxing and others},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2019}
}""",
    "nasbench_macro": """@inproceedings{su2021prioritized,
  title = {Prioritized Architecture Sampling with {Monto-Carlo} Tree Search},
  author = {Su, Xiu and others},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2021}
}""",
    "efficientnet": """@inproceedings{tan2019efficientnet,
  title = {{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  author = {Tan, Mingxing and Le, Quoc V.},
  booktitle = {International Conference on Machine Learning},
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
        _SPACES[getattr(bench.space, "base", bench.space).name],
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
        return result.sources()
    if hasattr(result, "attrs"):
        if "sources" not in result.attrs:
            raise InvalidRequest("this table does not say its sources; expected one of query_many() or pareto()")
        return list(result.attrs["sources"])
    return [result] if isinstance(result, str) else list(result)
