"""A small service as anybody might write it: plain asyncio, no word of telemetry, and four mistakes.

Run by `aiotel demo`; alone, it is `python -m aiotel._demo.shop`.
"""
