"""Signatures are checked over raw bytes, in constant time, and never against nothing."""

import ast
import hashlib
import hmac
from pathlib import Path

import pytest

import conveyor_ingress
from conveyor_ingress.signatures import is_signed_with, matching

BODY = b'{"a": 1}'
SECRET = b"a secret"
SIGNATURE = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest()
SOURCES = sorted(Path(conveyor_ingress.__file__).parent.glob("*.py"))


def test_right_signature_is_believed() -> None:
    assert is_signed_with(SECRET, BODY, SIGNATURE)


@pytest.mark.parametrize(
    "given", ["", SIGNATURE[:-1], SIGNATURE + "0", SIGNATURE.upper(), "ü" * 64, "\udc80", "0" * 64]
)
def test_other_signature_is_not(given: str) -> None:
    assert not is_signed_with(SECRET, BODY, given)


@pytest.mark.parametrize("blank", [b"", b" ", b"\n\t"])
def test_blank_secret_signs_nothing(blank: bytes) -> None:
    assert not is_signed_with(blank, BODY, hmac.new(blank, BODY, hashlib.sha256).hexdigest())


def test_reserialised_body_is_not_the_signed_one() -> None:
    assert not is_signed_with(SECRET, b'{"a":1}', SIGNATURE)


def test_matching_tells_which_secret_it_was() -> None:
    assert matching([b"another", SECRET], BODY, SIGNATURE) == {SECRET}


def test_missing_signature_matches_no_secret() -> None:
    assert matching([SECRET], BODY, None) == frozenset()


def _compares_text_with_equals(tree: ast.AST) -> list[int]:
    """Lines where something named like a signature, digest, secret or token is compared other than by its digest."""
    words = ("signature", "digest", "secret", "token", "expected", "given")
    operators = (ast.Eq, ast.NotEq)
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and any(isinstance(operator, operators) for operator in node.ops)
        for name in ast.walk(node)
        if isinstance(name, ast.Name | ast.Attribute)
        and any(word in (name.id if isinstance(name, ast.Name) else name.attr).lower() for word in words)
    ]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_secret_is_compared_with_equals(source: Path) -> None:
    assert _compares_text_with_equals(ast.parse(source.read_text())) == []


def test_comparison_with_equals_would_be_found() -> None:
    assert _compares_text_with_equals(ast.parse("ok = headers.signature == digest"))


def test_only_one_place_computes_signatures() -> None:
    assert [path.name for path in SOURCES if "hmac" in path.read_text().split()] == ["signatures.py"]
