# SPDX-License-Identifier: BSD-3-Clause
"""A seeded, electron-microscopy-like volume: a grey image and its 64-bit segmentation.

The tissue is a power diagram of many ellipsoids, evaluated in a smoothly warped space. Chains of
ellipsoids that share a label are neurites, single ones are cut spines and boutons, a very large
one is a cell body. The same evaluation yields the distance to the nearest cell border, from which
the membranes of the image are drawn, so that image and segmentation agree to a fraction of a voxel.

Everything is numpy, slab by slab in z; the arrays that come back are most of the memory used. The
parameters are chosen so that the volume stores like the real thing: the segmentation close to a
packed neuropil with a cell body (labels per chunk, size as compressed_segmentation and after gzip),
the image at about 70 % of its size after gzip.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tissue", "make_tissue"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Evaluation units, in voxels. Random draws are tied to the slab, so the thickness is part of
# what a seed means and must not depend on threads or memory.
_SLAB = 16
_BRICK = 32
# Spacing of the points at which a brick looks for the cells that matter to it, and the distance
# from them that nearly all of its points keep; what a larger ball would add are specks of a voxel.
_SAMPLE_STEP = 5
_SAMPLE_BALL = 3.5
# Cells are also seeded this far outside the volume, so that its border looks like its middle.
_MARGIN = 40.0
# No membrane is drawn further than this from a border; lets far cells be left out of a brick.
_REACH = 6.0
# A candidate's number is kept in the low bits of its power, see `_nearest_two`.
_INDEX_BITS = 8
_INDEX_MASK = (1 << _INDEX_BITS) - 1
# Recorded contrast; it sets how well the image packs, since gzip finds hardly more than its
# histogram. Viewers stretch the grey values anyway.
_CONTRAST = 0.6


@dataclass(frozen=True, slots=True)
class Tissue:
    """An image and the segmentation it shows.

    Attributes
    ----------
    image : ndarray of uint8, shape (x, y, z), Fortran order
        Grey values as from an electron microscope: membranes dark.
    labels : ndarray of uint64, shape (x, y, z), Fortran order
        Cell ids, most of them above 2**32; 0 between cells.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint64]


def make_tissue(
    shape: tuple[int, int, int] = (512, 512, 512),
    seed: int = 0,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Tissue:
    """Make an image and its segmentation from a seed.

    Parameters
    ----------
    shape : tuple of int
        Size (x, y, z) in voxels.
    seed : int
        The same shape and seed give the same voxels, whatever `threads` is.
    threads : int
        Slabs in work at a time; each needs about 24 float32 planes of x * y * 16 voxels.
    progress : callable, optional
        Called as ``progress(done, total)`` with counts of slabs.

    Returns
    -------
    Tissue
        The two arrays.

    Raises
    ------
    ValueError
        If a size or `threads` is below 1.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape: expected three sizes of at least 1 voxel, found {shape}")
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, found {threads}")
    shape_zyx = (int(shape[2]), int(shape[1]), int(shape[0]))
    scene = _Scene.draw(shape_zyx, seed)
    image = np.empty(shape_zyx, np.uint8)
    labels = np.empty(shape_zyx, np.uint64)
    starts = range(0, shape_zyx[0], _SLAB)

    def render(z0: int) -> None:
        z1 = min(z0 + _SLAB, shape_zyx[0])
        _render_slab(scene, z0, image[z0:z1], labels[z0:z1])

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(render, starts), 1):
            if progress is not None:
                progress(done, len(starts))
    return Tissue(image.T, labels.T)


class _SmoothNoise:
    """Gaussian noise of zero mean and unit variance, smooth at a given spacing.

    A lattice of random numbers, blown up by cubic B-splines. That is a banded matrix product along
    each axis, done in pieces so small that no BLAS spreads one over threads: with threads the
    rounding, and so the voxels, would depend on the machine's load.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape_zyx: tuple[int, int, int],
        spacing_zyx: tuple[float, float, float],
    ) -> None:
        self._weights = [
            _spline_weights(n, step) for n, step in zip(shape_zyx, spacing_zyx, strict=True)
        ]
        lattice_shape = [w.shape[1] for w in self._weights]
        self._lattice = rng.standard_normal(lattice_shape, np.float32)

    def slab(self, z0: int, z1: int) -> F32:
        """Values of the planes z0 to z1.

        Returns
        -------
        ndarray of float32, shape (z1 - z0, y, x), C order
            The noise.
        """
        wz, wy, wx = self._weights
        depth = z1 - z0
        used = _used_columns(wz[z0:z1])
        lattice = self._lattice[used]
        planes = np.zeros((depth, *lattice.shape[1:]), np.float32)
        for z, weights in enumerate(wz[z0:z1, used]):
            for weight, lattice_plane in zip(weights, lattice, strict=True):
                if weight != 0.0:
                    planes[z] += weight * lattice_plane
        wide = np.empty((depth, planes.shape[1], len(wx)), np.float32)
        for x in range(0, len(wx), _BAND):
            used = _used_columns(wx[x : x + _BAND])
            wide[:, :, x : x + _BAND] = planes[:, :, used] @ wx[x : x + _BAND, used].T
        out = np.empty((depth, len(wy), len(wx)), np.float32)
        for y in range(0, len(wy), _BAND):
            used = _used_columns(wy[y : y + _BAND])
            np.matmul(wy[y : y + _BAND, used], wide[:, used], out=out[:, y : y + _BAND])
        return out


# Rows of a spline matrix handled together.
_BAND = 16


def _used_columns(rows: F32) -> slice:
    """Range of the columns in which some row is not 0."""
    used = np.flatnonzero(rows.any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1)


def _spline_weights(length: int, spacing: float) -> F32:
    """Cubic B-spline weights from lattice points to voxels, of unit mean square row.

    Returns
    -------
    ndarray of float32, shape (length, lattice points), C order
        One row of four neighbouring weights per voxel.
    """
    at = np.arange(length) / spacing
    cell = np.floor(at).astype(np.intp)
    t = at - cell
    taps = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    taps /= math.sqrt(float(np.mean(np.sum(taps**2, axis=1))))
    weights = np.zeros((length, int(cell[-1]) + 4), np.float32)
    weights[np.arange(length)[:, None], cell[:, None] + np.arange(4)] = taps
    return weights


@dataclass(frozen=True, slots=True)
class _Ellipsoids:
    """Ellipsoids in warped zyx space.

    The power of a point p is ``(p - centre)' form (p - centre) - radius**2``; `form` is scaled so
    that the shortest half axis has the length `radius` and the square root of the quadratic part
    grows no faster than Euclidean distance, which the choice of candidates relies on.
    """

    centre: F64
    form: F64
    radius: F64
    reach: F64
    cell: NDArray[np.intp]

    def near(self, at: list[F32]) -> _Ellipsoids:
        """Choose those that can matter to some points: within three half axes and a margin."""
        low = np.array([axis.min() for axis in at], np.float64)
        high = np.array([axis.max() for axis in at], np.float64)
        far = 3.0 * self.reach + 24.0
        outside = np.maximum(low - self.centre, self.centre - high).max(axis=1)
        chosen = np.flatnonzero(outside < far)
        return _Ellipsoids(
            self.centre[chosen],
            self.form[chosen],
            self.radius[chosen],
            self.reach[chosen],
            self.cell[chosen],
        )

    @staticmethod
    def build(centre: F64, half_axes: F64, frame: F64, cell: NDArray[np.intp]) -> _Ellipsoids:
        """Build from half axes in voxels, shape (n, 3), along the columns of `frame`."""
        radius = half_axes.min(axis=1)
        scaled = (radius[:, None] / half_axes) ** 2
        form = np.einsum("nij,nj,nkj->nik", frame, scaled, frame)
        return _Ellipsoids(centre, form, radius, half_axes.max(axis=1), cell)


@dataclass(frozen=True, slots=True)
class _Scene:
    """All random choices that are not tied to one slab."""

    seed: int
    cells: _Ellipsoids
    label_of_cell: NDArray[np.uint64]
    shade_of_cell: F32
    cell_is_large: NDArray[np.bool_]
    mitochondria: _Ellipsoids
    nuclei: _Ellipsoids
    warp: tuple[tuple[_SmoothNoise, float], ...]
    jitter: F32
    section_gain: F32
    section_offset: F32
    fine: _SmoothNoise
    medium: _SmoothNoise
    coarse: _SmoothNoise
    border: _SmoothNoise

    @staticmethod
    def draw(shape_zyx: tuple[int, int, int], seed: int) -> _Scene:
        """Draw the scene of a volume."""
        rng = np.random.default_rng([seed, 0x7155])
        cells, mitochondria, nuclei, large = _draw_cells(rng, shape_zyx)
        count = int(cells.cell.max()) + 1
        # Like the ids of agglomerated supervoxels: all 64 bits in use, none of them small.
        pool = rng.integers(2**32, 2**64, size=2 * count + 16, dtype=np.uint64)
        label_of_cell = rng.permutation(np.unique(pool))[:count]
        warp = tuple(
            (_SmoothNoise(rng, shape_zyx, spacing), amplitude)
            for spacing, amplitude in (
                ((30.0, 44.0, 44.0), 7.0),
                ((30.0, 44.0, 44.0), 9.0),
                ((30.0, 44.0, 44.0), 9.0),
                ((7.0, 9.0, 9.0), 0.8),
                ((7.0, 9.0, 9.0), 1.2),
                ((7.0, 9.0, 9.0), 1.2),
            )
        )
        depth = shape_zyx[0]
        return _Scene(
            seed=seed,
            cells=cells,
            label_of_cell=label_of_cell,
            shade_of_cell=rng.normal(0.0, 7.0, count).astype(np.float32),
            cell_is_large=large,
            mitochondria=mitochondria,
            nuclei=nuclei,
            warp=warp,
            jitter=rng.normal(0.0, 0.2, (2, depth)).astype(np.float32),
            section_gain=rng.normal(1.0, 0.02, depth).astype(np.float32),
            section_offset=rng.normal(0.0, 2.0, depth).astype(np.float32),
            fine=_SmoothNoise(rng, shape_zyx, (1.2, 2.2, 2.2)),
            medium=_SmoothNoise(rng, shape_zyx, (3.0, 6.0, 6.0)),
            coarse=_SmoothNoise(rng, shape_zyx, (16.0, 34.0, 34.0)),
            border=_SmoothNoise(rng, shape_zyx, (5.0, 11.0, 11.0)),
        )


@dataclass(frozen=True, slots=True)
class _Population:
    """How many cells of a kind there are and how they look; lengths in voxels."""

    per_million_voxels: float
    radius: tuple[float, float]
    spread: float
    steps: tuple[int, int]
    stretch: tuple[float, float]
    along_bundle: float


_POPULATIONS = (
    # Thin axons that run through many chunks.
    _Population(11.0, (1.4, 4.3), 0.35, (16, 50), (1.8, 4.2), 0.82),
    # Dendrites: few, thick, long.
    _Population(0.4, (9.0, 20.0), 0.25, (8, 20), (1.1, 1.6), 0.55),
    # Cut spines, boutons and glia sheets.
    _Population(10.0, (1.5, 5.0), 0.35, (1, 3), (1.2, 4.0), 0.5),
)


def _draw_cells(
    rng: np.random.Generator, shape_zyx: tuple[int, int, int]
) -> tuple[_Ellipsoids, _Ellipsoids, _Ellipsoids, NDArray[np.bool_]]:
    """Place cells and organelles.

    Returns
    -------
    tuple
        Ellipsoids of the cells, of the mitochondria, of the nuclei; and per cell whether it is a
        cell body.
    """
    size = np.asarray(shape_zyx, np.float64)
    millions = float(np.prod(size + 2 * _MARGIN)) / 1e6
    bundle = _unit(np.array([0.85, 0.35, 0.40]) + rng.normal(0.0, 0.15, 3))
    centre: list[F64] = []
    half_axes: list[F64] = []
    direction: list[F64] = []
    cell: list[int] = []
    count = 0
    for kind in _POPULATIONS:
        for _ in range(max(1, round(kind.per_million_voxels * millions))):
            at = rng.uniform(-_MARGIN, size + _MARGIN)
            heading = _unit(
                kind.along_bundle * bundle * rng.choice([-1.0, 1.0])
                + (1.0 - kind.along_bundle) * rng.normal(0.0, 1.0, 3)
            )
            base = rng.uniform(*kind.radius)
            for _ in range(int(rng.integers(*kind.steps))):
                radius = base * math.exp(rng.normal(0.0, kind.spread))
                length = radius * rng.uniform(*kind.stretch)
                width = radius * rng.uniform(1.0, 1.5)
                centre.append(at)
                half_axes.append(np.array([length, width, radius]))
                direction.append(heading)
                cell.append(count)
                at = at + heading * length * 1.1
                if np.any(at < -_MARGIN) or np.any(at > size + _MARGIN):
                    break
                heading = _unit(heading + rng.normal(0.0, 0.22, 3))
            count += 1

    body = size * rng.uniform([0.44, 0.64, 0.64], [0.56, 0.75, 0.75])
    body_axes = np.minimum(size * 0.38, [200.0, 165.0, 175.0])
    centre.append(body)
    half_axes.append(body_axes)
    direction.append(np.array([1.0, 0.0, 0.0]))
    cell.append(count)
    large = np.zeros(count + 1, np.bool_)
    large[count] = True

    centres = np.array(centre)
    axes = np.array(half_axes)
    frames = _frames(rng, np.array(direction))
    cell_ids = np.array(cell, np.intp)
    frames[-1] = np.eye(3)
    cells = _Ellipsoids.build(centres, axes, frames, cell_ids)

    hosts = np.flatnonzero((rng.random(len(centres)) < 0.22) & (axes[:, 2] > 4.0))
    mito_axes = axes[hosts] * rng.uniform(0.35, 0.6, (len(hosts), 1))
    mito_axes[:, 0] *= rng.uniform(1.0, 2.0, len(hosts))
    inside = rng.uniform(-0.8, 0.8, (240, 3))
    inside = inside[
        (np.linalg.norm(inside, axis=1) > 0.68) & (np.linalg.norm(inside, axis=1) < 0.9)
    ]
    in_body = len(inside) if min(shape_zyx) >= 160 else 0
    mitochondria = _Ellipsoids.build(
        np.concatenate([centres[hosts], body + inside[:in_body] * body_axes]),
        np.concatenate([np.clip(mito_axes, 2.5, 14.0), rng.uniform(4.0, 11.0, (in_body, 3))]),
        np.concatenate([frames[hosts], _frames(rng, rng.normal(0.0, 1.0, (in_body, 3)))]),
        np.concatenate([cell_ids[hosts], np.full(in_body, count, np.intp)]),
    )
    nuclei = _Ellipsoids.build(
        body[None] + 0.06 * body_axes, body_axes[None] * 0.58, np.eye(3)[None], cell_ids[-1:]
    )
    return cells, mitochondria, nuclei, large


def _unit(vector: F64) -> F64:
    """Scale a vector to length 1."""
    out: F64 = vector / np.linalg.norm(vector)
    return out


def _frames(rng: np.random.Generator, direction: F64) -> F64:
    """Orthonormal frames whose first axis is the direction and whose others are random.

    Returns
    -------
    ndarray of float64, shape (n, 3, 3), C order
        One axis per column.
    """
    first = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    third = np.cross(first, rng.normal(0.0, 1.0, first.shape))
    third /= np.linalg.norm(third, axis=1, keepdims=True)
    return np.stack([first, np.cross(third, first), third], axis=2)


def _render_slab(
    scene: _Scene, z0: int, image: NDArray[np.uint8], labels: NDArray[np.uint64]
) -> None:
    """Fill one slab of both arrays, shape (z, y, x), C order."""
    z1 = z0 + image.shape[0]
    rng = np.random.default_rng([scene.seed, 0x51AB, z0])
    at = _warped_coordinates(scene, z0, image.shape)
    cell = np.empty(image.shape, np.intp)
    border = np.empty(image.shape, np.float32)
    in_slab = scene.cells.near(at)
    for y in range(0, image.shape[1], _BRICK):
        in_row = in_slab.near([axis[:, y : y + _BRICK] for axis in at])
        for x in range(0, image.shape[2], _BRICK):
            box = (slice(None), slice(y, y + _BRICK), slice(x, x + _BRICK))
            shape = image[box].shape
            inside = [axis[box] for axis in at]
            coordinates = np.stack([axis.ravel() for axis in inside])
            found, distance = _evaluate(in_row.near(inside), coordinates, _sample(shape))
            cell[box] = found.reshape(shape)
            border[box] = distance.reshape(shape)

    uneven = scene.border.slab(z0, z1)
    coarse = scene.coarse.slab(z0, z1)
    # Cells touch almost everywhere; where both noises agree they part, by up to about 3 voxels.
    gap: F32 = np.clip(0.5 * uneven + 0.55 * coarse - 0.8, 0.0, 1.6).astype(np.float32)
    is_outside = border < gap
    np.take(scene.label_of_cell, cell, out=labels, mode="clip")
    labels[is_outside] = 0

    grey = _draw_cytoplasm(scene, z0, z1, cell, coarse)
    _draw_nuclei(scene, at, cell, grey)
    _draw_mitochondria(scene, at, cell, border, grey)
    _draw_vesicles(rng, cell, border, scene.cell_is_large, grey)
    _draw_membranes(grey, border, uneven, coarse, gap)
    _expose(scene, rng, z0, grey, image)


def _sample(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Flat numbers of a grid of points of a brick, at most `_SAMPLE_STEP` apart, ends included."""
    ticks = [np.linspace(0, n - 1, -(-(n - 1) // _SAMPLE_STEP) + 1).round() for n in shape]
    grid = np.meshgrid(*ticks, indexing="ij")
    return np.ravel_multi_index([axis.astype(np.intp).ravel() for axis in grid], shape)


def _warped_coordinates(scene: _Scene, z0: int, shape: tuple[int, ...]) -> list[F32]:
    """Where in tissue space each voxel of a slab lies: three arrays z, y, x."""
    z1 = z0 + shape[0]
    grid = np.ogrid[z0:z1, 0 : shape[1], 0 : shape[2]]
    at = []
    for axis in range(3):
        wide, strong = scene.warp[axis]
        narrow, weak = scene.warp[axis + 3]
        moved = wide.slab(z0, z1)
        moved *= np.float32(strong)
        moved += np.float32(weak) * narrow.slab(z0, z1)
        moved += grid[axis].astype(np.float32)
        if axis > 0:
            # Sections are never aligned perfectly.
            moved += scene.jitter[axis - 1, z0:z1, None, None]
        at.append(moved)
    return at


def _evaluate(
    cells: _Ellipsoids, at: F32, sample: NDArray[np.intp]
) -> tuple[NDArray[np.intp], F32]:
    """Find the cell of each point and the distance to its border.

    Parameters
    ----------
    cells : _Ellipsoids
        The power diagram.
    at : ndarray of float32, shape (3, n), C order
        Points, close together.
    sample : ndarray of intp, shape (m,)
        Numbers of points such that each point is within `_SAMPLE_BALL` of one of these.

    Returns
    -------
    cell : ndarray of intp, shape (n,)
        Cell numbers.
    distance : ndarray of float32, shape (n,)
        First-order distance to the nearest other cell, in voxels; a large number where that is
        beyond what a membrane reaches.
    """
    origin = ((at.min(axis=1) + at.max(axis=1)) / 2).astype(np.float64)
    centre = cells.centre - origin
    slope = -2.0 * np.matmul(cells.form, centre[:, :, None])[:, :, 0]
    spread_square = -0.5 * np.sum(slope * centre, axis=1)
    form = cells.form
    coefficients = np.column_stack(
        [
            form[:, 0, 0],
            form[:, 1, 1],
            form[:, 2, 2],
            2.0 * form[:, 0, 1],
            2.0 * form[:, 0, 2],
            2.0 * form[:, 1, 2],
            slope,
            spread_square,
        ]
    ).astype(np.float32)
    z, y, x = at - origin.astype(np.float32)[:, None]
    monomials = np.stack([z * z, y * y, x * x, z * y, z * x, y * x, z, y, x, np.ones_like(z)])

    near = _candidates(cells, _products(coefficients, monomials[:, sample]))
    coefficients = coefficients[near]
    square = cells.radius[near] ** 2
    # Positive floats order like their bits, which packing the index relies on.
    coefficients[:, 9] += (square.max() + 1.0 - square).astype(np.float32)
    nearest, second = _nearest_two(_products(coefficients, monomials), cells.cell[near])

    index = nearest & _INDEX_MASK
    # Gradients of the powers are linear in the point: three rows of (z, y, x, 1) each.
    gradient = np.concatenate([2.0 * form[near], slope[near][:, :, None]], axis=2)
    rows = gradient.astype(np.float32).reshape(len(near), 12)
    change = rows[second & _INDEX_MASK]
    change -= rows[index]
    steepness = np.zeros(len(z), np.float32)
    for axis in range(0, 12, 4):
        part = change[:, axis] * z
        part += change[:, axis + 1] * y
        part += change[:, axis + 2] * x
        part += change[:, axis + 3]
        part *= part
        steepness += part
    np.sqrt(steepness, out=steepness)
    distance = (second & ~_INDEX_MASK).view(np.float32) - (nearest & ~_INDEX_MASK).view(np.float32)
    distance /= np.maximum(steepness, np.float32(1e-3))
    return cells.cell[near][index], distance


def _products(coefficients: F32, monomials: F32) -> F32:
    """Multiply two matrices in pieces, see `_SmoothNoise` for why.

    Returns
    -------
    ndarray of float32, shape (rows of coefficients, columns of monomials), C order
        The product.
    """
    terms, points = monomials.shape
    width = max(8, 200_000 // (terms * max(1, len(coefficients))))
    out = np.empty((len(coefficients), points), np.float32)
    whole = points - points % width
    if whole:
        pieces = monomials[:, :whole].reshape(terms, -1, width).transpose(1, 0, 2)
        pieces_out = out[:, :whole].reshape(len(out), -1, width).transpose(1, 0, 2)
        np.matmul(coefficients, pieces, out=pieces_out)
    np.matmul(coefficients, monomials[:, whole:], out=out[:, whole:])
    return out


def _candidates(cells: _Ellipsoids, spread_square: F32) -> NDArray[np.intp]:
    """Choose the ellipsoids that can be nearest or second around the sample points.

    Parameters
    ----------
    cells : _Ellipsoids
        Sorted by cell.
    spread_square : ndarray of float32, shape (ellipsoids, samples), C order
        Quadratic parts of the powers.

    Returns
    -------
    ndarray of intp, shape (n,)
        Numbers of ellipsoids, ascending.
    """
    spread = np.sqrt(np.maximum(spread_square, 0.0, out=spread_square), out=spread_square)
    square = (cells.radius**2).astype(np.float32)[:, None]
    upper = (spread + np.float32(_SAMPLE_BALL)) ** 2
    upper -= square
    starts = np.flatnonzero(np.diff(cells.cell, prepend=-1))
    of_cells = np.minimum.reduceat(upper, starts, axis=0)
    if len(starts) > 1:
        first, second = np.partition(of_cells, 1, axis=0)[:2]
    else:
        first = second = of_cells[0]
    lower = np.maximum(spread - np.float32(_SAMPLE_BALL), 0.0)
    lower *= lower
    lower -= square
    # A power falls by at most twice the spread per voxel, so what is further behind than this
    # draws no membrane here.
    behind = first + np.float32(2.0 * _REACH) * (spread + np.sqrt(np.maximum(first, 0.0)) + 200.0)
    margin = (np.minimum(second, behind) - lower).max(axis=1)
    near = np.flatnonzero(margin >= 0.0)
    if len(near) > _INDEX_MASK:
        near = np.sort(near[np.argsort(-margin[near], kind="stable")[: _INDEX_MASK + 1]])
    return near


def _nearest_two(power: F32, cell: NDArray[np.intp]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Reduce the powers of all candidates to the smallest two of different cells.

    Each result is a power whose low bits hold the number of the candidate, so that plain integer
    minima carry both; what that costs in precision is below a hundredth of a voxel.
    """
    packed = power.view(np.int32)
    packed &= ~_INDEX_MASK
    packed |= np.arange(len(cell), dtype=np.int32)[:, None]
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    ends = np.append(starts[1:], len(cell))
    nearest = np.full(power.shape[1], np.iinfo(np.int32).max, np.int32)
    # Where one cell is alone, a stand-in that is far away and belongs to it.
    second = np.full(power.shape[1], np.float32(1e12).view(np.int32) & ~_INDEX_MASK, np.int32)
    later = np.empty_like(nearest)
    for start, end in zip(starts, ends, strict=True):
        row = packed[start]
        for other in packed[start + 1 : end]:
            np.minimum(row, other, out=row)
        np.maximum(nearest, row, out=later)
        np.minimum(second, later, out=second)
        np.minimum(nearest, row, out=nearest)
    return nearest, second


def _draw_cytoplasm(scene: _Scene, z0: int, z1: int, cell: NDArray[np.intp], coarse: F32) -> F32:
    """Draw ground, texture and endoplasmic reticulum."""
    grey = np.take(scene.shade_of_cell, cell)
    grey += np.float32(160.0)
    fine = scene.fine.slab(z0, z1)
    fine *= np.float32(6.0)
    grey += fine
    medium = scene.medium.slab(z0, z1)
    grey += np.float32(5.0) * medium
    # Level lines of a smooth noise are thin, closed, curved sheets.
    medium *= np.float32(1 / 0.16)
    medium *= medium
    np.negative(medium, out=medium)
    np.exp(medium, out=medium)
    medium *= np.clip(np.float32(26.0) + np.float32(22.0) * coarse, 0.0, 46.0)
    large = np.take(scene.cell_is_large, cell)
    medium *= np.where(large, np.float32(1.0), np.float32(0.45))
    grey -= medium
    return grey


def _draw_nuclei(scene: _Scene, at: list[F32], cell: NDArray[np.intp], grey: F32) -> None:
    """Draw nuclei: an envelope, smooth nucleoplasm, clumps of chromatin."""
    nuclei = scene.nuclei
    for i in range(len(nuclei.radius)):
        if not np.any(cell == nuclei.cell[i]):
            continue
        depth = _depth(nuclei, i, at)
        inside = (depth > -3.0) & (cell == nuclei.cell[i])
        depth = depth[inside]
        old = grey[inside]
        clumps = np.clip((old - 150.0) * 1.6, -22.0, 16.0)
        new = np.where(depth > 0.0, 142.0 + clumps, old)
        new -= 78.0 * np.exp(-((depth / 1.5) ** 2))
        grey[inside] = new


def _draw_mitochondria(
    scene: _Scene, at: list[F32], cell: NDArray[np.intp], border: F32, grey: F32
) -> None:
    """Draw mitochondria: dark, with an outer membrane and cristae."""
    mitochondria = scene.mitochondria
    low = np.array([axis.min() for axis in at], np.float64)
    high = np.array([axis.max() for axis in at], np.float64)
    near = np.all(
        (mitochondria.centre + mitochondria.reach[:, None] > low)
        & (mitochondria.centre - mitochondria.reach[:, None] < high),
        axis=1,
    )
    # The warp moves a point by a few tens of voxels at the very most.
    pad = mitochondria.reach + 34.0
    for i in np.flatnonzero(near):
        centre = mitochondria.centre[i]
        box = (
            slice(None),
            *(
                slice(max(0, int(centre[k] - pad[i])), max(0, int(centre[k] + pad[i])))
                for k in (1, 2)
            ),
        )
        part = cell[box]
        own = part == mitochondria.cell[i]
        if not own.any():
            continue
        index = np.nonzero(own)
        points = [axis[box][index] for axis in at]
        depth = _depth(mitochondria, int(i), points)
        # Stay clear of the cell's own membrane.
        depth = np.minimum(depth, border[box][index] - 2.5)
        touched = depth > -2.0
        if not touched.any():
            continue
        index = tuple(axis[touched] for axis in index)
        depth = depth[touched]
        z, y, x = (axis[touched] for axis in points)
        tilt = 0.7 * math.sin(float(i))
        cristae = np.sin((x * math.cos(i) + y * math.sin(i) + tilt * z) * np.float32(1.25))
        body = np.float32(104.0) + np.float32(15.0) * cristae
        body -= np.float32(40.0) * np.exp(-((depth - 0.6) ** 2))
        cover = np.clip(depth + np.float32(0.8), 0.0, 1.0)
        view = grey[box]
        view[index] += cover * (body - view[index]) * np.float32(0.88)


def _depth(ellipsoids: _Ellipsoids, i: int, at: list[F32]) -> F32:
    """Depth of points below the surface of an ellipsoid, in voxels, negative outside."""
    z, y, x = (axis - np.float32(c) for axis, c in zip(at, ellipsoids.centre[i], strict=True))
    form = ellipsoids.form[i].astype(np.float32)
    square = form[0, 0] * z * z + form[1, 1] * y * y + form[2, 2] * x * x
    square += 2.0 * (form[0, 1] * z * y + form[0, 2] * z * x + form[1, 2] * y * x)
    out: F32 = np.float32(ellipsoids.radius[i]) - np.sqrt(square)
    return out


# Darkness of a vesicle around its centre: a wall, and a lumen that is less dark.
_VESICLE = np.array(
    [
        [0.0, 0.4, 0.5, 0.4, 0.0],
        [0.4, 0.9, 0.7, 0.9, 0.4],
        [0.5, 0.7, 0.3, 0.7, 0.5],
        [0.4, 0.9, 0.7, 0.9, 0.4],
        [0.0, 0.4, 0.5, 0.4, 0.0],
    ],
    np.float32,
)


def _draw_vesicles(
    rng: np.random.Generator,
    cell: NDArray[np.intp],
    border: F32,
    cell_is_large: NDArray[np.bool_],
    grey: F32,
) -> None:
    """Draw clusters of vesicles, each inside one cell."""
    shape = np.array(cell.shape)
    clusters = max(1, round(cell.size / 9000))
    centre = (rng.random((clusters, 3)) * shape).astype(np.intp)
    home = cell[tuple(centre.T)]
    centre = centre[~cell_is_large[home] | (rng.random(clusters) < 0.5)]
    home = cell[tuple(centre.T)]
    each = rng.integers(4, 30, len(centre))
    at = np.repeat(centre, each, axis=0) + rng.normal(0.0, [1.6, 6.0, 6.0], (each.sum(), 3))
    at = np.rint(at).astype(np.intp)
    home = np.repeat(home, each)
    inside = np.all((at >= [0, 2, 2]) & (at < shape - [0, 2, 2]), axis=1)
    at, home = at[inside], home[inside]
    free = (cell[tuple(at.T)] == home) & (border[tuple(at.T)] > 2.6)
    z, y, x = at[free].T[..., None, None]
    dy, dx = np.ogrid[-2:3, -2:3]
    where = (z, y + dy, x + dx)
    grey[where] -= np.float32(44.0) * _VESICLE


def _draw_membranes(grey: F32, border: F32, uneven: F32, coarse: F32, gap: F32) -> None:
    """Draw membranes of uneven thickness, synaptic densities, and what lies between cells."""
    depth = border - gap
    outside = np.clip(np.float32(0.5) - depth, 0.0, 1.0)
    grey += outside * (np.float32(176.0) - grey)
    width = np.clip(np.float32(1.25) + np.float32(0.22) * uneven, 0.85, 2.0)
    # Sheet of the membrane: half a voxel inside the cell where there is a gap to see.
    width **= -2
    sheet = depth * depth
    sheet *= width
    np.negative(sheet, out=sheet)
    np.exp(sheet, out=sheet)
    grey += sheet * (np.float32(66.0) - grey) * np.float32(0.92)
    dense = np.clip(np.float32(1.6) * (uneven - np.float32(0.6) * coarse - np.float32(1.75)), 0, 1)
    dense *= np.exp(-((depth * np.float32(0.3)) ** 2))
    grey -= np.float32(45.0) * dense


def _expose(
    scene: _Scene, rng: np.random.Generator, z0: int, grey: F32, image: NDArray[np.uint8]
) -> None:
    """Turn grey values into what a detector records: uneven sections, shot noise, 8 bits."""
    z1 = z0 + image.shape[0]
    grey -= np.float32(128.0)
    grey *= np.float32(_CONTRAST) * scene.section_gain[z0:z1, None, None]
    grey += (np.float32(128.0) + scene.section_offset)[z0:z1, None, None]
    noise = rng.standard_normal(grey.shape, np.float32)
    noise *= np.float32(2.0) + np.float32(0.012) * grey
    grey += noise
    np.rint(grey, out=grey)
    np.clip(grey, 0.0, 255.0, out=grey)
    image[...] = grey
