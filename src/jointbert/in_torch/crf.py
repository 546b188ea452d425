# mypy: allow-subclassing-any
"""A linear-chain conditional random field over slot labels (Lafferty et al., 2001).

Everything is computed in log space and in the precision of its inputs.
"""

import torch
from torch import Tensor, nn


class CRF(nn.Module):
    """Scores of label sequences: each position's emission plus each transition.

    transitions (S, S) holds the score of going from the row's label to the column's.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.start_transitions = nn.Parameter(torch.empty(labels))
        self.end_transitions = nn.Parameter(torch.empty(labels))
        self.transitions = nn.Parameter(torch.empty(labels, labels))

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """The negative log-likelihood of each sentence's labels, (B,).

        emissions (B, T, S); tags (B, T) int64, any label at padding; mask (B, T), 1 at what counts:
        a prefix of each row, at least its first position.
        """
        kept = mask.bool()
        return self.normalizer(emissions, kept) - self.score(emissions, tags, kept)

    def score(self, emissions: Tensor, tags: Tensor, kept: Tensor) -> Tensor:
        """The score of the given labels, (B,)."""
        emitted = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # (B, T)
        moved = self.transitions[tags[:, :-1], tags[:, 1:]]  # (B, T - 1)
        last = tags.gather(1, kept.sum(1, keepdim=True) - 1).squeeze(1)  # (B,)
        score = self.start_transitions[tags[:, 0]] + self.end_transitions[last]
        score = score + (emitted * kept).sum(1)
        return score + (moved * kept[:, 1:]).sum(1)

    def normalizer(self, emissions: Tensor, kept: Tensor) -> Tensor:
        """The log of the summed exponentials of all sequences' scores, (B,): forward algorithm."""
        alpha = self.start_transitions + emissions[:, 0]  # (B, S)
        for t in range(1, emissions.shape[1]):
            paths = alpha.unsqueeze(2) + self.transitions + emissions[:, t].unsqueeze(1)
            alpha = torch.where(kept[:, t].unsqueeze(1), torch.logsumexp(paths, 1), alpha)
        return torch.logsumexp(alpha + self.end_transitions, 1)

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The probability of each label at each position, (B, T, S): forward-backward algorithm.

        Without meaning at padding. At each position the largest of both scores is taken off: it
        cancels, and in float32 scores that grew with the sentence would lose their digits.
        """
        kept = mask.bool()
        alphas = [self.start_transitions + emissions[:, 0]]
        for t in range(1, emissions.shape[1]):
            paths = alphas[-1].unsqueeze(2) + self.transitions
            alphas.append(_from_zero(torch.logsumexp(paths, 1) + emissions[:, t]))
        beta = self.end_transitions.expand_as(alphas[0])  # (B, S)
        betas = [beta]
        for t in range(emissions.shape[1] - 1, 0, -1):
            paths = self.transitions + (emissions[:, t] + beta).unsqueeze(1)
            earlier = _from_zero(torch.logsumexp(paths, 2))
            beta = torch.where(kept[:, t].unsqueeze(1), earlier, beta)
            betas.append(beta)
        return torch.softmax(torch.stack(alphas, 1) + torch.stack(betas[::-1], 1), 2)

    def decode(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The labels of the best sequence, (B, T) int64, 0 at padding: Viterbi's algorithm."""
        kept = mask.bool()
        stay = torch.arange(emissions.shape[2]).expand(emissions.shape[0], -1)
        best = self.start_transitions + emissions[:, 0]  # (B, S)
        origins: list[Tensor] = []
        for t in range(1, emissions.shape[1]):
            scores, origin = (best.unsqueeze(2) + self.transitions).max(1)
            here = kept[:, t].unsqueeze(1)
            best = torch.where(here, scores + emissions[:, t], best)
            origins.append(torch.where(here, origin, stay))  # at padding the label stays
        label = (best + self.end_transitions).argmax(1)
        path = [label]
        for origin in reversed(origins):
            label = origin.gather(1, label.unsqueeze(1)).squeeze(1)
            path.append(label)
        return torch.stack(path[::-1], 1) * kept


def _from_zero(scores: Tensor) -> Tensor:
    """Scores (B, S) less the largest of each row."""
    return scores - scores.amax(1, keepdim=True)
