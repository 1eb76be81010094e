"""Plain text, TSV and CSV: every row becomes a caption, and a faulty one does not affect others."""

import pytest

from synthpairs.captions.readers.rows import MAX_LINE
from tests.captions.readers.conftest import outcome, reasons


@pytest.mark.parametrize(
    ("kind", "payload", "texts"),
    [
        ("text", b"a cat\r\n\n  \n two\tdogs \nnul \x00\nlast", ["a cat", " two\tdogs ", "nul \x00", "last"]),
        ("text", b"x" * (2 * MAX_LINE + 5) + b"\nafter\n", ["x" * MAX_LINE, "after"]),
        ("tsv", b'a "cat\turl\n"a dog\turl\n', ['a "cat', '"a dog']),  # no quoting in TSV
        (
            "csv",
            b'id,text\n1,"a ""big"" cat, here"\r\n\n2,"two\nlines"\n3,nul \x00 byte\n',
            ['a "big" cat, here', "two\nlines", "nul \x00 byte"],
        ),
        ("text", b"a cat\ra dog\r\na bus\n\rlast", ["a cat", "a dog", "a bus", "last"]),
        ("tsv", b"a cat\turl\ra dog\turl\r", ["a cat", "a dog"]),
        ("csv", b'id,text\r1,a cat\r2,"two\rlines"\r\n3,a dog', ["a cat", "two\rlines", "a dog"]),
        ("jsonl", b'{"text": "a cat"}\r{"text": "a dog"}\r', ["a cat", "a dog"]),
        ("csv", b"", []),
        ("csv", b"id,text\n", []),
        ("tsv", b"\n", []),
    ],
)
def test_rows_of_valid_files(kind, payload, texts, read):
    assert outcome(read("a", payload, kind)) == [(text, None) for text in texts]


@pytest.mark.parametrize(
    ("payload", "columns", "line"),
    [
        (b"a cat\thttp://e\nonly\n\t\nhttp\n", {}, None),  # CC3M
        (b"http://e\ta cat\nonly\n\t\nhttp\n", {"text": "1"}, 2),  # CC12M
        (b"url\t caption\nhttp://e\ta cat\nonly\n\t\nhttp\n", {"text": "caption"}, 3),
    ],
)
def test_tsv_columns_by_number_or_name(payload, columns, line, read):
    captions = read("a.tsv", payload, "tsv", **columns)
    short = "unreadable" if line else None
    assert outcome(captions) == [("a cat", None), ("only", short), ("", None), ("http", short)]
    assert not line or captions[1].detail.endswith(f"a.tsv line {line}: 1 columns, 2 are needed")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"text,id,text\na,1,b\n", r"columns\.text: .*a\.csv has 2 columns 'text'; it has text, id, text"),
        (b'te"xt,"id"x\n', r"path: .*a\.csv line 1: Error: ',' expected"),
    ],
)
def test_a_header_with_a_repeated_column_or_a_fault_is_an_error(payload, error, read):
    with pytest.raises(ValueError, match=error):
        read("a.csv", payload, "csv")


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (b'2,"no end', "Error: "),
        (b'2,"a" b', "Error: ',' expected"),
        (b"2,a,b", "3 columns, 2 are needed"),
        (b"2", "1 columns, 2 are needed"),
        (b"2," + b"x" * 200_000, "Error: field larger than field limit"),
    ],
)
@pytest.mark.parametrize("after", [b'3,"a dog"\n4,a bus\n', b"3,a dog\n4,a bus\n"])
def test_a_faulty_csv_row_does_not_affect_others(bad, fault, after, read):
    captions = read("a.csv", b"id,text\n1,a cat\n" + bad + b"\n" + after, "csv")
    assert reasons(captions) == [None, "unreadable", None, None]
    assert [captions[number].text for number in (0, 2, 3)] == ["a cat", "a dog", "a bus"]
    assert f"a.csv line 3: {fault}" in captions[1].detail
    assert captions[1].text
