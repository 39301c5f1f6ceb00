"""The Kubernetes objects that the documentation shows."""

import re
from typing import Any

import yaml

from scripts.guards import ROOT


def objects(page: str) -> list[dict[str, Any]]:
    """Those of a page's YAML blocks, in order."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [one for block in blocks for one in yaml.safe_load_all(block)]
