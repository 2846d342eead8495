"""Certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


DAYS = 10
"""How long a certificate is valid."""


def openssl(*words: str, ago: int = 0) -> None:
    """Run openssl, as if that was some days ago; raises CalledProcessError with its words."""
    past = ["faketime", "-f", f"-{ago}d"] if ago else []
    command = [*past, "openssl", *words]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, capture_output=True, text=True)


class Authority:
    """An authority, with its certificate in the file `ca`; those it issues are in its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make it."""
        self._folder = folder
        self._key = folder / f"{name}.key"
        self.ca = folder / f"{name}.pem"
        openssl(
            *("req", "-x509", *NEW_KEY, "-noenc", "-days", str(DAYS), "-subj", f"/CN={name}"),
            *("-keyout", str(self._key), "-out", str(self.ca)),
        )

    def issue(self, name: str, *hosts: str, ago: int = 0, password: str = "") -> Path:
        """Return the file with a certificate for `hosts`, and its key; made some days ago.

        A host is `DNS:NAME` or `IP:ADDRESS`.
        """
        request, made = self._folder / f"{name}.csr", self._folder / f"{name}.pem"
        key = self._folder / f"{name}.key"
        locked = ["-passout", f"pass:{password}"] if password else ["-noenc"]
        openssl(
            *("req", *NEW_KEY, *locked, "-subj", f"/CN={name}"),
            *("-keyout", str(key), "-out", str(request)),
        )
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(hosts)}\n")
        openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self._key)),
            *("-CAcreateserial", "-out", str(made), "-extfile", str(extensions)),
            *("-days", str(DAYS)),
            ago=ago,
        )
        made.write_text(made.read_text() + key.read_text())
        return made
