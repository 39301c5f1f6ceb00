# Shared by the scripts here; sourced, never run. Leaves the shell in the repository's root with .venv first on PATH.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONDONTWRITEBYTECODE # each of the processes that are started here would compile all modules anew

say() { printf '%s\n' "$*" >&2; }

# Python 3.11 or newer, by the name it has on this machine.
find_python() {
  local name
  for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$name"; return; fi
  done
  say "error: no Python 3.11 or newer found; set PYTHON to one"
  exit 1
}

# made_from FILE TEXT: whether FILE says that its neighbours were made from TEXT.
made_from() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

# The virtual environment, made anew when the lock or the place of the checkout changes.
prepare_venv() {
  local python lock project
  python=$(find_python)
  lock=$({ cat requirements.lock; "$python" --version; pwd; } | sha256sum)
  project=$(sha256sum <pyproject.toml)
  if ! made_from .venv/lock "$lock"; then
    say "==> making the virtual environment from requirements.lock (about a minute)"
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    printf '%s\n' "$lock" >.venv/lock
  fi
  if ! made_from .venv/project "$project"; then
    .venv/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
    printf '%s\n' "$project" >.venv/project
  fi
  export PATH="$PWD/.venv/bin:$PATH" VIRTUAL_ENV="$PWD/.venv"
}
prepare_venv
