# SPDX-License-Identifier: BSD-3-Clause
"""Write fpzip streams of the fpzip package, and what it decodes them to: `python make_golden_fpzip.py`.

Needs fpzip and numpy.  Files go to the folder fpzip beside this file; the smallest also to cpp/tests/golden_fpzip.hpp.
"""

from __future__ import annotations

from pathlib import Path

import fpzip
import numpy as np

HERE = Path(__file__).parent
CPP = HERE.parents[1] / "cpp" / "tests" / "golden_fpzip.hpp"
MAX_CPP_VALUES = 100


def smooth(shape, dtype):
    x, y, z, c = np.indices(shape).astype(np.float64)
    return (np.sin(x / 5) + np.cos(y / 7) + z / 10 + 3 * c).astype(dtype)


def noise(shape, dtype):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


def special(shape, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    palette = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1, -1, tiny, -tiny, np.finfo(dtype).max],
        dtype,
    )
    values = np.random.default_rng(2).choice(palette, shape)
    # A signalling NaN with a payload.
    values.reshape(-1)[0] = (
        np.array([0x7F800123 if values.itemsize == 4 else 0x7FF0000000000123])
        .astype(f"u{values.itemsize}")
        .view(dtype)[0]
    )
    return values


def constant(shape, dtype):
    return np.full(shape, -2.5, dtype)


CASES = [
    (make, shape, dtype, precision * (np.dtype(dtype).itemsize // 4))
    for dtype in ("float32", "float64")
    for make, shape, precision in (
        (smooth, (11, 1, 1, 1), 0),
        (smooth, (6, 5, 1, 1), 0),
        (smooth, (5, 4, 3, 1), 0),
        (smooth, (3, 4, 2, 3), 0),
        (smooth, (5, 4, 3, 1), 2),
        (smooth, (5, 4, 3, 1), 4),
        (smooth, (5, 4, 3, 1), 8),
        (smooth, (5, 4, 3, 1), 9),
        (smooth, (5, 4, 3, 1), 17),
        (smooth, (5, 4, 3, 1), 31),
        (smooth, (5, 4, 3, 1), 32),
        (special, (5, 4, 3, 1), 0),
        (constant, (7, 3, 2, 2), 0),
        (noise, (12, 10, 10, 1), 12),
        (noise, (10, 9, 8, 2), 0),
    )
]


def to_hex(data):
    lines = [data[i : i + 50].hex() for i in range(0, len(data), 50)]
    return "\n".join(f'     "{line}"' for line in lines)


def main():
    """Write all files."""
    folder = HERE / "fpzip"
    folder.mkdir(exist_ok=True)
    entries = []
    for make, shape, dtype, precision in CASES:
        values = np.asfortranarray(make(shape, dtype))
        stream = fpzip.compress(values, precision=precision, order="F")
        decoded = fpzip.decompress(stream, order="F")
        name = f"{make.__name__}_{'x'.join(map(str, shape))}_{dtype}_p{precision}"
        (folder / f"{name}.fpz").write_bytes(stream)
        np.save(folder / f"{name}.npy", decoded)
        if values.size <= MAX_CPP_VALUES:
            extents = ", ".join(map(str, shape))
            entries.append(
                f'    {{"{name}", {{{extents}}}, {values.itemsize}, {precision},\n'
                f"{to_hex(stream)},\n{to_hex(decoded.tobytes('F'))}}},\n"
            )
    CPP.write_text(
        "// SPDX-License-Identifier: BSD-3-Clause\n"
        "//\n"
        f"// Written by tests/golden/make_golden_fpzip.py with the fpzip package {fpzip.__version__}.\n"
        "#pragma once\n\n"
        "#include <array>\n"
        "#include <cstdint>\n"
        "#include <string_view>\n\n"
        "namespace cvfast::testing {\n\n"
        "struct GoldenFpzip {\n"
        "  std::string_view name;\n"
        "  std::array<std::int64_t, 4> shape;\n"
        "  std::int64_t item_size;\n"
        "  std::int64_t precision;\n"
        "  std::string_view stream;  // hexadecimal\n"
        "  std::string_view values;  // hexadecimal, as decoded\n"
        "};\n\n"
        "// clang-format off\n"
        "inline constexpr GoldenFpzip kGoldenFpzip[] = {\n" + "".join(entries) + "};\n"
        "// clang-format on\n\n"
        "}  // namespace cvfast::testing\n"
    )


if __name__ == "__main__":
    main()
