"""
A baseline of the pipeline benchmark: the policy behind a websocket, as openpi serves its own.

The wire is openpi's (its client's own packer, one observation and one chunk at a time); the server
is a stand-in, for theirs comes with their models.

usage: websocket_server.py --port PORT
"""

import asyncio

from openpi_client import msgpack_numpy
from pace import arguments
from served_policy import ServedPolicy
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def main():
    args, policy = arguments(__doc__), ServedPolicy()

    async def answer(socket):
        packer = msgpack_numpy.Packer()
        await socket.send(packer.pack({'size_px': policy.size_px}))
        try:
            while True:
                observation = msgpack_numpy.unpackb(await socket.recv())
                await socket.send(packer.pack(policy.infer(observation)))
        except ConnectionClosed:
            return

    async with serve(answer, '127.0.0.1', args.port, compression=None, max_size=None):
        await asyncio.get_running_loop().create_future()


if __name__ == '__main__':
    asyncio.run(main())
