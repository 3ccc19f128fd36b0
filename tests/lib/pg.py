"""A small PostgreSQL client (protocol 3.0, simple queries and raw bytes), standard library only."""
import socket
import struct


class Error(Exception):
    """An ErrorResponse; fields by their letters."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.fields = fields
        self.sqlstate = fields.get("C")


def parse_fields(body):
    fields = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return fields


class Connection:
    def __init__(self, port, user="postgres", database="postgres", host="127.0.0.1", timeout=30,
                 start=True):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.parameters = {}
        self.notices = []
        self.status = None
        self.key = None
        if start:
            self.start(user, database)

    def start(self, user, database):
        body = struct.pack("!I", 196608)
        for name, value in (("user", user), ("database", database)):
            body += name.encode() + b"\0" + value.encode() + b"\0"
        body += b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.until_ready()

    def receive(self, size):
        while len(self.buffer) < size:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("the server closed the connection")
            self.buffer += part
        result, self.buffer = self.buffer[:size], self.buffer[size:]
        return result

    def message(self):
        kind = self.receive(1)
        size = struct.unpack("!I", self.receive(4))[0]
        return kind, self.receive(size - 4)

    def send(self, kind, body=b""):
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def until_ready(self):
        """Rows and tags up to ReadyForQuery; raises the first error after it."""
        rows, tags, error = [], [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                count = struct.unpack("!H", body[:2])[0]
                at, row = 2, []
                for _ in range(count):
                    size = struct.unpack("!i", body[at:at + 4])[0]
                    at += 4
                    row.append(None if size < 0 else body[at:at + size].decode())
                    at += max(size, 0)
                rows.append(tuple(row))
            elif kind == b"C":
                tags.append(body[:-1].decode())
            elif kind == b"E":
                error = error or Error(parse_fields(body))
                if parse_fields(body).get("S") == "FATAL":
                    raise error
            elif kind == b"N":
                self.notices.append(parse_fields(body))
            elif kind == b"S":
                name, value = body[:-1].split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == b"K":
                self.key = struct.unpack("!II", body)
            elif kind == b"G":
                self.send(b"f", b"no data\0")
            elif kind == b"Z":
                self.status = body.decode()
                if error:
                    raise error
                self.tags = tags
                return rows

    def query(self, text):
        self.send(b"Q", text.encode() + b"\0")
        return self.until_ready()

    def close(self):
        try:
            self.send(b"X")
        except OSError:
            pass
        self.socket.close()


def cancel(port, key, host="127.0.0.1"):
    with socket.create_connection((host, port), 10) as sock:
        sock.sendall(struct.pack("!IIII", 16, 80877102, *key))
        sock.recv(1)
