"""The live page: what is shown in a browser and who may see it. Imports no ROS."""
