"""The loop, its batches, its loss, the adapter, and the handoff."""
