"""Commands of ours in a text, made to mean the same cluster and namespace as the command that prints them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from conveyor.cli.options import Options


def scope(options: Options) -> str:
    """What a printed command must say too, to be about the same cluster and namespace."""
    named = {"-n": options.namespace, "--context": options.context, "--kubeconfig": options.kubeconfig}
    return "".join(f" {flag} {shlex.quote(value)}" for flag, value in named.items() if value is not None)


def scoped(text: str, names: Iterable[str], scope: str) -> str:
    """With the scope behind each command and the name it is said of. The operator's texts know no command line."""
    if not scope:
        return text
    known = "|".join(re.escape(name) for name in names)
    return re.sub(rf"kubectl workitem [a-z-]+(?: (?:{known})(?![\w.-]))?", lambda match: match[0] + scope, text)
