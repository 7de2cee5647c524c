# SPDX-License-Identifier: BSD-3-Clause
"""Write the seed inputs of the fuzz targets beside this file: `python make_corpus.py`.

The chunks are encoded here from the description of the format, so the seeds need no other package.
"""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from pathlib import Path


def encode_compressed_segmentation(labels, shape, block, item_size):
    """Encode labels, a function of (x, y, z), as one channel of compressed_segmentation."""
    corners = [
        (x, y, z)
        for z in range(0, shape[2], block[2])
        for y in range(0, shape[1], block[1])
        for x in range(0, shape[0], block[0])
    ]
    words = [0] * (2 * len(corners))
    tables = {}
    for number, (x0, y0, z0) in enumerate(corners):
        voxels = [
            (x, y, z)
            for z in range(z0, z0 + block[2])
            for y in range(y0, y0 + block[1])
            for x in range(x0, x0 + block[0])
        ]
        inside = [all(p < s for p, s in zip(v, shape, strict=True)) for v in voxels]
        table = sorted({labels(*v) for v, ok in zip(voxels, inside, strict=True) if ok})
        bits = next(b for b in (0, 1, 2, 4, 8, 16, 32) if len(table) <= 1 << b)
        packed = 0
        for i, (voxel, ok) in enumerate(zip(voxels, inside, strict=True)):
            packed |= (table.index(labels(*voxel)) if ok else 0) << (bits * i)
        values_offset = len(words)
        count = -(-bits * len(voxels) // 32)
        words += [(packed >> (32 * i)) & 0xFFFFFFFF for i in range(count)]
        key = tuple(table)
        if key not in tables:
            tables[key] = len(words)
            for label in table:
                words += (
                    [label & 0xFFFFFFFF] if item_size == 4 else [label & 0xFFFFFFFF, label >> 32]
                )
        words[2 * number] = tables[key] | bits << 24
        words[2 * number + 1] = values_offset
    return struct.pack(f"<{len(words) + 1}I", 1, *words)


def png_file(width, height, depth, colour_type, stream, level=6):
    """Make a PNG file of filtered rows."""

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tEXt", b"Title\0seed")
        + chunk(b"IDAT", zlib.compress(stream, level))
        + chunk(b"IEND", b"")
    )


def write_png_seeds(folder, rng):
    """Write one seed for each number of channels, depth and way in which the target takes content."""
    shape = (12, 5, 2)
    height = shape[1] * shape[2]
    for channels, colour_type in ((1, 0), (2, 4), (3, 2), (4, 6)):
        for item_size in (1, 2):
            row = shape[0] * channels * item_size
            rows = [
                bytes([i % 5]) + bytes(rng.randrange(8) for _ in range(row)) for i in range(height)
            ]
            stream = b"".join(rows)
            contents = {
                "file": png_file(shape[0], height, 8 * item_size, colour_type, stream),
                "rows": stream,
                "deflate": zlib.compress(stream, 9)[2:-4],
                "voxels": b"".join(row[1:] for row in rows),
            }
            for mode, (name, content) in enumerate(contents.items()):
                prefix = bytes([s - 1 for s in shape] + [channels - 1, item_size - 1, 0, mode])
                (folder / f"{name}_channels{channels}_item{item_size}").write_bytes(
                    prefix.ljust(16, b"\0") + content
                )


def write_shard_index_seeds(folder):
    """Write shard indexes behind the size of what follows them."""
    for name, (payload, words) in {
        "worked_example": (105, (9, 81, 81, 105)),
        "any_order": (70, (50, 60, 10, 20, 0, 0, 20, 50, 60, 70)),
        "overlap": (70, (50, 60, 10, 20, 15, 30)),
        "decreasing": (70, (10, 5)),
        "past_the_end": (8, (0, 9)),
        "no_entries": (0, ()),
        "large": (2**64 - 1, (2**63, 2**64 - 1, 0, 2**63)),
    }.items():
        (folder / name).write_bytes(struct.pack(f"<{1 + len(words)}Q", payload, *words))
    (folder / "odd_length").write_bytes(struct.pack("<3Q", 9, 0, 4) + b"\0")


def write_skeleton_seeds(folder):
    """A prefix with the attributes' formats, then a binary skeleton."""

    def prefix(*formats):
        numbers = [len(formats), *(n - 1 for pair in formats for n in pair)]
        return bytes(numbers).ljust(16, b"\0")

    def body(vertices, edges):
        points = struct.pack(f"<{3 * vertices}f", *range(3 * vertices))
        pairs = [(i, i + 1) for i in range(edges)]
        return (
            struct.pack("<II", vertices, edges)
            + points
            + b"".join(struct.pack("<II", *p) for p in pairs)
        )

    path = body(4, 3)
    for name, data in {
        "empty": prefix() + bytes(8),
        "bare": prefix((4, 1), (1, 1)) + path,
        "usual": prefix((4, 1), (1, 1)) + path + bytes(20),
        "first_alone": prefix((4, 1), (1, 1)) + path + bytes(16),
        "components": prefix((1, 1), (4, 3), (8, 2)) + path + bytes(4 + 48 + 64),
        "behind": prefix((4, 1)) + path + bytes(21),
        "cut": prefix((4, 1), (1, 1)) + path + bytes(19),
        "counts": prefix() + struct.pack("<II", 2**32 - 1, 2**32 - 1) + bytes(40),
        "edge_outside": prefix() + body(3, 3),
    }.items():
        (folder / name).write_bytes(data)


def write_minishard_index_seeds(folder):
    """Write minishard indexes behind the size of the data that they point into."""
    for name, (payload, ids, gaps, sizes) in {
        "worked_example": (105, (0, 4, 4), (0, 0, 0), (3, 2, 0)),
        "gaps": (18, (7, 2), (6, 4), (3, 5)),
        "unsorted": (7, (10, -7, 5), (0, 0, 0), (1, 2, 4)),
        "repeated_id": (7, (3, 5, -5), (0, 0, 0), (1, 1, 1)),
        "going_back": (20, (1, 1), (0, -3), (5, 5)),
        "past_the_end": (10, (1, 1), (0, 0), (5, 6)),
        "largest_id": (2, (-1, 1), (0, 0), (1, 1)),
        "no_entries": (0, (), (), ()),
    }.items():
        words = [payload, *ids, *gaps, *sizes]
        (folder / name).write_bytes(struct.pack(f"<{len(words)}Q", *(w % 2**64 for w in words)))
    (folder / "odd_length").write_bytes(struct.pack("<4Q", 9, 1, 0, 4) + b"\0")


def mesh_fragment(vertices, faces):
    """Make a single-resolution fragment."""
    rows = [struct.pack("<3f", *vertex) for vertex in vertices]
    rows += [struct.pack("<3I", *face) for face in faces]
    return struct.pack("<I", len(vertices)) + b"".join(rows)


def mesh_manifest(lods):
    """Make a multi-resolution manifest of (positions, sizes)."""
    out = struct.pack("<6fI", 64, 64, 32, 10, 20, 30, len(lods))
    out += b"".join(struct.pack("<f", 2**lod) for lod in range(len(lods)))
    out += struct.pack(
        f"<{3 * len(lods)}f", *[0.5 * lod for lod in range(len(lods)) for _ in "xyz"]
    )
    out += b"".join(struct.pack("<I", len(sizes)) for _, sizes in lods)
    for positions, sizes in lods:
        words = [position[axis] for axis in range(3) for position in positions] + sizes
        out += struct.pack(f"<{len(words)}I", *words)
    return out


def write_mesh_seeds(here):
    """Write pairs of fragments behind a byte that is a quarter of the first one's length, and manifests."""
    square = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, -0.0)]
    two = [(0, 1, 2), (0, 2, 3)]
    parts = {
        "empty": mesh_fragment([], []),
        "square": mesh_fragment(square, two),
        "repeated": mesh_fragment(square + square, [*two, (4, 5, 6), (4, 6, 7), (0, 1, 2)]),
        "far": mesh_fragment([(3e38, -3e38, 1e-45)] * 3, [(0, 1, 2)]),
        "no_vertex": mesh_fragment(square, [(0, 1, 4)]),
        "not_finite": mesh_fragment([(float("nan"), 0, 0)], []),
    }
    for name, first in parts.items():
        for other in ("empty", "square"):
            data = bytes([len(first) // 4]) + first + parts[other]
            (here / "mesh_fragment" / f"{name}_{other}").write_bytes(data)
    most = struct.pack("<Q", 2**64 - 1)
    example = mesh_manifest([([(0, 0, 0), (1, 0, 0)], [165, 165]), ([(0, 0, 0)], [157])])
    for name, data in {
        "worked_example": struct.pack("<Q", 487) + example,
        "past_the_end": struct.pack("<Q", 486) + example,
        "no_levels": most + mesh_manifest([]),
        "empty_node": most + mesh_manifest([([(0, 0, 0), (7, 1, 2)], [5, 0])]),
        "truncated": most + example[:-1],
        "trailing": most + example + bytes(4),
        "many_levels": most + mesh_manifest([([], [])] * 64),
    }.items():
        (here / "mesh_manifest" / name).write_bytes(data)


def main():
    """Write all seeds."""
    here = Path(__file__).parent
    rng = random.Random(1)
    for directory in (
        "compressed_segmentation",
        "fpzip",
        "gzip",
        "mesh_fragment",
        "mesh_manifest",
        "minishard_index",
        "skeleton",
        "png",
        "shard_index",
    ):
        (here / directory).mkdir(exist_ok=True)

    for distinct in (1, 2, 4, 16, 40):
        for item_size in (4, 8):
            for eights in (True, False):
                shape = (17, 9, 8) if eights else (9, 7, 5)
                block = (8, 8, 8) if eights else (4, 3, 5)
                palette = [rng.getrandbits(8 * item_size) for _ in range(distinct)]
                chunk = {}

                def label(x, y, z, chunk=chunk, palette=palette):
                    return chunk.setdefault((x // 2, y, z), rng.choice(palette))

                flags = (1 if eights else 0) | (2 if item_size == 4 else 0)
                # The fuzz target reads sizes modulo their range, from one upwards.
                prefix = bytes([s - 1 for s in shape] + [b - 1 for b in block] + [flags, 0]).ljust(
                    16, b"\0"
                )
                data = encode_compressed_segmentation(label, shape, block, item_size)
                name = f"labels{distinct}_item{item_size}_block{block[0]}"
                (here / "compressed_segmentation" / name).write_bytes(prefix + data)

    text = b"segmentation " * 20
    one = gzip.compress(text, mtime=0)
    for name, data in {
        "empty": gzip.compress(b"", mtime=0),
        "text": one,
        "stored": gzip.compress(text, 0, mtime=0),
        "members": one + gzip.compress(b"more", mtime=0),
        "padded": one + bytes(7),
        "trailing": one + b"x",
        "truncated": one[:-5],
        "named": one[:3] + b"\x08" + one[4:10] + b"name\0" + one[10:],
    }.items():
        (here / "gzip" / name).write_bytes(data)

    write_png_seeds(here / "png", rng)
    write_shard_index_seeds(here / "shard_index")
    write_minishard_index_seeds(here / "minishard_index")
    write_skeleton_seeds(here / "skeleton")
    write_mesh_seeds(here)
    golden = here.parents[2] / "tests" / "golden" / "fpzip"
    for stream in sorted(golden.glob("smooth_*.fpz")):
        (here / "fpzip" / stream.stem).write_bytes(b"\0" + stream.read_bytes())
    for item_size in (4, 8):
        for precision in (0, 1, 7, 8, 20):
            prefix = bytes([1 | (2 if item_size == 4 else 0), precision, 9, 3, 2, 1, 40, 0])
            values = struct.pack(
                "<8f" if item_size == 4 else "<8d", 1, 1.5, -2, 0, 3e30, 1e-40, -0.0, 7
            )
            (here / "fpzip" / f"values{item_size}_precision{precision}").write_bytes(
                prefix + values
            )


if __name__ == "__main__":
    main()
