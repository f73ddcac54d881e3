# SPDX-License-Identifier: Apache-2.0

"""The examples do what they say."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import sys
from typing import Any

import villas_ext
from conftest import BUILD, PATIENCE, ROOT
from matplotlib import image

EXAMPLES = ROOT / "examples"


def test_echo_has_ten_lines_and_gives_back_every_sample(region: str, start: Any) -> None:
    path = EXAMPLES / "echo" / "echo.py"
    assert len(path.read_text().splitlines()) <= 10
    with villas_ext.Node(region) as node:
        echo = start(sys.executable, path, region)
        node.accept(timeout=PATIENCE)
        for i in range(1000):
            node.write(node.alloc([i, -i], sequence=i))
            with node.read(timeout=PATIENCE) as sample:
                assert sample.sequence == i and list(sample) == [i, -i]
    assert echo.end() == ""


def test_the_controller_holds_the_current_and_masters_the_disturbance(region: str, start: Any) -> None:
    controller = start(sys.executable, EXAMPLES / "controller" / "controller.py", region)
    plant = start(sys.executable, EXAMPLES / "controller" / "plant.py", region)
    said = plant.end()
    cold, most, hot, least = map(float, re.findall(r"[\d.]+(?= A)", said))
    assert abs(cold - 10) < 0.01 and most < 11 and abs(hot - 10) < 0.01 and 5 < least < 9.5, said
    assert controller.end() == ""


def test_the_live_plot_draws_the_signals(region: str, start: Any, tmp_path: pathlib.Path) -> None:
    node = start(BUILD / "villas-shmem", "gen", "--region", region, "--rate", "1000", "--wave", "sine,square", "--amplitude", "325,100")
    picture = tmp_path / "plot.png"
    os.environ["MPLCONFIGDIR"] = str(tmp_path)
    while not os.path.exists(f"/dev/shm{region}"):
        assert node.popen.poll() is None
    plot = start(sys.executable, EXAMPLES / "plot" / "live_plot.py", region, "--seconds", "1", "--save", picture)
    said = plot.end()
    samples, lines = map(int, re.findall(r"\d+(?= samples| signals)", said))
    assert samples > 300 and lines == 2, said
    pixels = image.imread(picture)[..., :3]
    for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):  # of the first and the second line
        drawn = (abs(pixels * 255 - colour) < 8).all(axis=2)
        rows, columns = drawn.any(axis=1).sum(), drawn.any(axis=0).sum()
        assert columns > 0.5 * pixels.shape[1] and rows > 0.2 * pixels.shape[0], (colour, rows, columns)
    node.popen.send_signal(signal.SIGINT)
    node.end(None)


EXECUTE = """
import nbformat, sys
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=int(sys.argv[2]), kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def test_the_notebook_runs_from_nothing_to_a_plot(region: str, start: Any, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text((EXAMPLES / "notebook" / "first-look.ipynb").read_text().replace("/villas-notebook", region))
    env = {**os.environ, "PATH": f"{BUILD}{os.pathsep}{os.environ['PATH']}"}
    env.update(dict.fromkeys(("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_CONFIG_DIR"), str(tmp_path)))
    start(sys.executable, "-c", EXECUTE, path, PATIENCE, env=env).end()
    cells = json.loads(path.read_text())["cells"]
    outputs = [out for cell in cells if cell["cell_type"] == "code" for out in cell["outputs"]]
    assert any("image/png" in out.get("data", {}) for out in outputs), "no plot"
    text = "".join("".join(out.get("text", [])) + "".join(out.get("data", {}).get("text/plain", [])) for out in outputs)
    assert "(60, 3)" in text and "60 samples written" in text, text
