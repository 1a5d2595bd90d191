"""Warn from here and from above the first frame."""

import asyncio  # noqa: F401 - telemetry comes with it
import warnings

warnings.warn("here", DeprecationWarning, stacklevel=1)
warnings.warn("above", UserWarning, stacklevel=9)
