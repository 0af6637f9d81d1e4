"""Training on a user's own data: recovery after pruning, and students that learn from a teacher."""

from edgecompress.training.augmentation import crop_and_flip
from edgecompress.training.learning_rate import cosine, one_cycle
from edgecompress.training.loop import train
from edgecompress.training.losses import DistillationLoss, Loss, cross_entropy, distillation_loss, mean_squared_error
from edgecompress.training.optimizers import sgd
from edgecompress.training.record import Epoch, Score, Step, Trained
from edgecompress.training.schedule import SCHEDULES
from edgecompress.training.settings import Settings
from edgecompress.training.statistics import reestimate_batch_norm

__all__ = [
    "SCHEDULES",
    "DistillationLoss",
    "Epoch",
    "Loss",
    "Score",
    "Settings",
    "Step",
    "Trained",
    "cosine",
    "crop_and_flip",
    "cross_entropy",
    "distillation_loss",
    "mean_squared_error",
    "one_cycle",
    "reestimate_batch_norm",
    "sgd",
    "train",
]
