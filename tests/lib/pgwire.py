"""PostgreSQL's protocol, version 3, for tests: every message can be sent, seen and broken.

Standard library only. The comfortable way:

    with connect(port=5433) as conn:
        result = conn.query("select 1 as a")[-1]      # simple protocol, all results of the string
        result.columns[0].name, result.rows, result.tag
        conn.execute("select $1::int", ["5"])         # extended protocol, text parameters
        conn.copy_in("copy t from stdin", b"1\\t2\\n")

An ErrorResponse is raised as Error (sqlstate, message, position, fields); the connection stays usable.
The raw way, for tests of the protocol itself:

    conn.send(b"P", cstr("") + cstr("select 1") + int16(0)); conn.sync()
    for message in conn.until_ready(): ...            # Message(type, body)
"""
import base64
import hashlib
import hmac
import os
import socket
import struct
from collections import namedtuple

VERSION_3_0 = 196608
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102

Message = namedtuple("Message", "type body")
Column = namedtuple("Column", "name table_oid column_number type_oid type_size typmod format")


def cstr(text):
    return (text if isinstance(text, bytes) else text.encode()) + b"\0"


def int16(number):
    return struct.pack("!h", number)


def int32(number):
    return struct.pack("!i", number)


def uint32(number):
    return struct.pack("!I", number)


class ConnectionLost(ConnectionError):
    """The server closed the connection, or there is none."""


class Error(Exception):
    """An ErrorResponse. fields: by their protocol letter."""

    def __init__(self, fields):
        self.fields = fields
        self.sqlstate = fields.get("C", "")
        self.message = fields.get("M", "")
        self.severity = fields.get("V", fields.get("S", ""))
        self.detail = fields.get("D")
        self.hint = fields.get("H")
        self.position = int(fields["P"]) if "P" in fields else None
        super().__init__(f"{self.severity} {self.sqlstate}: {self.message}")


class Result:
    """Of one statement. rows hold str (text), bytes (binary) or None (NULL)."""

    def __init__(self):
        self.columns = []
        self.rows = []
        self.tag = None        # CommandComplete; "" after an empty query; None if suspended
        self.suspended = False
        self.copy_data = b""

    def __repr__(self):
        return f"Result({self.tag!r}, {self.rows!r})"


def parse_fields(body):
    """The fields of an ErrorResponse or NoticeResponse."""
    fields = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return fields


def parse_row_description(body):
    columns, at = [], 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        end = body.index(b"\0", at)
        columns.append(Column(body[at:end].decode(), *struct.unpack_from("!IHIhih", body, end + 1)))
        at = end + 19
    return columns


def parse_data_row(body, columns=()):
    values, at = [], 2
    for index in range(struct.unpack_from("!H", body)[0]):
        size = struct.unpack_from("!i", body, at)[0]
        at += 4
        if size < 0:
            values.append(None)
            continue
        value = body[at:at + size]
        binary = index < len(columns) and columns[index].format == 1
        values.append(bytes(value) if binary else value.decode("utf-8", "surrogateescape"))
        at += size
    return tuple(values)


class Connection:
    """tls: an ssl.SSLContext, to ask for encryption first."""

    def __init__(self, host, port, timeout=30.0, tls=None):
        try:
            self.sock = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise ConnectionLost(f"cannot connect to {host}:{port}: {error}") from error
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host, self.port, self.tls = host, port, tls
        self.buffer = bytearray()
        self.status = None      # of the last ReadyForQuery: "I", "T" or "E"
        self.parameters = {}
        self.pid = self.secret = None
        self.notices = []       # fields of each NoticeResponse
        self.notifications = []
        if tls is not None:
            self.start_tls()

    def start_tls(self):
        self.send(b"", int32(SSL_REQUEST))
        answer = self.sock.recv(1)
        if answer != b"S":
            raise ConnectionLost(f"the server refuses TLS: {answer!r}")
        try:
            self.sock = self.tls.wrap_socket(self.sock, server_hostname=self.host)
        except OSError as error:
            self.sock.close()
            raise ConnectionLost(f"TLS: {error}") from error

    # ---- bytes and messages

    def send_bytes(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def send(self, kind, body=b""):
        """A message with its type byte; kind b"" for those of the start-up."""
        self.send_bytes(kind + int32(len(body) + 4) + body)

    def _read(self, size):
        while len(self.buffer) < size:
            try:
                data = self.sock.recv(65536)
            except ConnectionError as error:
                raise ConnectionLost(str(error)) from error
            if not data:
                raise ConnectionLost("the server closed the connection")
            self.buffer += data
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def read_byte(self):
        """The one-byte answer to an SSLRequest or GSSENCRequest."""
        return self._read(1)

    def receive(self):
        """The next message, whatever it is; ParameterStatus, notices and the like are also noted."""
        head = self._read(5)
        message = Message(head[:1].decode("latin-1"),
                          self._read(struct.unpack("!i", head[1:])[0] - 4))
        if message.type == "S":
            name, value = message.body.split(b"\0")[:2]
            self.parameters[name.decode()] = value.decode()
        elif message.type == "K":
            self.pid, self.secret = struct.unpack("!II", message.body)
        elif message.type == "N":
            self.notices.append(parse_fields(message.body))
        elif message.type == "A":
            self.notifications.append(message.body)
        elif message.type == "Z":
            self.status = message.body.decode()
        return message

    def until_ready(self):
        """All messages up to and with ReadyForQuery."""
        messages = []
        while not messages or messages[-1].type != "Z":
            messages.append(self.receive())
        return messages

    def at_end(self, timeout=5.0):
        """True if the server has closed the connection (what was left to read is dropped)."""
        self.sock.settimeout(timeout)
        try:
            while self.sock.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except (socket.timeout, OSError):
            return False

    # ---- start-up

    def startup(self, user, database, password=None, **parameters):
        body = int32(VERSION_3_0)
        for name, value in {"user": user, "database": database, **parameters}.items():
            body += cstr(name) + cstr(str(value))
        self.send(b"", body + b"\0")
        scram = None
        while True:
            message = self.receive()
            if message.type == "E":
                raise Error(parse_fields(message.body))
            if message.type == "Z":
                return self
            if message.type != "R":
                continue
            code = struct.unpack_from("!i", message.body)[0]
            if code == 3:
                self.send(b"p", cstr(password or ""))
            elif code == 5:
                inner = hashlib.md5((password + user).encode()).hexdigest().encode()
                outer = hashlib.md5(inner + message.body[4:8]).hexdigest()
                self.send(b"p", cstr("md5" + outer))
            elif code == 10:
                scram = Scram(password or "")
                first = scram.first()
                self.send(b"p", cstr("SCRAM-SHA-256") + int32(len(first)) + first)
            elif code == 11:
                self.send(b"p", scram.final(message.body[4:]))
            elif code == 12:
                scram.verify(message.body[4:])
            elif code != 0:
                raise Error({"C": "0A000", "M": f"authentication method {code}"})

    def close(self):
        try:
            self.send(b"X")
        except ConnectionLost:
            pass
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def cancel(self):
        """A CancelRequest for this connection, over one of its own."""
        other = Connection(self.host, self.port, tls=self.tls)
        other.send(b"", int32(CANCEL_REQUEST) + uint32(self.pid) + uint32(self.secret))
        other.at_end()
        other.sock.close()

    # ---- simple protocol

    def collect(self, copy_data=None):
        """Results until ReadyForQuery; raises the first error after it, or at the connection's end.
        Errors keep the results before them in error.results."""
        results, current, error, copied = [], Result(), None, bytearray()
        while True:
            try:
                message = self.receive()
            except ConnectionLost:
                if error is not None:
                    raise error from None
                raise
            if message.type == "T":
                current.columns = parse_row_description(message.body)
            elif message.type == "D":
                current.rows.append(parse_data_row(message.body, current.columns))
            elif message.type == "C":
                current.tag = message.body[:-1].decode()
                current.copy_data = bytes(copied)
                results.append(current)
                current, copied = Result(), bytearray()
            elif message.type == "I":
                current.tag = ""
                results.append(current)
                current = Result()
            elif message.type == "s":
                current.suspended = True
                results.append(current)
                current = Result()
            elif message.type == "E":
                error = error or Error(parse_fields(message.body))
            elif message.type == "G":
                if copy_data is None:
                    self.send(b"f", cstr("no data given"))
                else:
                    for at in range(0, len(copy_data), 60000):
                        self.send(b"d", copy_data[at:at + 60000])
                    self.send(b"c")
            elif message.type == "d":
                copied += message.body
            elif message.type == "Z":
                if error is not None:
                    error.results = results
                    raise error
                return results

    def query(self, sql):
        """Results of all statements in the string."""
        self.send(b"Q", cstr(sql))
        return self.collect()

    def rows(self, sql):
        """Rows of the last statement."""
        return self.query(sql)[-1].rows

    def copy_in(self, sql, data):
        self.send(b"Q", cstr(sql))
        return self.collect(data)[-1]

    def copy_out(self, sql):
        return self.query(sql)[-1].copy_data

    # ---- extended protocol: each sends one message

    def parse(self, sql, name="", types=()):
        self.send(b"P", cstr(name) + cstr(sql) + int16(len(types)) + b"".join(map(uint32, types)))

    def bind(self, params=(), portal="", name="", formats=(), result_formats=()):
        body = cstr(portal) + cstr(name) + int16(len(formats)) + b"".join(map(int16, formats))
        body += int16(len(params))
        for value in params:
            if value is None:
                body += int32(-1)
            else:
                data = value if isinstance(value, bytes) else str(value).encode()
                body += int32(len(data)) + data
        self.send(b"B", body + int16(len(result_formats)) + b"".join(map(int16, result_formats)))

    def describe(self, kind="P", name=""):
        self.send(b"D", kind.encode() + cstr(name))

    def execute_portal(self, portal="", rows_max=0):
        self.send(b"E", cstr(portal) + int32(rows_max))

    def close_statement(self, name=""):
        self.send(b"C", b"S" + cstr(name))

    def close_portal(self, name=""):
        self.send(b"C", b"P" + cstr(name))

    def flush(self):
        self.send(b"H")

    def sync(self):
        self.send(b"S")

    def execute(self, sql, params=(), types=(), formats=(), result_formats=()):
        """Parse, Bind, Describe, Execute, Sync; the Result."""
        self.parse(sql, types=types)
        self.bind(params, formats=formats, result_formats=result_formats)
        self.describe()
        self.execute_portal()
        self.sync()
        return self.collect()[-1]


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, 7677), without channel binding."""

    def __init__(self, password):
        self.password = password.encode()
        self.nonce = base64.b64encode(os.urandom(18)).decode()

    def first(self):
        self.bare = f"n=,r={self.nonce}"
        return ("n,," + self.bare).encode()

    def final(self, server_first):
        fields = dict(part.split("=", 1) for part in server_first.decode().split(","))
        if not fields["r"].startswith(self.nonce):
            raise Error({"C": "08P01", "M": "the server's nonce does not continue ours"})
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        without_proof = f"c=biws,r={fields['r']}"
        whole = ",".join((self.bare, server_first.decode(), without_proof)).encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), whole, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.expected = hmac.digest(server_key, whole, "sha256")
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, server_final):
        if base64.b64decode(server_final.decode().split("=", 1)[1]) != self.expected:
            raise Error({"C": "28P01", "M": "the server does not know the password"})


def connect(host="127.0.0.1", port=5433, user="postgres", database="postgres", password=None,
            timeout=30.0, tls=None, **parameters):
    connection = Connection(host, port, timeout, tls)
    try:
        return connection.startup(user, database, password, **parameters)
    except BaseException:
        connection.sock.close()
        raise
