"""The deploy of the demo: writes down which commit is in production.

`DEMO_PRODUCTION/<TARGET>` holds the newest, `<TARGET>.log` a line for each deploy.
"""

import json
import os
from pathlib import Path


def main() -> None:
    target, sha = Path(os.environ["DEMO_PRODUCTION"]) / os.environ["TARGET"], os.environ["CONVEYOR_SHA"]
    with target.with_suffix(".log").open("a") as log:
        log.write(f"{os.environ['CONVEYOR_WORKITEM']} {sha}\n")
    target.write_text(sha)
    answer = {"conveyor": 1, "verdict": "pass", "summary": f"{target.name} runs {sha[:10]}", "revision": sha[:10]}
    Path(os.environ["CONVEYOR_TERMINATION_FILE"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
