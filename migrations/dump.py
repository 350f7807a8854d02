"""`migrations/schema.sql`: what the migrations add up to, to be read and reviewed in one piece.

python -m migrations.dump          write it (`make schema`)
python -m migrations.dump --check  say where it differs (`make check`)
"""

import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from app.db.embedded import DATABASE, SUPERUSER, embedded_postgres
from app.db.migrating import MIGRATIONS, migrate

SCHEMA_FILE: Final = MIGRATIONS / "schema.sql"

_NOISE: Final = re.compile(
    r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n", re.MULTILINE
)
"""Comments, the session's settings and pg_dump's random marks: they vary with the program."""


def dump() -> str:
    """Migrate an empty database and give its schema, in the order and words of pg_dump."""
    with tempfile.TemporaryDirectory(prefix="anxin-schema-") as folder:
        passable = Path(folder)
        passable.chmod(0o711)  # as root, the account that runs Postgres must pass through
        with embedded_postgres(passable / "data") as postgres:
            migrate(postgres.owner_url, postgres.service_url)
            done = subprocess.run(  # noqa: S603 - our own program
                [
                    *(str(postgres.programs / "pg_dump"), "--schema-only", "--no-owner"),
                    *("--exclude-table", "alembic_version"),
                    *("--dbname", postgres.url(SUPERUSER, DATABASE)),
                ],
                env={"PATH": os.defpath},
                capture_output=True,
                text=True,
                check=True,
            )
    return re.sub(r"\n{2,}", "\n\n", _NOISE.sub("", done.stdout)).strip() + "\n"


def main(*, check: bool) -> int:
    """Write the file, or compare it; 1 where it differs."""
    wanted = dump()
    if not check:
        SCHEMA_FILE.write_text(wanted, encoding="utf-8")
        return 0
    found = SCHEMA_FILE.read_text(encoding="utf-8") if SCHEMA_FILE.exists() else ""
    difference = difflib.unified_diff(
        found.splitlines(keepends=True),
        wanted.splitlines(keepends=True),
        "schema.sql",
        "migrations",
    )
    sys.stdout.writelines(difference)
    if found != wanted:
        print("migrations/schema.sql is not what the migrations make: run `make schema`.")
    return int(found != wanted)


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
