# SPDX-License-Identifier: BSD-3-Clause
"""What a downstream package needs: nothing for the Cython API, get_include() for the C++ headers."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import cloudvolume_fast

setup(
    packages=["outside"],
    ext_modules=cythonize(
        [
            Extension("outside.kernels", ["outside/kernels.pyx"]),
            Extension(
                "outside.headers",
                ["outside/headers.pyx"],
                include_dirs=[cloudvolume_fast.get_include()],
                language="c++",
                extra_compile_args=["-std=c++20"],
            ),
        ],
        language_level=3,
    ),
)
