"""Tokens a second of PyTorch transformers' training step of a checkpoint, for `tests.pretrain.peers`.

    python torch_step.py FOLDER ROWS TOKENS STEPS MODE

Needs torch and transformers only. MODE is an attention of transformers (eager, sdpa), then, each after a comma,
`compile` for torch.compile and `bf16` for products in bfloat16 (torch.autocast). Logits are of the masked positions
alone, where the class can (`sparse_prediction`): its best mode.
"""

import sys
import time

WARM_UP_STEPS, MASK_RATE, FIRST_ORDINARY_ID = 2, 0.15, 1_000


def main(folder: str, rows: int, tokens: int, steps: int, mode: str) -> None:
    """Print the median rate of `steps` steps on random rows without padding."""
    import torch  # not where tests are collected
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(0)
    attention, *options = mode.split(",")
    model = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation=attention, dtype=torch.float32)
    model.config.sparse_prediction = model.sparse_prediction = True
    model.train()
    run = torch.compile(model) if "compile" in options else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(FIRST_ORDINARY_ID, model.config.vocab_size, (rows, tokens))
    mask = torch.ones_like(ids)
    seconds = []
    for _ in range(WARM_UP_STEPS + steps):
        labels = torch.where(torch.rand(rows, tokens) < MASK_RATE, ids, -100)
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in options):
            loss = run(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    median = sorted(seconds[WARM_UP_STEPS:])[steps // 2]
    print(f"PyTorch {mode}: {rows * tokens / median:,.0f} tokens/s, loss {loss.item():.3f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
