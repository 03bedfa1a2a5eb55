"""Why the robot moves or is held: stable codes, each with what it means."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """A code as in ``vla/status``; ``doc`` says it in words."""

    doc: str

    def __new__(cls, code: str, doc: str) -> Reason:
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.doc = doc
        return reason

    OK = 'ok', 'the pose follows the policy'
    # The robot, before anything else.
    NO_POSE = 'no_measured_pose', 'nothing came on robot_pose yet'
    POSE_MALFORMED = 'measured_pose_malformed', 'robot_pose is not finite or no rotation'
    POSE_FRAME = 'measured_pose_in_wrong_frame', 'robot_pose is not in base_frame'
    POSE_LATE = 'measured_pose_late', 'no robot_pose is younger than pose_timeout_s'
    POSE_OUTSIDE = 'robot_outside_workspace', 'the robot stands outside the workspace'
    NOT_FOLLOWING = 'robot_does_not_follow', 'the robot is not where it was sent; the task ends'
    # The candidate, in the order of the checks.
    NO_ACTION = 'no_action', 'no chunk for this command yet'
    CHUNK_ENDED = 'chunk_ended', 'the newest chunk has been played to its end'
    MALFORMED = 'action_malformed', 'an action is not made of the right numbers'
    NOT_FINITE = 'action_not_finite', 'an action has a NaN or an infinity'
    WRONG_FRAME = 'action_in_wrong_frame', 'an action is not in base_frame; none is transformed'
    IMAGE_OLD = 'image_old', 'the image of the action is older than camera_timeout_s'
    IMAGE_FUTURE = 'image_from_the_future', 'the image is stamped over 50 ms after now'
    ACTION_LATE = 'action_late', 'no chunk was received for action_timeout_s'
    OUTSIDE_WORKSPACE = 'target_outside_workspace', 'the target is outside the workspace'
    JUMP = 'target_too_far', 'the target is over max_jump_m from the last pose'
    BAD_QUATERNION = 'action_quaternion_not_unit', 'the orientation is far from a unit quaternion'
    PATH_SPENT = 'path_budget_spent', 'the task has moved the robot by max_path_m; it ends'
    TIME_SPENT = 'time_budget_spent', 'the task has moved the robot for max_task_s; it ends'
    GRIPPER_RANGE = 'gripper_out_of_range', 'the gripper value is far outside 0 .. 1'
    # The task.
    NO_COMMAND = 'no_command', 'no command was given since the start or the last reset'
    STOPPED = 'stopped', 'the user said stop, or the command was rejected'
    CANCELLED = 'cancelled', 'the task was cancelled'
    DONE = 'task_done', 'the policy said that the task is done'
    COMMAND_NOT_UNDERSTOOD = 'command_not_understood', 'the command is no task of the policy'
    OBJECT_UNCLEAR = 'object_unclear', 'it is not clear which object or place is meant'
    OBJECT_NOT_SEEN = 'object_not_seen', 'the object or place meant is not in the picture'
    UNCONFIRMED = 'awaiting_confirmation', 'the command waits for the user to enable motion'
    SECOND_PUBLISHER = 'second_publisher', 'two nodes publish on a topic that moves the robot'
    DISABLED = 'disabled', 'motion was disabled'
    ESTOP = 'estop', 'the e-stop is latched until it is reset'


#: With these the gate ends a task: it has had its share, or pushes against something.
GATE_ENDINGS = (Reason.NOT_FOLLOWING, Reason.PATH_SPENT, Reason.TIME_SPENT)

#: With these a task has ended: only a new command moves the robot again.
ENDINGS = (
    Reason.NO_COMMAND,
    Reason.STOPPED,
    Reason.CANCELLED,
    Reason.ESTOP,
    Reason.DONE,
    Reason.COMMAND_NOT_UNDERSTOOD,
    Reason.OBJECT_UNCLEAR,
    Reason.OBJECT_NOT_SEEN,
    *GATE_ENDINGS,
)
