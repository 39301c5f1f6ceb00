"""What one process says is merged, another one sees."""

from pathlib import Path

from benchmarks.merged import MergedFile


def test_what_one_adds_another_has_and_nothing_else(tmp_path: Path) -> None:
    ours = MergedFile.create(tmp_path / "merged", items=3)
    theirs = MergedFile(tmp_path / "merged")

    ours.add(100_001)

    assert [number in theirs for number in (100_000, 100_001, 100_002)] == [False, True, False]
