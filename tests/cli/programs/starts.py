"""Start another Python with the arguments given, as supervisors and package managers do."""

import subprocess
import sys

sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
