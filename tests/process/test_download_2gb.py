"""The largest object that is allowed: memory stays small, and the bytes are the ones that were sent."""

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import S3Server

MIB = 1024 * 1024
SIZE = 2048 * MIB + 12_345
LIMIT = 150 * MIB


class Generated(io.RawIOBase):
    """Numbered blocks, made as they are read, and their SHA-256."""

    def __init__(self) -> None:
        self._block = random.Random(1).randbytes(MIB)
        self._at = 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = bytearray()
        while self._at < SIZE and (size < 0 or len(data) < size):
            block = (self._at // MIB).to_bytes(8) + self._block[8:]
            start = self._at % MIB
            wanted = SIZE - self._at if size < 0 else min(size - len(data), SIZE - self._at)
            chunk = block[start : start + wanted]
            data += chunk
            self._at += len(chunk)
        self.digest.update(data)
        return bytes(data)


def measured(server: S3Server, key: str, path: Path, above: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.measured_download", server.endpoint, server.bucket, key]
    done = subprocess.run(
        [*command, str(path), str(above)],
        env=os.environ | server.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_two_gigabytes_take_little_memory(s3_real: S3Server, tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 4 * SIZE:
        pytest.skip("too little room on the disk")
    data = Generated()
    s3_real.client().upload_fileobj(data, s3_real.bucket, "large")
    path = tmp_path / "document"
    ranges = measured(s3_real, "large", path, 64 * MIB)
    size = path.stat().st_size
    path.unlink()
    single = measured(s3_real, "large", path, SIZE)
    path.unlink()
    s3_real.client().delete_object(Bucket=s3_real.bucket, Key="large")
    print(json.dumps({"ranges": ranges, "single GET": single}))
    assert size == SIZE
    assert ranges["sha256"] == single["sha256"] == data.digest.hexdigest()
    assert max(ranges["grown"], single["grown"]) <= LIMIT
