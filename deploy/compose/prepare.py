"""Make the files that need the image or a secret; run in the member image, before everything else.

MongooseIM reads the password of the database in mongooseim.toml only, and PostgreSQL the tables in
its own container only.
"""

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
PASSWORD = Path("/run/secrets/database-password")
CONFIGURATION = Path("/configuration/mongooseim.toml")
SCHEMA = Path("/schema/mongooseim.sql")
RELEASE = Path("/usr/lib/mongooseim")


def main() -> str | None:
    """Write both; return what is missing, or None."""
    found = sorted(RELEASE.glob("lib/mongooseim-*/priv/pg.sql"))
    if not found:
        return f"the release in this image has no lib/mongooseim-*/priv/pg.sql in {RELEASE}"
    shutil.copyfile(found[-1], SCHEMA)
    SCHEMA.chmod(0o644)
    password = PASSWORD.read_text(encoding="utf-8").rstrip("\r\n")
    text = (HERE / "mongooseim.toml").read_text(encoding="utf-8")
    # JSON writes a string as TOML does, whatever characters it has.
    text = text.replace('"@PASSWORD@"', json.dumps(password, ensure_ascii=False))
    CONFIGURATION.touch(mode=0o600)
    CONFIGURATION.write_text(text, encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
