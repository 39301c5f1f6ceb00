"""`python -m examples.agents`: one agent for all roles, without network or token.

It reads CONVEYOR_TASK_FILE, works in the current tree CONVEYOR_WORKSPACE, and writes CONVEYOR_ANSWER_FILE. What it
does follows from the task and the tree alone, so that the same run does the same again.
"""

import json
import os
from pathlib import Path

from examples.agents.roles import ROLES


def main() -> None:
    task = json.loads(Path(os.environ["CONVEYOR_TASK_FILE"]).read_text())
    answer = ROLES[os.environ["CONVEYOR_ROLE"]](task, Path(os.environ["CONVEYOR_WORKSPACE"]))
    Path(os.environ["CONVEYOR_ANSWER_FILE"]).write_text(json.dumps(answer, ensure_ascii=False))
    print(f"{task['key']}: {os.environ['CONVEYOR_ROLE']}: {answer['verdict']}: {answer['summary']}")


if __name__ == "__main__":
    main()
