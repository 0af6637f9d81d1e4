"""Training on a user's own data: recovery after pruning, and students that learn from a teacher."""

from edgecompress.training.augmentation import AUGMENTATIONS, crop_and_flip, flip
from edgecompress.training.batch_norm import reestimate_batch_norm
from edgecompress.training.distillation import DistillationLoss
from edgecompress.training.feature_terms import AttentionTransfer, BlockHint, FeatureTerm, Hint, Relational
from edgecompress.training.history import Epoch, Score, Trained, TrainingStep
from edgecompress.training.learning_rate import cosine, one_cycle
from edgecompress.training.loop import train
from edgecompress.training.losses import Loss, TargetLoss, cross_entropy, mean_squared_error, named_loss
from edgecompress.training.matching import Matching, distillation_loss
from edgecompress.training.optimizers import adaptive, sgd
from edgecompress.training.schedule import SCHEDULES
from edgecompress.training.settings import Settings
from edgecompress.training.tasks import OwnTask, Task, Taught, task_of
from edgecompress.training.teaching import teach

__all__ = [
    "AUGMENTATIONS",
    "SCHEDULES",
    "AttentionTransfer",
    "BlockHint",
    "DistillationLoss",
    "Epoch",
    "FeatureTerm",
    "Hint",
    "Loss",
    "Matching",
    "OwnTask",
    "Relational",
    "Score",
    "Settings",
    "TargetLoss",
    "Task",
    "Taught",
    "Trained",
    "TrainingStep",
    "adaptive",
    "cosine",
    "crop_and_flip",
    "cross_entropy",
    "distillation_loss",
    "flip",
    "mean_squared_error",
    "named_loss",
    "one_cycle",
    "reestimate_batch_norm",
    "sgd",
    "task_of",
    "teach",
    "train",
]
