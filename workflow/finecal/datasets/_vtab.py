"""What each task of VTAB is made from: its files, and the names of its classes where no file has them.

Addresses and MD5 sums are those of torchvision where it has the data set, which a test compares; read without importing
it, since every job asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from finecal.datasets._cifar import ARCHIVES
from finecal.download.spec import Download

OXFORD, OXFORD_MIRROR = "https://www.robots.ox.ac.uk/~vgg/data", "https://thor.robots.ox.ac.uk"
GTSRB = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370"
RESISC45_AT = "datasets/isaaccorley/resisc45/resolve/883edc0eee77b2c84225472f10f126e3ed83fa6e"
RESISC45 = (f"https://huggingface.co/{RESISC45_AT}", f"https://hf-mirror.com/{RESISC45_AT}")

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
    """A task: its files, licence, citation, and class names if they are known without the files."""

    downloads: tuple[Download, ...]
    licence: str
    citation: str
    classes: tuple[str, ...] | None = None


TASKS = {
    "caltech101": Task(
        (
            Download(
                "caltech-101.zip",
                urls=("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
                bytes=137414764,
                md5="3138e1922a9193bfa496528edbbc45d0",
            ),
        ),
        "CC BY 4.0",
        "F.-F. Li, M. Andreeto, M. Ranzato, P. Perona, Caltech 101, CaltechDATA, 2022.",
    ),
    "cifar100": Task(
        (ARCHIVES[100],),
        "none stated",
        "A. Krizhevsky, Learning multiple layers of features from tiny images, University of Toronto, 2009.",
    ),
    "dtd": Task(
        (
            Download(
                "dtd-r1.0.1.tar.gz",
                urls=(f"{OXFORD}/dtd/download/dtd-r1.0.1.tar.gz", f"{OXFORD_MIRROR}/dtd/dtd-r1.0.1.tar.gz"),
                bytes=625239812,
                md5="fff73e5086ae6bdbea199a49dfb8a4c1",
            ),
        ),
        "for research",
        "M. Cimpoi, S. Maji, I. Kokkinos, S. Mohamed, A. Vedaldi, Describing textures in the wild, CVPR 2014.",
    ),
    "eurosat": Task(
        (
            Download(
                "EuroSAT.zip",
                urls=(
                    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                    "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
                ),
                md5="c8fa014336c82ac7804f0398fcb19387",
                about=94_000_000,
            ),
        ),
        "MIT",
        "P. Helber, B. Bischke, A. Dengel, D. Borth, EuroSAT: a novel dataset and deep learning benchmark for land use "
        "and land cover classification, IEEE J-STARS 2019.",
    ),
    "flowers102": Task(
        (
            Download(
                "102flowers.tgz",
                urls=(f"{OXFORD}/flowers/102/102flowers.tgz", f"{OXFORD_MIRROR}/flowers/102/102flowers.tgz"),
                bytes=344862509,
                md5="52808999861908f626f3c1f4e79d11fa",
            ),
            Download(
                "imagelabels.mat",
                urls=(f"{OXFORD}/flowers/102/imagelabels.mat", f"{OXFORD_MIRROR}/flowers/102/imagelabels.mat"),
                md5="e0620be6f572b9609742df49c70aed4d",
                about=1_000,
            ),
            Download(
                "setid.mat",
                urls=(f"{OXFORD}/flowers/102/setid.mat", f"{OXFORD_MIRROR}/flowers/102/setid.mat"),
                md5="a5357ecc9cb78c4bef273ce3793fc85c",
                about=15_000,
            ),
        ),
        "none stated",
        "M.-E. Nilsback, A. Zisserman, Automated flower classification over a large number of classes, ICVGIP 2008.",
    ),
    "food101": Task(
        (
            Download(
                "food-101.tar.gz",
                urls=(
                    "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
                    "https://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
                ),
                bytes=4996278331,
                md5="85eeb15f3717b99a5da872d97d918f87",
            ),
        ),
        "for scientific fair use; the images' copyright stays with their owners",
        "L. Bossard, M. Guillaumin, L. Van Gool, Food-101: mining discriminative components with random forests, "
        "ECCV 2014.",
    ),
    "gtsrb": Task(
        (
            Download(
                "GTSRB-Training_fixed.zip",
                urls=(f"{GTSRB}/GTSRB-Training_fixed.zip",),
                bytes=187490228,
                md5="513f3c79a4c5141765e10e952eaa2478",
            ),
            Download(
                "GTSRB_Final_Test_Images.zip",
                urls=(f"{GTSRB}/GTSRB_Final_Test_Images.zip",),
                bytes=88978620,
                md5="c7e4e6327067d32654124b0fe9e82185",
            ),
            Download(
                "GTSRB_Final_Test_GT.zip",
                urls=(f"{GTSRB}/GTSRB_Final_Test_GT.zip",),
                bytes=99620,
                md5="fe31e9c9270bbcd7b84b7f21a9d9d9e5",
            ),
        ),
        "none stated",
        "J. Stallkamp, M. Schlipsing, J. Salmen, C. Igel, Man vs. computer: benchmarking machine learning algorithms "
        "for traffic sign recognition, Neural Networks 2012.",
        SIGNS,
    ),
    "pets": Task(
        (
            # Both have names on the server that say nothing of pets.
            Download(
                "pets-images.tar.gz",
                urls=(f"{OXFORD}/pets/data/images.tar.gz", f"{OXFORD_MIRROR}/~vgg/data/pets/images.tar.gz"),
                bytes=791918971,
                md5="5c4f3ee8e5d25df40f4fd59a7f44e54c",
            ),
            Download(
                "pets-annotations.tar.gz",
                urls=(f"{OXFORD}/pets/data/annotations.tar.gz", f"{OXFORD_MIRROR}/~vgg/data/pets/annotations.tar.gz"),
                bytes=19173078,
                md5="95a8c909bbe2e81eed6a22bccdf3f68f",
            ),
        ),
        "CC BY-SA 4.0",
        "O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, Cats and dogs, CVPR 2012.",
    ),
    "resisc45": Task(
        (
            Download(
                "NWPU-RESISC45.zip",
                urls=tuple(f"{place}/NWPU-RESISC45.zip" for place in RESISC45),
                sha256="beeecd0b63656290ae6d65cf7763185b0c1c4c54a753ef8088d6fba3faaf1f53",
                about=427_000_000,
            ),
            Download(
                "resisc45-train.txt",
                urls=tuple(f"{place}/resisc45-train.txt" for place in RESISC45),
                sha256="ecfa963be4d85eac83665f8be8634abcb4fe6f3546472cc0e87999e2cab4449b",
                about=363_000,
            ),
            Download(
                "resisc45-val.txt",
                urls=tuple(f"{place}/resisc45-val.txt" for place in RESISC45),
                sha256="08d81f642526bec240589000af7f49a47e8d071a6e7925b0f36246a78ab64342",
                about=120_000,
            ),
            Download(
                "resisc45-test.txt",
                urls=tuple(f"{place}/resisc45-test.txt" for place in RESISC45),
                sha256="e0927e80130b47317a2f18520d98382b6fc56f0d3edd3345140f7d02267c3805",
                about=121_000,
            ),
        ),
        "for research",
        "G. Cheng, J. Han, X. Lu, Remote sensing image scene classification: benchmark and state of the art, "
        "Proceedings of the IEEE 2017. Division: M. Neumann et al., In-domain representation learning for remote "
        "sensing, 2019.",
    ),
    "sun397": Task(
        (
            Download(
                "SUN397.tar.gz",
                urls=("http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz",),
                md5="8ca2778205c41d23104230ba66911c7a",
                about=37_000_000_000,
                by_hand="The publisher's address has been out of order at times: get SUN397.tar.gz (37 GB) from a copy",
            ),
        ),
        "for research; the images' copyright stays with their owners",
        "J. Xiao, J. Hays, K. Ehinger, A. Oliva, A. Torralba, SUN database: large-scale scene recognition from abbey "
        "to zoo, CVPR 2010.",
    ),
    "svhn": Task(
        (
            Download(
                "train_32x32.mat",
                urls=("http://ufldl.stanford.edu/housenumbers/train_32x32.mat",),
                bytes=182040794,
                md5="e26dedcc434d2e4c54c9b2d4a06d8373",
            ),
            Download(
                "test_32x32.mat",
                urls=("http://ufldl.stanford.edu/housenumbers/test_32x32.mat",),
                bytes=64275384,
                md5="eb5a983be6a315427106f1b164d9cef3",
            ),
        ),
        "for non-commercial use",
        "Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Ng, Reading digits in natural images with unsupervised "
        "feature learning, NIPS workshop 2011.",
        tuple("0123456789"),
    ),
}
