"""Plain text, TSV and CSV: every line ends as a caption, and a bad one leaves its neighbours alone."""

import pytest

from synthpairs.captions.readers.rows import LONGEST
from tests.captions.readers.conftest import outcome


def test_text_has_a_caption_on_each_line(read):
    captions = read("a.txt", b"a cat\r\n\n  \n two\tdogs \nnul \x00\nlast", "text")
    assert outcome(captions) == [("a cat", None), (" two\tdogs ", None), ("nul \x00", None), ("last", None)]


def test_a_line_without_an_end_is_cut(read):
    long, after = read("a.txt", b"x" * (2 * LONGEST + 5) + b"\nafter\n", "text")
    assert (len(long.text), after.text) == (LONGEST, "after")


@pytest.mark.parametrize(
    ("payload", "columns"),
    [
        (b"a cat\thttp://e\nonly\n\t\nhttp\n", {}),  # CC3M
        (b"http://e\ta cat\nonly\n\t\nhttp\n", {"text": "1"}),  # CC12M
        (b"url\t caption\nhttp://e\ta cat\nonly\n\t\nhttp\n", {"text": "caption"}),
    ],
)
def test_tsv_columns_go_by_number_or_name(payload, columns, read):
    captions = read("a.tsv", payload, "tsv", **columns)
    short = None if not columns else "unreadable"
    assert outcome(captions) == [("a cat", None), ("only", short), ("", None), ("http", short)]
    if columns:
        assert captions[1].detail.endswith(
            f"a.tsv line {3 if columns['text'] == 'caption' else 2}: 1 columns, 2 are needed"
        )


def test_tsv_knows_no_quotes(read):
    assert outcome(read("a.tsv", b'a "cat\turl\n"a dog\turl\n', "tsv")) == [('a "cat', None), ('"a dog', None)]


def test_csv_reads_quotes_and_cells_of_several_lines(read):
    payload = b'id,text\n1,"a ""big"" cat, here"\r\n\n2,"two\nlines"\n3,nul \x00 byte\n'
    captions = read("a.csv", payload, "csv")
    assert outcome(captions) == [('a "big" cat, here', None), ("two\nlines", None), ("nul \x00 byte", None)]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (b'2,"no end', "Error: "),
        (b'2,"a" b', "Error: ',' expected"),
        (b"2,a,b", "3 columns, 2 are needed"),
        (b"2", "1 columns, 2 are needed"),
        (b"2,a\rb", "Error: new-line character"),
        (b"2," + b"x" * 200_000, "Error: field larger than field limit"),
    ],
)
@pytest.mark.parametrize("after", [b'3,"a dog"\n4,a bus\n', b"3,a dog\n4,a bus\n"])
def test_a_bad_csv_row_loses_no_neighbour(bad, fault, after, read):
    captions = read("a.csv", b"id,text\n1,a cat\n" + bad + b"\n" + after, "csv")
    assert [caption.reason for caption in captions] == [None, "unreadable", None, None]
    assert [captions[place].text for place in (0, 2, 3)] == ["a cat", "a dog", "a bus"]
    assert f"a.csv line 3: {fault}" in captions[1].detail
    assert captions[1].text


def test_files_without_rows_have_no_captions(read):
    assert read("a.csv", b"", "csv") == read("a.csv", b"id,text\n", "csv") == read("a.tsv", b"\n", "tsv") == []
