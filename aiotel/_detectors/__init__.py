"""Pure functions from snapshots to findings: no clock, no I/O, no asyncio."""
