"""
A baseline of the pipeline benchmark: the policy behind gRPC, as LeRobot's policy server does it.

A stand-in with its pattern: observations come whole, as a stream of 2 MiB pieces, and wait in a
queue of one; chunks are asked for by another call, which a thread of a pool answers. Two things
are kinder to it: msgpack for its pickle, and no pause to fill 33 ms.

usage: grpc_server.py --port PORT
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import queue

import grpc
from openpi_client import msgpack_numpy
from pace import arguments
from served_policy import ServedPolicy

SERVICE, WORKERS, WAIT_S = 'AsyncInference', 4, 2.0


def main():
    args, policy = arguments(__doc__), ServedPolicy()
    waiting = queue.Queue(maxsize=1)

    def send_observations(pieces, context):
        observation = msgpack_numpy.unpackb(b''.join(pieces))
        with suppress(queue.Empty):
            waiting.get_nowait()
        waiting.put(observation)
        return b''

    def get_actions(request, context):
        try:
            observation = waiting.get(timeout=WAIT_S)
        except queue.Empty:
            return b''
        chunk = policy.infer(observation)
        return msgpack_numpy.packb({**chunk, 'number': observation['number']})

    calls = {
        'SendObservations': grpc.stream_unary_rpc_method_handler(send_observations),
        'GetActions': grpc.unary_unary_rpc_method_handler(get_actions),
    }
    server = grpc.server(ThreadPoolExecutor(WORKERS))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, calls),))
    server.add_insecure_port(f'127.0.0.1:{args.port}')
    server.start()
    server.wait_for_termination()


if __name__ == '__main__':
    main()
