"""Times a checkout of monologg/JointBERT by its own model and data classes; nothing of ours runs.

    python jointbert_peer.py CHECKOUT DATA CHECKPOINT THREADS ROUNDS

Run by jointbert_speed.py, in an interpreter that has what the checkout needs. The last line of its
output is a JSON object. The loop is that of its trainer: padded to 50, batches of 32, AdamW.
"""

import json
import os
import shutil
import sys
import time
from argparse import Namespace
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

BATCHES = 5


def main(checkout: str, data: str, checkpoint: str, threads: str, rounds: str) -> None:
    sys.path.insert(0, checkout)
    import torch
    from data_loader import load_and_cache_examples
    from model import JointBERT
    from torch.utils.data import DataLoader
    from transformers import BertConfig, BertTokenizer
    from utils import get_intent_labels, get_slot_labels

    torch.set_num_threads(int(threads) or os.cpu_count() or 1)
    with TemporaryDirectory() as scratch:  # it writes its cache beside the data
        shutil.copytree(f"{data}/atis", f"{scratch}/atis")
        args = Namespace(
            task="atis",
            data_dir=scratch,
            model_type="bert",
            model_name_or_path=checkpoint,
            intent_label_file="intent_label.txt",
            slot_label_file="slot_label.txt",
            max_seq_len=50,
            dropout_rate=0.1,
            ignore_index=0,
            slot_loss_coef=1.0,
            use_crf=False,
            slot_pad_label="PAD",
        )
        tokenizer = BertTokenizer.from_pretrained(checkpoint)
        complete(JointBERT)
        model = JointBERT.from_pretrained(
            checkpoint,
            config=BertConfig.from_pretrained(checkpoint),
            args=args,
            intent_label_lst=get_intent_labels(args),
            slot_label_lst=get_slot_labels(args),
        ).float()  # transformers 5 keeps the checkpoint's dtype, which may be float16
        loaders = {
            mode: DataLoader(load_and_cache_examples(args, tokenizer, mode=mode), batch_size=32)
            for mode in ("train", "test")
        }
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, eps=1e-8)
    found: dict[str, Any] = {"train": 0.0, "predict": 0.0}
    for _ in range(int(rounds)):
        for mode, name in (("train", "train"), ("test", "predict")):
            best = timed(torch, model, optimizer, loaders[mode], training=mode == "train")
            found[name] = max(found[name], best)
    print(json.dumps({"examples_per_second": found, "torch": torch.__version__}))


def complete(model: type[Any]) -> None:
    """End the construction as transformers 5 demands; the class was written for older releases."""
    construct = model.__init__

    def completed(self: Any, *arguments: Any, **options: Any) -> None:
        construct(self, *arguments, **options)
        self.post_init()

    model.__init__ = completed  # type: ignore[misc]


def timed(torch: Any, model: Any, optimizer: Any, loader: Any, *, training: bool) -> float:
    """The rate of the fastest batch."""
    model.train(training)
    best = 0.0
    for batch in islice(loader, 1 + BATCHES):
        began = time.perf_counter()
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = dict(zip(names, batch[:3], strict=True))
        inputs |= {"intent_label_ids": batch[3], "slot_labels_ids": batch[4]}
        with torch.set_grad_enabled(training):
            loss = model(**inputs)[0]
        if training:
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            model.zero_grad()
        loss.item()
        best = max(best, len(batch[0]) / (time.perf_counter() - began))
    return best


if __name__ == "__main__":
    main(*sys.argv[1:])
