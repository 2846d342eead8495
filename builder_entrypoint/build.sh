#!/usr/bin/env -S --block-signal /usr/bin/python3 -I
from builder_entrypoint.__main__ import main

raise SystemExit(main())
