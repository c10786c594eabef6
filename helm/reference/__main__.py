"""`python -m helm.reference [--check]`: write README.md and values.schema.json of the chart, or say what differs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from helm.reference.readme import readme_of
from helm.reference.schema import schema_of
from helm.reference.values import read

CHART = Path(__file__).parents[1] / "tausql"


def made() -> dict[Path, str]:
    """The files and what belongs into them."""
    values = read(CHART / "values.yaml")
    return {
        CHART / "README.md": readme_of(values),
        CHART / "values.schema.json": json.dumps(schema_of(values, CHART), indent=2) + "\n",
    }


def main() -> int:
    stale = {path: text for path, text in made().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if "--check" in sys.argv[1:]:
            print(f"{path.name} is not what values.yaml and the settings make of it: run `make chart`")
        else:
            path.write_text(text)
            print(f"wrote {path.name}")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
