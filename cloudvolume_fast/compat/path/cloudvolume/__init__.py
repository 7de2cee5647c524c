# SPDX-License-Identifier: BSD-3-Clause
"""Stands in for cloud-volume in child processes of a program that called ``install_as_cloudvolume()``."""

try:
    import cloudvolume_fast
except ImportError as error:
    raise ImportError(
        "PYTHONPATH leads `import cloudvolume` to cloudvolume_fast, because a parent of this process called "
        f"cloudvolume_fast.install_as_cloudvolume(), but this Python cannot import it: {error}"
    ) from error

__leads_to_cloudvolume_fast__ = True
cloudvolume_fast.install_as_cloudvolume()
