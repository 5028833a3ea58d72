"""A ResNet-18 of torchvision on CIFAR-10, by plain PyTorch: the checkpoint of configs/transfer_matrix/own_network.yaml.

    python docs/train_resnet18.py DATA/cifar10/plain_text resnet18.safetensors

Parquet of the Hugging Face hub is read. Nothing here knows raylab; the last line says what a config must state.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.models import resnet18

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
EPOCHS, BATCH, LR, PAD = 2, 128, 0.1, 4


def images_of(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Normalised, (N, 3, 32, 32), and labels, (N,)."""
    table = pq.read_table(next(folder.glob(f"{split}-*.parquet"))).to_pydict()
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in table["img"]])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1), torch.tensor(table["label"])


def augmented(x: Tensor) -> Tensor:
    """Each mirrored or not; all shifted alike."""
    x = torch.where((torch.rand(len(x)) < 0.5).view(-1, 1, 1, 1), x.flip(3), x)
    row, column = torch.randint(0, 2 * PAD + 1, (2,)).tolist()
    return F.pad(x, (PAD,) * 4)[:, :, row : row + x.shape[2], column : column + x.shape[3]]


def main(folder: str, file: str) -> None:
    torch.manual_seed(0)
    images, labels = images_of(Path(folder), "train")
    network = resnet18(num_classes=10)
    descent = torch.optim.SGD(network.parameters(), LR, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(descent, LR, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]:
            descent.zero_grad()
            F.cross_entropy(network(augmented(images[rows])), labels[rows]).backward()
            descent.step()
            schedule.step()
    images, labels = images_of(Path(folder), "test")
    with torch.no_grad():
        answers = torch.cat([network.eval()(part).argmax(1) for part in images.split(500)])
    if file.endswith(".safetensors"):
        from safetensors.torch import save_file

        save_file(network.state_dict(), file)
    else:
        torch.save(network.state_dict(), file)
    print(f"{file}: mean: {list(MEAN)}, std: {list(STD)}, accuracy: {(answers == labels).float().mean():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
