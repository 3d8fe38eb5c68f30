"""Commands for tests to kill, in processes that start at once: forks of one that has imported torch.

Their output goes to a file, and they end as a command ends: by an exit status, or by the signal that killed them.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import runpy
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_SLOW_TO_IMPORT = (
    "transformers.models.auto.modeling_auto",
    "transformers.models.resnet.modeling_resnet",
    "torch._dynamo",
)
_CONTEXT.set_forkserver_preload(["surround_depth.training.run", "surround_depth.evaluation.baseline", *_SLOW_TO_IMPORT])


def start_command(
    script: Path,
    arguments: Sequence[str],
    log: Path,
    *,
    largest_file_bytes: int | None = None,
    environment: dict[str, str] | None = None,
) -> ForkServerProcess:
    """Start `python SCRIPT ARGUMENTS`; beyond `largest_file_bytes` a file takes no more, as on a full disk."""
    return start_call(_run_script, (script, list(arguments), largest_file_bytes), log, environment)


def start_call(
    target: Callable[..., Any], arguments: tuple[Any, ...], log: Path, environment: dict[str, str] | None = None
) -> ForkServerProcess:
    """Start `target(*arguments)`, a function of an importable module."""
    process = _CONTEXT.Process(target=_call, args=(target, arguments, log, environment or {}))
    process.start()
    return process


def finish(process: ForkServerProcess, timeout_s: float = 120.0) -> int:
    """Wait for the end and return the exit status, negative for a signal."""
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"still running after {timeout_s} s")
    return process.exitcode


def _call(target: Callable[..., Any], arguments: tuple[Any, ...], log: Path, environment: dict[str, str]) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ.update(environment)
    target(*arguments)


def _run_script(script: Path, arguments: list[str], largest_file_bytes: int | None) -> None:
    if largest_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, resource.RLIM_INFINITY))
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")
