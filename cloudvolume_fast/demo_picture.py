# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a slice: grey values, labels as colours over them, and a small PNG writer."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["color_labels", "encode_png", "overlay", "stretch"]


def stretch(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spread grey values over the whole range, leaving out the extreme half per cent at each end.

    Parameters
    ----------
    grey : ndarray of uint8, any shape
        Grey values.

    Returns
    -------
    ndarray of uint8, same shape
        With more contrast.
    """
    low, high = np.percentile(grey, [0.5, 99.5])
    scaled = (grey.astype(np.float32) - low) * (255.0 / max(1.0, float(high - low)))
    return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)


def color_labels(labels: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Give each label a colour that depends on it alone; 0 is black.

    Parameters
    ----------
    labels : ndarray of uint64, shape (rows, columns)
        Labels of a slice.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3), C order
        Red, green, blue.
    """
    names, inverse = np.unique(labels, return_inverse=True)
    # Multiplicative hashing: the high bits of the product are well mixed.
    mixed = (names ^ (names >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    hue = (mixed >> np.uint64(40)).astype(np.float64) / 2.0**24
    saturation = 0.55 + 0.45 * ((mixed >> np.uint64(32)) & np.uint64(255)).astype(np.float64) / 255
    offset = np.array([0.0, 1 / 3, 2 / 3])
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (hue[:, None] - offset))
    palette = np.rint(255 * (1 - saturation[:, None] * (1 - wave))).astype(np.uint8)
    palette[names == 0] = 0
    picture: NDArray[np.uint8] = palette[inverse.reshape(labels.shape)]
    return picture


def overlay(
    grey: NDArray[np.uint8], labels: NDArray[np.uint64], opacity: float = 0.45
) -> NDArray[np.uint8]:
    """Lay the colours of labels over grey values.

    Parameters
    ----------
    grey : ndarray of uint8, shape (rows, columns)
        Grey values.
    labels : ndarray of uint64, shape (rows, columns)
        Labels; 0 stays uncoloured.
    opacity : float
        Of the colours, 0 to 1.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 3), C order
        Red, green, blue.
    """
    base = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    # Colours take the light of the grey value below, so that membranes stay dark.
    tint = color_labels(labels) * (0.35 + base / 255.0)
    mixed = base + np.float32(opacity) * (tint - base)
    mixed[labels == 0] = base[labels == 0]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a picture as PNG.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (rows, columns) or (rows, columns, 3)
        Grey or red, green, blue.

    Returns
    -------
    bytes
        A PNG file of 8 bits per sample, no interlace; each row is filtered by its difference to
        the row above ("Up").

    Raises
    ------
    ValueError
        If dtype or shape is another.
    """
    is_grey = pixels.ndim == 2
    if pixels.dtype != np.uint8 or not (is_grey or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise ValueError(
            "pixels: expected uint8 of shape (rows, columns) or (rows, columns, 3), "
            f"found {pixels.dtype} of shape {pixels.shape}"
        )
    height, width = pixels.shape[:2]
    rows: NDArray[Any] = np.ascontiguousarray(pixels).reshape(height, -1)
    filtered = np.full((height, rows.shape[1] + 1), 2, np.uint8)
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if is_grey else 2, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _png_chunk(b"IHDR", header),
            _png_chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)),
            _png_chunk(b"IEND", b""),
        ]
    )


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    """Frame the data of a PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
