# SPDX-License-Identifier: BSD-3-Clause
"""Works on shards with another package; run by `test_shard_interop.py` in a python that has it.

Standard input is a JSON object of keyword arguments, standard output what the function that the second argument names
returns.
"""

from __future__ import annotations

import json
import struct
import sys
import warnings
from typing import Any


def read_with_cloud_volume(cases: list[dict[str, Any]]) -> list[dict[str, str | None]]:

    from cloudvolume import CloudVolume
    from cloudvolume.datasource.precomputed.sharding import ShardingSpecification, ShardReader

    info = CloudVolume.create_new_info(
        1, "image", "uint8", "raw", (1, 1, 1), (0, 0, 0), (1, 1, 1), chunk_size=(1, 1, 1)
    )
    base = cases[0]["base"]
    cache = CloudVolume(f"file://{base}", info=info, progress=False).cache
    found = []
    for case in cases:
        spec = ShardingSpecification.from_dict(case["spec"])
        reader = ShardReader(f"file://{base}", cache, spec)
        data = reader.get_data([int(label) for label in case["labels"]], path=case["folder"])
        found.append({str(k): None if v is None else v.hex() for k, v in data.items()})
    return found


def read_with_tensorstore(cases: list[dict[str, Any]]) -> list[dict[str, str | None]]:
    import tensorstore as ts

    found = []
    for case in cases:
        store = ts.KvStore.open(
            {
                "driver": "neuroglancer_uint64_sharded",
                "base": {"driver": "file", "path": f"{case['base']}/{case['folder']}/"},
                "metadata": case["spec"],
            }
        ).result()
        reads = {label: store.read(struct.pack(">Q", int(label))) for label in case["labels"]}
        results = {label: read.result() for label, read in reads.items()}
        found.append(
            {k: None if r.state == "missing" else r.value.hex() for k, r in results.items()}
        )
    return found


def parameters_of_cloud_volume(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from cloudvolume.datasource.precomputed.sharding import (
        compute_shard_params_for_hashed,
        compute_shard_params_for_image,
    )

    found = []
    for case in cases:
        if "num_labels" in case:
            found.append([int(bits) for bits in compute_shard_params_for_hashed(**case)])
            continue
        try:
            spec = compute_shard_params_for_image(**case)
        except ValueError:
            found.append(None)
            continue
        shape = spec.image_shard_shape(case["dataset_size"], case["chunk_size"])
        found.append([json.loads(spec.to_json()), [int(extent) for extent in shape]])
    return found


def main() -> None:
    """Call what is named."""
    warnings.simplefilter("ignore")
    result = globals()[sys.argv[1]](**json.load(sys.stdin))
    sys.stdout.write("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
