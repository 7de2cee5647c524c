# SPDX-License-Identifier: BSD-3-Clause
"""Serves ``cloudvolume_fast.<upstream path>``, and ``cloudvolume`` as another name of this package when asked to.

Three rules make that all of it:

* ``cloudvolume_fast.<upstream path>`` is looked up in `compat.table`, after Python has found no file of that name.
* Once `install_as_cloudvolume` was called, ``cloudvolume.X`` *is* ``cloudvolume_fast.X``: the same module object under
  a second name, so that classes exist once and ``isinstance`` holds whichever name they came by.
* Child processes find the package ``cloudvolume`` of `compat/path` on ``PYTHONPATH`` and ``sys.path``, which calls
  `install_as_cloudvolume` there.  Both lists come before the folders of installed packages.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

PACKAGE = "cloudvolume_fast"
UPSTREAM = "cloudvolume"

CHILD_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "path")
"""The folder that leads child processes here."""

# The child's package has this, and nothing else may.
CHILD_MARK = "__leads_to_cloudvolume_fast__"


def resolve(owner: str, name: str, module: str, attribute: str) -> Any:  # Any: whatever it is
    """Return what a name of a module stands for: an attribute of one of ours.

    Raises
    ------
    AttributeError
        This version has no such module.
    ImportError
        A package that it needs is not installed.
    """
    try:
        return getattr(importlib.import_module(f"{PACKAGE}.{module}"), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != PACKAGE:
            raise
        raise AttributeError(f"module {owner!r} has no attribute {name!r}: {error}") from error


class AliasModule(ModuleType):
    """A module of upstream's that exists here as names only; each is resolved on first use."""

    def __getattr__(self, name: str) -> Any:  # Any: whatever the name stands for
        from cloudvolume_fast.compat.table import target_of

        target = target_of(self.__name__.partition(".")[2], name)
        if target is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, _, attribute = target.partition(":")
        value = resolve(self.__name__, name, module, attribute)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        from cloudvolume_fast.compat.table import names_of

        return sorted({*super().__dir__(), *names_of(self.__name__.partition(".")[2])})


class _Loader:
    """Makes the modules that `UpstreamFinder` finds."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return AliasModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        from cloudvolume_fast.compat.table import names_of, whole_module

        path = module.__name__.partition(".")[2]
        whole = whole_module(path)
        if whole is not None:
            # The machinery returns what it finds under the name, and binds it in the parent package.
            sys.modules[module.__name__] = importlib.import_module(f"{PACKAGE}.{whole}")
            return
        module.__doc__ = f"What upstream has in ``{UPSTREAM}.{path}``."
        module.__dict__["__all__"] = [name for name in names_of(path) if not name.startswith("_")]


class UpstreamFinder:
    """Finds ``cloudvolume_fast.<upstream path>``; last of all finders, so that files go first."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that the table has."""
        head, _, rest = fullname.partition(".")
        if head != PACKAGE or not rest:
            return None
        from cloudvolume_fast.compat.table import has_module, is_package

        if not has_module(rest):
            return None
        return importlib.machinery.ModuleSpec(
            fullname,
            _Loader(),  # type: ignore[arg-type]
            origin=f"{PACKAGE}.compat.table",
            is_package=is_package(rest),
        )


class _SameModule:
    """Puts the module ``cloudvolume_fast.X`` under the name ``cloudvolume.X``."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        sys.modules[name] = importlib.import_module(PACKAGE + name[len(UPSTREAM) :])


class CloudvolumeFinder:
    """Finds ``cloudvolume.X`` when ``cloudvolume_fast.X`` exists; first of all finders."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module under upstream's name."""
        head, _, rest = fullname.partition(".")
        if head != UPSTREAM:
            return None
        if not rest:  # the package itself was removed from sys.modules
            return importlib.machinery.ModuleSpec(fullname, _SameModule())  # type: ignore[arg-type]
        try:
            found = importlib.util.find_spec(f"{PACKAGE}.{rest}")
        except ModuleNotFoundError:  # nor is what it would lie in
            found = None
        if found is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, _SameModule())  # type: ignore[arg-type]


def register() -> None:
    """Make ``cloudvolume_fast.<upstream path>`` importable."""
    if UpstreamFinder not in sys.meta_path:
        sys.meta_path.append(UpstreamFinder)


def install_as_cloudvolume(*, children: bool = True) -> None:
    """Let ``import cloudvolume`` mean this package, whether upstream is installed or not.

    Parameters
    ----------
    children : bool
        Also in Python processes that this one starts from now on, by whichever means: ``PYTHONPATH`` and ``sys.path``
        get a folder with a package ``cloudvolume`` that calls this function.  A child that ignores the environment
        (``python -I``, ``python -E``) must call it itself.

    Raises
    ------
    UpstreamImportedError
        ``cloudvolume`` was imported before, so parts of the program hold on to it.

    Notes
    -----
    May be called again.  ``cloudvolume.X`` is the very module ``cloudvolume_fast.X``.
    """
    ours = sys.modules[PACKAGE]
    there = sys.modules.get(UPSTREAM)
    if there is not None and there is not ours and not hasattr(there, CHILD_MARK):
        from cloudvolume_fast.errors import UpstreamImportedError

        where = getattr(there, "__file__", None)
        raise UpstreamImportedError(
            f"{UPSTREAM}: expected no import of it before install_as_cloudvolume(), found it imported from {where}; "
            f"call install_as_cloudvolume() first of all, or start the program by `python -m {PACKAGE} run`",
            key=UPSTREAM,
            found=where,
        )
    sys.modules[UPSTREAM] = ours
    if CloudvolumeFinder not in sys.meta_path:
        sys.meta_path.insert(0, CloudvolumeFinder)
    if children:
        _lead_children()


def _lead_children() -> None:
    """Put the folder that leads here on the paths that child processes inherit."""
    given = os.environ.get("PYTHONPATH")
    parts = given.split(os.pathsep) if given else []
    if CHILD_PATH not in parts:
        os.environ["PYTHONPATH"] = os.pathsep.join([CHILD_PATH, *parts])
    if CHILD_PATH not in sys.path:  # what multiprocessing hands to a spawned process
        # Behind the script's folder, whose place programs rely on.
        sys.path.insert(min(1, len(sys.path)), CHILD_PATH)
