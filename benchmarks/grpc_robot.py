"""
The robot of the gRPC baseline: one thread sends whole pictures, another asks for chunks.

usage: grpc_robot.py --frames N --rate HZ --size WIDTH HEIGHT --port PORT
"""

from threading import Thread

import grpc
from grpc_server import SERVICE
from openpi_client import msgpack_numpy
from pace import arguments, Frames

from vla_ros.bench.table import COMMAND

PIECE = 2 * 1024 * 1024
READY_S = 90.0


def pieces(data):
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def main():
    args = arguments(__doc__)
    channel = grpc.insecure_channel(f'127.0.0.1:{args.port}')
    grpc.channel_ready_future(channel).result(timeout=READY_S)
    send = channel.stream_unary(f'/{SERVICE}/SendObservations')
    ask = channel.unary_unary(f'/{SERVICE}/GetActions')
    frames = Frames(args)

    def receive():
        while True:
            if answer := ask(b''):
                frames.answered(msgpack_numpy.unpackb(answer)['number'])

    Thread(target=receive, daemon=True).start()
    for number, picture in frames:
        seen = {'number': number, 'image': picture, 'state': frames.state, 'prompt': COMMAND}
        send(pieces(msgpack_numpy.packb(seen)))


if __name__ == '__main__':
    main()
