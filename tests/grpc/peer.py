"""A server and a client of gRPC that speak to each other through whatever stands between, for the end-to-end tests.

`peer.py serve PORT` prints a line once it listens. `peer.py ask TARGET` makes calls of each kind, and prints a line for each;
`--ca FILE` does so in TLS. Messages are bytes as they are: nothing is generated."""

import sys
import threading
from concurrent import futures

import grpc


def whole(message, context):
    context.set_trailing_metadata((("seen", str(len(message))),))
    return message


def refused(_message, context):
    context.set_trailing_metadata((("why", "asked for"),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")


def summed(messages, _context):
    return str(sum(len(message) for message in messages)).encode()


def counted(message, _context):
    for number in range(int(message)):
        yield b"%d" % number


def echoed(messages, _context):
    for message in messages:
        yield b"seen " + message


gone = threading.Event()


def endless(_message, context):
    gone.clear()
    context.add_callback(gone.set)
    while not gone.wait(0.01):
        yield b"more"


def heard(_message, _context):
    """Whether the caller of `endless` was heard to leave."""
    return str(gone.wait(10)).encode()


def serve(port):
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8), options=[("grpc.max_receive_message_length", 64 << 20)]
    )
    handlers = {
        "Whole": grpc.unary_unary_rpc_method_handler(whole),
        "Refused": grpc.unary_unary_rpc_method_handler(refused),
        "Summed": grpc.stream_unary_rpc_method_handler(summed),
        "Counted": grpc.unary_stream_rpc_method_handler(counted),
        "Echoed": grpc.stream_stream_rpc_method_handler(echoed),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "Heard": grpc.unary_unary_rpc_method_handler(heard),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("veil.Test", handlers),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("listening on", bound, flush=True)
    server.wait_for_termination()


def ask(target, ca):
    options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.ssl_target_name_override", "app.test")]
    if ca:
        with open(ca, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(target, credentials, options)
    else:
        channel = grpc.insecure_channel(target, options)
    with channel:
        large = bytes(range(256)) * (3 << 12)
        answer, call = channel.unary_unary("/veil.Test/Whole").with_call(large, timeout=20)
        print("whole", answer == large, dict(call.trailing_metadata()).get("seen") == str(len(large)))
        for method in ("Refused", "Unknown"):
            try:
                channel.unary_unary(f"/veil.Test/{method}")(b"", timeout=20)
            except grpc.RpcError as error:
                print(method.lower(), error.code().name, dict(error.trailing_metadata() or ()).get("why"))
        print("summed", channel.stream_unary("/veil.Test/Summed")(iter([b"x" * 10] * 100), timeout=20).decode())
        print("counted", len(list(channel.unary_stream("/veil.Test/Counted")(b"200", timeout=20))))
        conversation(channel)
        call = channel.unary_stream("/veil.Test/Endless")(b"", timeout=20)
        next(call)
        call.cancel()
        print("left", channel.unary_unary("/veil.Test/Heard")(b"", timeout=20).decode())


def conversation(channel):
    """Each message is sent once the last one has been answered, so that nobody may wait for an end."""
    turn = futures.ThreadPoolExecutor(max_workers=1)
    said = []

    def messages():
        for number in range(5):
            while len(said) < number:
                ready.result(timeout=20)
            yield b"%d" % number

    ready = turn.submit(lambda: None)
    for answer in channel.stream_stream("/veil.Test/Echoed")(messages(), timeout=20):
        said.append(answer.decode())
    print("echoed", ",".join(said))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        ask(sys.argv[2], sys.argv[4] if "--ca" in sys.argv else None)
