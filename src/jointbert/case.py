"""The case: JointBERT's reference in PyTorch and its port in PaddlePaddle, ready for the ladder."""

from collections.abc import Mapping
from pathlib import Path

from jointbert.embedded import is_embedded, write_model, write_task
from jointbert.inputs import check_checkpoint, check_data, check_length
from jointbert.names import RULES
from jointbert.options import check_values, typed
from modelparity import Case, Setting, UsageError

SETTINGS: Mapping[str, Setting] = {
    # what is trained: "" stands for the embedded task and the embedded model without weights
    "data": "",
    "checkpoint": "",
    "crf": False,
    "seed": 1234,
    "threads": 0,  # 0: half of the cores; for the embedded model prepare() says 1
    # batches
    "max_seq_len": 50,
    "batch_size": 32,
    "eval_batch_size": 64,
    "bucket": True,
    "ignore_index": 0,
    # optimization; a learning_rate of 0.0 and trained_updates of 0 are replaced by prepare()
    "learning_rate": 0.0,
    "schedule": "linear",
    "epochs": 10,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "adam_epsilon": 1e-8,
    "max_grad_norm": 1.0,
    "slot_loss_coef": 1.0,
    "trained_updates": 0,  # updates of the reference before step 3 measures
    "lockstep_epochs": 1,  # that step 10 trains in float32 on both sides; 0: all of `epochs`
    "seeds": 0,  # independent trainings of each side that step 10 compares
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
# 0 and from 1, as step 3 needs. tests/jointbert/test_in_torch_train.py measures it. A pretrained
# checkpoint is there sooner, and what is wrong in its predictions is what tries the scores.
EMBEDDED_RATE, EMBEDDED_UPDATES = 4e-3, 150
PRETRAINED_UPDATES = 60

CHOICES = {"schedule": ("linear", "constant"), "attention": ("eager", "sdpa")}


def prepare(settings: dict[str, Setting], directory: Path) -> dict[str, Setting]:
    """Check the settings and everything cheap about their files; write the embedded inputs.

    In the result `data` and `checkpoint` name existing directories (embedded ones lie in
    `directory`/task and `directory`/model), `pretrained` says whether weights are loaded,
    `learning_rate` and `trained_updates` are above zero, and the embedded model has a number of
    threads. Preparing a result again changes nothing. Raises UsageError for a setting and
    InputError for a file.
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
    if not ready["trained_updates"]:
        ready["trained_updates"] = EMBEDDED_UPDATES if embedded else PRETRAINED_UPDATES
    if embedded and not ready["threads"]:
        # Too small to gain from a second thread, and where cores are shared with other work the
        # threads wait for each other: 221 ms an update were measured against 16 ms.
        ready["threads"] = 1
    _check_ignored(int(ready["ignore_index"]), check_data(str(ready["data"])).slots)
    checkpoint = str(ready["checkpoint"])
    config = check_checkpoint(checkpoint, weights=not embedded)
    check_length(checkpoint, config, int(ready["max_seq_len"]))
    return ready


def _check_settings(settings: Mapping[str, Setting]) -> None:
    for name in settings:
        if name not in SETTINGS and name != "pretrained":  # which a prepared result has too
            raise UsageError(f"setting {name}: unknown; one of {', '.join(sorted(SETTINGS))}")
    try:
        for name, default in SETTINGS.items():
            typed(name, settings[name], default)
        check_values(settings, CHOICES, zero=("learning_rate", "seeds"))
    except UsageError as error:
        raise UsageError(f"setting {error}") from None
    if int(settings["hidden"]) % int(settings["heads"]):
        raise UsageError(
            f"setting hidden: {settings['hidden']} is not a multiple of {settings['heads']} heads"
        )


def _check_ignored(ignored: int, slots: tuple[str, ...]) -> None:
    if ignored > 0:
        meaning = repr(slots[ignored]) if ignored < len(slots) else "no label at all"
        raise UsageError(
            f"setting ignore_index: {ignored} is {meaning}; use 0 (PAD) or a number below 0"
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
        "training": ({"weight_decay": 0.01},),  # or nothing would show what decays
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
