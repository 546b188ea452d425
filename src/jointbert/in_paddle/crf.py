# mypy: allow-subclassing-any
"""A linear-chain conditional random field over slot labels (Lafferty et al., 2001).

Everything is computed in log space and in the precision of its inputs.
"""

import paddle
from paddle import Tensor, nn
from paddle.nn import functional

RANGE = 0.1  # of the uniform initialiser, as in the package pytorch-crf


class CRF(nn.Layer):
    """Scores of label sequences: each position's emission plus each transition.

    transitions (S, S) holds the score of going from the row's label to the column's.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        uniform = nn.initializer.Uniform(-RANGE, RANGE)
        self.start_transitions = self.create_parameter([labels], default_initializer=uniform)
        self.end_transitions = self.create_parameter([labels], default_initializer=uniform)
        self.transitions = self.create_parameter([labels, labels], default_initializer=uniform)

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """The negative log-likelihood of each sentence's labels, (B,).

        emissions (B, T, S); tags (B, T) int64, any label at padding; mask (B, T), 1 at what counts:
        a prefix of each row, at least its first position.
        """
        kept = mask.astype("bool")
        return self.normalizer(emissions, kept) - self.score(emissions, tags, kept)

    def score(self, emissions: Tensor, tags: Tensor, kept: Tensor) -> Tensor:
        """The score of the given labels, (B,)."""
        weights = kept.astype(emissions.dtype)
        emitted = paddle.take_along_axis(emissions, tags.unsqueeze(2), 2).squeeze(2)  # (B, T)
        moves = paddle.stack([tags[:, :-1], tags[:, 1:]], axis=-1)
        moved = paddle.gather_nd(self.transitions, moves)  # (B, T - 1)
        ends = kept.astype("int64").sum(1, keepdim=True) - 1
        last = paddle.take_along_axis(tags, ends, 1).squeeze(1)  # (B,)
        score = self.start_transitions[tags[:, 0]] + self.end_transitions[last]
        score = score + (emitted * weights).sum(1)
        return score + (moved * weights[:, 1:]).sum(1)

    def normalizer(self, emissions: Tensor, kept: Tensor) -> Tensor:
        """The log of the summed exponentials of all sequences' scores, (B,): forward algorithm."""
        alpha = self.start_transitions + emissions[:, 0]  # (B, S)
        into = self.transitions.t()  # (to, from)
        for t in range(1, emissions.shape[1]):
            reached = _log_sum_exp(alpha.unsqueeze(1) + into) + emissions[:, t]
            alpha = paddle.where(kept[:, t].unsqueeze(1), reached, alpha)
        return _log_sum_exp(alpha + self.end_transitions)

    def marginals(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The probability of each label at each position, (B, T, S): forward-backward algorithm.

        Without meaning at padding. At each position the largest of both scores is taken off: it
        cancels, and in float32 scores that grew with the sentence would lose their digits.
        """
        kept = mask.astype("bool")
        alphas = [self.start_transitions + emissions[:, 0]]
        into = self.transitions.t()  # (to, from)
        for t in range(1, emissions.shape[1]):
            reached = _log_sum_exp(alphas[-1].unsqueeze(1) + into) + emissions[:, t]
            alphas.append(_from_zero(reached))
        beta = self.end_transitions.expand_as(alphas[0])  # (B, S)
        betas = [beta]
        for t in range(emissions.shape[1] - 1, 0, -1):
            paths = self.transitions + (emissions[:, t] + beta).unsqueeze(1)
            earlier = _from_zero(_log_sum_exp(paths))
            beta = paddle.where(kept[:, t].unsqueeze(1), earlier, beta)
            betas.append(beta)
        return functional.softmax(paddle.stack(alphas, 1) + paddle.stack(betas[::-1], 1), 2)

    def decode(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The labels of the best sequence, (B, T) int64, 0 at padding: Viterbi's algorithm."""
        kept = mask.astype("bool")
        stay = paddle.arange(emissions.shape[2]).expand([emissions.shape[0], -1])
        best = self.start_transitions + emissions[:, 0]  # (B, S)
        into = self.transitions.t()  # (to, from)
        origins: list[Tensor] = []
        for t in range(1, emissions.shape[1]):
            paths = best.unsqueeze(1) + into
            scores, origin = paths.max(2), paths.argmax(2)
            here = kept[:, t].unsqueeze(1)
            best = paddle.where(here, scores + emissions[:, t], best)
            origins.append(paddle.where(here, origin, stay))  # at padding the label stays
        label = (best + self.end_transitions).argmax(1)
        path = [label]
        for origin in reversed(origins):
            label = paddle.take_along_axis(origin, label.unsqueeze(1), 1).squeeze(1)
            path.append(label)
        return paddle.stack(path[::-1], 1) * kept.astype("int64")


def _from_zero(scores: Tensor) -> Tensor:
    """Scores (B, S) less the largest of each row."""
    return scores - scores.max(1, keepdim=True)


def _log_sum_exp(scores: Tensor) -> Tensor:
    """Over the last axis. Paddle's own takes twice the time, and more over an inner one."""
    largest = scores.max(-1, keepdim=True).detach()
    return (scores - largest).exp().sum(-1).log() + largest.squeeze(-1)
