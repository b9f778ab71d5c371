"""What each task of VTAB is made from: its files, and the names of its classes where no file has them.

In downloads.csv, addresses and MD5 sums are those of torchvision where it has the data set, which a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass

from finecal.datasets._cifar import ARCHIVES

# By the number of their folder.
SIGNS = (
    "speed limit 20", "speed limit 30", "speed limit 50", "speed limit 60", "speed limit 70", "speed limit 80",
    "end of speed limit 80", "speed limit 100", "speed limit 120", "no overtaking", "no overtaking by lorries",
    "right of way at the next crossing", "priority road", "give way", "stop", "no vehicles", "no lorries", "no entry",
    "danger", "bend to the left", "bend to the right", "double bend", "uneven road", "slippery road",
    "road narrows on the right", "road works", "traffic lights", "pedestrians", "children", "bicycles", "ice or snow",
    "wild animals", "end of all limits", "turn right ahead", "turn left ahead", "straight ahead only",
    "straight ahead or right", "straight ahead or left", "keep right", "keep left", "roundabout",
    "end of no overtaking", "end of no overtaking by lorries",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A task: names of its files, citation, and class names if they are known without the files."""

    files: tuple[str, ...]
    citation: str
    classes: tuple[str, ...] | None = None


TASKS = {
    "caltech101": Task(
        ("caltech-101.zip",),
        "F.-F. Li, M. Andreeto, M. Ranzato, P. Perona, Caltech 101, CaltechDATA, 2022.",
    ),
    "cifar100": Task(
        (ARCHIVES[100],),
        "A. Krizhevsky, Learning multiple layers of features from tiny images, University of Toronto, 2009.",
    ),
    "dtd": Task(
        ("dtd-r1.0.1.tar.gz",),
        "M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed, A. Vedaldi, Describing textures in the wild, CVPR 2014.",
    ),
    "eurosat": Task(
        ("EuroSAT.zip",),
        "P. Helber, B. Bischke, A. Dengel, D. Borth, EuroSAT: a novel dataset and deep learning benchmark for land use "
        "and land cover classification, IEEE J-STARS 2019.",
    ),
    "flowers102": Task(
        ("102flowers.tgz", "imagelabels.mat", "setid.mat"),
        "M.-E. Nilsback, A. Zisserman, Automated flower classification over a large number of classes, ICVGIP 2008.",
    ),
    "food101": Task(
        ("food-101.tar.gz",),
        "L. Bossard, M. Guillaumin, L. Van Gool, Food-101: mining discriminative components with random forests, "
        "ECCV 2014.",
    ),
    "gtsrb": Task(
        ("GTSRB-Training_fixed.zip", "GTSRB_Final_Test_Images.zip", "GTSRB_Final_Test_GT.zip"),
        "J. Stallkamp, M. Schlipsing, J. Salmen, C. Igel, Man vs. computer: benchmarking machine learning algorithms "
        "for traffic sign recognition, Neural Networks 2012.",
        SIGNS,
    ),
    "pets": Task(
        ("pets-images.tar.gz", "pets-annotations.tar.gz"),
        "O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, Cats and dogs, CVPR 2012.",
    ),
    "resisc45": Task(
        ("NWPU-RESISC45.zip", "resisc45-train.txt", "resisc45-val.txt", "resisc45-test.txt"),
        "G. Cheng, J. Han, X. Lu, Remote sensing image scene classification: benchmark and state of the art, "
        "Proceedings of the IEEE 2017. Division: M. Neumann et al., In-domain representation learning for remote "
        "sensing, 2019.",
    ),
    "sun397": Task(
        ("SUN397.tar.gz",),
        "J. Xiao, J. Hays, K. Ehinger, A. Oliva, A. Torralba, SUN database: large-scale scene recognition from abbey "
        "to zoo, CVPR 2010.",
    ),
    "svhn": Task(
        ("train_32x32.mat", "test_32x32.mat"),
        "Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Ng, Reading digits in natural images with unsupervised "
        "feature learning, NIPS workshop 2011.",
        tuple("0123456789"),
    ),
}
