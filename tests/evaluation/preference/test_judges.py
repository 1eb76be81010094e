from dataclasses import replace

from synthpairs.evaluation.preference.judges import PairQuestion, pair_questions


def test_a_control_question_has_the_image_of_a_pair_about_something_else(image_pairs):
    one, other, third = image_pairs[:3]
    both = replace(other, text=f"{other.concept} and {one.concept}s on red")  # shows the first one's thing too
    questions, controls = pair_questions([one, both, third])
    assert questions[0] == PairQuestion(one.text, one.synthetic, one.real)
    assert controls["real"][0] == PairQuestion(one.text, one.real, third.real)
    assert controls["synthetic"][0] == PairQuestion(one.text, one.synthetic, third.synthetic)
    assert pair_questions([one, replace(one, couple="again")])[1] == {"real": {}, "synthetic": {}}
    nameless = [replace(pair, concept="") for pair in (one, replace(other, text=one.text), third)]
    assert pair_questions(nameless)[1]["real"][0].second == third.real
