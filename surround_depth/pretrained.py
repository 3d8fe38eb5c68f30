"""What loading somebody else's weights through transformers asks for, whatever they are of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' log and progress bars about loaded weights; what matters of it is an error of ours."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """Return the error's text in one line of at most 300 characters, or its type: the libraries' own run over pages."""
    return " ".join(str(error).split())[:300] or type(error).__name__
