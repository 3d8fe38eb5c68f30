"""Which code made a result: the commit, the command and the versions of packages, for reports and checkpoints."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import surround_depth

_TIMEOUT_S = 10.0


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages of `names` that are installed."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def source_commit() -> str:
    """Return the git commit of the checkout this package is imported from, "+changes" if edited, else "no checkout"."""
    root = Path(surround_depth.__file__).resolve().parent.parent
    # an installed package may lie inside somebody else's checkout: only a .git right beside it is ours
    if not (root / ".git").exists():
        return "no checkout"
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    return commit + ("+changes" if _git(root, "status", "--porcelain") else "") if commit else "no checkout"


def command_line() -> str:
    """Return the command that started this process, as another machine could repeat it: no absolute paths."""
    script = Path(sys.argv[0])
    return shlex.join(["python", f"{script.parent.name}/{script.name}", *map(portable_argument, sys.argv[1:])])


def portable_argument(argument: str) -> str:
    """Return an argument (`path` or `key=path`) with an absolute path relative to here, else its last name alone."""
    key, equals, value = argument.rpartition("=")
    path = Path(value)
    if not path.is_absolute():
        return argument
    here = Path.cwd()
    return key + equals + (path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name)


def _git(root: Path, *arguments: str) -> str:
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
