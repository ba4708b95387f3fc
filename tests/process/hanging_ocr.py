"""An OCR child that starts and never answers."""

import time

from batchjob import sandbox

if __name__ == "__main__":
    sandbox.enter()
    sandbox.emit({"event": "ready"})
    time.sleep(60)
