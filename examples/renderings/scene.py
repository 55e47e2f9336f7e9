"""Render one object in grey with VTK, without a window."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401 - registers the renderer
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals, vtkTriangleFilter
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkLight,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkWindowToImageFilter,
)

if TYPE_CHECKING:
    from meshes import Mesh
    from numpy.typing import NDArray

_FINER: Final = 4
"""Pixels rendered along each side of a pixel of the image."""
_VIEW_ANGLE: Final = 20.0
_FEATURE_ANGLE: Final = 40.0
"""Degrees between two polygons from which on their edge is sharp."""


class Scene:
    """A camera, a light and one object.

    Args:
        size: Height and width of the images in pixels.
        background: Grey of the background, 0 to 1.
        distance: Of the camera from the object's centre, in radii of the object.

    Raises:
        OSError: There is no OpenGL.
    """

    def __init__(self, size: int, background: float, distance: float) -> None:
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)  # no warning that there is no display
        self._size, self._distance = size, distance
        self._mapper = vtkPolyDataMapper()
        self._actor = vtkActor()
        self._actor.SetMapper(self._mapper)
        surface = self._actor.GetProperty()
        surface.SetColor(0.7, 0.7, 0.7)
        surface.SetAmbient(0.12)
        surface.SetDiffuse(0.95)
        self._light = vtkLight()
        self._light.SetLightTypeToCameraLight()
        self._renderer = vtkRenderer()
        self._renderer.AddActor(self._actor)
        self._renderer.AddLight(self._light)
        self._renderer.SetAutomaticLightCreation(False)
        self._renderer.SetBackground(background, background, background)
        self._window = vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(0)
        self._window.SetSize(_FINER * size, _FINER * size)
        self._window.AddRenderer(self._renderer)
        if not self._window.SupportsOpenGL():
            raise OSError("VTK finds no OpenGL: on Debian, apt install libegl1 libgl1-mesa-dri")

    def show(self, mesh: Mesh) -> None:
        """Put a mesh into the scene, in place of the one before; it is centred and scaled to radius 1."""
        points = mesh.points - (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2
        points = points / max(float(np.linalg.norm(points, axis=1).max()), 1e-9)
        lengths = [len(polygon) for polygon in mesh.polygons]
        corners = vtkPoints()
        corners.SetData(numpy_to_vtk(points.astype(np.float32), deep=True))
        cells = vtkCellArray()
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        cells.SetData(
            numpy_to_vtkIdTypeArray(offsets, deep=True),
            numpy_to_vtkIdTypeArray(np.concatenate(mesh.polygons), deep=True),
        )
        data = vtkPolyData()
        data.SetPoints(corners)
        data.SetPolys(cells)
        triangles = vtkTriangleFilter()
        triangles.SetInputData(data)
        normals = vtkPolyDataNormals()
        normals.SetInputConnection(triangles.GetOutputPort())
        normals.SetFeatureAngle(_FEATURE_ANGLE)
        normals.Update()
        self._mapper.SetInputData(normals.GetOutput())

    def render(self, *, azimuth: float, elevation: float, light: float, width: float) -> NDArray[np.uint8]:
        """Return the image ``(size, size)`` of the object.

        Args:
            azimuth: Angle in degrees by which the object is turned about its vertical axis.
            elevation: Angle in degrees of the camera above the horizon.
            light: Angle in degrees of the light, to the right of the camera.
            width: Factor of the object's width, before it is turned.
        """
        self._actor.SetScale(width, 1.0, 1.0)
        self._actor.SetOrientation(0.0, azimuth, 0.0)
        up, side = math.radians(elevation), math.radians(light)
        camera = self._renderer.GetActiveCamera()
        camera.SetViewAngle(_VIEW_ANGLE)
        camera.SetFocalPoint(0.0, 0.0, 0.0)
        camera.SetPosition(0.0, self._distance * math.sin(up), self._distance * math.cos(up))
        camera.SetViewUp(0.0, 1.0, 0.0)
        self._light.SetPosition(math.sin(side), 0.6, math.cos(side))
        self._renderer.ResetCameraClippingRange()
        self._window.Render()
        picture = vtkWindowToImageFilter()
        picture.SetInput(self._window)
        picture.ReadFrontBufferOff()
        picture.Update()
        pixels = vtk_to_numpy(picture.GetOutput().GetPointData().GetScalars())[:, 0]
        blocks = pixels.reshape(self._size, _FINER, self._size, _FINER)[::-1].mean(axis=(1, 3))
        return np.rint(blocks).astype(np.uint8)
