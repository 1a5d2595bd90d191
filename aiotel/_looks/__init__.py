"""Look now and then for tasks that are stuck, and say why; and take snapshots on demand."""
