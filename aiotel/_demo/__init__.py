"""What `aiotel demo` runs, the shop, and what it shows of it, the report."""
