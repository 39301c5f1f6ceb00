"""Plane's HTML as plain text, and plain text as HTML that can do nothing."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.tracker.plane_text import MAX_MARKUP, line_of, markup_of, text_of


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        pytest.param("<p></p>", "", id="empty"),
        pytest.param("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree", id="paragraphs and breaks"),
        pytest.param("<p>a <b>bold</b> word</p>", "a bold word", id="inline tags leave no space"),
        pytest.param("<ul><li><p>x</p></li><li>y</li></ul>", "- x\n\n- y", id="lists"),
        pytest.param("<pre><code>if a:\n    b</code></pre>", "if a:\n    b", id="code keeps its lines"),
        pytest.param("<p>a &lt;b&gt; &amp; c</p>", "a <b> & c", id="entities become characters, not tags"),
        pytest.param("<p>1 < 2 and 3 > 2</p>", "1 < 2 and 3 > 2", id="loose angle brackets"),
        pytest.param("<table><tr><td>a</td><td>b</td></tr></table>", "a  b", id="cells"),
        pytest.param("<P CLASS='x'>upper</P>", "upper", id="any case"),
        pytest.param("a\x00b\x1b[31mc\x9bd", "ab[31mcd", id="control characters"),
        pytest.param("&#" + "9" * 5000 + ";", "\ufffd", id="a number too long to read"),
        pytest.param("Заказ № 7", "Заказ № 7", id="other scripts"),
        pytest.param("<![ <!-- x", "<![ <!-- x", id="what is no HTML"),
    ],
)
def test_markup_reads_as_text(markup: str, text: str) -> None:
    assert text_of(markup, limit=1000) == text


def test_name_becomes_one_line_that_moves_no_cursor() -> None:
    assert line_of(" a\x1b[2J\x9bb \n c\x00" + "d" * 20, limit=12) == "a[2Jb cdddd…"


def test_long_text_is_cut_and_says_so() -> None:
    assert text_of("<p>" + "x" * 50, limit=10) == "xxxxxxxxx…"


def test_endless_tag_name_is_read_in_no_time() -> None:
    started = time.process_time()
    text_of("<" + "a" * MAX_MARKUP, limit=100)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("piece", ["<a ", "<!--", "<a b='", "</a ", "&#9", "<li>", "<li> ", "<", "\n \n"])
def test_hostile_markup_is_read_in_no_time(piece: str) -> None:
    """A parser in the square of the length would take a minute and more."""
    started = time.process_time()
    text_of(piece * (2 * MAX_MARKUP // len(piece)), limit=100)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        pytest.param("one\ntwo\n\nthree", "<p>one<br>two</p><p>three</p>", id="lines and blocks"),
        pytest.param("one\r\ntwo", "<p>one<br>two</p>", id="lines of Windows"),
        pytest.param("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>", id="tags"),
        pytest.param("\"quoted\" & 'so'", "<p>&quot;quoted&quot; &amp; &#x27;so&#x27;</p>", id="quotes and ampersand"),
        pytest.param("", "<p></p>", id="nothing"),
    ],
)
def test_text_is_escaped_as_markup(text: str, markup: str) -> None:
    assert markup_of(text) == markup


@given(st.text())
def test_no_text_can_open_a_tag_of_its_own(text: str) -> None:
    bare = markup_of(text).replace("<p>", "").replace("</p>", "").replace("<br>", "")
    assert not set(bare) & set("<>\"'")


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"])))
def test_line_is_read_back_as_written(text: str) -> None:
    assert text_of(markup_of(text), limit=10_000) == text.strip()
