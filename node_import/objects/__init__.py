"""Source files and what the importer writes: where they are, reading them pinned, writing them."""
