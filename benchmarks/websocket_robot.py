"""
The robot of the websocket baseline: openpi's real client and resize, one picture after another.

usage: websocket_robot.py --frames N --rate HZ --size WIDTH HEIGHT --port PORT
"""

import time

from openpi_client.image_tools import resize_with_pad
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from pace import arguments, Frames

from vla_ros.bench.table import COMMAND

ASK_AGAIN_S = 0.5


def connected(port):
    """Return the client as soon as the server has loaded its policy."""
    while True:
        try:
            return WebsocketClientPolicy('127.0.0.1', port)
        except OSError:
            time.sleep(ASK_AGAIN_S)


def main():
    args = arguments(__doc__)
    policy = connected(args.port)
    width, height = policy.get_server_metadata()['size_px']
    frames = Frames(args)
    for number, picture in frames:
        image = resize_with_pad(picture, height, width)
        policy.infer({'image': image, 'state': frames.state, 'prompt': COMMAND})
        frames.answered(number)


if __name__ == '__main__':
    main()
