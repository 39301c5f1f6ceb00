"""Covers: where a change stands does not count, what it does counts, down to a byte and in binary files."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conveyor.forge.change_id import change_id, patch_id, series_id

TEXT = b"""diff --git a/shop/cart.py b/shop/cart.py
index 1111111..2222222 100644
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -10,3 +10,4 @@ def total(cart):
     a = 1
-    b = 2
+    b = 3
+    c = 4
"""
BINARY = b"""diff --git a/logo.png b/logo.png
index 1111111111111111111111111111111111111111..2222222222222222222222222222222222222222 100644
GIT binary patch
literal 7
OcmZQzU|?imU|?cl00031

literal 5
McmZQzU|?imU;qF900031

"""

lines = st.lists(
    st.tuples(st.sampled_from(b" +-"), st.binary(max_size=12).filter(lambda line: b"\n" not in line)), max_size=6
)
hunks = st.lists(lines, min_size=1, max_size=3)
positions = st.tuples(*[st.integers(0, 5000)] * 4)
blobs = st.text("0123456789abcdef", min_size=7, max_size=40)


def render(change: list[list[tuple[int, bytes]]], data: st.DataObject) -> bytes:
    """The same change at some place: positions, blob ids and section headings are drawn anew each time."""
    out = (
        b"diff --git a/x b/x\n"
        + f"index {data.draw(blobs)}..{data.draw(blobs)} 100644\n".encode()
        + b"--- a/x\n+++ b/x\n"
    )
    for hunk in change:
        a, b, c, d = data.draw(positions)
        heading = data.draw(st.sampled_from([b"", b" def f(x):", b" class A: @@"]))
        out += f"@@ -{a},{b} +{c},{d} @@".encode() + heading + b"\n"
        out += b"".join(bytes([mark]) + line + b"\n" for mark, line in hunk)
    return out


@given(hunks, st.data())
def test_same_change_elsewhere_has_the_same_id(change: list[list[tuple[int, bytes]]], data: st.DataObject) -> None:
    assert change_id(render(change, data)) == change_id(render(change, data))


@given(hunks, hunks, st.data())
def test_other_content_has_another_id(
    one: list[list[tuple[int, bytes]]], other: list[list[tuple[int, bytes]]], data: st.DataObject
) -> None:
    assume(one != other)
    assert change_id(render(one, data)) != change_id(render(other, data))


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_changed_byte_outside_of_the_place_changes_the_id(at: int, by: int) -> None:
    start = TEXT.splitlines(keepends=True)
    begin = 0
    for line in start:
        if begin <= at < begin + len(line):
            assume(not line.startswith((b"index ", b"@@ ")) and at != begin + len(line) - 1)
        begin += len(line)
    changed = bytearray(TEXT)
    changed[at] = (changed[at] + by) % 256
    assert change_id(bytes(changed)) != change_id(TEXT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"@@ -10,3 +10,4 @@ def total(cart):", b"@@ -210,3 +211,4 @@ def total(cart):"),
        (b"@@ -10,3 +10,4 @@ def total(cart):", b"@@ -10,3 +10,4 @@ class Cart:"),
        (b"@@ -10,3 +10,4 @@ def total(cart):", b"@@ -10 +10 @@"),
        (b"index 1111111..2222222 100644", b"index 3333333..4444444 100644"),
        (b"index 1111111..2222222 100644\n", b""),
    ],
)
def test_moved_place_keeps_the_id(before: bytes, after: bytes) -> None:
    assert before in TEXT
    assert change_id(TEXT.replace(before, after)) == change_id(TEXT)


@pytest.mark.parametrize(
    "line", [b"+index 1111111..2222222 100644\n", b"+@@ -1,2 +3,4 @@\n", b"-@@ -1,2 +3,4 @@\n", b" index abc..def\n"]
)
def test_content_that_looks_like_a_header_counts(line: bytes) -> None:
    assert change_id(TEXT + line) != change_id(TEXT)


def test_changed_binary_file_changes_the_id() -> None:
    assert change_id(BINARY.replace(b"OcmZQz", b"OcmZQw")) != change_id(BINARY)


def test_changed_mode_changes_the_id() -> None:
    mode = b"diff --git a/run b/run\nold mode 100644\nnew mode 100755\n"
    assert change_id(mode) != change_id(mode.replace(b"100755", b"100644"))


def test_id_is_a_sha256_of_the_rest() -> None:
    assert change_id(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# --- commit by commit

COMMIT, OTHER = "a" * 40, "b" * 40
LEFT_OUT = b"""diff --git a/logo.png b/logo.png
index 1111111..2222222 100644
Binary files a/logo.png and b/logo.png differ
"""


def test_patch_is_the_same_whatever_commit_it_is_in() -> None:
    assert patch_id(TEXT, commit=COMMIT) == patch_id(TEXT, commit=OTHER) == change_id(TEXT)


@pytest.mark.parametrize("patch", [LEFT_OUT, LEFT_OUT + TEXT, TEXT + LEFT_OUT])
def test_patch_without_the_content_of_a_file_is_its_commit(patch: bytes) -> None:
    assert patch_id(patch, commit=COMMIT) == COMMIT


@pytest.mark.parametrize("mark", [b"+", b"-", b" "])
def test_content_that_looks_like_a_file_left_out_is_content(mark: bytes) -> None:
    patch = TEXT + mark + b"Binary files a/x and b/x differ\n"
    assert patch_id(patch, commit=COMMIT) == patch_id(patch, commit=OTHER)


@pytest.mark.parametrize("other", [(), ("x",), ("y", "x"), ("x", "y", "z"), ("xy",)])
def test_series_of_other_patches_or_in_another_order_has_another_id(other: tuple[str, ...]) -> None:
    assert series_id(other) != series_id(("x", "y"))


def test_id_of_a_series_is_none_of_a_diff() -> None:
    assert series_id((change_id(TEXT),)) not in (change_id(TEXT), change_id(change_id(TEXT).encode()), change_id(b""))
