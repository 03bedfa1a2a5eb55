"""Recordings of the graph as rosbag2 (MCAP), and the report made of one. Imports no ROS."""
