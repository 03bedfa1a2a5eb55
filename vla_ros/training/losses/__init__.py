"""What models are taught by, one objective a file."""

from vla_ros.training.losses.cloning import cloning_losses
from vla_ros.training.losses.continual import diagonal_fisher, ElasticWeights
from vla_ros.training.losses.contrastive import ContrastiveLoss
from vla_ros.training.losses.keypoint import keypoint_losses, reading_losses, shape_losses
from vla_ros.training.losses.masked_language import (
    mask_words,
    masked_language_loss,
    WordMasking,
)
from vla_ros.training.losses.masked_region import (
    mask_regions,
    region_class_loss,
    region_feature_loss,
)
from vla_ros.training.losses.matching import matching_loss, mismatched
from vla_ros.training.losses.multitask import UncertaintyWeights, weighted_sum
from vla_ros.training.losses.rows import (
    chance_loss,
    class_loss,
    heat_loss,
    mean_known,
    part_loss,
    position_loss,
)
from vla_ros.training.losses.token_sequence import token_losses, TokenKind

__all__ = [
    'ContrastiveLoss',
    'ElasticWeights',
    'TokenKind',
    'UncertaintyWeights',
    'WordMasking',
    'chance_loss',
    'class_loss',
    'cloning_losses',
    'diagonal_fisher',
    'heat_loss',
    'keypoint_losses',
    'mask_regions',
    'mask_words',
    'masked_language_loss',
    'matching_loss',
    'mean_known',
    'mismatched',
    'part_loss',
    'position_loss',
    'reading_losses',
    'region_class_loss',
    'region_feature_loss',
    'shape_losses',
    'token_losses',
    'weighted_sum',
]
