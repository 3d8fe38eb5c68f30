"""The errors of surround_depth: one family, one line each, naming what is wrong and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable


class SurroundDepthError(Exception):
    """Base of every error that a user of surround_depth can cause or mend."""


class ConfigError(SurroundDepthError):
    """A configuration key is unknown, of the wrong type, or contradicts another."""


class CalibrationError(SurroundDepthError):
    """A camera, lens, pose or rig is not usable."""


class DataError(SurroundDepthError):
    """A file, table, image or array is missing, damaged or of the wrong shape."""


class EngineMismatchError(SurroundDepthError):
    """A compiled engine does not fit its manifest, this host, or the rig it is given."""


class MissingDependencyError(SurroundDepthError):
    """An optional package is not installed; the message names the extra that brings it."""


EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a script's `main` and exit: user errors become one line on stderr and exit status 2, never a traceback."""
    try:
        status = main()
    except SurroundDepthError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(status or 0)
