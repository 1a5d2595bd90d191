"""Tell which settings have arrived."""

import os

settings = {name: value for name, value in os.environ.items() if name.startswith(("AIOTEL_", "OTEL_"))}
print(sorted(f"{name}={value}" for name, value in settings.items()))
