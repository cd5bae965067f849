"""What the cells of a Table say, kind by kind, as kubectl users know it."""
