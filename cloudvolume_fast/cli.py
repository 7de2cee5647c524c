# SPDX-License-Identifier: BSD-3-Clause
"""The command line: each subcommand adds its arguments and names the function that runs it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 if all went well, 1 if the subcommand found something wrong.
    """
    parser = argparse.ArgumentParser(
        prog="cloudvolume_fast", description="Read and write Neuroglancer volumes."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in _COMMANDS:
        add(commands)
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    return run(arguments)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``demo``."""
    parser = commands.add_parser(
        "demo",
        help="write a sample volume, read it back, check every voxel, save a picture",
        description="Make an electron-microscopy-like image and its segmentation, write both as "
        "Neuroglancer Precomputed, read them back in several ways, compare every voxel, and save "
        "a picture. Exits with 1 if anything differs.",
    )
    parser.add_argument(
        "--size", type=_parse_size, default=(512, 512, 512), metavar="N or XxYxZ",
        help="voxels per axis (default: 512)",
    )  # fmt: skip
    parser.add_argument("--seed", type=_parse_count, default=0, help="of the volume (default: 0)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="keep the volumes here (default: a temporary folder, removed at the end)",
    )  # fmt: skip
    parser.add_argument(
        "--png", type=Path, metavar="PATH",
        help="where to save the picture (default: cloudvolume_fast_demo.png in --out, "
        "else in the current folder)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=_parse_threads, default=None, metavar="N",
        help="threads to use (default: all that this process may use)",
    )  # fmt: skip
    parser.add_argument(
        "--cutouts", type=_parse_count, default=1000, metavar="N",
        help="random cutouts to read (default: 1000)",
    )  # fmt: skip
    parser.add_argument(
        "--points", type=_parse_count, default=10000, metavar="N",
        help="random points to read (default: 10000)",
    )  # fmt: skip
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, default=None,
        help="progress bars (default: if standard error is a terminal)",
    )  # fmt: skip
    parser.set_defaults(run=_run_demo)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve``."""
    parser = commands.add_parser(
        "serve",
        help="serve a folder of volumes to Neuroglancer",
        description="Serve a folder over HTTP on this machine only, in the way Neuroglancer in a "
        "browser needs: compressed files under their plain names, ranges, requests from other "
        "origins allowed. Ends with Ctrl-C.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--port", type=_parse_count, default=8080, help="default: 8080")
    parser.set_defaults(run=_run_serve)


def _add_shm(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``shm``."""
    parser = commands.add_parser(
        "shm",
        help="remove what is left in shared memory",
        description="What processes that have ended left behind of reads into shared memory. "
        "Names that users gave are theirs and stay.",
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    clean = actions.add_parser("clean", help="remove what nobody can use any more")
    clean.set_defaults(run=_run_shm_clean)


def _run_shm_clean(arguments: argparse.Namespace) -> int:
    """Run ``shm clean``."""
    from cloudvolume_fast.deliver.shared_buffer import remove_abandoned

    removed = remove_abandoned()
    for name in removed:
        _write(f"removed {name}\n")
    _write(f"{len(removed)} abandoned segments removed\n")
    return 0


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``run``."""
    parser = commands.add_parser(
        "run",
        help="run a program in which `import cloudvolume` means this package",
        usage="cloudvolume_fast run [-m MODULE | SCRIPT | COMMAND] [ARGS ...]",
        description="Run a Python program, unchanged, with cloudvolume_fast in the place of cloud-volume, in it and in "
        "the Python processes that it starts. A name without a slash that is no file is looked for among the commands "
        "on PATH, if it is a Python script. What follows the program's name is its own.",
    )
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, help="a module")
    parser.add_argument("script", nargs=argparse.REMAINDER, help="a file or a command")
    parser.set_defaults(run=_run_run)


def _run_run(arguments: argparse.Namespace) -> int:
    """Run ``run``."""
    from cloudvolume_fast.compat.run import find_script, run_module, run_script

    line = arguments.script if arguments.module is None else arguments.module
    if not line:
        sys.stderr.write("error: run: expected a script, or -m and a module, found nothing\n")
        return 2
    name, *rest = line
    if arguments.module is not None:
        run_module(name, rest)
        return 0
    script = find_script(name)
    if script is None:
        sys.stderr.write(f"error: {name}: expected a file, or a Python script on PATH\n")
        return 2
    run_script(script, rest)
    return 0


def _run_serve(arguments: argparse.Namespace) -> int:
    """Run ``serve``."""
    from cloudvolume_fast.serve import make_server

    if not arguments.folder.is_dir():
        sys.stderr.write(f"error: {arguments.folder}: expected a folder\n")
        return 1
    with make_server(arguments.folder, arguments.port) as server:
        _write(f"Serving {arguments.folder} at http://localhost:{server.server_port}\n")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _run_demo(arguments: argparse.Namespace) -> int:
    """Run ``demo``."""
    from cloudvolume_fast.demo import DemoOptions, run_demo

    progress = sys.stderr.isatty() if arguments.progress is None else arguments.progress
    options = DemoOptions(
        size=arguments.size,
        seed=arguments.seed,
        out=arguments.out,
        png=arguments.png,
        threads=arguments.threads or usable_cores(),
        cutouts=arguments.cutouts,
        points=arguments.points,
        shows_progress=progress,
    )
    return run_demo(options, write=_write)


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _write(text: str) -> None:
    """Write to standard output at once, so that a long step is announced before it starts."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _parse_size(text: str) -> tuple[int, int, int]:
    """Parse ``512`` or ``512x512x256``."""
    parts = text.lower().split("x")
    if len(parts) == 1:
        parts *= 3
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected N or XxYxZ in voxels, found {text!r}")
    return (int(parts[0]), int(parts[1]), int(parts[2]))


def _parse_count(text: str) -> int:
    """Parse a whole number that is not negative."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, found {text!r}")
    return int(text)


def _parse_threads(text: str) -> int:
    """Parse a whole number of at least 1."""
    count = _parse_count(text)
    if count < 1:
        raise argparse.ArgumentTypeError("expected at least 1 thread, found 0")
    return count


_COMMANDS = (_add_demo, _add_run, _add_serve, _add_shm)
