"""Whether a store that is far away answers, found in bounded time and before anything is asked of it."""

from __future__ import annotations

import re
import subprocess
import sys

from raylab.engine.artifact import StoreError
from raylab.engine.redaction import excerpt, public
from raylab.engine.store import refuse_credentials

SECONDS = 25.0  # a start of Python, a lookup of credentials, and a request with Arrow's own 6 s of retries
LONGEST = 300  # characters of Arrow's words
# The first thing that a run asks: for a manifest that may be there or not.
ASK = """
import sys
from pyarrow import fs
filesystem, root = fs.FileSystem.from_uri(sys.stdin.read())
try:
    filesystem.open_input_stream(f"{root}/MANIFEST.json").close()
except FileNotFoundError:
    pass
"""
REMEDY = "check address, network and credentials, or choose another place with `store:` in the site file"


def is_remote(uri: str) -> bool:
    return re.match(r"^(?!file:)[a-z][a-z0-9+.-]+://", uri) is not None


def check_reachable(uri: str, seconds: float = SECONDS) -> None:
    """Raises StoreError where a remote store does not answer one request within so many seconds.

    Asked by a process of its own. A server that takes connections and says nothing holds a request of Arrow's to S3 for
    99 s, those to Google's storage for a quarter of an hour; the thread that waits cannot be ended, and the interpreter
    waits for it as it exits. The URI goes there by a pipe, since it may hold keys.
    """
    refuse_credentials(uri)
    if not is_remote(uri):
        return
    try:
        subprocess.run(
            [sys.executable, "-c", ASK], input=uri, capture_output=True, text=True, timeout=seconds, check=True
        )
    except subprocess.TimeoutExpired:
        why = f"no answer within {seconds:g} s"
    except subprocess.CalledProcessError as error:
        why = excerpt((error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1], LONGEST, uri)
        if "ArrowInvalid" in why:  # no address at all, which opening it will say
            return
    else:
        return
    raise StoreError(f"store {public(uri)!r}: cannot be reached ({why}); {REMEDY}")
