"""ROS 2 nodes: the only code of this package that imports rclpy and messages."""
