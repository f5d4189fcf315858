"""Short pretraining of a backbone on the corpus that it will retrieve from, before it sees a query.

- `recipe`: how long, at what learning rate, and what is to be predicted.
- `spec`: one pretrained backbone: what it is made from, its key, where it lies.
- `windows`: the corpus cut into windows, and their order.
- `corruption`: spans of a window replaced by sentinels (T5's objective).
- `batches`: windows as tensors, for either objective.
- `loop`: the updates, with a state from which an interrupted run goes on.
- `making`: one pretrained backbone from start to end, made once whoever asks for it; models begun from it.

Importing this package does not import torch.
"""
