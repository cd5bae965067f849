"""`make bench`: measure every bar, print a table, write `bench.json`."""

import json
import os
from pathlib import Path

from tests.bench.bars import Bar
from tests.bench.cluster import cluster_bars
from tests.bench.commands import drill_bar, help_bar
from tests.bench.looking import looking_bars
from tests.bench.several import several_bar
from tests.bench.undo import undo_bar
from tests.bench.verdict import verdict_bars

OUTPUT = Path("bench.json")


def main() -> None:
    bars = [help_bar(), undo_bar(), *looking_bars(), *verdict_bars(), drill_bar(), several_bar()]
    bars += cluster_bars()
    _print(bars)
    OUTPUT.write_text(json.dumps([bar.plain() for bar in bars], indent=2) + "\n", encoding="utf-8")
    load = os.getloadavg()[1]
    # What else the machine does makes every number worse.
    print(f"Written to {OUTPUT}. Load of 5 minutes on {os.cpu_count()} processors: {load:.1f}.")


def _print(bars: list[Bar]) -> None:
    rows = [("bar", "value", "target", "compared with", "holds")]
    rows += [bar.row() for bar in bars]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


main()
