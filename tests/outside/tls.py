"""TLS in front of a plain server, as a process of its own: the Valkey of the package is built without. Run by tests.

python -m tests.outside.tls PORT CERTIFICATE KEY SERVER_PORT
"""

import asyncio
import contextlib
import ssl
import sys


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Hand on what arrives until one of both sides closes."""
    with contextlib.suppress(OSError):
        while data := await source.read(2**16):
            target.write(data)
            await target.drain()
    target.close()


async def main(port: int, certificate: str, key: str, server_port: int) -> None:
    """Accept TLS on loopback until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, question = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(pump(reader, question), pump(answer, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", port, ssl=context) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
