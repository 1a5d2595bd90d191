"""Make a running asyncio program explain itself, in OpenTelemetry's terms."""

__version__ = "0.1.0"
