"""Sizes, rates and lengths of time: written in one way everywhere, and refused in one sentence."""

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from longshore.errors import InvalidInput
from longshore.model.quantities import (
    parse_duration,
    parse_rate,
    parse_seconds,
    parse_size,
    write_duration,
    write_size,
)
from longshore.model.request import MigrationRequest

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PARSERS = (parse_size, parse_rate, parse_duration, parse_seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("512", 512), ("64K", 64 * KIB), ("1.5M", 3 * MIB // 2), ("2MiB", 2 * MIB), ("1g", GIB)),
        *((" 2 GiB ", 2 * GIB), ("100B", 100), ("3kb", 3 * KIB), ("1T", KIB * GIB), ("0.3K", 307)),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"), [("50M", 50 * MIB), ("50MiB/s", 50 * MIB), ("50 MiB/s", 50 * MIB), ("800k /S", 800 * KIB)]
)
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("0.5", 0.5), ("15m", 900), ("1h30m", 5400), ("0", 0)])
def test_seconds(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "-1",
        "1e3",
        "1,5G",
        "1.G",
        ".5G",
        "\u0665M",
        "\u00b2",
        "inf",
        "nan",
        "1M1K",
        "1_000",
        "1\u212a",
        "5 X",
        "9" * 400,
    ],
)
def test_what_is_none_is_refused_in_a_sentence(parse, text):
    with pytest.raises(InvalidInput) as refused:
        parse(text)
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["0", "0K", "0.0/s"])
def test_nothing_is_no_rate(text):
    with pytest.raises(InvalidInput, match="isn't a rate: write bytes per second such as 800K, 50M or"):
        parse_rate(text)


@given(st.integers(0, 1 << 60))
@example(1 << 60)
def test_a_size_that_is_written_is_read_again(count):
    assert parse_size(write_size(count)) == count
    assert parse_size(f"{count}B") == count
    if count:
        assert parse_rate(f"{write_size(count)}/s") == parse_rate(write_size(count)) == count


@given(st.integers(1, 36525 * 86400))
def test_a_length_of_time_that_is_written_is_read_again(seconds):
    text = write_duration(timedelta(seconds=seconds))
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_seconds(text) == parse_seconds(str(seconds)) == seconds


@given(st.text(alphabet="0123456789.kK\u212a\u017fmMgGtTiIbBsShdw/ \t-+e\u0660\u00bd", max_size=12) | st.text())
def test_whatever_is_written_is_read_or_refused(text):
    for parse in PARSERS:
        try:
            found = parse(text)
        except InvalidInput:
            continue
        assert found >= type(found)(0)


def test_files_and_bodies_take_numbers_and_what_people_write():
    read = TypeAdapter(MigrationRequest).validate_python
    written = read({"rate_limit": "50MiB/s", "boot_timeout": "15m", "cutover": {"downtime": "90"}})
    assert written == read({"rate_limit": 50 * MIB, "boot_timeout": 900, "cutover": {"downtime": 90.0}})
    with pytest.raises(ValidationError, match="'fast' isn't a rate: write bytes per second such as 800K, 50M or"):
        read({"rate_limit": "fast"})
