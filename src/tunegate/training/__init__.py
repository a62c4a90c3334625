"""Adapters, batching, loss, the loop and its checkpoints."""

import os

# oneDNN keeps 1,024 of the kernels that it compiles, one for each shape: with batches that all differ in length memory
# grows by a GB before the first is dropped. What one step needs for all its layers fits in here.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
