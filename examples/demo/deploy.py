"""The deploys of the demo, to staging and to production: writes down which commit is where.

`DEMO_PLACES/<PLACE>/<TARGET>` holds the newest, `<TARGET>.log` a line for each deploy.
"""

import json
import os
from pathlib import Path


def main() -> None:
    place, sha = Path(os.environ["DEMO_PLACES"]) / os.environ["PLACE"], os.environ["CONVEYOR_SHA"]
    target = place / os.environ["TARGET"]
    with target.with_suffix(".log").open("a") as log:
        log.write(f"{os.environ['CONVEYOR_WORKITEM']} {sha} {os.environ.get('CONVEYOR_IMAGE', '')}".rstrip() + "\n")
    target.write_text(sha)
    summary = f"{target.name} runs {sha[:10]} in {place.name}"
    answer = {"conveyor": 1, "verdict": "pass", "summary": summary, "revision": sha[:10]}
    Path(os.environ["CONVEYOR_TERMINATION_FILE"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
