"""Where the outside is touched: databases, APIs and object stores become snapshots in data/raw."""
