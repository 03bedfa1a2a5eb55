"""
The live page and browsers that look at it, in the benchmark of viewers.

The browsers are a process of their own: they take every snapshot and say at once that it is drawn.

usage: live_page.py [--namespace NAME] [--browsers 5] [--ros-args ...]
"""

import argparse
from contextlib import suppress
import multiprocessing
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from vla_ros.nodes.client import client
from vla_ros.nodes.web_bridge import WebBridge
from vla_ros.web.access import Access
from vla_ros.web.server import LiveServer


def look(address):
    with connect(address, max_size=None) as socket, suppress(ConnectionClosed):
        for _ in socket:
            socket.send('{"seen": true}')


def browse(address, browsers):
    lookers = [threading.Thread(target=look, args=(address,)) for _ in range(browsers)]
    for looker in lookers:
        looker.start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--namespace', default='')
    parser.add_argument('--browsers', type=int, default=5)
    args, _ = parser.parse_known_args()  # the rest is for ROS
    with client(args.namespace) as user, LiveServer(Access.of('127.0.0.1'), 0) as server:
        address = server.address.replace('http', 'ws') + 'live'
        spawn = multiprocessing.get_context('spawn')
        spawn.Process(target=browse, args=(address, args.browsers), daemon=True).start()
        with suppress(KeyboardInterrupt):
            WebBridge(user, server).run()


if __name__ == '__main__':
    main()
