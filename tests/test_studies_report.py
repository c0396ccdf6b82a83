"""The pictures and the report of a study: the same bytes every time, and a page that a real browser shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from hwnasbench import studies
from hwnasbench.errors import InvalidRequest
from hwnasbench.studies import problems, trajectories

SMALL = Path(__file__).parent / "studies" / "small.toml"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a study with its report."""
    out = tmp_path_factory.mktemp("study")
    studies.run(studies.read(SMALL), out)
    studies.report(out)
    return out


@pytest.fixture(scope="module")
def page(finished):
    return (finished / "report.html").read_text("utf-8")


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_file_is_there(finished):
    names = set(contents(finished))
    pictures = {
        "anytime_capped",
        "pareto_capped",
        "ranks_capped",
        "anytime_front",
        "pareto_front",
        "ranks_front",
        "ranks",
    }
    assert {f"pictures/{name}.{form}" for name in pictures for form in ("png", "svg")} <= names
    assert {f"statistics/{name}.csv" for name in ("curves", "final", "pairs", "ranks")} <= names
    assert {"study.json", "trajectories.parquet", "report.html"} <= names


def test_a_report_written_again_has_the_same_bytes(finished):
    before = contents(finished)
    for path in [*(finished / "pictures").iterdir(), *(finished / "statistics").iterdir()]:
        path.unlink()
    studies.report(finished)
    assert contents(finished) == before


def test_the_settings_of_the_user_do_not_matter(finished):
    import matplotlib as mpl

    before = contents(finished)
    with mpl.rc_context({"font.size": 20.0, "svg.hashsalt": "mine", "axes.facecolor": "red"}):
        studies.report(finished)
    assert contents(finished) == before


def test_the_statistics_are_those_of_the_trajectories(finished):
    frame = pd.read_parquet(finished / "trajectories.parquet")
    final = pd.read_csv(finished / "statistics" / "final.csv").set_index(["problem", "searcher"])
    best = problems.make(studies.read(SMALL).problems[0]).best[0]
    ends = frame[(frame["problem"] == "capped") & (frame["searcher"] == "random") & (frame["evaluation"] == 60)]
    assert final.loc[("capped", "random"), "median"] == pytest.approx(np.median(best - ends["report_score"]))
    assert final.loc[("capped", "random"), "report_accuracy_mean"] == pytest.approx(ends["report_accuracy"].mean())
    curves = pd.read_csv(finished / "statistics" / "curves.csv")
    assert set(curves["measure"]) == {"regret", "hypervolume regret"}


def test_pictures_can_be_read(finished):
    from matplotlib import image

    for path in (finished / "pictures").glob("*.png"):
        pixels = image.imread(path)
        assert pixels.shape[0] > 150
        assert len(np.unique((pixels * 255).round() @ (1 << np.array([0, 8, 16, 0])[: pixels.shape[2]]))) > 20, path
    for path in (finished / "pictures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_page_needs_nothing_beside_it(page):
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", page)
    assert page.count("plotly.js v") == 1
    names = re.findall(r'<div id="([^"]+)" class="plotly-graph-div"', page)
    assert names == ["anytime-0", "pareto-0", "ranks-0", "anytime-1", "pareto-1", "ranks-1", "ranks-all"]


def test_the_page_names_data_checksums_and_citations(page, finished):
    import hashlib

    about = trajectories.about(finished / "trajectories.parquet")
    for facts in about["problems"].values():
        assert facts["release"] in page
        assert facts["fingerprint"] in page
        for source in facts["sources"]:
            assert source in page
    assert about["digest"] in page
    for name in ("trajectories.parquet", "statistics/final.csv", "pictures/ranks.svg"):
        assert hashlib.sha256((finished / name).read_bytes()).hexdigest() in page
    bench = problems.make(studies.read(SMALL).problems[0]).bench
    for key in re.findall(r"@\w+\{([^,]+),", bench.cite(about["problems"]["capped"]["sources"])):
        assert page.count("{" + key + ",") == 1
    assert "Bergstra" in page  # the paper of random search


def test_what_a_study_says_is_no_markup(tmp_path):
    file = tmp_path / "odd.toml"
    text = SMALL.read_text().replace("A small study", "<script>alert(1)</script> & more")
    file.write_text(text.replace("seeds = 6", "seeds = 1").replace("queries = 60", "queries = 5"))
    studies.run(studies.read(file), tmp_path / "out")
    page = studies.report(tmp_path / "out").read_text("utf-8")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_data_that_is_no_longer_that_of_the_runs_is_refused(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "copy")
    facts = problems.facts
    monkeypatch.setattr(problems, "facts", lambda *words: facts(*words)._replace(fingerprint="0" * 64))
    with pytest.raises(InvalidRequest, match="run the study again"):
        studies.report(tmp_path / "copy")


# -- in a browser -------------------------------------------------------------------------------

#: Added to the page: clicks through it as a reader would, and leaves what became of it where the DOM shows it.
_CLICKS = """
<script>
const told = {errors: []};
window.addEventListener('error', event => told.errors.push(String(event.message)));
window.addEventListener('load', () => setTimeout(async () => {
  const chart = document.getElementById('anytime-0');
  told.before = chart._fullLayout.yaxis.type;
  const button = [...chart.querySelectorAll('.updatemenu-button')].find(b => b.textContent.includes('y log'));
  button.dispatchEvent(new MouseEvent('click', {bubbles: true}));
  await new Promise(done => setTimeout(done, 500));
  told.after = chart._fullLayout.yaxis.type;
  const pareto = document.getElementById('pareto-0');
  told.traces = pareto.data.map(trace => trace.name);
  told.points = pareto.querySelectorAll('.scatterlayer .point').length;
  told.curves = chart.querySelectorAll('.scatterlayer .js-line').length;
  told.charts = [...document.querySelectorAll('.plotly-graph-div')].map(
    div => div.querySelectorAll('.main-svg').length > 0 && div.getBoundingClientRect().height > 100);
  await Plotly.restyle(pareto, {visible: 'legendonly'}, [0]);
  told.hidden = pareto.querySelectorAll('.scatterlayer .point').length;
  const said = document.createElement('pre');
  said.id = 'told';
  said.textContent = JSON.stringify(told);
  document.body.append(said);
}, 300));
</script></body>
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Return a way to open a page in a headless browser."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is on the path")
    profile = tmp_path_factory.mktemp("profile")

    def show(page, *options):
        words = [found, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        words += ["--window-size=1200,2400", "--virtual-time-budget=15000", *options, page.as_uri()]
        return subprocess.run(words, capture_output=True, text=True, timeout=180, check=True).stdout

    return show


@pytest.mark.slow
def test_a_browser_shows_every_chart_and_its_buttons_work(finished, page, browser, tmp_path):
    clicked = tmp_path / "clicked.html"
    clicked.write_text(page.replace("</body>", _CLICKS))
    dom = browser(clicked, "--dump-dom")
    told = json.loads(re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL).group(1))
    assert told["errors"] == []
    assert (told["before"], told["after"]) == ("linear", "log")
    assert told["charts"] == [True] * 7
    assert "Pareto front" in told["traces"]
    assert {"random", "random_again"} <= set(told["traces"])
    assert told["points"] > 1000
    assert told["hidden"] < 200
    assert told["curves"] >= 2


@pytest.mark.slow
def test_a_browser_draws_the_page(finished, browser, tmp_path):
    from matplotlib import image

    browser(finished / "report.html", f"--screenshot={tmp_path / 'shot.png'}")
    pixels = image.imread(tmp_path / "shot.png")[..., :3]
    for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):  # the two searchers' curves
        near = np.abs(pixels * 255 - colour).max(axis=2) < 12
        assert near.sum() > 300
        assert len(np.unique(np.nonzero(near)[0])) > 100
