"""Training on a user's own data: recovery after pruning, and students that learn from a teacher."""

from edgecompress.training.augmentation import AUGMENTATIONS, crop_and_flip, flip
from edgecompress.training.batch_norm import reestimate_batch_norm
from edgecompress.training.distillation import DistillationLoss
from edgecompress.training.feature_terms import AttentionTransfer, BlockHint, FeatureTerm, Hint, Relational
from edgecompress.training.history import Epoch, Score, Trained, TrainingStep
from edgecompress.training.learning_rate import cosine, one_cycle
from edgecompress.training.loop import train
from edgecompress.training.losses import Loss, cross_entropy, distillation_loss, mean_squared_error
from edgecompress.training.optimizers import sgd
from edgecompress.training.schedule import SCHEDULES
from edgecompress.training.settings import Settings
from edgecompress.training.tasks import Classification, OwnTask, Regression, Task, task_of
from edgecompress.training.teaching import teach

__all__ = [
    "AUGMENTATIONS",
    "SCHEDULES",
    "AttentionTransfer",
    "BlockHint",
    "Classification",
    "DistillationLoss",
    "Epoch",
    "FeatureTerm",
    "Hint",
    "Loss",
    "OwnTask",
    "Regression",
    "Relational",
    "Score",
    "Settings",
    "Task",
    "Trained",
    "TrainingStep",
    "cosine",
    "crop_and_flip",
    "cross_entropy",
    "distillation_loss",
    "flip",
    "mean_squared_error",
    "one_cycle",
    "reestimate_batch_norm",
    "sgd",
    "task_of",
    "teach",
    "train",
]
