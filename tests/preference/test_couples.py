"""A couple is one caption with the picture that was generated for it and its own; nothing in the files tells them apart."""

import io
from dataclasses import replace
from pathlib import Path

from PIL import Image

from synthpairs.preference.couples import TABLE, Couple, draw_couples, read_couples, strangers, write_couples
from tests.preference.conftest import PARAMS, SECRET, THINGS, is_red


def test_both_pictures_belong_to_one_caption(data: Path) -> None:
    couples = draw_couples(replace(PARAMS, count=100), data)
    assert sorted(couple.concept for couple in couples) == sorted(THINGS), "each caption once, none without an original"
    for couple in couples:
        assert is_red(couple.synthetic)
        assert not is_red(couple.real)
        marks = {Image.open(io.BytesIO(png)).getpixel((0, 0))[1] for png in (couple.synthetic, couple.real)}
        assert marks == {THINGS.index(couple.concept)}


def test_a_draw_is_the_start_of_a_larger_one_and_depends_on_the_seed(data: Path) -> None:
    few, all_ = draw_couples(PARAMS, data), draw_couples(replace(PARAMS, count=100), data)
    assert few == all_[: PARAMS.count]
    assert [couple.couple for couple in draw_couples(replace(PARAMS, seed=1), data)] != [one.couple for one in few]


def test_files_do_not_say_what_was_generated_and_are_no_larger_than_asked(couples: list[Couple]) -> None:
    for couple in couples:
        for png in (couple.synthetic, couple.real):
            assert SECRET.encode() not in png
            assert Image.open(io.BytesIO(png)).size == (PARAMS.side, PARAMS.side)
            assert not Image.open(io.BytesIO(png)).info


def test_what_is_written_is_read_back_and_written_alike(couples: list[Couple], tmp_path: Path) -> None:
    write_couples(couples, tmp_path / "one")
    write_couples(couples, tmp_path / "two")
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()
    assert read_couples(tmp_path / "one") == couples


def test_a_stranger_is_about_something_else(couples: list[Couple]) -> None:
    one, other, third = couples[:3]
    beside = replace(other, text=f"{other.concept} and {one.concept}s on red")  # shows the first one's thing too
    assert strangers([one, beside, third])[0] == third
    assert strangers([one, replace(one, couple="again")]) == [None, None]
    nameless = [replace(couple, concept="") for couple in (one, replace(other, text=one.text), third)]
    assert strangers(nameless)[0] == nameless[2]
