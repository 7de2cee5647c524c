# SPDX-License-Identifier: BSD-3-Clause
"""What `Mesh.viewer` draws, where vtk is installed and can draw without a screen."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vtk") is None, reason="the package vtk is not installed"
)

# Looks at the window when the user would, and goes on as if it had been closed.
LOOK = """
import json, sys
import numpy as np
import vtk
from vtk.util import numpy_support

seen = {}

class Interactor(vtk.vtkRenderWindowInteractor):
    def Start(self):
        window = self.GetRenderWindow()
        picture = vtk.vtkWindowToImageFilter()
        picture.SetInput(window)
        picture.ReadFrontBufferOff()
        picture.Update()
        image = picture.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        lit = pixels.reshape(height, width, -1).max(axis=2) > 30
        actors = window.GetRenderers().GetFirstRenderer().GetActors()
        actors.InitTraversal()
        surface = actors.GetNextActor().GetMapper().GetInput()
        seen.update(
            size=[width, height],
            name=window.GetWindowName(),
            points=surface.GetNumberOfPoints(),
            faces=surface.GetNumberOfPolys(),
            bounds=list(surface.GetBounds()),
            center=bool(lit[height // 2, width // 2]),
            corners=[bool(lit[y, x]) for y in (0, -1) for x in (0, -1)],
            part=float(lit.mean()),
        )

vtk.vtkRenderWindowInteractor = Interactor
"""
SHOW = """
from cloudvolume_fast import Mesh
import meshes
ball = meshes.sphere(20, radius=100, center=(300, 400, 900), segid=5)
ball.viewer()
print("SEEN " + json.dumps({**seen, "mesh": [len(ball.vertices), len(ball.faces)]}))
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    settings = {"VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow"}
    if "DISPLAY" in os.environ:
        settings = {}
    path = os.pathsep.join(name for name in sys.path if name)
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **settings, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_viewer_draws_the_mesh() -> None:
    probe = run("import vtk\nwindow = vtk.vtkRenderWindow()\nwindow.Render()\n")
    if probe.returncode != 0:
        pytest.skip(f"vtk cannot draw here: {probe.stderr[-200:]}")
    done = run(LOOK + SHOW)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.rpartition("SEEN ")[2])
    assert seen["size"] == [800, 600]
    assert seen["name"] == "mesh of 5"
    assert [seen["points"], seen["faces"]] == seen["mesh"]
    low, high = seen["bounds"][::2], seen["bounds"][1::2]
    assert low == pytest.approx([200, 300, 800], abs=3)
    assert high == pytest.approx([400, 500, 1000], abs=3)
    # A ball before a dark ground.
    assert seen["center"]
    assert seen["corners"] == [False] * 4
    # The camera stands where a cone of 30 degrees holds the sphere around the box, whose radius is 173 nm: the ball, of
    # 100 nm, then has a radius of 169 pixels.
    assert seen["part"] == pytest.approx(np.pi * 169**2 / (800 * 600), rel=0.05)
