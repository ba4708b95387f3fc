"""The command line as people start it some hours from now: `python -m tests.support.later HOURS ARGUMENTS…`.

Jobs that it starts see the true time.
"""

import sys

from batchjob.adapters.clock import SystemClock
from batchjob.cli import services
from batchjob.cli.main import main


class Later(SystemClock):
    def __init__(self, hours: float) -> None:
        self._ms = round(hours * 3600 * 1000)

    def now_ms(self) -> int:
        return super().now_ms() + self._ms


if __name__ == "__main__":
    services.CLOCK = Later(float(sys.argv.pop(1)))
    main()
