"""Explore every variant: python -m tests.model [--deep] [words of a name]. Exit status 1 if an answer is unexpected."""

import sys
import time

from tests.model.variants import VARIANTS


def main(arguments: list[str]) -> int:
    deep, words = "--deep" in arguments, [word for word in arguments if word != "--deep"]
    chosen = [it for it in VARIANTS if (deep or not it.deep) and all(word in it.name for word in words)]
    states, surprises = 0, []
    for variant in chosen:
        began = time.monotonic()
        found = variant.explore()
        states += found.states
        verdict = "; ".join(sorted(found.broken)) or "keeps all laws"
        stuck = "" if found.stuck is None else "; CANNOT END"
        print(
            f"{found.states:>8} states {time.monotonic() - began:5.1f} s  {variant.name}: {verdict}{stuck}", flush=True
        )
        for law, path in found.broken.items():
            print(f"{'':18}{law}: {' > '.join(path)}")
        if found.stuck is not None:
            print(f"{'':18}cannot end: {' > '.join(found.stuck)}")
        if not variant.as_expected(found):
            surprises.append(variant.name)
    print(f"{states} states, {len(chosen)} variants: {'as expected' if not surprises else f'UNEXPECTED {surprises}'}")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
