"""One word in two sentences, before training."""

from ablations.exact.contexts import word_in_two_contexts


def test_without_maps_a_word_hardly_leaves_itself_and_with_slices_or_maps_it_does():
    outcome = word_in_two_contexts()
    assert all(finding.remark and finding.holds for finding in outcome.findings)
    cosines = [float(finding.numbers["cosine of the two"]) for finding in outcome.findings]
    own = [float(finding.numbers['weight of "bank" on itself']) for finding in outcome.findings]
    assert cosines == sorted(cosines, reverse=True) and own == sorted(own, reverse=True)
    assert cosines[0] > 0.99 > 0.9 > cosines[-1]
    [picture] = outcome.pictures
    assert all(abs(sum(row) - 1) < 1e-9 for panels in picture.panels for _, matrix in panels for row in matrix)
