"""CSV text: what is read does not depend on how it is cut into blocks, and every record knows its line."""

from __future__ import annotations

import csv
import io

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.base.csvlines import read_records, split_record
from rookery.base.csvtext import read_csv
from rookery.base.kinds import Column
from rookery.base.notices import FILE_CODES, Findings

AB = (Column("a", "text"), Column("b", "text"))
cells = st.text(alphabet='ab ",\n;é', max_size=6)


def frame_of(data: bytes, findings: Findings, block: int = 1 << 20) -> pl.DataFrame:
    return pl.concat(read_csv(io.BytesIO(data), "t.csv", AB, findings, block))


@given(st.lists(st.tuples(cells, cells), min_size=1), st.integers(3, 60), st.sampled_from(["\n", "\r\n"]))
@example([("", "")], 4, "\r\n")
def test_whatever_a_csv_writer_writes_is_read_back_with_its_lines(rows, block, ending):
    """Cells, quotes, line ends inside quotes and blank lines come back as written, however the text is cut."""
    text, lines = "a,b" + ending, []
    for row in rows:
        lines.append(1 + text.count("\n"))
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator=ending).writerow(row)
        text += line.getvalue() + ending
    findings = Findings(FILE_CODES)
    frame = frame_of(text.encode(), findings, block)
    assert findings.notices() == ()
    assert list(zip(frame["a"].fill_null(""), frame["b"].fill_null(""))) == rows
    assert frame["line"].to_list() == lines


@given(st.binary(max_size=80) | st.text(alphabet='x",\n\r', max_size=60).map(str.encode), st.integers(1, 20))
@example(b"\xef\xbb\xbf", 1)
def test_blocks_do_not_change_what_is_found(data, block):
    """Any bytes give the same records and the same findings whether they are read at once or in small pieces."""

    def found(size: int):
        findings = Findings(FILE_CODES)
        records = [
            (int(line), batch.data[start:end])
            for batch in read_records(io.BytesIO(data), "t.csv", findings, size)
            for start, end, line in zip(batch.start, batch.end, batch.line)
        ]
        return records, findings.notices()

    if b"\n" in data[:block] or b"\r" not in data:  # the first block decides how lines end
        assert found(block) == found(1 << 20)


def test_a_stray_quote_costs_its_own_line_only():
    """A quote that is never closed is told on its line; the lines after it are read."""
    findings = Findings(FILE_CODES)
    frame = frame_of(b'a,b\n1,"x\n2,y\n3,5" pipe\n4,"z ""q"""\n', findings)
    assert [(notice.code, notice.line, notice.value) for notice in findings.notices()] == [
        ("bad_quoting", 2, '1,"x'),
        ("bad_quoting", 4, '3,5" pipe'),
    ]
    assert frame.rows() == [("2", "y", 3), ("4", 'z "q"', 5)]


def test_a_line_without_end_is_told_and_passed_over():
    """A line of more than 1 MiB is a fault of that line; reading goes on, and lines are counted right."""
    findings = Findings(FILE_CODES)
    data = b"a,b\n1,2\n3," + b"x" * 5_000_000 + b"\n4,5\n"
    frame = frame_of(data, findings, 1 << 20)
    assert [(notice.code, notice.line) for notice in findings.notices()] == [("line_too_long", 3)]
    assert frame.rows() == [("1", "2", 2), ("4", "5", 4)]


def test_alike_findings_are_listed_a_hundred_times_and_counted_from_then_on():
    """Nothing is dropped silently: the last notice stands for all that are not listed."""
    findings = Findings(FILE_CODES)
    findings.add_rows("not_a_number", "t.csv", range(2, 1002), lambda i: (str(i), None), column="a")
    notices = findings.notices()
    assert len(notices) == 101
    assert [notice.count for notice in notices[:100]] == [1] * 100
    assert (notices[100].line, notices[100].count) == (102, 900)


def test_the_fields_of_one_record():
    """Quotes are taken off and doubled ones made single."""
    assert split_record(b'"a,""b""",,c\r') == ['a,"b"', "", "c"]
