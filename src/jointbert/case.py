"""The case: JointBERT's reference in PyTorch and its port in PaddlePaddle, ready for the ladder."""

from collections.abc import Mapping
from pathlib import Path

from jointbert.embedded import is_embedded, write_model, write_task
from jointbert.inputs import check_checkpoint, check_data
from jointbert.names import RULES
from modelparity import Case, InputError, Setting, UsageError

SETTINGS: Mapping[str, Setting] = {
    # what is trained: "" stands for the embedded task and the embedded model without weights
    "data": "",
    "checkpoint": "",
    "crf": False,
    "seed": 1234,
    "threads": 0,  # 0: all cores; for the embedded model prepare() says 1
    # batches
    "max_seq_len": 50,
    "batch_size": 32,
    "eval_batch_size": 64,
    "bucket": True,
    "ignore_index": 0,
    # optimization; learning_rate 0.0 is replaced by prepare()
    "learning_rate": 0.0,
    "schedule": "linear",
    "epochs": 10,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "slot_loss_coef": 1.0,
    "trained_updates": 150,  # updates of the reference before step 3 measures
    # the model; the last four only for the embedded one
    "dropout": 0.1,
    "attention": "eager",
    "layers": 2,
    "hidden": 64,
    "heads": 4,
    "intermediate": 128,
}

# The rates of the ladder, not of the product (5e-5): a trajectory at a higher rate amplifies
# rounding sooner, so the horizon of float32 is reached within the first epochs of a run.
PRETRAINED_RATE = 3e-4
# 150 updates at this rate bring every score of the embedded task to between 0.3 and 0.97: far from
# 0 and from 1, as step 3 needs. tests/jointbert/test_in_torch_train.py measures it.
EMBEDDED_RATE = 4e-3

CHOICES = {"schedule": ("linear", "constant"), "attention": ("eager", "sdpa")}
POSITIVE = (
    "batch_size",
    "eval_batch_size",
    "epochs",
    "adam_epsilon",
    "max_grad_norm",
    "layers",
    "hidden",
    "heads",
    "intermediate",
)
NOT_NEGATIVE = (
    "seed",
    "threads",
    "learning_rate",
    "warmup_steps",
    "weight_decay",
    "slot_loss_coef",
    "trained_updates",
)


def prepare(settings: dict[str, Setting], directory: Path) -> dict[str, Setting]:
    """Check the settings and everything cheap about their files; write the embedded inputs.

    In the result `data` and `checkpoint` name existing directories (embedded ones lie in
    `directory`/task and `directory`/model), `pretrained` says whether weights are loaded,
    `learning_rate` is above zero, and the embedded model has a number of threads. Preparing a
    result again changes nothing. Raises UsageError for a setting and InputError for a file.
    """
    ready = dict(settings)
    _check_settings(ready)
    if ready["data"] == "":
        write_task(directory / "task")
        ready["data"] = str(directory / "task")
    if ready["checkpoint"] == "":
        write_model(directory / "model", ready)
        ready["checkpoint"] = str(directory / "model")
    embedded = is_embedded(Path(str(ready["checkpoint"])))
    ready["pretrained"] = not embedded
    if not ready["learning_rate"]:
        ready["learning_rate"] = EMBEDDED_RATE if embedded else PRETRAINED_RATE
    if embedded and not ready["threads"]:
        # Too small to gain from a second thread, and where cores are shared with other work the
        # threads wait for each other: 221 ms an update were measured against 16 ms.
        ready["threads"] = 1
    labels = check_data(str(ready["data"]))
    _check_ignored(ready, labels.slots)
    _check_length(ready, check_checkpoint(str(ready["checkpoint"]), weights=not embedded))
    return ready


def _check_settings(settings: Mapping[str, Setting]) -> None:
    for name, value in settings.items():
        if name == "pretrained":  # no setting: a prepared result says so of its checkpoint
            continue
        if name not in SETTINGS:
            raise UsageError(f"setting {name}: unknown; one of {', '.join(sorted(SETTINGS))}")
        wanted = type(SETTINGS[name])
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise UsageError(f"setting {name}: {value!r} is not a {wanted.__name__}")
    for name, choices in CHOICES.items():
        if settings[name] not in choices:
            raise UsageError(f"setting {name}: {settings[name]!r}; one of {', '.join(choices)}")
    for name in POSITIVE:
        if not 0 < float(settings[name]) < float("inf"):
            raise UsageError(f"setting {name}: {settings[name]}; it must be above 0")
    for name in NOT_NEGATIVE:
        if not 0 <= float(settings[name]) < float("inf"):
            raise UsageError(f"setting {name}: {settings[name]}; it must be 0 or above")
    if not 0 <= float(settings["dropout"]) < 1:
        raise UsageError(f"setting dropout: {settings['dropout']}; it must be in [0, 1)")
    if int(settings["max_seq_len"]) < 3:
        raise UsageError(
            f"setting max_seq_len: {settings['max_seq_len']}; [CLS], one piece and [SEP] need 3"
        )
    if int(settings["hidden"]) % int(settings["heads"]):
        raise UsageError(
            f"setting hidden: {settings['hidden']} is not a multiple of {settings['heads']} heads"
        )


def _check_ignored(settings: Mapping[str, Setting], slots: tuple[str, ...]) -> None:
    ignored = int(settings["ignore_index"])
    if ignored > 0:
        meaning = repr(slots[ignored]) if ignored < len(slots) else "no label at all"
        raise UsageError(
            f"setting ignore_index: {ignored} is {meaning}; use 0 (PAD) or a number below 0"
        )
    if ignored < 0 and settings["crf"]:
        raise UsageError(
            f"setting ignore_index: {ignored}; the CRF scores every position, use 0 (PAD)"
        )


def _check_length(settings: Mapping[str, Setting], config: Mapping[str, object]) -> None:
    positions = config["max_position_embeddings"]
    if isinstance(positions, int) and int(settings["max_seq_len"]) > positions:
        raise InputError(
            f"{settings['checkpoint']}: has {positions} positions, but max_seq_len is"
            f" {settings['max_seq_len']}; lower max_seq_len"
        )


CASE = Case(
    name="jointbert",
    reference="jointbert.in_torch.side",
    candidate="jointbert.in_paddle.side",
    settings=SETTINGS,
    paths=("data", "checkpoint"),
    rules=RULES,
    splits=("dev", "test"),
    mask="attention_mask",
    variants={
        "forward": ({}, {"max_seq_len": 12}),
        "optimizer": ({"weight_decay": 0.0, "schedule": "constant", "warmup_steps": 0},),
        "learning_rate": ({"warmup_steps": 0}, {"warmup_steps": 40}),
        "regularisation": ({"weight_decay": 0.01, "schedule": "constant"},),
    },
    shared=("jointbert.labels",),
    prepare=prepare,
    faults="jointbert.faults:FAULTS",
    aliases={
        1: {"loss": "total_loss"},
        3: {"semantic_frame_acc": "sementic_frame_acc"},
        5: {"*rate/*": "learning_rate"},
        7: {"loss": "backward"},  # the published figure is the mean over losses of updates too
        8: {"epoch.*": "training_data"},
    },
    # What the alignment record published for such a port in October 2021 says, under its own keys;
    # docs/jointbert.md says what it was worth.
    published={
        1: {
            "sequence_output": "4.876189905189676e-07",
            "pooled_output": "3.2371076486015227e-07",
            "intent_logits": "1.3917054957346409e-06",
            "slot_logits": "5.844579504810099e-07",
            "total_loss": "0.0",
        },
        2: {
            f"{split}_{batch}_{field}": "0.0"
            for split in ("test", "dev")
            for batch in range(5)
            for field in (
                "input_ids",
                "attention_mask",
                "intent_label_ids",
                "slot_labels_ids",
                "token_type_ids",
            )
        },
        3: {
            "loss": "7.737960132647714e-07",
            "intent_acc": "0.0",
            "slot_precision": "0.0",
            "slot_recall": "0.0",
            "slot_f1": "0.0",
            "sementic_frame_acc": "0.0",
        },
        4: "see 7 (见7. 反向对齐)",
        5: {"learning_rate": "0.0"},
        6: "see 7 (见7. 反向对齐)",
        7: {"backward": "8.050096221268177e-05"},
        8: {"training_data": "0.0"},
        9: "PyTorch's initial weights are loaded into Paddle's network, which is then trained"
        " (使用pytorch的网络初始化权重来初始化paddle的网络并进行训练。)",
        10: "see the results of the experiments (见实验结果)",
    },
)
