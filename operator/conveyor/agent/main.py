"""`conveyor-agent clone|publish`: exit 0 when the step did its work, 1 with the reason when not."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from conveyor.agent import message
from conveyor.agent.clone import clone
from conveyor.agent.errors import StepFailed
from conveyor.agent.publish import publish
from conveyor.agent.settings import clone_settings, publish_settings, termination_file


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """One step. Its reason to fail goes to the termination message (where there is one) and to standard error."""
    parser = argparse.ArgumentParser(prog="conveyor-agent", description="The trusted steps around an agent.")
    parser.add_argument("step", choices=("clone", "publish"))
    step = parser.parse_args(arguments).step
    environment = os.environ if environment is None else environment
    try:
        if step == "clone":
            clone(clone_settings(environment))
        else:
            settings = publish_settings(environment)
            message.write(settings.termination, publish(settings))
    except (StepFailed, OSError) as failure:
        return _fail(step, str(failure), environment)
    return 0


def _fail(step: str, reason: str, environment: Mapping[str, str]) -> int:
    content = message.failed(f"{step}: {reason}")
    sys.stderr.write(content.decode() + "\n")
    if path := termination_file(environment):
        try:
            message.write(path, content)
        except OSError as error:
            sys.stderr.write(f"the termination message cannot be written: {error.strerror}\n")
    return 1
