"""The page that `make dashboard` opens, in a real browser: a study's runs by name, and their curves drawn."""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ablations import record as records
from ablations.compose import CONF
from tests.ablations.make import make_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.skipif(
        importlib.util.find_spec("trackio") is None,
        reason="trackio is not installed: pip install -r requirements-dashboard.txt",
    ),
]
STRATEGIES, SEEDS = ("separate", "shared"), (0, 1)
COLOURS = ((220, 0, 0), (0, 160, 0), (0, 0, 220), (200, 0, 200))  # of the runs, told to trackio
SIZE = (1500, 1100)
FIRST_CHART = (330, 110, 720, 400)  # left, top, right, bottom: the axes of the first chart, without its legend


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of the dashboard on four finished runs, served by the command itself."""
    results = tmp_path_factory.mktemp("results")
    for seed in SEEDS:
        for place, name in enumerate(STRATEGIES):
            curve = [{"step": step, "loss": 5 - place - seed / 2 - step / 40} for step in range(1, 40)]
            records.write({**make_record(name, seed=seed), "curve": curve}, results)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "scripts/dashboard.py", "--trackio", "--no-browser"]
    command += ["--results", str(results), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "TRACKIO_DIR"}
    environment["TRACKIO_COLOR_PALETTE"] = ",".join("#" + bytes(colour).hex() for colour in COLOURS)
    with (
        (results / "said").open("w") as said,
        subprocess.Popen(command, cwd=CONF.parent, env=environment, stdout=said, stderr=said) as server,
    ):
        try:
            for _ in range(300):
                assert server.poll() is None, (results / "said").read_text()
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def browser(profile: Path, address: str, *options: str) -> str:
    """What a headless Chromium prints that can reach nothing but this machine."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--hide-scrollbars", f"--window-size={SIZE[0]},{SIZE[1]}", f"--user-data-dir={profile}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--virtual-time-budget=20000"]
    answer = subprocess.run([*command, *options, address], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_page_names_every_run_and_the_scores_of_its_table(page, tmp_path):
    content = browser(tmp_path, f"{page}/?project=demo", "--dump-dom")
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", content, flags=re.DOTALL)
    for name in (f"docs-{strategy}-s{seed}" for strategy in STRATEGIES for seed in SEEDS):
        assert name in text
    for title in ("loss", "token_perplexity", "parameters"):
        assert title in text


def test_the_curve_of_every_run_is_drawn_in_its_colour(page, tmp_path):
    import numpy as np
    from PIL import Image

    picture = tmp_path / "page.png"
    browser(tmp_path / "profile", f"{page}/?project=demo", f"--screenshot={picture}")
    with Image.open(picture) as shot:
        assert shot.size == SIZE
        pixels = np.asarray(shot.convert("RGB").crop(FIRST_CHART), dtype=int)
    for colour in COLOURS:
        near = (abs(pixels - colour) < 60).all(axis=-1)
        assert np.count_nonzero(near.any(axis=0)) > 150, f"{colour} reaches over no part of the first chart"
