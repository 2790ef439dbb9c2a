"""``make bench``: every benchmark in a process of its own, one table, and ``benchmarks/latest.json``."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.report import Row, print_rows

FOLDER = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "__main__", "bare", "report", "workbench"}


def main() -> int:
    """Run every module of this folder with ``--json``; return 1 when one of them fails to run."""
    rows: list[Row] = []
    failed = []
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem in NOT_BENCHMARKS:
            continue
        sys.stderr.write(f"measuring {path.stem} …\n")
        command = [sys.executable, "-m", f"benchmarks.{path.stem}", "--json"]
        outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=FOLDER.parent)
        try:
            documents = json.loads(outcome.stdout)
        except json.JSONDecodeError:
            documents = None
        if outcome.returncode != 0 or documents is None:
            failed.append(path.stem)
            continue
        for document in documents:
            # Rows of detail belong to the module's own table.
            if not document.get("detail"):
                rows.append(Row(**{key: document[key] for key in ("claim", "value", "unit", "target")}))
    print_rows(rows, as_json=False)
    latest = json.dumps([row.to_document() for row in rows], indent=1) + "\n"
    (FOLDER / "latest.json").write_text(latest)
    for name in failed:
        sys.stderr.write(f"{name} did not run; see its output above\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
