"""Adapters, batching, loss, the loop and its checkpoints."""

import os

# oneDNN, and what torch calls it through, each keep 1,024 of the kernels that they compile, one for each shape: with
# batches that all differ in length, memory grows by a GB before the first is dropped. One step needs few. They are read
# when torch is loaded.
for _name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_name, "32")
