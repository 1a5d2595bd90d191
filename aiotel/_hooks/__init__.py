"""What touches asyncio's internals: each module attaches, and detaches to the very object found."""
