"""Programs that containers really run. Each is a script of its own: nothing here is imported."""
