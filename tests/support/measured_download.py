"""Downloads an object in a process of its own and prints what that took: python -m … ENDPOINT BUCKET KEY PATH ABOVE.

ABOVE is the size from which ranges are used. RSS in bytes, growth from after a first small request.
"""

import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

from batchjob.adapters.s3 import S3Store, s3_client
from batchjob.errors import ObjectMissingError
from batchjob.process.download import Ranges, download


def status(name: str) -> int:
    """A memory figure of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def main(endpoint: str, bucket: str, key: str, path: str, above: str) -> None:
    store = S3Store(s3_client(endpoint), bucket)
    with suppress(ObjectMissingError):
        store.open("absent")
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
    started = time.monotonic()
    sha256 = download(store, store.open(key), Path(path), Ranges(above=int(above)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "sha256": sha256,
        "seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "grown": status("VmHWM") - before,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
