"""The reader of JSON lines."""

import pytest

from comity.runs.lines import read_lines


@pytest.mark.parametrize("tail", [b"", b"\n", b'\n{"a": 3', b'\n{"a": "\xc3', b"\n[1", b"\n\n"])
def test_an_incomplete_last_line_is_ignored(tmp_path, tail):
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"a": 1}\n{"a": 2}' + tail)
    assert read_lines(file) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("row", "message"),
    [(b'{"a": 3', "line 2, is not JSON"), (b"3", "line 2, is no {...}"), (b"\xff", "line 2, is not JSON"),
     (b'{"seed": 1}', "line 2, has no 'iteration'"), (b'{"seed": "x", "iteration": 1}', "line 2, has seed 'x'")],
)  # fmt: skip
def test_any_other_line_that_cannot_be_meant_is_named(tmp_path, row, message):
    file, good = tmp_path / "x.jsonl", b'{"seed": 1, "iteration": 2}'
    file.write_bytes(b"\n".join([good, row, good, b""]))
    with pytest.raises(ValueError, match=message) as error:
        read_lines(file, ("seed", "iteration"))
    assert str(error.value).endswith(": remove the line")


def test_no_file_has_no_lines(tmp_path):
    assert read_lines(tmp_path / "none.jsonl", ("seed",)) == []
