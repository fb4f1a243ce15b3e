"""grpcio_workload.py ENDPOINT: a workload on grpcio, the gRPC of the C library. Prints one line for each thing it is told:
`jwt ID`, `svid ID DIGEST`, `denied`. Ends with its standard input. The messages are taken apart by hand: what is tested
is how this library speaks, `:authority` first of all."""

import hashlib
import os
import sys
import threading
import time

import grpc

SERVICE = "/SpiffeWorkloadAPI/"
METADATA = (("workload.spiffe.io", "true"),)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    at, found = 0, {}
    while at < len(data):
        tag, at = varint(data, at)
        length, at = varint(data, at)
        found.setdefault(tag >> 3, []).append(data[at : at + length])
        at += length
    return found


def field(number, data):
    length, head = len(data), b""
    while length > 127:
        head, length = head + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + head + bytes([length]) + data


def tell(line):
    print(line, flush=True)


def tokens(channel):
    fetch = channel.unary_unary(SERVICE + "FetchJWTSVID")
    validate = channel.unary_unary(SERVICE + "ValidateJWTSVID")
    svid = fields(fields(fetch(field(1, b"shop"), metadata=METADATA, timeout=10))[1][0])
    token = svid[2][0]
    judged = fields(validate(field(1, b"shop") + field(2, token), metadata=METADATA, timeout=10))
    assert judged[1][0] == svid[1][0], "the agent judges otherwise"
    try:
        validate(field(1, b"shop") + field(2, token + b"A"), metadata=METADATA, timeout=10)
        raise SystemExit("a forged token is taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    try:
        fetch(field(1, b"shop"), timeout=10)
        raise SystemExit("the security header is not demanded")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    tell("jwt " + svid[1][0].decode())


def watch(channel):
    stream = channel.unary_stream(SERVICE + "FetchX509SVID")
    while True:
        try:
            for message in stream(b"", metadata=METADATA):
                svid = fields(fields(message)[1][0])
                tell(f"svid {svid[1][0].decode()} {hashlib.sha256(svid[2][0]).hexdigest()[:20]}")
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.PERMISSION_DENIED:
                tell("denied")
        time.sleep(0.05)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
channel = grpc.insecure_channel(sys.argv[1])
tokens(channel)
watch(channel)
