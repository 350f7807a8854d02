"""Write the contract to `openapi/openapi.json`, or check that it is the one committed.

python -m openapi.export           write
python -m openapi.export --check   compare; exit status 1 and the first difference if not equal
"""

import difflib
import json
import sys
from pathlib import Path
from typing import Final

from app.main import create_api
from app.settings import Settings

PATH: Final = Path(__file__).with_name("openapi.json")
_LINES_SHOWN: Final = 40


def contract() -> str:
    """Give the contract of a sandbox, which has every call."""
    # The defaults, whatever the environment of the machine says.
    return (
        json.dumps(create_api(Settings.model_construct()).openapi(), ensure_ascii=False, indent=1)
        + "\n"
    )


def main() -> int:
    """Write or check; say the exit status."""
    now = contract()
    if "--check" not in sys.argv[1:]:
        PATH.write_text(now)
        return 0
    committed = PATH.read_text() if PATH.exists() else ""
    if committed == now:
        return 0
    lines = difflib.unified_diff(
        committed.splitlines(), now.splitlines(), "committed", "now", lineterm="", n=2
    )
    sys.stderr.write("\n".join(list(lines)[:_LINES_SHOWN]))
    sys.stderr.write("\nThe contract changed: run `python -m openapi.export` and commit it.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
