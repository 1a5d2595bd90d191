"""Run as a directory, as a zip and with -m."""

import sys

print(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__ and __spec__.name)
raise SystemExit("told by the package")
