"""What a client's script says: a line `ok WHAT` or `not ok WHAT: WHY` for each thing it tried."""
import os
import traceback

HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]


def attempt(what):
    """Runs the function at once."""
    def run(function):
        try:
            function()
            print(f"ok {what}", flush=True)
        except BaseException as error: # whatever a library throws
            if os.environ.get("TRACE"):
                traceback.print_exc()
            words = " ".join(str(error).split())[:300]
            print(f"not ok {what}: {type(error).__name__}: {words}", flush=True)
            if afterwards is not None:
                afterwards()
    return run


afterwards = None # called after a failure, so that the next attempt begins afresh


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")
