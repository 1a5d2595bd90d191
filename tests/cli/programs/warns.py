"""Warn from here and from above the first frame."""

import warnings

warnings.warn("here", DeprecationWarning, stacklevel=1)
warnings.warn("above", UserWarning, stacklevel=9)
