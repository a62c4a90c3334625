"""From canonical rows to token ids: chat template, mask, row formats, and the files they are kept in."""
