"""Stands for anybody's training: a timm model on printed digits (before.pth), then on handwritten ones (after.pth)."""

import sys
from itertools import cycle, islice
from pathlib import Path

import timm
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

folder = Path(sys.argv[1])
torch.manual_seed(0)
torch.set_num_threads(1)  # for so small a model, more only wait for each other
model = timm.create_model("test_resnet", num_classes=10)
config = timm.data.resolve_model_data_config(model) | {"input_size": (3, 32, 32)}
transform = timm.data.create_transform(**config)


def train(images: str, lr: float, steps: int) -> None:
    """SGD along a half cosine; the six handwritten kinds have the first six numbers, as their folders' names sort."""
    loader = DataLoader(ImageFolder(folder / "images" / images, transform), batch_size=32, shuffle=True)
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for pixels, labels in islice(cycle(loader), steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pixels), labels).backward()
        optimizer.step()
        schedule.step()


@torch.inference_mode()
def save(name: str) -> None:
    """Also print the accuracy on all test images, for comparison with finecal's."""
    torch.save({"state_dict": model.state_dict()}, folder / f"{name}.pth")
    images = ImageFolder(folder / "images" / "handwritten_test", transform)
    model.eval()
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in DataLoader(images, batch_size=256))
    print(f"{name}.pth: {right} of {len(images)} test images are right, {100 * right / len(images):.1f} %")


train("printed", lr=0.1, steps=200)
save("before")
train("handwritten", lr=0.01, steps=60)
save("after")
