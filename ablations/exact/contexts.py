"""What attention makes of one word in two sentences, before any training.

The vector of the last word is y = sum_j A_j v_j over the words of its sentence, so two sentences give two vectors
unless all weight lies on the word itself. Without maps the own score is |x|^2 / sqrt(d), about sqrt(d), and the others
are about as large as a standard normal number: with one head the word looks at itself almost alone, the wider the more;
cut into slices the own score is only sqrt(d / heads).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ablations.exact.findings import Finding, Outcome, Picture
from ablations.exact.make import site, strategy, vectors

SENTENCES = (("the", "river", "bank"), ("the", "money", "bank"))
D_MODEL = 64


def word_in_two_contexts() -> Outcome:
    """C05's own example: "bank" by the river and with the money; four words with random embeddings."""
    words = [word for sentence in SENTENCES for word in sentence]
    embedding = dict(zip(dict.fromkeys(words), vectors(4, D_MODEL, seed=2), strict=True))
    first, second = (torch.stack([embedding[word] for word in sentence])[None] for sentence in SENTENCES)
    findings, panels = [], []
    for choice, heads in (("projection=identity", 1), ("projection=identity", 4), ("projection=separate", 4)):
        attention = site(strategy(choice), D_MODEL, heads)
        looks = [attention.look(x_BLC, None, causal=False) for x_BLC in (first, second)]
        one, other = (_last(look.weights_BHLS, look.v_BGSE) for look in looks)
        words = f"{strategy(choice).name}, {heads} head{'s' * (heads > 1)}"
        findings.append(
            Finding(
                f'"bank" has two vectors after attention: {words}.',
                not torch.allclose(one, other),
                {
                    "cosine of the two": f"{F.cosine_similarity(one, other, dim=0).item():.6f}",
                    'weight of "bank" on itself': f"{looks[0].weights_BHLS[0, :, -1, -1].mean().item():.3f}",
                },
                remark=True,
            )
        )
        panels.append(
            [
                (f"{words}: {where}", look.weights_BHLS[0].mean(0).tolist())
                for where, look in zip(("river", "money"), looks, strict=True)
            ]
        )
    labels = ("the", "river or\nmoney", "bank")
    return Outcome(
        findings, (), [Picture('"bank" in two sentences: attention weights, mean over heads', labels, panels)]
    )


def _last(weights_BHLS: Tensor, v_BHSE: Tensor) -> Tensor:
    """The last word's vector, heads side by side: [H * E]."""
    return (weights_BHLS @ v_BHSE)[0, :, -1].flatten()
