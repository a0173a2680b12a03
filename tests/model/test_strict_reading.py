"""What people and strangers hand in as YAML or JSON: read as it is meant, or refused in a sentence, soon."""

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from longshore.model.strict_reading import Misread, read_json
from longshore.model.strict_yaml import plain, read_yaml

LEVELS = range(1, 12)
BOMB = "\n".join(["a0: &a0 lol", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in LEVELS)])


def refusal(read, text, **bounds):
    begun = time.monotonic()
    with pytest.raises(Misread) as refused:
        read(text, **bounds)
    assert time.monotonic() - begun < 20, "not of the size of what it stands for"
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "Line 1, column 5: &a0 is a reference, which isn't read here"),
        ("name: *web", "Line 1, column 7: *web is a reference"),
        ("[" * 100_000, "Line 1, column 41: There are more than 40 tables and lists"),
        ("{a: " * 100_000, "within each other"),
        ("- " * 100_000, "within each other"),
        ("name: a\nwave: 1\nname: b", 'Line 3, column 1: "name" is there twice.'),
        ("a: !!python/object/apply:os.system [id]", "Line 1, column 4: The tag tag:yaml.org,2002:python/object/apply"),
        ("a: !!binary aGk=", "The tag tag:yaml.org,2002:binary isn't allowed here"),
        ("a: 1\n<<: {b: 2}", 'Line 2, column 1: "<<" looks like something'),
        ("a: 1\n---\nb: 1", "Line 2, column 1: A second document"),
        ("? [a]\n: b", "A table or list can't be a key"),
        ("size: " + "9" * 5000, "Line 1, column 7: This number is too long."),
        ("size: 1" + ":1" * 5000, "This number is too long."),
        ("size: 18446744073709551616", "This number is too large."),
        ("rate: .nan", "Line 1, column 7: This isn't a number that can be meant here."),
        ("rate: -.inf", "This isn't a number"),
        ("rate: 1.0e+999", "This isn't a number"),
        ("day: 2026-13-45", '"2026-13-45" looks like something that it isn\'t: quote it.'),
        ("name: ü\nnotes: \x1b[2J", "Line 2, column 8: This isn't YAML: control characters are not allowed."),
        ("name: \ud800", "This isn't text in UTF-8."),
        (b"\xff\xfea", "This isn't text in UTF-8."),
        ("a: [1", "Line 2, column 1: This isn't YAML: while parsing a flow sequence"),
    ],
)
def test_yaml_that_is_refused(text, said):
    assert said in refusal(read_yaml, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "Line 1, column 41: There are more than 40 tables and lists"),
        ('{"a":' * 100_000, "within each other"),
        ('{"a": 1,\n "b": {"a": 2, "\\u0061": 3}}', 'Line 2, column 16: "a" is there twice.'),
        ("[NaN]", "Line 1, column 2: This isn't a number that can be meant here."),
        ("[-Infinity]", "This isn't a number"),
        ("[1e999]", "This isn't a number"),
        ("[" + "9" * 5000 + "]", "Line 1, column 2: This number is too long."),
        ("[-18446744073709551616]", "This number is too large."),
        ('["\\ud800"]', "Line 1, column 2: There is half a character in this text."),
        ('"' + '\\"' * 200_000, "This isn't JSON: unterminated string"),
        ('{"a"', "Line 1, column 5: This isn't JSON: expecting ':' delimiter."),
        ("", "This isn't JSON"),
        (b"\xff", "This isn't text in UTF-8."),
    ],
)
def test_json_that_is_refused(text, said):
    assert said in refusal(read_json, text)


def test_both_are_bounded_in_bytes_and_yaml_in_values_as_its_reader_wants_it():
    assert "more than 10 aren't read" in refusal(read_yaml, "a: 12345678", largest=10)
    assert "more than 10 aren't read" in refusal(read_json, "[123456789]", largest=10)
    assert "There are more than 100 values." in refusal(read_yaml, "[" + "1, " * 200 + "]", heaviest=100)
    assert "There are more than 100 values." in refusal(read_json, "[" + "1, " * 200 + "1]", heaviest=100)


def test_a_document_is_read_with_the_lines_of_what_is_in_it():
    read = read_yaml("# a plan\nname: shop\nmachines:\n- web\n- db\nat: 2026-01-01 10:00:00\n")
    assert plain(read) == {"name": "shop", "machines": ["web", "db"], "at": "2026-01-01 10:00:00"}
    assert (read.lines["machines"], read["machines"].lines) == (3, [4, 5])
    assert read_yaml("") is None


numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_json_says_what_was_said(document):
    assert read_json(json.dumps(document)) == document
    assert read_json(json.dumps(document, ensure_ascii=False).encode()) == document


@given(documents)
def test_yaml_says_what_was_said(document):
    written = yaml.safe_dump(document)
    if "&" not in written:  # of what stands there twice PyYAML writes a reference
        assert plain(read_yaml(written)) == document
