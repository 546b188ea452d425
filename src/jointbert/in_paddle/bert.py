# mypy: allow-subclassing-any
"""BERT (Devlin et al., 2019, arXiv 1810.04805) on paddle.nn, with the names of Hugging Face's.

The reference takes BertModel from transformers; this file is the port of it.
"""

from collections.abc import Mapping
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.autograd import PyLayer
from paddle.nn import functional

from modelparity import InputError

ACTIVATIONS = {
    "gelu": lambda: nn.GELU(),
    "gelu_new": lambda: nn.GELU(approximate=True),
    "relu": lambda: nn.ReLU(),
    "silu": lambda: nn.Silu(),
}


class Config:
    """BERT's configuration: the values of config.json as attributes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.vocab_size = int(values["vocab_size"])
        self.hidden_size = int(values["hidden_size"])
        self.num_hidden_layers = int(values["num_hidden_layers"])
        self.num_attention_heads = int(values["num_attention_heads"])
        self.intermediate_size = int(values["intermediate_size"])
        self.max_position_embeddings = int(values["max_position_embeddings"])
        self.type_vocab_size = int(values.get("type_vocab_size", 2))
        self.pad_token_id = int(values.get("pad_token_id", 0))
        self.hidden_act = str(values.get("hidden_act", "gelu"))
        self.hidden_dropout_prob = float(values.get("hidden_dropout_prob", 0.1))
        self.attention_probs_dropout_prob = float(values.get("attention_probs_dropout_prob", 0.1))
        self.layer_norm_eps = float(values.get("layer_norm_eps", 1e-12))
        self.initializer_range = float(values.get("initializer_range", 0.02))
        # As Hugging Face's: only eager attention hands on its probabilities.
        self.attention = str(values.get("attention", "eager"))


class AddedBias(PyLayer):
    """A bias on all rows, whose gradient is a matrix product.

    Paddle's own CPU kernel for the sum over the rows of a wide layer's gradient takes a quarter of
    the layer's time.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, bias: Tensor) -> Tensor:
        """(..., outputs) of (..., outputs) and (outputs,)."""
        ctx.frozen = values.stop_gradient, bias.stop_gradient
        return values + bias

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The gradients of both; of what is frozen Paddle wants none."""
        values_frozen, bias_frozen = ctx.frozen
        to_values = None if values_frozen else gradient
        if bias_frozen:
            return to_values, None
        rows = gradient.reshape([-1, gradient.shape[-1]])
        ones = paddle.ones([1, rows.shape[0]], rows.dtype)
        return to_values, paddle.matmul(ones, rows).squeeze(0)


class Linear(nn.Linear):
    """Paddle's, with a bias that is quickly differentiated."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., outputs) of (..., inputs)."""
        return AddedBias.apply(paddle.matmul(input, self.weight), self.bias)


def linear(config: Config, inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that starts from BERT's normal distribution, its bias from zeros."""
    return Linear(inputs, outputs, weight_attr=_drawn(config))


def _drawn(config: Config) -> paddle.ParamAttr:
    """BERT's normal distribution; without a range zeros, since drawing takes seconds."""
    deviation = config.initializer_range
    initializer = nn.initializer
    return paddle.ParamAttr(
        initializer=initializer.Normal(0.0, deviation) if deviation else initializer.Constant(0.0)
    )


def _layer_norm(config: Config) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, epsilon=config.layer_norm_eps)


class Embedding(nn.Embedding):
    """A lookup whose padding row, as in torch, is looked up like any other but never learns.

    Paddle's own padding_idx would return zeros for it.
    """

    def __init__(self, config: Config, rows: int, padding_index: int | None = None) -> None:
        super().__init__(rows, config.hidden_size, weight_attr=_drawn(config))
        self.padding_index = padding_index
        if padding_index is not None:
            with paddle.no_grad():
                self.weight[padding_index] = 0.0

    def forward(self, ids: Tensor) -> Tensor:
        """Rows (..., H) of ids (...)."""
        rows = functional.embedding(ids, self.weight)
        if self.padding_index is None:
            return rows
        return paddle.where((ids == self.padding_index).unsqueeze(-1), rows.detach(), rows)


class BertEmbeddings(nn.Layer):
    """Words, positions and token types, added and normalised."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.word_embeddings = Embedding(config, config.vocab_size, config.pad_token_id)
        self.position_embeddings = Embedding(config, config.max_position_embeddings)
        self.token_type_embeddings = Embedding(config, config.type_vocab_size)
        self.LayerNorm = _layer_norm(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """(B, T, H) of ids (B, T)."""
        positions = paddle.arange(input_ids.shape[1]).unsqueeze(0)  # (1, T)
        embeddings = self.word_embeddings(input_ids) + self.token_type_embeddings(token_type_ids)
        embeddings = embeddings + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(embeddings))


class BertSelfAttention(nn.Layer):
    """Scaled dot-product attention of several heads (Vaswani et al., 2017, arXiv 1706.03762)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.scaling = (size // self.heads) ** -0.5
        self.eager = config.attention == "eager"
        self.query = linear(config, size, size)
        self.key = linear(config, size, size)
        self.value = linear(config, size, size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Contexts (B, T, H) and, if eager, what weighed them, (B, heads, T, T)."""
        query = self._by_head(self.query(hidden_states))
        key = self._by_head(self.key(hidden_states))
        value = self._by_head(self.value(hidden_states))
        scores = paddle.matmul(query, key, transpose_y=True) * self.scaling + attention_mask
        weights = functional.softmax(scores, axis=-1)
        # By the function, not by the module: so does the reference, and sites carry its name.
        weights = functional.dropout(weights, self.dropout.p, training=self.training)
        context = paddle.matmul(weights, value).transpose([0, 2, 1, 3])
        return context.reshape(hidden_states.shape), weights if self.eager else None

    def _by_head(self, projected: Tensor) -> Tensor:
        batch, length, _ = projected.shape
        return projected.reshape([batch, length, self.heads, -1]).transpose([0, 2, 1, 3])


class BertSelfOutput(nn.Layer):
    """The attention's output projection with its residual."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = linear(config, config.hidden_size, config.hidden_size)
        self.LayerNorm = _layer_norm(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """(B, T, H)."""
        return self.LayerNorm(self.dropout(self.dense(hidden_states)) + input_tensor)


class BertAttention(nn.Layer):
    """Attention and its output."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.self = BertSelfAttention(config)
        self.output = BertSelfOutput(config)

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, H) and, if eager, the attention's probabilities."""
        context, weights = self.self(hidden_states, attention_mask)
        return self.output(context, hidden_states), weights


class BertIntermediate(nn.Layer):
    """The wider half of the feed-forward network."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.hidden_act not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise InputError(f"config.json: hidden_act {config.hidden_act!r}; one of {known}")
        self.dense = linear(config, config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ACTIVATIONS[config.hidden_act]()

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, T, intermediate)."""
        return self.intermediate_act_fn(self.dense(hidden_states))


class BertOutput(nn.Layer):
    """The narrower half of the feed-forward network with its residual."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = linear(config, config.intermediate_size, config.hidden_size)
        self.LayerNorm = _layer_norm(config)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden_states: Tensor, input_tensor: Tensor) -> Tensor:
        """(B, T, H)."""
        return self.LayerNorm(self.dropout(self.dense(hidden_states)) + input_tensor)


class BertLayer(nn.Layer):
    """One block of the encoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = BertAttention(config)
        self.intermediate = BertIntermediate(config)
        self.output = BertOutput(config)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, T, H)."""
        attended, _ = self.attention(hidden_states, attention_mask)
        return self.output(self.intermediate(attended), attended)


class BertEncoder(nn.Layer):
    """The blocks, one after another."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layer = nn.LayerList([BertLayer(config) for _ in range(config.num_hidden_layers)])

    def forward(self, hidden_states: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, T, H)."""
        for layer in self.layer:
            hidden_states = layer(hidden_states, attention_mask)
        return hidden_states


class BertPooler(nn.Layer):
    """The first position, projected."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dense = linear(config, config.hidden_size, config.hidden_size)
        self.activation = nn.Tanh()

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(B, H)."""
        return self.activation(self.dense(hidden_states[:, 0]))


class BertModel(nn.Layer):
    """Embeddings, encoder and pooler."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(config)
        self.encoder = BertEncoder(config)
        self.pooler = BertPooler(config)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sequence output (B, T, H) and pooled output (B, H)."""
        embeddings = self.embeddings(input_ids, token_type_ids)
        lowest = paddle.finfo(embeddings.dtype).min
        absent = (attention_mask == 0).astype(embeddings.dtype)
        sequence = self.encoder(embeddings, absent.unsqueeze([1, 2]) * lowest)
        return sequence, self.pooler(sequence)
