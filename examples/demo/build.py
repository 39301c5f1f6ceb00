"""The image build of the demo: no registry, so it only says which image this commit would be."""

import hashlib
import json
import os
from pathlib import Path


def main() -> None:
    sha, repository = os.environ["CONVEYOR_SHA"], os.environ["IMAGE"]
    digest = hashlib.sha256(f"{repository} {sha}".encode()).hexdigest()
    answer = {
        "conveyor": 1,
        "verdict": "pass",
        "summary": f"built {sha[:10]}",
        "image": f"{repository}@sha256:{digest}",
    }
    Path(os.environ["CONVEYOR_TERMINATION_FILE"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
