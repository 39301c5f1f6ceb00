"""Whether anybody but the operator could push to the default branch, by its protection rule."""

from __future__ import annotations

from conveyor.forge.gitea_wire import Protection


def weakness(rule: Protection, login: str) -> str:
    """What lets somebody else push, for a person to mend; "" where nothing does.

    `login` is the operator's, "" where it is unknown. The members of a team are not looked up: a team is somebody else.
    """
    found = _weakness(rule, login)
    return f"the branch protection {rule.rule_name!r} {found}" if found else ""


def _weakness(rule: Protection, login: str) -> str:
    if rule.unprotected_file_patterns.strip():
        # Gitea's services/pull/patch.go, CheckUnprotectedFiles: who may write may push these, whitelisted or not.
        return "has unprotected file patterns"
    if not rule.enable_push:
        return ""
    if not rule.enable_push_whitelist:
        return "lets everybody push who may write"
    if rule.push_whitelist_deploy_keys:
        return "lets deploy keys push"
    if rule.push_whitelist_teams:
        return f"lets teams push: {_names(rule.push_whitelist_teams)}"
    return _other_users(rule.push_whitelist_usernames or (), login)


def _other_users(whitelist: tuple[str, ...], login: str) -> str:
    others = tuple(user for user in whitelist if user.lower() != login.lower())
    if not others:
        return ""
    unknown = "" if login else "; which of them the token belongs to it may not say (scope read:user)"
    return f"lets users push: {_names(others)}{unknown}"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
