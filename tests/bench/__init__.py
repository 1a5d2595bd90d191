"""What aiotel costs, beside others, in one run: `python -m tests.bench`."""
